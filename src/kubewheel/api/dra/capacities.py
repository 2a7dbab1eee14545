"""Capacities of devices that are shared out, and the counters of devices cut from one.

In: parts of devices and slices. Out: FieldError lists. Called by: resourceslice.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, quantity
from kubewheel.api.dra import device_names
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_OPTIONS = 10
MAX_COUNTERS = 32
_UNIT = 10**9  # nanos of one
_MOST = 2**63 - 1


def validate(capacity: Object, path: str, *, shared: bool) -> list[FieldError]:
    """`shared`: of a device that may be allocated many times."""
    policy = capacity.get("requestPolicy")
    if policy is None:
        return []
    path += ".requestPolicy"
    if not shared:
        return [errors.field_forbidden(path, "allowMultipleAllocations must be true")]
    values, span, default = policy.get("validValues") or [], policy.get("validRange"), policy.get("default")
    if values and span is not None:
        return [errors.field_forbidden(path, (
            'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'))]
    if not values and span is None:
        return []
    kind = "validValues" if values else "validRange"
    if default is None:
        return [errors.field_required(f"{path}.default", f"required when {kind} is defined")]
    amount = capacity.get("value") or "0"
    if values:
        return _values(default, amount, values, f"{path}.validValues")
    return _range(default, amount, span or {}, f"{path}.validRange")


def _values(default: Any, most: Any, values: list[Any], path: str) -> list[FieldError]:
    texts, amounts = [quantity.canonical(v) for v in values], [quantity.nano(v) for v in values]
    out = [errors.field_invalid(f"{path}[{i}]", texts[i], "values must be sorted in ascending order")
           for i in range(1, len(values)) if amounts[i - 1] > amounts[i]]
    if len(values) > MAX_OPTIONS:
        out.append(errors.field_too_many(path, len(values), MAX_OPTIONS))
    else:
        out += [errors.field_invalid(f"{path}[{i}]", texts[i],
                                     f"option is larger than capacity value: {quantity.canonical(most)}")
                for i in range(len(values)) if amounts[i] > quantity.nano(most)]
        out += device_names.repeated((str(-(-amount // _UNIT)) for amount in amounts), path)
    if len(values) > MAX_OPTIONS or quantity.nano(default) not in amounts:
        out.append(errors.field_invalid(path, quantity.canonical(default),
                                        "default value is not valid according to the requestPolicy"))
    return out


def _range(default: Any, most: Any, span: Object, path: str) -> list[FieldError]:
    low, high, step = span.get("min"), span.get("max"), span.get("step")
    if low is None:
        return [errors.field_required(f"{path}.min", "required when validRange is defined")]
    out: list[FieldError] = []

    def refuse(field: str, value: Any, text: str, bound: Any) -> None:
        out.append(errors.field_invalid(f"{path}.{field}", quantity.canonical(value),
                                        f"{text}: {quantity.canonical(bound)}"))

    least, top, wanted = quantity.nano(low), quantity.nano(most), quantity.nano(default)
    if least > top:
        refuse("min", low, "min is larger than capacity value", most)
    if wanted < least:
        refuse("default", default, "default is less than min", low)
    if high is not None:
        limit = quantity.nano(high)
        if least > limit:
            refuse("max", low, "min is larger than max", high)
        if limit > top:
            refuse("max", high, "max is larger than capacity value", most)
        if wanted > limit:
            refuse("default", default, "default is more than max", high)
    return out + (_steps(default, most, span, path) if step is not None else [])


def _steps(default: Any, most: Any, span: Object, path: str) -> list[FieldError]:
    low, high, step = span["min"], span.get("max"), span["step"]
    if quantity.nano(step) <= 0:
        return [errors.field_invalid(f"{path}.step", quantity.canonical(step), "must be greater than zero")]
    out: list[FieldError] = []
    if quantity.nano(low) + quantity.nano(step) > quantity.nano(most):
        text = f"one step {quantity.add(low, step)}"
        out.append(errors.field_invalid(f"{path}.step", quantity.canonical(step),
                                        f"{text} is larger than capacity value: {quantity.canonical(most)}"))
    unsafe = [errors.field_invalid(f"{path}.{field}", quantity.canonical(value), (
        "must be greater than or equal to 0" if quantity.nano(value) < 0 else f"must not be larger than {_MOST}"))
        for field, value in (("default", default), ("min", low), ("max", high), ("step", step))
        if value is not None and not 0 <= quantity.nano(value) <= _MOST * _UNIT]
    if unsafe:
        return out + unsafe
    least, width = (-(-quantity.nano(q) // _UNIT) for q in (low, step))
    for value in (default, high) if high is not None else (default,):
        if (-(-quantity.nano(value) // _UNIT) - least) % width:
            out.append(errors.field_invalid(f"{path}.step", quantity.canonical(value), (
                f"value is not a multiple of a given step ({quantity.canonical(step)}) from "
                f"({quantity.canonical(low)})")))
    return out


def counters(entry: Object, name: str, path: str) -> list[FieldError]:
    """Of a counter set, or of what a device takes from one; `name` is the field that says which."""
    out = device_names.short(entry.get(name) or "", f"{path}.{name}")
    given = entry.get("counters") or {}
    if not given:
        return [*out, errors.field_required(f"{path}.counters")]
    if len(given) > MAX_COUNTERS:
        return [*out, errors.field_too_many(f"{path}.counters", len(given), MAX_COUNTERS)]
    return out + [e for key in sorted(given) for e in device_names.short(key, f"{path}.counters")]
