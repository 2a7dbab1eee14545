"""Rules of Services, and what is warned of.

In: Services after defaulting and allocation. Out: FieldError lists, Warning texts. Called by: service.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import addresses, errors, names, validation
from kubewheel.api.core.probe_validation import port as port_or_name
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object
from kubewheel.api.validation import check

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"
_MAX_TIMEOUT = 86400


def is_headless(spec: Object) -> bool:
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None"


def needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate(obj: Object) -> list[FieldError]:
    spec, notes = obj.get("spec") or {}, obj["metadata"].get("annotations") or {}
    kind, ports = spec.get("type") or "", spec.get("ports") or []
    out: list[FieldError] = []
    if _MODE in notes and _HINTS in notes and notes[_MODE] != notes[_HINTS]:
        out.append(errors.field_invalid(f"metadata.annotations[{_MODE}]", notes[_MODE],
                                        f"must match annotations[{_HINTS}] when both are specified"))
    headless = is_headless(spec)
    if not ports and not headless and kind != "ExternalName":
        out.append(errors.field_required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and headless:
        out.append(errors.field_invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    elif kind == "ExternalName":
        out += _external_name(spec)
    out += _ports(ports)
    if pairs := spec.get("selector"):
        out += validation.validate_labels(pairs, "spec.selector")
    out += _affinity(spec)
    out += _addresses(spec, kind)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        where = f"spec.externalIPs[{i}]"
        out += check(where, address, names.ip(address)) or addresses.special(address, where)
    out += validation.one_of(kind, _TYPES, "spec.type")
    return out + _repeated(ports, kind) + _balancer(spec, notes, kind) + _policies(spec, kind)


def _external_name(spec: Object) -> list[FieldError]:
    out = [errors.field_forbidden(f"spec.{field}", "may not be set for ExternalName services")
           for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(field)]
    name = (spec.get("externalName") or "").removesuffix(".")
    if name:
        return out + check("spec.externalName", name, names.subdomain(name))
    return [*out, errors.field_required("spec.externalName")]


def _ports(ports: list[Any]) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, p in enumerate(ports):
        where, name = f"spec.ports[{i}]", p.get("name") or ""
        if not name:
            if len(ports) > 1:
                out.append(errors.field_required(f"{where}.name"))
        else:
            out += check(f"{where}.name", name, names.label(name))
            if name in seen:
                out.append(errors.field_duplicate(f"{where}.name", name))
            seen.add(name)
        number = p.get("port") or 0
        out += check(f"{where}.port", number, names.port(number))
        out += validation.one_of(p.get("protocol"), _PROTOCOLS, f"{where}.protocol")
        out += port_or_name(p.get("targetPort"), f"{where}.targetPort")
        if (protocol := p.get("appProtocol")) is not None:
            out += check(f"{where}.appProtocol", protocol, names.qualified(protocol))
    return out


def _repeated(ports: list[Any], kind: str) -> list[FieldError]:
    """Ports and node ports that are there twice, or not to be there."""
    out: list[FieldError] = []
    if kind == "ClusterIP":
        out += [errors.field_forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
                for i, p in enumerate(ports) if p.get("nodePort")]
    nodes: set[tuple[Any, Any]] = set()
    for i, p in enumerate(ports):
        if node := p.get("nodePort"):
            if (p.get("protocol"), node) in nodes:
                out.append(errors.field_duplicate(f"spec.ports[{i}].nodePort", node))
            nodes.add((p.get("protocol"), node))
    seen: set[tuple[Any, Any]] = set()
    for i, p in enumerate(ports):
        key = (p.get("protocol"), p.get("port"))
        if key in seen:
            out.append(errors.field_duplicate(f"spec.ports[{i}]", {
                "Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1], "TargetPort": 0, "NodePort": 0}))
        seen.add(key)
    return out


def _affinity(spec: Object) -> list[FieldError]:
    out = validation.one_of(spec.get("sessionAffinity"), ("ClientIP", "None"), "spec.sessionAffinity")
    config, path = spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    if spec.get("sessionAffinity") == "None" and config is not None:
        out.append(errors.field_forbidden(path, "must not be set when session affinity is None"))
    if spec.get("sessionAffinity") == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is not None and not 0 < seconds <= _MAX_TIMEOUT:
            out.append(errors.field_invalid(f"{path}.clientIP.timeoutSeconds", seconds,
                                            f"must be greater than 0 and less than {_MAX_TIMEOUT}"))
    return out


def _balancer(spec: Object, notes: Object, kind: str) -> list[FieldError]:
    out: list[FieldError] = []
    ranges, path = spec.get("loadBalancerSourceRanges") or (), "spec.LoadBalancerSourceRanges"
    if ranges:
        if kind != "LoadBalancer":
            out.append(errors.field_forbidden(path, _ONLY_BALANCED))
        for i, text in enumerate(ranges):
            out += check(f"{path}[{i}]", text.strip(), names.cidr(text.strip()))
    elif _RANGES in notes:
        path = f"metadata.annotations[{_RANGES}]"
        if kind != "LoadBalancer":
            out.append(errors.field_forbidden(path, _ONLY_BALANCED))
        for text in notes[_RANGES].strip().split(",") if notes[_RANGES].strip() else ():
            out += check(path, text.strip(), names.cidr(text.strip()))
    allocates = spec.get("allocateLoadBalancerNodePorts")
    if allocates is not None and kind != "LoadBalancer":
        out.append(errors.field_forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_BALANCED))
    if (balancer := spec.get("loadBalancerClass")) is not None:
        if kind != "LoadBalancer":
            out.append(errors.field_forbidden("spec.loadBalancerClass", _ONLY_BALANCED))
        else:
            out += check("spec.loadBalancerClass", balancer, names.qualified(balancer))
    return out


def _policies(spec: Object, kind: str) -> list[FieldError]:
    out: list[FieldError] = []
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    accessible = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if accessible:
        out += validation.one_of(external, ("Cluster", "Local"), "spec.externalTrafficPolicy")
    elif external:
        out.append(errors.field_invalid("spec.externalTrafficPolicy", external,
                                        "may only be set for externally-accessible services"))
    node_port = spec.get("healthCheckNodePort")
    if node_port and not needs_health_check(spec):
        out.append(errors.field_invalid("spec.healthCheckNodePort", node_port, (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")))
    elif node_port:
        out += check("spec.healthCheckNodePort", node_port, names.port(node_port))
    if internal is None:
        if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
            out.append(errors.field_required("spec.internalTrafficPolicy"))
    elif internal not in ("Cluster", "Local"):
        out.append(errors.field_not_supported("spec.internalTrafficPolicy", internal, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        out.append(errors.field_not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS, ordered=True))
    return out


def _addresses(spec: Object, kind: str) -> list[FieldError]:
    out: list[FieldError] = []
    if kind == "ExternalName":
        return out
    given, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    policy = spec.get("ipFamilyPolicy")
    if given and spec.get("clusterIP") != given[0]:
        out.append(errors.field_invalid("spec.clusterIPs", list(given), "first value must match `clusterIP`"))
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            out.append(errors.field_not_supported(f"spec.ipFamilies[{i}]", family, _FAMILIES))
        elif family in families[:i]:
            out.append(errors.field_duplicate(f"spec.ipFamilies[{i}]", family))
    if policy is not None and policy not in _POLICIES:
        out.append(errors.field_not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    for i, address in enumerate(given):
        if i == 0 and address == "None":
            if len(given) > 1:
                out.append(errors.field_invalid("spec.clusterIPs", list(given),
                                                "'None' must be the first and only value"))
            return out
        out += check(f"spec.clusterIPs[{i}]", address, names.ip(address))
    if len(given) > 2:
        out.append(errors.field_invalid("spec.clusterIPs", list(given), "may only hold up to 2 values"))
    elif len(given) == 2 and (":" in given[0]) == (":" in given[1]):
        out.append(errors.field_invalid("spec.clusterIPs", list(given),
                                        "may specify no more than one IP for each IP family"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    out: list[FieldError] = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if not (is_headless(spec) and is_headless(before)):
            out += _kept(spec, before, "clusterIPs", "clusterIP")
        out += _kept(spec, before, "ipFamilies", "ipFamily")
    out += _class_update(spec, before)
    if needs_health_check(spec) and needs_health_check(before) and (
            spec.get("healthCheckNodePort") != before.get("healthCheckNodePort")):
        out.append(errors.field_forbidden("spec.healthCheckNodePort", "field is immutable"))
    return out + validate(new)


def _kept(spec: Object, before: Object, field: str, word: str) -> list[FieldError]:
    """The first value stays; a second one may come and, with one stack, go."""
    have, had = spec.get(field) or [], before.get(field) or []
    path = f"spec.{field}"

    def shown(i: int) -> Any:
        return have if field == "clusterIPs" else have[i]

    if had and not have:
        return [errors.field_invalid(f"{path}[0]", None, f"primary {word} can not be unset")]
    out = [errors.field_invalid(f"{path}[{i}]", shown(i), "may not change once set")
           for i in range(len(had) if len(have) == len(had) else min(1, len(had))) if have[i] != had[i]]
    if len(had) == 2 and len(have) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        out.append(errors.field_invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), (
            f"must be set to 'SingleStack' when releasing the secondary {word}")))
    return out


def _class_update(spec: Object, before: Object) -> list[FieldError]:
    if spec.get("type") == before.get("type") == "LoadBalancer" and (
            spec.get("loadBalancerClass") != before.get("loadBalancerClass")):
        return [errors.field_invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")]
    return []


def validate_status(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    ingress = (((new.get("status") or {}).get("loadBalancer") or {}).get("ingress")) or ()
    path = "status.loadBalancer.ingress"
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        out.append(errors.field_forbidden(path, "may only be used when `spec.type` is \"LoadBalancer\""))
    for i, entry in enumerate(ingress):
        where, address, mode, host = f"{path}[{i}]", entry.get("ip"), entry.get("ipMode"), entry.get("hostname")
        if address:
            out += check(f"{where}.ip", address, names.ip(address))
        if mode is None and address:
            out.append(errors.field_required(f"{where}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None and not address:
            out.append(errors.field_forbidden(f"{where}.ipMode", "may not be specified when `ip` is not set"))
        elif mode is not None and mode not in ("Proxy", "VIP"):
            out.append(errors.field_not_supported(f"{where}.ipMode", mode, ("Proxy", "VIP")))
        if host:
            out += check(f"{where}.hostname", host, names.subdomain(host))
            if addresses.is_ip(host):
                out.append(errors.field_invalid(f"{where}.hostname", host, "must be a DNS name, not an IP address"))
    return out


def warnings(obj: Object) -> list[str]:
    spec, notes = obj.get("spec") or {}, obj["metadata"].get("annotations") or {}
    kind, external = spec.get("type"), spec.get("externalIPs") or ()
    out: list[str] = []
    if _HINTS in notes:
        out.append(f"annotation {_HINTS} is deprecated, please use {_MODE} instead")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if not headless:
        for i, address in enumerate(spec.get("clusterIPs") or ()):
            out += addresses.warnings(address, f"spec.clusterIPs[{i}]")
    else:
        out += [f"{field} is ignored for headless services" for field, set_ in (
            ("spec.loadBalancerIP", spec.get("loadBalancerIP")), ("spec.externalIPs", external),
            ("spec.SessionAffinity", spec.get("sessionAffinity") != "None")) if set_]
    for i, address in enumerate(external):
        out += addresses.warnings(address, f"spec.externalIPs[{i}]")
    if external and not headless and kind != "ExternalName":
        out.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        out += addresses.warnings(spec["loadBalancerIP"], "spec.loadBalancerIP")
    for i, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        out += addresses.cidr_warnings(text, f"spec.loadBalancerSourceRanges[{i}]")
    if kind == "ExternalName" and external:
        out.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        out.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        out.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return out
