"""What claims, classes and allocations hand to drivers: opaque configuration; and the names of drivers and pools.

In: parts of the objects. Out: FieldError lists. Called by: requests.py, deviceclass.py, resourceslice.py, claim_status.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_DRIVER = 63
MAX_CONFIGS = 32
MAX_PARAMETERS = 10 * 1024  # bytes of JSON


def driver(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    out = [errors.field_too_long(path, MAX_DRIVER)] if len(name) > MAX_DRIVER else []
    return out + validation.check(path, name, names.subdomain(name))


def pool(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    return [e for part in name.split("/") for e in validation.check(path, name, names.subdomain(part))]


def each(given: list[Object], path: str, *, most: int = MAX_CONFIGS) -> list[FieldError]:
    if len(given) > most:
        return [errors.field_too_many(path, len(given), most)]
    out: list[FieldError] = []
    for i, config in enumerate(given):
        opaque, where = config.get("opaque"), f"{path}[{i}].opaque"
        if opaque is None:
            out.append(errors.field_required(where))
        else:
            out += driver(opaque.get("driver") or "", f"{where}.driver")
            out += _parameters(opaque.get("parameters"), f"{where}.parameters")
    return out


def _parameters(value: Any, path: str) -> list[FieldError]:
    if value is None:
        return [errors.field_required(path)]
    if len(codec.dumps(value)) > MAX_PARAMETERS:
        return [errors.field_too_long(path, MAX_PARAMETERS)]
    if not isinstance(value, dict):
        return [errors.field_invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []
