"""Device requests of claims and of claim templates.

In: ResourceClaimSpecs. Out: defaults, FieldError lists. Called by: resourceclaim.py, resourceclaimtemplate.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import configs
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
    seen: list[str] = []
    for i, request in enumerate(requests):
        out += _request(request, f"{where}.requests[{i}]")
        name = request.get("name") or ""
        if name in seen:
            out.append(errors.field_duplicate(f"{where}.requests[{i}]", name))
        seen.append(name)
    known = known_names(spec)
    for field in ("constraints", "config"):
        for i, entry in enumerate(devices.get(field) or ()):
            for j, name in enumerate(entry.get("requests") or ()):
                out += reference(name, f"{where}.{field}[{i}].requests[{j}]", known)
            for what in ("matchAttribute", "distinctAttribute") if field == "constraints" else ():
                if "/" not in (entry.get(what) or "/"):
                    out.append(errors.field_invalid(f"{where}.{field}[{i}].{what}", entry[what], (
                        "a fully qualified name must be a domain and a name separated by a slash")))
            if field == "constraints" and entry.get("matchAttribute") is None and entry.get("distinctAttribute") is None:
                out.append(errors.field_required(f"{where}.{field}[{i}]", (
                    'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set')))
    return out + configs.each(devices.get("config") or [], f"{where}.config")


def known_names(spec: Object) -> list[str]:
    """What may be referred to: requests, and their alternatives behind a slash."""
    requests = dig(spec, "devices", "requests") or []
    return [r.get("name") or "" for r in requests] + [
        f"{r.get('name')}/{s.get('name')}" for r in requests for s in r.get("firstAvailable") or ()]


def reference(name: str, path: str, known: list[str]) -> list[FieldError]:
    why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    parts = name.split("/")
    if len(parts) > 2:
        return [errors.field_invalid(path, name, why)]
    out = [e for part in parts for e in _name(part, path)]
    return out if name in known else [*out, errors.field_invalid(path, name, why)]


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
