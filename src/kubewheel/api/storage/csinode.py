"""csinodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource
from kubewheel.api.storage import drivers

MAX_NODE_ID = 192


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.nullable(spec, "drivers")
    for driver in spec["drivers"] or ():
        shape.nullable(driver, "topologyKeys")


def validate(obj: Object) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, driver in enumerate(dig(obj, "spec", "drivers") or ()):
        path, name, node = f"spec.drivers[{i}]", driver.get("name") or "", driver.get("nodeID") or ""
        out += drivers.name(name, f"{path}.name")
        if not node:
            out.append(errors.field_required(f"{path}.nodeID"))
        if len(node) > MAX_NODE_ID:
            out.append(errors.field_invalid(f"{path}.nodeID", node, f"must be {MAX_NODE_ID} characters or less"))
        out += validation.non_negative(dig(driver, "allocatable", "count"), f"{path}.allocatable.count")
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.name", name))
        seen.add(name)
        out += _topology(driver.get("topologyKeys") or [], path)
    return out


def _topology(keys: list[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, key in enumerate(keys):
        if not key:
            out.append(errors.field_required(path))
        if key in keys[:i]:
            out.append(errors.field_duplicate(path, key))
        out += validation.check(path, key, names.qualified(key))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """A driver that is there stays as it is, but for how many volumes it takes."""
    out = validate(new)
    was = {d.get("name"): d for d in dig(old, "spec", "drivers") or ()}
    for driver in dig(new, "spec", "drivers") or ():
        before = was.get(driver.get("name"))
        if before is not None and any(driver.get(f) != before.get(f) for f in ("nodeID", "topologyKeys")):
            shown = {"Name": driver.get("name"), "NodeID": driver.get("nodeID"),
                     "TopologyKeys": driver.get("topologyKeys"),
                     "Allocatable": None}
            out.append(errors.field_invalid("spec.drivers", shown, validation.IMMUTABLE))
    return out


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSINode",
    registry="csinodes",
    subresources=(subresources.status("CSINode"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("Drivers", lambda obj, now: len(dig(obj, "spec", "drivers") or ()), type="integer",
                                  description="Drivers indicates the number of CSI drivers registered on the node"),
             columns.AGE),
)
