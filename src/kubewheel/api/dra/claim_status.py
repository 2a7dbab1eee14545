"""The status of a claim: what was allocated, and for whom it is kept.

In: the new and the old ResourceClaim. Out: FieldError list. Called by: resourceclaim.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, validation
from kubewheel.api.core import scheduling_validation
from kubewheel.api.dra import configs, requests
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_RESERVED = 256
MAX_RESULTS = 32
SOURCES = ("FromClaim", "FromClass")


def validate(new: Object, old: Object) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    out = _consumers(reserved, "status.reservedFor")
    if reserved and allocation is None:
        out.append(errors.field_forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif new["metadata"].get("deletionTimestamp") and any(r not in (before.get("reservedFor") or []) for r in reserved):
        out.append(errors.field_forbidden("status.reservedFor", (
            "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set")))
    if allocation is not None and before.get("allocation") is not None:  # what was allocated once is not looked at again
        out += validation.immutable(allocation, before["allocation"], "status.allocation")
    elif allocation is not None:
        out += _allocation(allocation, requests.known_names(new.get("spec") or {}))
    return out


def _consumers(reserved: list[Object], path: str) -> list[FieldError]:
    if len(reserved) > MAX_RESERVED:
        return [errors.field_too_many(path, len(reserved), MAX_RESERVED)]
    out = [errors.field_required(f"{path}[{i}].{field}") for i, one in enumerate(reserved)
           for field in ("resource", "name", "uid") if not one.get(field)]
    uids = [one.get("uid") or "" for one in reserved]
    return out + [errors.field_duplicate(f"{path}[{i}]", uid) for i, uid in enumerate(uids) if uid in uids[:i]]


def _allocation(allocation: Object, known: list[str]) -> list[FieldError]:
    path, devices = "status.allocation.devices", allocation.get("devices") or {}
    results, given = devices.get("results") or [], devices.get("config") or []
    too_many = len(results) > MAX_RESULTS
    out = [errors.field_too_many(f"{path}.results", len(results), MAX_RESULTS)] if too_many else []
    for i, result in enumerate(results if not too_many else ()):
        where, name = f"{path}.results[{i}]", result.get("device") or ""
        out += requests.reference(result.get("request") or "", f"{where}.request", known)
        out += configs.driver(result.get("driver") or "", f"{where}.driver")
        out += configs.pool(result.get("pool") or "", f"{where}.pool")
        out += (validation.check(f"{where}.device", name, names.label(name)) if name
                else [errors.field_required(f"{where}.device")])
    for i, config in enumerate(given):
        where, source = f"{path}.config[{i}]", config.get("source") or ""
        if not source:
            out.append(errors.field_required(f"{where}.source"))
        elif source not in SOURCES:
            out.append(errors.field_not_supported(f"{where}.source", source, SOURCES))
        for j, name in enumerate(config.get("requests") or ()):
            out += requests.reference(name, f"{where}.requests[{j}]", known)
    out += configs.each(given, f"{path}.config", most=2 * configs.MAX_CONFIGS)
    if (selector := allocation.get("nodeSelector")) is not None:
        out += scheduling_validation.node_selector(selector, "status.allocation.nodeSelector")
    return out
