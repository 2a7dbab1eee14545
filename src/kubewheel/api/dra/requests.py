"""Device requests of claims and of claim templates.

In: ResourceClaimSpecs. Out: defaults, FieldError lists. Called by: resourceclaim.py, resourceclaimtemplate.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_REQUESTS = 32
MAX_SELECTORS = 32
MAX_ALTERNATIVES = 8
_MODES = ("All", "ExactCount")


def defaults(spec: Object) -> None:
    shape.struct(spec, "devices")
    for request in dig(spec, "devices", "requests") or ():
        parts = [p for p in (request.get("exactly"),) if p is not None] + list(request.get("firstAvailable") or ())
        for part in parts:
            if not part.get("allocationMode"):
                part["allocationMode"] = "ExactCount"
            if part["allocationMode"] == "ExactCount" and not part.get("count"):
                part["count"] = 1
            for toleration in part.get("tolerations") or ():
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"


def validate(spec: Object, path: str) -> list[FieldError]:
    devices, where = spec.get("devices") or {}, f"{path}.devices"
    requests = devices.get("requests") or []
    out: list[FieldError] = []
    if len(requests) > MAX_REQUESTS:
        out.append(errors.field_too_many(f"{where}.requests", len(requests), MAX_REQUESTS))
    known: list[str] = []
    for i, request in enumerate(requests):
        out += _request(request, f"{where}.requests[{i}]")
        name = request.get("name") or ""
        if name in known:
            out.append(errors.field_duplicate(f"{where}.requests[{i}]", name))
        known.append(name)
    known += [f"{r.get('name')}/{s.get('name')}" for r in requests for s in r.get("firstAvailable") or ()]
    for field in ("constraints", "config"):
        for i, entry in enumerate(devices.get(field) or ()):
            out += [errors.field_invalid(f"{where}.{field}[{i}].requests[{j}]", name, (
                "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"))
                for j, name in enumerate(entry.get("requests") or ()) if name not in known]
    return out


def _name(name: str, path: str) -> list[FieldError]:
    return validation.check(path, name, names.label(name)) if name else [errors.field_required(path)]


def _request(request: Object, path: str) -> list[FieldError]:
    out = _name(request.get("name") or "", f"{path}.name")
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is not None and first:
        out.append(errors.field_invalid(path, None, "exactly one of `exactly` or `firstAvailable` is required"))
    elif exactly is not None:
        out += _device(exactly, f"{path}.exactly")
    elif first:
        if len(first) > MAX_ALTERNATIVES:
            out.append(errors.field_too_many(f"{path}.firstAvailable", len(first), MAX_ALTERNATIVES))
        for i, sub in enumerate(first):
            where, name = f"{path}.firstAvailable[{i}]", sub.get("name") or ""
            out += _name(name, f"{where}.name") + _device(sub, where)
            if name in [other.get("name") for other in first[:i]]:
                out.append(errors.field_duplicate(where, name))
    else:
        out.append(errors.field_required(path, "exactly one of `exactly` or `firstAvailable` is required"))
    return out


def _device(part: Object, path: str) -> list[FieldError]:
    name, mode, count = part.get("deviceClassName") or "", part.get("allocationMode"), part.get("count") or 0
    out = (validation.check(f"{path}.deviceClassName", name, names.subdomain(name)) if name
           else [errors.field_required(f"{path}.deviceClassName")])
    out += selectors(part.get("selectors") or [], f"{path}.selectors")
    if mode == "All":
        if count:
            out.append(errors.field_invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount":
        if count <= 0:
            out.append(errors.field_invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        out.append(errors.field_not_supported(f"{path}.allocationMode", mode, _MODES))
    return out


def selectors(given: list[Object], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if len(given) > MAX_SELECTORS:
        out.append(errors.field_too_many(path, len(given), MAX_SELECTORS))
    out += [errors.field_required(f"{path}[{i}].cel") for i, one in enumerate(given) if one.get("cel") is None]
    return out
