"""Upstream's default FlowSchemas and PriorityLevelConfigurations (v1.37), made and kept.

In: the server's loopback client. Out: the objects, created or repaired. Called by: bootstrap.py.
The mandatory ones are always put right; the suggested ones as long as their annotation says so, or nobody has
touched them (kubernetes.io docs: API Priority and Fairness, "Maintenance of the Mandatory and Suggested Objects").
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import codec, errors
from kubewheel.api.flowcontrol.mandatory import LEVELS, SCHEMAS, everything, groups, schema
from kubewheel.api.resource import Object
from kubewheel.client.client import Client

PRODUCER, CONSUMER = (f"api-priority-and-fairness-config-{who}-v1" for who in ("producer", "consumer"))
AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
FLOW_SCHEMAS = "flowschemas.flowcontrol.apiserver.k8s.io"
PRIORITY_LEVELS = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def _system_accounts(*names: str) -> list[Object]:
    return [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}} for name in names]


def _some(subjects: list[Object], *rules: tuple[Sequence[str], str, Sequence[str], bool]) -> list[Object]:
    """(verbs, API group, resources, cluster-scoped too?) in all namespaces."""
    made = []
    for verbs, group, resources, cluster in rules:
        rule: Object = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources), "namespaces": ["*"]}
        if cluster:
            rule["clusterScope"] = True
        made.append(rule)
    return [{"subjects": subjects, "resourceRules": made}]


def _limited(shares: int, lendable: int, queues: int, hand: int) -> Object:
    return {"type": "Limited", "limited": {
        "nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": {
            "type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}}}}


_LEASES = (("get", "create", "update"), "coordination.k8s.io", ("leases",), False)
_ANYBODY = groups("system:unauthenticated", "system:authenticated")
_MANAGER, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"

SUGGESTED_LEVELS: dict[str, Object] = {
    "system": _limited(30, 33, 64, 6),
    "node-high": _limited(40, 25, 64, 6),
    "leader-election": _limited(10, 0, 16, 4),
    "workload-high": _limited(40, 50, 128, 6),
    "workload-low": _limited(100, 90, 128, 6),
    "global-default": _limited(20, 50, 128, 6),
}
SUGGESTED_SCHEMAS: dict[str, Object] = {
    "system-nodes": schema("system", 500, "ByUser", everything(groups("system:nodes"))),
    "system-node-high": schema("node-high", 400, "ByUser", _some(
        groups("system:nodes"), (("*",), "", ("nodes", "nodes/status"), True),
        (("*",), "coordination.k8s.io", ("leases",), False))),
    "probes": schema("exempt", 2, "", [{"subjects": _ANYBODY, "nonResourceRules": [
        {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}]),
    "system-leader-election": schema("leader-election", 100, "ByUser", _some(
        _users(_MANAGER, _SCHEDULER) + _system_accounts("*"), _LEASES)),
    "endpoint-controller": schema("workload-high", 150, "ByUser", _some(
        _users(_MANAGER) + _system_accounts("endpoint-controller", "endpointslicemirroring-controller"),
        (("get", "create", "update"), "", ("endpoints",), False))),
    "workload-leader-election": schema("leader-election", 200, "ByUser", _some(_system_accounts("*"), _LEASES)),
    "kube-controller-manager": schema("workload-high", 800, "ByNamespace", everything(_users(_MANAGER))),
    "kube-scheduler": schema("workload-high", 800, "ByNamespace", everything(_users(_SCHEDULER))),
    "kube-system-service-accounts": schema("workload-high", 900, "ByNamespace", everything(_system_accounts("*"))),
    "service-accounts": schema("workload-low", 9000, "ByUser", everything(groups("system:serviceaccounts"))),
    "global-default": schema("global-default", 9900, "ByUser", everything(_ANYBODY)),
}


async def ensure(client: Client) -> None:
    """One round; upstream makes one a minute."""
    for resource, fixed, suggested in ((PRIORITY_LEVELS, LEVELS, SUGGESTED_LEVELS),
                                       (FLOW_SCHEMAS, SCHEMAS, SUGGESTED_SCHEMAS)):
        for name, spec in {**fixed, **suggested}.items():
            await _ensure(client, resource, name, spec, always=name in fixed)


async def _ensure(client: Client, resource: str, name: str, spec: Object, *, always: bool) -> None:
    live = await client.find(resource, name)
    if live is None:
        made = {"metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}}, "spec": codec.copy(spec)}
        try:
            await client.create(resource, made, fieldManager=PRODUCER)
        except errors.StatusError as e:
            if e.code != 409:
                raise
        return
    said = (live["metadata"].get("annotations") or {}).get(AUTOUPDATE)
    # Nobody has changed what says nothing of it and is still in its first generation.
    kept = always or said == "true" or (said is None and live["metadata"].get("generation") == 1)
    wanted = codec.copy(live)
    if kept:
        tuned = spec["type"] == "Exempt" == live["spec"]["type"] if resource == PRIORITY_LEVELS else False
        if not tuned:  # what the exempt level lends is the administrator's to say
            wanted["spec"] = _with_defaults(resource, spec)
        wanted["metadata"].setdefault("annotations", {})[AUTOUPDATE] = "true"
    if wanted != live:
        await client.update(resource, wanted, fieldManager=PRODUCER)


def _with_defaults(resource: str, spec: Object) -> Object:
    from kubewheel.api import catalog

    obj: Object = {"metadata": {}, "spec": codec.copy(spec)}
    catalog.resource(resource).defaults(obj)
    return dict(obj["spec"])


async def tell_dangling(client: Client, stamp: str) -> None:
    """status.conditions of every FlowSchema: is its priority level there?"""
    levels = {level["metadata"]["name"] for level in (await client.list(PRIORITY_LEVELS))["items"]}
    for flow in (await client.list(FLOW_SCHEMAS))["items"]:
        level = flow["spec"]["priorityLevelConfiguration"]["name"]
        there = level in levels
        what = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
        condition = {"type": "Dangling", "status": "False" if there else "True", "lastTransitionTime": stamp,
                     "reason": "Found" if there else "NotFound",
                     "message": what + (" and it exists" if there else " but there is no such object")}
        had = (flow.get("status") or {}).get("conditions") or []
        if any(c.get("type") == "Dangling" and c.get("status") == condition["status"] for c in had):
            continue
        rest = [c for c in had if c.get("type") != "Dangling"]
        await client.update(FLOW_SCHEMAS, {**flow, "status": {"conditions": [*rest, condition]}}, subresource="status",
                            fieldManager=CONSUMER)
