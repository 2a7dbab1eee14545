"""Device requests of claims and of claim templates.

In: ResourceClaimSpecs. Out: defaults, FieldError lists. Called by: resourceclaim.py, resourceclaimtemplate.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import configs, device_names, selectors, taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_REQUESTS = 32
MAX_CONSTRAINTS = 32
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
    requests, constraints, config = (devices.get(field) or [] for field in ("requests", "constraints", "config"))
    known = known_names(spec)
    if len(requests) > MAX_REQUESTS:
        out = [errors.field_too_many(f"{where}.requests", len(requests), MAX_REQUESTS)]
    else:
        out = [e for i, request in enumerate(requests) for e in _request(request, f"{where}.requests[{i}]")]
        out += device_names.repeated((r.get("name") or "" for r in requests), f"{where}.requests")
    if len(constraints) > MAX_CONSTRAINTS:
        out.append(errors.field_too_many(f"{where}.constraints", len(constraints), MAX_CONSTRAINTS))
    else:
        out += [e for i, one in enumerate(constraints) for e in _constraint(one, f"{where}.constraints[{i}]", known)]
    if len(config) > configs.MAX_CONFIGS:
        return [*out, errors.field_too_many(f"{where}.config", len(config), configs.MAX_CONFIGS)]
    for i, one in enumerate(config):
        out += references(one.get("requests") or [], f"{where}.config[{i}].requests", known)
        out += configs.one(one, f"{where}.config[{i}]")
    return out


def _constraint(constraint: Object, path: str, known: list[str]) -> list[FieldError]:
    out = references(constraint.get("requests") or [], f"{path}.requests", known)
    for field in ("matchAttribute", "distinctAttribute"):
        if (name := constraint.get(field)) is not None:
            return out + device_names.fully_qualified(name, f"{path}.{field}")
    return [*out, errors.field_required(path, (
        'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'))]


def references(given: list[str], path: str, known: list[str]) -> list[FieldError]:
    if len(given) > MAX_REQUESTS:
        return [errors.field_too_many(path, len(given), MAX_REQUESTS)]
    return [e for i, name in enumerate(given) for e in reference(name, f"{path}[{i}]", known)] + (
        device_names.repeated(given, path))


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
    out = [e for part in parts for e in device_names.short(part, path)]
    return out if name in known else [*out, errors.field_invalid(path, name, why)]


def _request(request: Object, path: str) -> list[FieldError]:
    out = device_names.short(request.get("name") or "", f"{path}.name")
    exactly, first = request.get("exactly"), request.get("firstAvailable") or []
    if exactly is not None and first:
        out.append(errors.field_invalid(path, None, (
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set")))
    elif exactly is not None:
        out += _device(exactly, f"{path}.exactly")
    elif len(first) > MAX_ALTERNATIVES:
        out.append(errors.field_too_many(f"{path}.firstAvailable", len(first), MAX_ALTERNATIVES))
    elif first:
        for i, sub in enumerate(first):
            where = f"{path}.firstAvailable[{i}]"
            out += device_names.short(sub.get("name") or "", f"{where}.name") + _device(sub, where)
        out += device_names.repeated((sub.get("name") or "" for sub in first), f"{path}.firstAvailable")
    else:
        out.append(errors.field_required(path, "exactly one of `exactly` or `firstAvailable` is required"))
    return out


def _device(part: Object, path: str) -> list[FieldError]:
    name, mode, count = part.get("deviceClassName") or "", part.get("allocationMode"), part.get("count") or 0
    out = (validation.check(f"{path}.deviceClassName", name, names.subdomain(name)) if name
           else [errors.field_required(f"{path}.deviceClassName")])
    out += selectors.validate(part.get("selectors") or [], f"{path}.selectors")
    if mode == "All":
        if count:
            out.append(errors.field_invalid(f"{path}.count", count, "must not be specified when allocationMode is 'All'"))
    elif mode == "ExactCount":
        if count <= 0:
            out.append(errors.field_invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        out.append(errors.field_not_supported(f"{path}.allocationMode", mode, _MODES))
    for i, toleration in enumerate(part.get("tolerations") or ()):
        out += taints.toleration(toleration, f"{path}.tolerations[{i}]")
    return out
