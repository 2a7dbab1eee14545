"""resourceslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MAX_DEVICES = 128
MAX_DRIVER = 63
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def defaults(obj: Object) -> None:
    pool = shape.struct(obj, "spec", "pool")
    for field, nothing in (("name", ""), ("generation", 0), ("resourceSliceCount", 0)):
        pool.setdefault(field, nothing)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    for device in dig(obj, "spec", "devices") or ():
        for taint in device.get("taints") or ():
            taints.stamp(taint, context.now)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    prepare_create(new, context)


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    driver, pool = spec.get("driver") or "", spec.get("pool") or {}
    out = _driver(driver)
    name = pool.get("name") or ""
    if not name:
        out.append(errors.field_required("spec.pool.name"))
    for part in name.split("/") if name else ():
        out += validation.check("spec.pool.name", name, names.subdomain(part))
    if (pool.get("resourceSliceCount") or 0) <= 0:
        out.append(errors.field_invalid("spec.pool.resourceSliceCount", pool.get("resourceSliceCount") or 0,
                                        "must be greater than zero"))
    out += validation.non_negative(pool.get("generation"), "spec.pool.generation")
    placed = [f for f in _PLACES if spec.get(f)]
    listed = ", ".join(f"`{f}`" for f in _PLACES)
    if len(placed) > 1:
        out.append(errors.field_invalid("spec", "{" + ", ".join(f"`{f}`" for f in placed) + "}",
                                        f"exactly one of {listed} is required"))
    elif not placed:
        out.append(errors.field_required("spec", f"exactly one of {listed} is required"))
    return out + _devices(spec.get("devices") or [])


def _driver(driver: str) -> list[FieldError]:
    if not driver:
        return [errors.field_required("spec.driver")]
    out = [errors.field_too_long("spec.driver", MAX_DRIVER)] if len(driver) > MAX_DRIVER else []
    return out + validation.check("spec.driver", driver, names.subdomain(driver))


def _devices(devices: list[Object]) -> list[FieldError]:
    out: list[FieldError] = []
    if len(devices) > MAX_DEVICES:
        out.append(errors.field_too_many("spec.devices", len(devices), MAX_DEVICES))
    seen: set[str] = set()
    for i, device in enumerate(devices):
        path, name = f"spec.devices[{i}]", device.get("name") or ""
        out += (validation.check(f"{path}.name", name, names.label(name)) if name
                else [errors.field_required(f"{path}.name")])
        for j, taint in enumerate(device.get("taints") or ()):
            out += taints.validate(taint, f"{path}.taints[{j}]")
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.name", name))
        seen.add(name)
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    for path in (("driver",), ("pool", "name"), ("nodeName",)):
        out += validation.immutable(dig(new, "spec", *path), dig(old, "spec", *path), "spec." + ".".join(path))
    return out


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    definition="io.k8s.api.resource.v1.ResourceSlice",
    registry="resourceslices",
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    selector_refusal="field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {label}",
    columns=(
        columns.NAME,
        Column("Node", columns.at("spec", "nodeName", default=columns.UNSET), description=".spec.nodeName"),
        Column("Driver", columns.at("spec", "driver"), description=".spec.driver"),
        Column("Pool", columns.at("spec", "pool", "name"), description=".spec.pool.name"),
        columns.AGE,
    ),
    selectable={"spec.nodeName": lambda obj: dig(obj, "spec", "nodeName") or "",
                "spec.driver": lambda obj: dig(obj, "spec", "driver") or ""},
)
