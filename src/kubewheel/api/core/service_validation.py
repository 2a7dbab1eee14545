"""Rules of Services.

In: Services after defaulting and allocation. Out: FieldError lists. Called by: service.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object
from kubewheel.api.validation import check

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or []
    out: list[FieldError] = []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        out.append(errors.field_required("spec.ports"))
    if kind == "LoadBalancer" and headless:
        out.append(errors.field_invalid("spec.clusterIPs[0]", "None",
                                        "may not be set to 'None' for LoadBalancer services"))
    if kind == "NodePort" and headless:
        out.append(errors.field_invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"))
    if kind == "ExternalName":
        out += _external_name(spec)
    out += _ports(ports, headless, kind)
    if pairs := spec.get("selector"):
        out += validation.validate_labels(pairs, "spec.selector")
    out += validation.one_of(spec.get("sessionAffinity"), ("ClientIP", "None"), "spec.sessionAffinity")
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= 86400:
        out.append(errors.field_invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds,
                                        "must be greater than 0 and less than 86400"))
    out += validation.one_of(kind, _TYPES, "spec.type")
    for i, address in enumerate(spec.get("externalIPs") or ()):
        out += check(f"spec.externalIPs[{i}]", address, names.ip(address))
    out += _policies(spec, kind)
    return out + _addresses(spec, kind)


def _external_name(spec: Object) -> list[FieldError]:
    out: list[FieldError] = []
    if spec.get("clusterIPs") or spec.get("clusterIP"):
        out.append(errors.field_forbidden("spec.clusterIPs", "may not be set when type is 'ExternalName'"))
    name = (spec.get("externalName") or "").rstrip(".")
    if name:
        return out + check("spec.externalName", name, names.subdomain(name))
    return [*out, errors.field_required("spec.externalName")]


def _ports(ports: list[Any], headless: bool, kind: str | None) -> list[FieldError]:
    out: list[FieldError] = []
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    nodes: set[tuple[Any, Any]] = set()
    for i, p in enumerate(ports):
        where, name = f"spec.ports[{i}]", p.get("name") or ""
        if not name:
            if len(ports) > 1:
                out.append(errors.field_required(f"{where}.name"))
        else:
            out += check(f"{where}.name", name, names.label(name))
            if name in seen_names:
                out.append(errors.field_duplicate(f"{where}.name", name))
            seen_names.add(name)
        number, target = p.get("port") or 0, p.get("targetPort")
        out += check(f"{where}.port", number, names.port(number))
        if not p.get("protocol"):
            out.append(errors.field_required(f"{where}.protocol"))
        elif p["protocol"] not in _PROTOCOLS:
            out.append(errors.field_not_supported(f"{where}.protocol", p["protocol"], _PROTOCOLS))
        if isinstance(target, str):
            out += check(f"{where}.targetPort", target, names.port_name(target))
        else:
            out += check(f"{where}.targetPort", target or 0, names.port(target or 0))
        if p.get("appProtocol"):
            out += check(f"{where}.appProtocol", p["appProtocol"], names.qualified(p["appProtocol"]))
        key = (p.get("protocol"), number)
        if key in seen:
            shown = {k: p[k] for k in ("protocol", "port") if k in p}
            out.append(errors.field_duplicate(where, shown))
        seen.add(key)
        if node := p.get("nodePort"):
            if kind not in ("NodePort", "LoadBalancer"):
                out.append(errors.field_forbidden(f"{where}.nodePort", "may not be used when `type` is 'ClusterIP'"))
            if (p.get("protocol"), node) in nodes:
                out.append(errors.field_duplicate(f"{where}.nodePort", node))
            nodes.add((p.get("protocol"), node))
    return out


def _policies(spec: Object, kind: str | None) -> list[FieldError]:
    out: list[FieldError] = []
    external = spec.get("externalTrafficPolicy")
    if kind in ("NodePort", "LoadBalancer"):
        out += validation.one_of(external, ("Cluster", "Local"), "spec.externalTrafficPolicy")
    elif external:
        out.append(errors.field_invalid("spec.externalTrafficPolicy", external,
                                        "may only be set for externally-accessible services"))
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        out += validation.one_of(spec.get("internalTrafficPolicy"), ("Cluster", "Local"), "spec.internalTrafficPolicy")
    if kind != "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is not None:
            out.append(errors.field_forbidden("spec.allocateLoadBalancerNodePorts",
                                              "may only be used when `type` is 'LoadBalancer'"))
        if spec.get("loadBalancerClass") is not None:
            out.append(errors.field_forbidden("spec.loadBalancerClass",
                                              "may only be used when `type` is 'LoadBalancer'"))
    for i, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if kind != "LoadBalancer":
            out.append(errors.field_forbidden("spec.LoadBalancerSourceRanges",
                                              "may only be used when `type` is 'LoadBalancer'"))
            break
        out += check(f"spec.LoadBalancerSourceRanges[{i}]", text, names.cidr(text.strip()))
    distribution = spec.get("trafficDistribution")
    if distribution:
        out += validation.one_of(distribution, ("PreferClose", "PreferSameNode", "PreferSameZone"),
                                 "spec.trafficDistribution")
    return out


def _addresses(spec: Object, kind: str | None) -> list[FieldError]:
    out: list[FieldError] = []
    if kind == "ExternalName":
        return out
    addresses, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    for i, address in enumerate(addresses):
        if address == "None" and i == 0:
            if len(addresses) > 1:
                out.append(errors.field_invalid("spec.clusterIPs", list(addresses),
                                                "'None' must be the first and only value"))
        else:
            out += check(f"spec.clusterIPs[{i}]", address, names.ip(address))
    if addresses and spec.get("clusterIP") != addresses[0]:
        out.append(errors.field_invalid("spec.clusterIPs[0]", addresses[0], "first value must match `clusterIP`"))
    if len(addresses) > 2:
        out.append(errors.field_invalid("spec.clusterIPs", list(addresses), "may only hold up to 2 values"))
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            out.append(errors.field_not_supported(f"spec.ipFamilies[{i}]", family, _FAMILIES))
    if len(families) == 2 and families[0] == families[1]:
        out.append(errors.field_duplicate("spec.ipFamilies[1]", families[1]))
    return out + validation.one_of(spec.get("ipFamilyPolicy"), _POLICIES, "spec.ipFamilyPolicy", required=False)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    out: list[FieldError] = []
    if before.get("type") != "ExternalName" and spec.get("type") != "ExternalName" and before.get("clusterIP"):
        addresses = spec.get("clusterIPs") or []
        if spec.get("clusterIP") != before["clusterIP"] or addresses[:1] != (before.get("clusterIPs") or [])[:1]:
            out.append(errors.field_invalid("spec.clusterIPs[0]", addresses[:1], "may not change once set"))
    if before.get("type") == spec.get("type") == "LoadBalancer" and (
            spec.get("loadBalancerClass") != before.get("loadBalancerClass")):
        out.append(errors.field_invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"),
                                        "may not change once set"))
    return out + validate(new)
