"""Numbers against a schema, as upstream's Go sees them: int64 where they are written as such and fit, else float64.

In: a schema and a number. Out: FieldErrors with upstream's words. Called by: values.py, fits.py.

A limit is compared in the number's own type: of an integer's, what stands behind the point is cut off. A limit that the
schema's type cannot hold is itself told of whenever a number is held against it.
"""

from __future__ import annotations

import struct
from typing import Any

from kubewheel.api import errors
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]
_INT64, _INT32 = (-2**63, 2**63 - 1), (-2**31, 2**31 - 1)
_SAFE = 2**53 - 1
_JSON_TYPES = {str: ("string", ""), bool: ("boolean", ""), list: ("array", ""), float: ("number", "float64")}


def types(schema: Schema) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer", "string"
    return (schema["type"],) if schema.get("type") else ()


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def kind_of(value: Any) -> tuple[str, str]:
    """(JSON's type, Go's for numbers)"""
    if type(value) is int:
        return ("integer", "int64") if _INT64[0] <= value <= _INT64[1] else ("number", "float64")
    return _JSON_TYPES.get(type(value), ("object", ""))


def is_whole(value: float) -> bool:
    """Up to what a double of JavaScript's keeps, and to one in 10⁹."""
    if abs(value) > _SAFE:
        return False
    cut = int(value)
    return value == cut or abs(value - cut) / (abs(value) + abs(cut)) < 1e-9


def check(schema: Schema, value: int | float, path: str, at: str) -> list[FieldError]:
    kind, form = _checked_as(schema)
    number: int | float = value if kind_of(value)[1] == "int64" else float(value)
    out = _holds(number, kind, form, "Checked", path)
    for name, prefix, judge in (("multipleOf", "MultipleOf", _multiple), ("minimum", "Minimum boundary", _minimum),
                                ("maximum", "Maximum boundary", _maximum)):
        if (limit := schema.get(name)) is None:
            continue
        misfit = _holds(float(limit), kind, form, prefix, path)
        compared: int | float = float(limit)
        if misfit:
            number_here: int | float = float(number)
        else:
            number_here = number
            compared = int(limit) if isinstance(number, int) else compared
        words = judge(number_here, compared, bool(schema.get(f"exclusive{name.capitalize()}")))
        out += misfit
        if words:
            shown = compared if words.startswith("factor") else number_here
            text = words.replace("%s", path) if words.startswith("factor") else f"{path} in body should be {words}"
            out.append(errors.field_invalid(at, shown, text))
    return out


def _checked_as(schema: Schema) -> tuple[str, str]:
    kind, form = schema.get("type") or "", schema.get("format") or ""
    known = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(kind, ())
    if schema.get("x-kubernetes-int-or-string") or not known:
        return "", ""
    return kind, form if form in known else ""


def _holds(number: int | float, kind: str, form: str, prefix: str, path: str) -> list[FieldError]:
    """Can the type take the number?"""
    if kind == "integer":
        low, high = _INT32 if form == "int32" else _INT64
        fits = (isinstance(number, int) or number.is_integer()) and low <= number <= high
    else:
        fits = form != "float" or _is_float32(number)
    if fits:
        return []
    what = f"{kind} with format {form}" if form else f"{kind} (default format)"
    return [errors.field_invalid("<nil>", "", f"{prefix} value must be of type {what} in {path}")]


def _is_float32(number: int | float) -> bool:
    try:
        struct.pack(">f", number)
    except OverflowError:
        return False
    return True


def _multiple(number: int | float, step: int | float, exclusive: bool) -> str:
    if step <= 0:
        return f"factor MultipleOf declared for %s must be positive: {go_text(step)}"
    if isinstance(number, int) and isinstance(step, int):
        fits = number % step == 0
    else:
        fits = is_whole(1 / step * number if step < 1 else number / step)
    return "" if fits else f"a multiple of {go_text(step)}"


def _minimum(number: int | float, limit: int | float, exclusive: bool) -> str:
    if number > limit or number == limit and not exclusive:
        return ""
    return f"greater than {'' if exclusive else 'or equal to '}{go_text(limit)}"


def _maximum(number: int | float, limit: int | float, exclusive: bool) -> str:
    if number < limit or number == limit and not exclusive:
        return ""
    return f"less than {'' if exclusive else 'or equal to '}{go_text(limit)}"


def go_text(number: int | float) -> str:
    """%v"""
    return str(number) if isinstance(number, int) else errors.go_float(number)
