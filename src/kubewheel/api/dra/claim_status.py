"""The status of a claim: what was allocated, and for whom it is kept.

In: the new and the old ResourceClaim. Out: FieldError list. Called by: resourceclaim.py.
"""

from __future__ import annotations

from kubewheel.api import addresses, condition_rules, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import scheduling_validation
from kubewheel.api.dra import configs, device_names, requests, resourceslice, taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_RESERVED = 256
MAX_RESULTS = 32
MAX_CONDITIONS, MAX_IPS = 8, 16  # of one device
SOURCES = ("FromClaim", "FromClass")


def validate(new: Object, old: Object) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved, allocation = status.get("reservedFor") or [], status.get("allocation")
    out = _consumers(reserved, "status.reservedFor")
    out += _devices(status.get("devices") or [], dig(allocation, "devices", "results") or [], "status.devices")
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


def _place(of: Object, path: str) -> list[FieldError]:
    out = device_names.driver(of.get("driver") or "", f"{path}.driver")
    out += device_names.pool(of.get("pool") or "", f"{path}.pool")
    return out + device_names.short(of.get("device") or "", f"{path}.device")


def _identity(of: Object) -> str:
    parts = (of.get("driver") or "", of.get("pool") or "", of.get("device") or "", of.get("shareID") or "")
    return "/".join(parts if parts[3] else parts[:3])


def _devices(given: list[Object], results: list[Object], path: str) -> list[FieldError]:
    """What drivers tell of the allocated devices."""
    out: list[FieldError] = []
    allocated = {_identity(result) for result in results}
    for i, device in enumerate(given):
        where, conditions = f"{path}[{i}]", device.get("conditions") or []
        out += _place(device, where)
        if (share := device.get("shareID")) is not None:
            out += device_names.uid(share, f"{where}.shareID")
        if _identity(device) not in allocated:
            out.append(errors.field_invalid(where, _identity(device), "must be an allocated device in the claim"))
        if len(conditions) > MAX_CONDITIONS:
            out.append(errors.field_too_many(f"{where}.conditions", len(conditions), MAX_CONDITIONS))
        out += condition_rules.validate(conditions, f"{where}.conditions")
        if device.get("data") is not None:
            out += configs.raw(device["data"], f"{where}.data")
        if (network := device.get("networkData")) is not None:
            out += _network(network, f"{where}.networkData")
    return out + device_names.repeated(map(_identity, given), path)


def _network(data: Object, path: str) -> list[FieldError]:
    out = [errors.field_too_long(f"{path}.{field}", most) for field, most in (
        ("interfaceName", 256), ("hardwareAddress", 128)) if len((data.get(field) or "").encode()) > most]
    ips = data.get("ips") or []
    if len(ips) > MAX_IPS:
        return [*out, errors.field_too_many(f"{path}.ips", len(ips), MAX_IPS)]
    for i, text in enumerate(ips):
        out += validation.check(f"{path}.ips[{i}]", text, addresses.interface(text))
    return out + device_names.repeated(ips, f"{path}.ips")


def _allocation(allocation: Object, known: list[str]) -> list[FieldError]:
    path, devices = "status.allocation.devices", allocation.get("devices") or {}
    results, given = devices.get("results") or [], devices.get("config") or []
    too_many = len(results) > MAX_RESULTS
    out = [errors.field_too_many(f"{path}.results", len(results), MAX_RESULTS)] if too_many else []
    for i, result in enumerate(results if not too_many else ()):
        where = f"{path}.results[{i}]"
        out += requests.reference(result.get("request") or "", f"{where}.request", known) + _place(result, where)
        out += resourceslice.binding(result, where)
        for j, toleration in enumerate(result.get("tolerations") or ()):
            out += taints.toleration(toleration, f"{where}.tolerations[{j}]")
        if (share := result.get("shareID")) is not None:
            out += device_names.uid(share, f"{where}.shareID")
    if len(given) > 2 * configs.MAX_CONFIGS:
        out.append(errors.field_too_many(f"{path}.config", len(given), 2 * configs.MAX_CONFIGS))
        given = []
    for i, config in enumerate(given):
        where = f"{path}.config[{i}]"
        out += validation.one_of(config.get("source"), SOURCES, f"{where}.source")
        out += requests.references(config.get("requests") or [], f"{where}.requests", known)
        out += configs.one(config, where)
    if (selector := allocation.get("nodeSelector")) is not None:
        out += scheduling_validation.node_selector(selector, "status.allocation.nodeSelector")
    return out
