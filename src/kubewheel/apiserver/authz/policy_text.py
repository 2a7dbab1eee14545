"""How the built-in policy is written down: one line per rule, so that a role reads like a sentence.

In: lines `verbs group: resource resource [= name name]` or `verbs /path /path`. Out: PolicyRule dicts.
`core` is the group "", groups are joined by "+", `read` is get,list,watch, `write` is what changes objects.
Called by: authz/default_policy, authz/controller_policy.
"""

from __future__ import annotations

from kubewheel.api.resource import Object

VERBS = {
    "read": ["get", "list", "watch"],
    "write": ["create", "delete", "deletecollection", "patch", "update"],
    "readwrite": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
}
GROUPS = {
    "core": "", "rbac": "rbac.authorization.k8s.io", "authn": "authentication.k8s.io",
    "authz": "authorization.k8s.io", "storage": "storage.k8s.io", "certs": "certificates.k8s.io",
    "coord": "coordination.k8s.io", "dra": "resource.k8s.io", "net": "networking.k8s.io",
    "discovery": "discovery.k8s.io", "node": "node.k8s.io", "events": "events.k8s.io",
    "admission": "admissionregistration.k8s.io", "flow": "flowcontrol.apiserver.k8s.io",
    "apiextensions": "apiextensions.k8s.io", "apiregistration": "apiregistration.k8s.io",
    "migration": "storagemigration.k8s.io",
}
EVENTS = "create,patch,update core+events: events"


def rule(line: str) -> Object:
    verbs_text, rest = line.split(None, 1)
    verbs = VERBS.get(verbs_text) or sorted(verbs_text.split(","))
    if rest.startswith("/"):
        return {"nonResourceURLs": rest.split(), "verbs": list(verbs)}
    groups, _, what = rest.partition(":")
    resources, _, names = what.partition("=")
    out: Object = {"apiGroups": [GROUPS.get(g, g) for g in groups.split("+")], "resources": resources.split()}
    if names:
        out["resourceNames"] = names.split()
    return out | {"verbs": list(verbs)}


def parse(text: str) -> list[Object]:
    return [rule(EVENTS if line.strip() == "events" else line.strip())
            for line in text.strip().splitlines() if line.strip()]
