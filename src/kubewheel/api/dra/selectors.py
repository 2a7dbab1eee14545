"""Selectors of devices: CEL expressions over one device.

In: selectors. Out: FieldError lists. Called by: requests.py, deviceclass.py.
"""

from __future__ import annotations

from functools import lru_cache

from kubewheel.api import cel, errors
from kubewheel.api.cel.check import Kind
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_SELECTORS = 32
MAX_LENGTH = 10 * 1024
_BY_DOMAIN = Kind("map", items=Kind("map", items=Kind("dyn")))
_DEVICE = Kind("object", shown="kubernetes.DRADevice", fields={
    "driver": Kind("string"), "attributes": _BY_DOMAIN, "capacity": _BY_DOMAIN, "allowMultipleAllocations": Kind("bool")})


def validate(given: list[Object], path: str) -> list[FieldError]:
    if len(given) > MAX_SELECTORS:
        return [errors.field_too_many(path, len(given), MAX_SELECTORS)]
    out: list[FieldError] = []
    for i, selector in enumerate(given):
        where = f"{path}[{i}].cel"
        if selector.get("cel") is None:
            out.append(errors.field_required(where))
            continue
        expression = selector["cel"].get("expression") or ""
        if len(expression.encode()) > MAX_LENGTH:
            out.append(errors.field_too_long(f"{where}.expression", MAX_LENGTH))
        elif problem := _problem(expression):
            out.append(errors.field_invalid(f"{where}.expression", expression, problem))
    return out


@lru_cache(maxsize=256)
def _problem(expression: str) -> str:
    try:
        kind = cel.compile(expression, ("device",), kinds={"device": _DEVICE}).kind
    except cel.ParseError as e:
        return f"compilation failed: {e}"
    return "" if kind.name in ("bool", "dyn") else f"must evaluate to bool or the unknown type, not {kind}"
