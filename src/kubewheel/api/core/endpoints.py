"""endpoints: the old form of endpointslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.resource import Column, Object, Resource

DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def defaults(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            if port.get("protocol") is None:
                port["protocol"] = "TCP"


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    for i, subset in enumerate(obj.get("subsets") or ()):
        where = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            out.append(errors.field_required(where, "must specify `addresses` or `notReadyAddresses`"))
        for side in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(side) or ()):
                out += validation.check(f"{where}.{side}[{j}].ip", address.get("ip") or "",
                                        names.ip(address.get("ip") or ""))
        ports = subset.get("ports") or ()
        for j, port in enumerate(ports):
            if len(ports) > 1 and not port.get("name"):
                out.append(errors.field_required(f"{where}.ports[{j}].name"))
            elif port.get("name"):
                out += validation.check(f"{where}.ports[{j}].name", port["name"], names.label(port["name"]))
            out += validation.check(f"{where}.ports[{j}].port", port.get("port"), names.port(port.get("port") or 0))
    return out


def _cell(obj: Object, now: float) -> str:
    found: list[str] = []
    more = 0
    for subset in obj.get("subsets") or ():
        addresses = [a.get("ip", "") for a in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        pairs = [(f"[{a}]" if ":" in a else a) + f":{p.get('port')}" for p in ports for a in addresses] or (
            addresses if not ports else [])
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
    validate_update=lambda new, old: validate(new),
    deprecated=DEPRECATED,
    columns=(columns.NAME, Column("Endpoints", _cell, description=".subsets"), columns.AGE),
    create_on_update=True,
)
