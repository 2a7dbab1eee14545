"""resourceslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import re

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import configs, taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MAX_DEVICES = 128
MAX_VALUE = 64  # characters of an attribute
_VALUES = ("bool", "int", "string", "version")
_LISTS = ("bools", "ints", "strings", "versions")
_NUMBER, _PRE = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII)
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
    out = configs.driver(driver, "spec.driver")
    out += configs.pool(pool.get("name") or "", "spec.pool.name")
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


def _devices(devices: list[Object]) -> list[FieldError]:
    out: list[FieldError] = []
    if len(devices) > MAX_DEVICES:
        out.append(errors.field_too_many("spec.devices", len(devices), MAX_DEVICES))
    seen: set[str] = set()
    for i, device in enumerate(devices):
        path, name = f"spec.devices[{i}]", device.get("name") or ""
        out += (validation.check(f"{path}.name", name, names.label(name)) if name
                else [errors.field_required(f"{path}.name")])
        for key, attribute in sorted((device.get("attributes") or {}).items()):
            out += _attribute(attribute, f"{path}.attributes[{key}]")
        for j, taint in enumerate(device.get("taints") or ()):
            out += taints.validate(taint, f"{path}.taints[{j}]")
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.name", name))
        seen.add(name)
    return out


def _attribute(attribute: Object, path: str) -> list[FieldError]:
    if any(attribute.get(field) is not None for field in _LISTS):
        return []  # behind a gate upstream
    out: list[FieldError] = []
    given = [field for field in _VALUES if attribute.get(field) is not None]
    version = attribute.get("version")
    if version is not None and _SEMVER.fullmatch(version) is None:
        out.append(errors.field_invalid(f"{path}.version", version, "must be a string compatible with semver.org spec 2.0.0"))
    out += [errors.field_too_long(f"{path}.{field}", MAX_VALUE) for field in ("string", "version")
            if len((attribute.get(field) or "").encode()) > MAX_VALUE]
    if len(given) != 1:
        shown = {f"{field.title()}Value": attribute.get(field) for field in ("int", "bool", "string", "version")} if given else ""
        out.append(errors.field_invalid(path, shown, "exactly one value must be specified"))
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
