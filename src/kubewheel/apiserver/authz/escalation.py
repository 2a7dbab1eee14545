"""Nobody gives away RBAC rights they do not have.

In: a write of a role or binding, seen as admission. Out: StatusError 403 with the missing rules. The verbs `escalate`
(roles) and `bind` (bindings) lift the check; system:masters and the loopback user always pass.
Called by: admission/chain (always first among the validating plugins, it is no plugin one may switch off).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes, RequestInfo
from kubewheel.apiserver.authz import rbac, rules
from kubewheel.client.transport import Identity

ROLES = {"roles", "clusterroles"}
BINDINGS = {"rolebindings", "clusterrolebindings"}


class Escalation(AdmissionPlugin):
    name = "RBACEscalation"

    async def validate(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if resource.group != rbac.GROUP or attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource:
            return
        authority = getattr(self.context.authorizer, "rbac", None)
        if authority is None or rbac.MASTERS in attributes.user.groups or attributes.obj is None:
            return
        await authority.start()
        if resource.plural in ROLES:
            await self._check_role(authority, attributes, attributes.obj)
        elif resource.plural in BINDINGS:
            await self._check_binding(authority, attributes, attributes.obj)

    async def _check_role(self, authority: rbac.Rbac, attributes: Attributes, obj: Object) -> None:
        old = attributes.old or {}
        wanted = obj.get("rules") or []
        if attributes.old is not None and old.get("rules") == obj.get("rules") \
                and old.get("aggregationRule") == obj.get("aggregationRule"):
            return
        if await self._may(attributes, "escalate"):
            return
        if obj.get("aggregationRule") and old.get("aggregationRule") != obj.get("aggregationRule"):
            # whoever may have any role aggregated must hold everything
            wanted = [*wanted, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                      {"nonResourceURLs": ["*"], "verbs": ["*"]}]
        refuse_escalation(authority, attributes, wanted)

    async def _check_binding(self, authority: rbac.Rbac, attributes: Attributes, obj: Object) -> None:
        old = attributes.old
        if old is not None and old.get("subjects") == obj.get("subjects") and old.get("roleRef") == obj.get("roleRef"):
            return
        ref = obj["roleRef"]
        plural = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
        info = RequestInfo(True, "", "bind", "apis", rbac.GROUP, "v1", attributes.namespace, plural, "", ref["name"])
        if (await self.context.authorizer.authorize(attributes.user, info)).verdict == "allow":
            return
        wanted = authority.role_rules(ref, attributes.namespace)
        if wanted is None:
            raise errors.not_found(plural, ref["name"], group=rbac.GROUP)
        refuse_escalation(authority, attributes, wanted)

    async def _may(self, attributes: Attributes, verb: str) -> bool:
        info = RequestInfo(True, "", verb, "apis", rbac.GROUP, "v1", attributes.namespace, attributes.resource.plural,
                           "", attributes.name)
        return (await self.context.authorizer.authorize(attributes.user, info)).verdict == "allow"


def refuse_escalation(authority: rbac.Rbac, attributes: Attributes, wanted: list[Object]) -> None:
    """StatusError 403 if the user lacks any of the wanted rules there."""
    missing = rules.uncovered(authority.held_rules(attributes.user, attributes.namespace), wanted)
    if missing:
        raise errors.forbidden(attributes.resource.plural, attributes.name, message(attributes.user, missing),
                               group=rbac.GROUP)


def message(user: Identity, missing: list[dict[str, Any]]) -> str:
    groups = "[" + " ".join(f'"{g}"' for g in user.groups) + "]"
    lines = "\n".join(sorted(rules.compact_string(r) for r in missing))
    return (f'user "{user.name}" (groups={groups}) is attempting to grant RBAC permissions not currently held:\n'
            f"{lines}")
