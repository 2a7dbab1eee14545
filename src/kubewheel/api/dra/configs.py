"""What claims, classes and allocations hand to drivers: opaque configuration.

In: parts of the objects. Out: FieldError lists. Called by: requests.py, deviceclass.py, resourceslice.py, claim_status.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.dra import device_names
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_CONFIGS = 32
MAX_PARAMETERS = 10 * 1024  # bytes of JSON


def each(given: list[Object], path: str, *, most: int = MAX_CONFIGS, stored: bool = False) -> list[FieldError]:
    if len(given) > most:
        return [errors.field_too_many(path, len(given), most)]
    return [e for i, config in enumerate(given) for e in one(config, f"{path}[{i}]", stored=stored)]


def one(config: Object, path: str, *, stored: bool = False) -> list[FieldError]:
    """What is `stored` may be longer than is allowed now."""
    opaque, where = config.get("opaque"), f"{path}.opaque"
    if opaque is None:
        return [errors.field_required(where)]
    out = device_names.driver(opaque.get("driver") or "", f"{where}.driver")
    return out + raw(opaque.get("parameters"), f"{where}.parameters", stored=stored)


def raw(value: Any, path: str, *, stored: bool = False) -> list[FieldError]:
    if value is None:
        return [errors.field_required(path)]
    if not stored and len(codec.dumps(value)) > MAX_PARAMETERS:
        return [errors.field_too_long(path, MAX_PARAMETERS)]
    if not isinstance(value, dict):
        return [errors.field_invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []
