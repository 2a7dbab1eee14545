"""services. Addresses and ports are allocated by the API server's hook; here is what needs no allocator.

In: objects. Out: RESOURCE. Called by: catalog.py. The rules: service_validation.py.
"""

from __future__ import annotations

from kubewheel.api import columns, fill, subresources
from kubewheel.api.columns import dig
from kubewheel.api.core import service_validation
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource

CLUSTER_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP" and (
            dig(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") is None):
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports") or ():
        if port.get("protocol") is None:
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if _reached_from_outside(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in CLUSTER_TYPES and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    status = obj.get("status")
    if status and spec["type"] == "LoadBalancer":
        for entry in dig(status, "loadBalancer", "ingress") or ():
            if entry.get("ip") and entry.get("ipMode") is None:
                entry["ipMode"] = "VIP"


def _reached_from_outside(spec: Object) -> bool:
    return spec.get("type") in NODE_PORT_TYPES or spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"loadBalancer": {}}
    spec = obj["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    """What belongs to the old type goes with it; what the server gave stays where the user does not say."""
    spec, before = new["spec"], old.get("spec") or {}
    was, is_ = before.get("type"), spec.get("type")
    if is_ != "ExternalName" and was != "ExternalName":
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            for field in ("clusterIP", "clusterIPs"):
                if field in before:
                    spec[field] = before[field]
        elif spec.get("clusterIP") and not spec.get("clusterIPs"):
            same = spec["clusterIP"] == before.get("clusterIP")
            spec["clusterIPs"] = list(before.get("clusterIPs") or ()) if same else [spec["clusterIP"]]
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(field) is None and field in before:
                spec[field] = before[field]
    if is_ == "ExternalName" and was != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field) == before.get(field):
                spec.pop(field, None)
    _node_ports(spec, before, was, is_)
    if is_ != "LoadBalancer":
        if was == "LoadBalancer":
            for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
                if spec.get(field) == before.get(field):
                    spec.pop(field, None)
        if dig(new, "status", "loadBalancer"):
            new["status"] = {**new["status"], "loadBalancer": {}}
    if not _reached_from_outside(spec) and spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
        spec.pop("externalTrafficPolicy", None)
    if spec.get("externalTrafficPolicy") != "Local" or is_ != "LoadBalancer":
        if spec.get("healthCheckNodePort") == before.get("healthCheckNodePort"):
            spec.pop("healthCheckNodePort", None)
    elif not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _node_ports(spec: Object, before: Object, was: str | None, is_: str | None) -> None:
    given = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        key = (port.get("protocol"), port.get("port"))
        if is_ not in NODE_PORT_TYPES:
            if was in NODE_PORT_TYPES and port.get("nodePort") == given.get(key):
                port.pop("nodePort", None)
        elif not port.get("nodePort") and given.get(key):
            port["nodePort"] = given[key]


def _ports(obj: Object, now: float) -> str:
    parts = []
    for p in dig(obj, "spec", "ports") or ():
        node = f":{p['nodePort']}" if p.get("nodePort") else ""
        parts.append(f"{p.get('port')}{node}/{p.get('protocol', 'TCP')}")
    return ",".join(parts) or columns.NONE


def _external(obj: Object, now: float) -> str:
    spec = obj.get("spec") or {}
    kind, own = spec.get("type"), list(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    if kind == "LoadBalancer":
        entries = dig(obj, "status", "loadBalancer", "ingress") or ()
        balanced = sorted({e.get("ip") or e.get("hostname") or "" for e in entries} - {""})
        return ",".join([*balanced, *own]) or "<pending>"
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(own) or columns.NONE
    return columns.UNKNOWN


def _cluster_ip(obj: Object, now: float) -> str:
    spec = obj.get("spec") or {}
    every = spec.get("clusterIPs") or ()
    return (every[0] if every else spec.get("clusterIP")) or columns.NONE


RESOURCE = Resource(
    kind="Service",
    plural="services",
    short_names=("svc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Service",
    registry="services/specs",
    subresources=(
        subresources.status("Service", validate=service_validation.validate_status),
        Subresource("proxy", "ServiceProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
    ),
    has_generation=False,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=service_validation.validate,
    validate_update=service_validation.validate_update,
    warnings=service_validation.warnings,
    name_rule="label",
    columns=(
        columns.NAME,
        Column("Type", columns.at("spec", "type"), description=".spec.type"),
        Column("Cluster-IP", _cluster_ip, description=".spec.clusterIP"),
        Column("External-IP", _external, description=".spec.externalIPs"),
        Column("Port(s)", _ports, description=".spec.ports"),
        columns.AGE,
        Column("Selector", lambda obj, now: columns.labels(dig(obj, "spec", "selector")), priority=1,
               description=".spec.selector"),
    ),
    selectable={
        "spec.clusterIP": lambda obj: dig(obj, "spec", "clusterIP") or "",
        "spec.type": lambda obj: dig(obj, "spec", "type") or "",
    },
    create_on_update=True,
)
