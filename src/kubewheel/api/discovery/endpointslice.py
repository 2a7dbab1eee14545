"""endpointslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubewheel.api import addresses, columns, errors, names, shape, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
# Their authors bring addresses into canonical form themselves.
_CAREFUL = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def defaults(obj: Object) -> None:
    for port in obj.get("ports") or ():
        if port.get("name") is None:
            port["name"] = ""
        if port.get("protocol") is None:
            port["protocol"] = "TCP"
    for end in obj.get("endpoints") or ():
        shape.struct(end, "conditions")
    shape.nullable(obj, "endpoints", "ports")


def _without_topology(obj: Object) -> None:
    for end in obj.get("endpoints") or ():
        end.pop("deprecatedTopology", None)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    _without_topology(obj)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    """discovery.k8s.io/v1 knows topology only as what older versions left: it stays while nothing else changes."""
    if new.get("endpoints") != old.get("endpoints"):
        _without_topology(new)


def raises_generation(new: Object, old: Object) -> bool:
    """All but metadata, and of that the labels."""
    return (any(new.get(f) != old.get(f) for f in ("addressType", "endpoints", "ports"))
            or (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}))


def validate(obj: Object) -> list[FieldError]:
    kind = obj.get("addressType") or ""
    out = validation.one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType")
    ends = obj.get("endpoints") or ()
    if len(ends) > MAX_ENDPOINTS:
        out.append(errors.field_too_many("endpoints", len(ends), MAX_ENDPOINTS))
    else:
        for i, end in enumerate(ends):
            out += _endpoint(end, kind, f"endpoints[{i}]")
    return out + _port_list(obj.get("ports") or ())


def _endpoint(end: Object, kind: str, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    listed = end.get("addresses") or ()
    if not listed:
        out.append(errors.field_required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(listed) > MAX_ADDRESSES:
        out.append(errors.field_too_many(f"{path}.addresses", len(listed), MAX_ADDRESSES))
    for i, text in enumerate(listed):
        out += _address(text, kind, f"{path}.addresses[{i}]")
    if (node := end.get("nodeName")) is not None:
        out += validation.check(f"{path}.nodeName", node, names.subdomain(node))
    if (host := end.get("hostname")) is not None:
        out += validation.check(f"{path}.hostname", host, names.label(host))
    hints = end.get("hints") or {}
    out += _hints(hints.get("forZones") or (), f"{path}.hints.forZones", names.label_value)
    return out + _hints(hints.get("forNodes") or (), f"{path}.hints.forNodes", names.subdomain)


def _address(text: str, kind: str, path: str) -> list[FieldError]:
    if kind == "FQDN":
        return _domain(text, path)
    if kind not in ("IPv4", "IPv6"):
        return []
    if found := validation.check(path, text, addresses.legacy_ip(text)):
        return found
    address = addresses.parse(text)
    out: list[FieldError] = []
    if address is not None and f"IPv{address.version}" != kind:
        out.append(errors.field_invalid(path, text, f"must be an {kind} address"))
    return out + addresses.special(text, path)


def _domain(text: str, path: str) -> list[FieldError]:
    if not text:
        return [errors.field_required(path)]
    name = text.removesuffix(".")
    if found := names.subdomain(name):
        return [errors.field_invalid(path, name, ",".join(found))]
    if "." not in name:
        return [errors.field_invalid(path, name, "should be a domain with at least two segments separated by dots")]
    for part in name.split("."):
        if found := names.label(part):
            return [errors.field_invalid(path, part, ",".join(found))]
    return []


def _hints(items: Sequence[Object], path: str, rule: Callable[[str], list[str]]) -> list[FieldError]:
    if len(items) > MAX_HINTS:
        return [errors.field_too_many(path, len(items), MAX_HINTS)]
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, hint in enumerate(items):
        name = hint.get("name") or ""
        if name in seen:
            out.append(errors.field_duplicate(f"{path}[{i}].name", name))
        seen.add(name)
        out += validation.check(f"{path}[{i}].name", name, rule(name))
    return out


def _port_list(items: Sequence[Object]) -> list[FieldError]:
    if len(items) > MAX_PORTS:
        return [errors.field_too_many("ports", len(items), MAX_PORTS)]
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(items):
        name, path = port.get("name") or "", f"ports[{i}]"
        if name:
            out += validation.check(f"{path}.name", name, names.label(name))
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.name", name))
        seen.add(name)
        out += validation.one_of(port.get("protocol"), ("SCTP", "TCP", "UDP"), f"{path}.protocol")
        if (protocol := port.get("appProtocol")) is not None:
            out += validation.check(f"{path}.appProtocol", protocol, names.qualified(protocol))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new) + validation.immutable(new.get("addressType"), old.get("addressType"), "addressType")


def warnings(obj: Object) -> list[str]:
    out = []
    if obj.get("addressType") == "FQDN":
        out.append("spec.addressType: FQDN endpoints are deprecated")  # upstream's path
    elif (obj["metadata"].get("labels") or {}).get(MANAGED_BY) not in _CAREFUL:
        for i, end in enumerate(obj.get("endpoints") or ()):
            for j, text in enumerate(end.get("addresses") or ()):
                out += addresses.warnings(text, f"endpoints[{i}].addresses[{j}]")
    return out


def _more(texts: list[str]) -> str:
    more = len(texts) - 3
    return (",".join(texts[:3]) + (f" + {more} more..." if more > 0 else "")) or columns.UNSET


def _ports(obj: Object, now: float) -> str:
    return _more([str(p["port"]) if p.get("port") is not None else p.get("name", "*") for p in obj.get("ports") or ()])


def _endpoints(obj: Object, now: float) -> str:
    return _more([a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()])


RESOURCE = Resource(
    group="discovery.k8s.io",
    kind="EndpointSlice",
    plural="endpointslices",
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    registry="endpointslices",
    raises_generation=raises_generation,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("AddressType", columns.at("addressType"), description=".addressType"),
        Column("Ports", _ports, description=".ports"),
        Column("Endpoints", _endpoints, description=".endpoints"),
        columns.AGE,
    ),
)
