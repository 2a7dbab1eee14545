"""endpoints: the old form of endpointslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import addresses, columns, errors, names, validation
from kubewheel.api.resource import Column, Object, Resource

DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def defaults(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            if port.get("protocol") is None:
                port["protocol"] = "TCP"


def validate(obj: Object, old: Object | None = None) -> list[errors.FieldError]:
    """Subsets that were stored are not looked at again."""
    out: list[errors.FieldError] = []
    known = (old or {}).get("subsets") or ()
    for i, subset in enumerate(obj.get("subsets") or ()):
        if subset in known:
            continue
        where = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            out.append(errors.field_required(where, "must specify `addresses` or `notReadyAddresses`"))
        for side in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(side) or ()):
                out += _address(address, f"{where}.{side}[{j}]")
        ports = subset.get("ports") or ()
        for j, port in enumerate(ports):
            out += _port(port, f"{where}.ports[{j}]", named=len(ports) > 1)
    return out


def _address(address: Object, path: str) -> list[errors.FieldError]:
    text, host, node = address.get("ip") or "", address.get("hostname"), address.get("nodeName")
    out = addresses.stored_ip(text, f"{path}.ip")
    if host:
        out += validation.check(f"{path}.hostname", host, names.label(host))
    if node is not None:
        out += validation.check(f"{path}.nodeName", node, names.subdomain(node))
    return out + addresses.special(text, f"{path}.ip")


def _port(port: Object, path: str, *, named: bool) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    if port.get("name"):
        out += validation.check(f"{path}.name", port["name"], names.label(port["name"]))
    elif named:
        out.append(errors.field_required(f"{path}.name"))
    out += validation.check(f"{path}.port", port.get("port") or 0, names.port(port.get("port") or 0))
    out += validation.one_of(port.get("protocol"), ("SCTP", "TCP", "UDP"), f"{path}.protocol")
    if (protocol := port.get("appProtocol")) is not None:
        out += validation.check(f"{path}.appProtocol", protocol, names.qualified(protocol))
    return out


def _cell(obj: Object, now: float) -> str:
    found: list[str] = []
    more = 0
    for subset in obj.get("subsets") or ():
        listed = [a.get("ip", "") for a in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        pairs = [(f"[{a}]" if ":" in a else a) + f":{p.get('port')}" for p in ports for a in listed] or (
            listed if not ports else [])
        for pair in pairs:
            if len(found) < 3:
                found.append(pair)
            else:
                more += 1
    text = ",".join(found) or columns.NONE
    return f"{text} + {more} more..." if more else text


RESOURCE = Resource(
    kind="Endpoints",
    plural="endpoints",
    singular="endpoints",
    short_names=("ep",),
    definition="io.k8s.api.core.v1.Endpoints",
    registry="services/endpoints",
    has_generation=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate,
    deprecated=DEPRECATED,
    columns=(columns.NAME, Column("Endpoints", _cell, description=".subsets"), columns.AGE),
    create_on_update=True,
)
