"""endpointslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    for port in obj.get("ports") or ():
        if port.get("name") is None:
            port["name"] = ""
        if port.get("protocol") is None:
            port["protocol"] = "TCP"


def validate(obj: Object) -> list[errors.FieldError]:
    kind = obj.get("addressType")
    out = validation.one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType")
    ends = obj.get("endpoints") or ()
    if len(ends) > 1000:
        out.append(errors.field_too_many("endpoints", len(ends), 1000))
    for i, end in enumerate(ends):
        where, addresses = f"endpoints[{i}].addresses", end.get("addresses") or ()
        if not addresses:
            out.append(errors.field_required(where, "must contain at least 1 address"))
        for j, address in enumerate(addresses):
            rule = names.subdomain if kind == "FQDN" else names.ip
            out += validation.check(f"{where}[{j}]", address, rule(address))
    seen: set[str] = set()
    for i, port in enumerate(obj.get("ports") or ()):
        name = port.get("name") or ""
        if name:
            out += validation.check(f"ports[{i}].name", name, names.label(name))
        if name in seen:
            out.append(errors.field_duplicate(f"ports[{i}].name", name))
        seen.add(name)
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validate(new) + validation.immutable(new.get("addressType"), old.get("addressType"), "addressType")


def _more(texts: list[str], empty: str) -> str:
    if not texts:
        return empty
    more = len(texts) - 3
    return ",".join(texts[:3]) + (f" + {more} more..." if more > 0 else "")


def _ports(obj: Object, now: float) -> str:
    return _more([str(p["port"]) if p.get("port") else p.get("name") or "*" for p in obj.get("ports") or ()],
                 columns.UNSET)


def _endpoints(obj: Object, now: float) -> str:
    return _more([a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()], columns.UNSET)


RESOURCE = Resource(
    group="discovery.k8s.io",
    kind="EndpointSlice",
    plural="endpointslices",
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    registry="endpointslices",
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("AddressType", columns.at("addressType"), description=".addressType"),
        Column("Ports", _ports, description=".ports"),
        Column("Endpoints", _endpoints, description=".endpoints"),
        columns.AGE,
    ),
)
