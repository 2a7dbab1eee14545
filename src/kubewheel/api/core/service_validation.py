"""Rules of Services, and what is warned of.

In: Services after defaulting and allocation. Out: FieldError lists, Warning texts. Called by: service.py.
"""

from __future__ import annotations

from collections.abc import Collection
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
_ONCE = "may not change once set"
_MAX_TIMEOUT = 86400


def is_headless(spec: Object) -> bool:
    return spec.get("clusterIPs") == ["None"]


def needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec, notes = obj.get("spec") or {}, obj["metadata"].get("annotations") or {}
    kind, ports, before = spec.get("type") or "", spec.get("ports") or [], (old or {}).get("spec") or {}
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
    if kind != "ExternalName":
        out += addresses_of(spec, before.get("clusterIPs") or ())
    for i, address in enumerate(spec.get("externalIPs") or ()):
        where = f"spec.externalIPs[{i}]"
        out += (addresses.stored_ip(address, where, before.get("externalIPs") or ())
                or addresses.special(address, where))
    out += validation.one_of(kind, _TYPES, "spec.type")
    return out + _repeated(ports, kind) + _ranges(obj, old, kind) + _balancer(spec, kind) + _policies(spec, kind)


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


def _ranges(obj: Object, old: Object | None, kind: str) -> list[FieldError]:
    """Spaces around them are part of the API; ranges that were stored are not looked at again."""
    out: list[FieldError] = []
    notes, was = obj["metadata"].get("annotations") or {}, old or {}
    ranges = obj["spec"].get("loadBalancerSourceRanges") or ()
    if not ranges and _RANGES not in notes:
        return []
    path = "spec.LoadBalancerSourceRanges" if ranges else f"metadata.annotations[{_RANGES}]"
    if kind != "LoadBalancer":
        out.append(errors.field_forbidden(path, _ONLY_BALANCED))
    if ranges:
        known = {text.strip() for text in (was.get("spec") or {}).get("loadBalancerSourceRanges") or ()}
        for i, text in enumerate(ranges):
            out += addresses.stored_cidr(text.strip(), f"{path}[{i}]", known)
    elif old is None or (was["metadata"].get("annotations") or {}).get(_RANGES) != notes[_RANGES]:
        for text in notes[_RANGES].strip().split(",") if notes[_RANGES].strip() else ():
            out += addresses.stored_cidr(text.strip(), path)
    return out


def _balancer(spec: Object, kind: str) -> list[FieldError]:
    out: list[FieldError] = []
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
    elif needs_health_check(spec):
        out.append(errors.field_required("spec.healthCheckNodePort"))
    if internal is None:
        if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
            out.append(errors.field_required("spec.internalTrafficPolicy"))
    elif internal not in ("Cluster", "Local"):
        out.append(errors.field_not_supported("spec.internalTrafficPolicy", internal, ("Cluster", "Local")))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        out.append(errors.field_not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS, ordered=True))
    return out


def addresses_of(spec: Object, known: Collection[str]) -> list[FieldError]:
    """Of a Service that has cluster addresses; also asked before addresses are handed out. `known`: stored ones."""
    out: list[FieldError] = []
    given, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    one, policy = spec.get("clusterIP") or "", spec.get("ipFamilyPolicy")
    path = "spec.clusterIPs"
    if one and not given:
        out.append(errors.field_required(path))
    elif given and given[0] != one:
        out.append(errors.field_invalid(path, list(given), "first value must match `clusterIP`" if one else (
            "must be empty when `clusterIP` is not specified")))
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            out.append(errors.field_not_supported(f"spec.ipFamilies[{i}]", family, _FAMILIES))
        if family in families[:i]:
            out.append(errors.field_duplicate(f"spec.ipFamilies[{i}]", family))
    if policy is not None and policy not in _POLICIES:
        out.append(errors.field_not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    wrong: list[FieldError] = []
    for i, address in enumerate(given):
        if i or address != "None":
            wrong += addresses.stored_ip(address, f"{path}[{i}]", known)
        elif len(given) > 1:
            wrong.append(errors.field_invalid(path, list(given), "'None' must be the first and only value"))
    out += wrong
    if len(given) > 2:
        out.append(errors.field_invalid(path, list(given), "may only hold up to 2 values"))
    return out if wrong or given == ["None"] else out + _of_families(given, families, path)


def _of_families(given: list[str], families: list[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if len(given) > 1 and len({":" in address for address in given}) < 2:
        out.append(errors.field_invalid(path, list(given), "may specify no more than one IP for each IP family"))
    for i, (address, family) in enumerate(zip(given, families, strict=False)):
        if family in _FAMILIES and (":" in address) != (family == "IPv6"):
            out.append(errors.field_invalid(f"{path}[{i}]", address,
                                            f"expected an {family} value as indicated by `ipFamilies[{i}]`"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    out: list[FieldError] = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        now, then = is_headless(spec), is_headless(before)
        if not (now and then):
            out += _kept(spec, before, "clusterIPs", "clusterIP")
        if not (now or then):
            out += _kept(spec, before, "ipFamilies", "ipFamily")
    out += _class_update(spec, before)
    if needs_health_check(spec) and needs_health_check(before) and (
            spec.get("healthCheckNodePort") != before.get("healthCheckNodePort")):
        out.append(errors.field_forbidden("spec.healthCheckNodePort", "field is immutable"))
    return out + validate(new, old)


def _kept(spec: Object, before: Object, field: str, word: str) -> list[FieldError]:
    """The first value stays; a second one may come and, with one stack, go. Findings show the whole list (of families
    too, whose findings are all of the first; but where their number differs, they show the addresses)."""
    have, had = spec.get(field) or [], before.get(field) or []
    path, families = f"spec.{field}", field == "ipFamilies"
    if len(have) == len(had):
        return [errors.field_invalid(f"{path}[{0 if families else i}]", list(have), _ONCE)
                for i in range(len(had)) if have[i] != had[i]]
    out: list[FieldError] = []
    if len(have) < len(had) and not spec.get("clusterIPs"):
        out.append(errors.field_invalid(f"{path}[0]", list(have) or None, f"primary {word} can not be unset"))
    if have and had and have[0] != had[0]:
        out.append(errors.field_invalid(f"{path}[0]", list(spec.get("clusterIPs") or ()) or None, _ONCE))
    if len(have) == 1 < len(had) and spec.get("ipFamilyPolicy") != "SingleStack":
        out.append(errors.field_invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), (
            f"must be set to 'SingleStack' when releasing the secondary {word}")))
    return out


def _class_update(spec: Object, before: Object) -> list[FieldError]:
    if spec.get("type") == before.get("type") == "LoadBalancer" and (
            spec.get("loadBalancerClass") != before.get("loadBalancerClass")):
        return [errors.field_invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), _ONCE)]
    return []


def validate_status(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    ingress = (((new.get("status") or {}).get("loadBalancer") or {}).get("ingress")) or ()
    path = "status.loadBalancer.ingress"
    known = [e.get("ip") for e in ((((old.get("status") or {}).get("loadBalancer") or {}).get("ingress")) or ())]
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        out.append(errors.field_forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
    for i, entry in enumerate(ingress):
        where, address, mode, host = f"{path}[{i}]", entry.get("ip"), entry.get("ipMode"), entry.get("hostname")
        if address:
            out += addresses.stored_ip(address, f"{where}.ip", known)
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
