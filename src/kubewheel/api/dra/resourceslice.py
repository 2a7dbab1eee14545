"""resourceslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import re
from typing import Any

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import capacities, device_names, device_places, taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MAX_DEVICES, MAX_ADVANCED = 128, 64
MAX_SETS, MAX_CONSUMED = 8, 2  # of counters
MAX_ENTRIES, MAX_VALUES = 32, 48  # of one device
MAX_TAINTS, MAX_CONDITIONS = 16, 4
MAX_KEY = 96
MAX_VALUE = 64  # characters of an attribute
_VALUES = ("bool", "int", "string", "version")
_LISTS = ("bools", "ints", "strings", "versions")
_NUMBER, _PRE = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII)


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


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    """What stands as it stood is not looked at again, where that saves work."""
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    pool = spec.get("pool") or {}
    out = device_names.driver(spec.get("driver") or "", "spec.driver")
    out += device_names.pool(pool.get("name") or "", "spec.pool.name")
    if (pool.get("resourceSliceCount") or 0) <= 0:
        out.append(errors.field_invalid("spec.pool.resourceSliceCount", pool.get("resourceSliceCount") or 0,
                                        "must be greater than zero"))
    if (pool.get("generation") or 0) < 0:
        out.append(errors.field_invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero"))
    if old is not None:
        for path in (("pool", "name"), ("driver",), ("nodeName",)):
            out += validation.immutable(dig(spec, *path), dig(before, *path), "spec." + ".".join(path))
    out += device_places.of_slice(spec)
    devices, sets = spec.get("devices"), spec.get("sharedCounters")
    if sets is not None and devices is not None:
        out.append(errors.field_invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    out += _devices(devices or [], {d.get("name"): d for d in before.get("devices") or ()},
                    placed=bool(spec.get("perDeviceNodeSelection")))
    if len(sets or ()) > MAX_SETS:
        return [*out, errors.field_too_many("spec.sharedCounters", len(sets or ()), MAX_SETS)]
    for i, one in enumerate(sets or ()):
        out += capacities.counters(one, "name", f"spec.sharedCounters[{i}]")
    return out + device_names.repeated((one.get("name") or "" for one in sets or ()), "spec.sharedCounters")


def _devices(devices: list[Object], known: dict[Any, Object], *, placed: bool) -> list[FieldError]:
    advanced = any(d.get("taints") or d.get("consumesCounters") or any(
        v.get(field) is not None for v in (d.get("attributes") or {}).values() for field in _LISTS) for d in devices)
    most = MAX_ADVANCED if advanced else MAX_DEVICES
    if len(devices) > most:
        return [errors.field_too_many("spec.devices", len(devices), most)]
    out: list[FieldError] = []
    for i, device in enumerate(devices):
        path, before = f"spec.devices[{i}]", known.get(device.get("name"))
        out += _device(device, before, path)
        out += device_places.of_device(device, path, placed=placed)
        out += binding(device, path)
    return out + device_names.repeated((d.get("name") or "" for d in devices), "spec.devices")


def _device(device: Object, before: Object | None, path: str) -> list[FieldError]:
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    out = device_names.short(device.get("name") or "", f"{path}.name")
    if (many := len(attributes) + len(capacity)) > MAX_ENTRIES:
        out.append(errors.field_invalid(path, many, (
            f"the total number of attributes and capacities must not exceed {MAX_ENTRIES}")))
    many = sum(sum(len(a.get(field) or ()) for field in _LISTS) or 1 for a in attributes.values())
    if many > MAX_VALUES:
        out.append(errors.field_invalid(path, many, f"the total number of attribute values must not exceed {MAX_VALUES}"))
    for key, attribute in sorted(attributes.items()):
        out += device_names.qualified(key, f"{path}.attributes")
        out += _attribute(attribute, f"{path}.attributes[{device_names.shown(key, MAX_KEY)}]")
    if before is None or capacity != (before.get("capacity") or {}):
        for key, amount in sorted(capacity.items()):
            out += device_names.qualified(key, f"{path}.capacity")
            out += capacities.validate(amount, f"{path}.capacity[{device_names.shown(key, MAX_KEY)}]",
                                       shared=bool(device.get("allowMultipleAllocations")))
    given = device.get("taints") or []
    if before is None or given != (before.get("taints") or []):
        out += [errors.field_too_many(f"{path}.taints", len(given), MAX_TAINTS)] if len(given) > MAX_TAINTS else [
            e for j, taint in enumerate(given) for e in taints.validate(taint, f"{path}.taints[{j}]")]
    consumed = device.get("consumesCounters") or []
    if len(consumed) > MAX_CONSUMED:
        return [*out, errors.field_too_many(f"{path}.consumesCounters", len(consumed), MAX_CONSUMED)]
    for j, one in enumerate(consumed):
        out += capacities.counters(one, "counterSet", f"{path}.consumesCounters[{j}]")
    return out + device_names.repeated((one.get("counterSet") or "" for one in consumed), f"{path}.consumesCounters")


def binding(device: Object, path: str) -> list[FieldError]:
    """Conditions that are waited for before a pod is bound, and those that end the wait."""
    fields = ("bindingConditions", "bindingFailureConditions")
    wanted, failing = (device.get(field) or [] for field in fields)
    out: list[FieldError] = []
    for field, items in zip(fields, (wanted, failing), strict=True):
        if len(items) > MAX_CONDITIONS:
            out.append(errors.field_too_many(f"{path}.{field}", len(items), MAX_CONDITIONS))
        else:
            for i, item in enumerate(items):
                out += validation.check(f"{path}.{field}[{i}]", item, names.qualified(item))
    out += device_names.repeated(wanted, f"{path}.bindingConditions")
    for i, item in enumerate(failing):
        where = f"{path}.bindingFailureConditions[{i}]"
        if item in failing[:i]:
            out.append(errors.field_duplicate(where, item))
        if item in wanted:
            out.append(errors.field_invalid(where, item, "bindingFailureConditions must not overlap with bindingConditions"))
    for (field, items), (other, others) in (((fields[0], wanted), (fields[1], failing)),
                                            ((fields[1], failing), (fields[0], wanted))):
        if not items and others:
            out.append(errors.field_invalid(f"{path}.{field}", device.get(field), f"{field} are required to use {other}"))
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
    validate_update=validate,
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
