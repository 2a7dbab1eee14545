"""Operators on values: CEL's rules of overflow, of mixed types, of order.

In: two values. Out: a value; CelError. Called by: build.
"""

from __future__ import annotations

import math
from typing import Any

from kubewheel.api.cel import times
from kubewheel.api.cel.values import (
    MAX_INT,
    MIN_INT,
    NONE,
    CelError,
    Duration,
    Fields,
    MapList,
    NoOverload,
    Option,
    SetList,
    Timestamp,
    Uint,
    contains,
    equal,
    int64,
    type_name,
    uint64,
    wrong,
)

_LEFT: dict[str, frozenset[type]] = {
    "_+_": frozenset({int, Uint, float, str, bytes, list, SetList, MapList, Duration, Timestamp}),
    "_-_": frozenset({int, Uint, float, Duration, Timestamp}), "_*_": frozenset({int, Uint, float}),
    "_/_": frozenset({int, Uint, float}), "_%_": frozenset({int, Uint}),
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), frozenset({int, Uint, float, str, bytes, bool, Duration, Timestamp}))}


def _wrong(name: str, a: Any) -> CelError:
    """The operator is named where its left side has no such operator at all."""
    return NoOverload("no such overload" if type(a) in _LEFT[name] else f"no such overload: {name}")


def add(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        result = a + b
        if MIN_INT <= result <= MAX_INT:
            return result
        raise CelError("integer overflow")
    if ta is tb:
        if ta is str or ta is float or ta is bytes or ta is list:
            return a + b
        if ta is Uint:
            return uint64(int(a) + int(b))
        if ta is Duration:
            return times.bounded(a.nanos + b.nanos)
    if ta is Timestamp and tb is Duration or ta is Duration and tb is Timestamp:
        return times.checked(a.nanos + b.nanos)
    if isinstance(a, list) and isinstance(b, list):
        return _join(a, b)
    raise _wrong("_+_", a)


def _join(a: list[Any], b: list[Any]) -> list[Any]:
    """Lists of type set and map are united, others put one after the other."""
    if isinstance(a, SetList):
        return SetList([*a, *(i for i in b if not contains(a, i))])
    if isinstance(a, MapList):
        theirs = {a.key(i): i for i in b}
        mine = {a.key(i) for i in a}
        return MapList([*(theirs.get(a.key(i), i) for i in a), *(i for k, i in theirs.items() if k not in mine)], a.keys)
    return list(a) + list(b)


def sub(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        return int64(a - b)
    if ta is tb:
        if ta is float:
            return a - b
        if ta is Uint:
            return uint64(int(a) - int(b))
        if ta is Duration or ta is Timestamp:
            return times.bounded(a.nanos - b.nanos)
    if ta is Timestamp and tb is Duration:
        return times.checked(a.nanos - b.nanos)
    raise _wrong("_-_", a)


def mul(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is int and tb is int:
        return int64(a * b)
    if ta is tb and ta is float:
        return a * b
    if ta is tb and ta is Uint:
        return uint64(int(a) * int(b))
    raise _wrong("_*_", a)


def div(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is float and tb is float:
        if b == 0:
            return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
        return a / b
    if ta is tb and (ta is int or ta is Uint):
        if b == 0:
            raise CelError("division by zero")
        result = abs(int(a)) // abs(int(b))
        return Uint(result) if ta is Uint else int64(result if (a < 0) == (b < 0) else -result)
    raise _wrong("_/_", a)


def mod(a: Any, b: Any) -> Any:
    ta, tb = type(a), type(b)
    if ta is tb and (ta is int or ta is Uint):
        if b == 0:
            raise CelError("modulus by zero")
        result = abs(int(a)) % abs(int(b))
        return Uint(result) if ta is Uint else (-result if a < 0 else result)
    raise _wrong("_%_", a)


def neg(a: Any) -> Any:
    if type(a) is int:
        return int64(-a)
    if type(a) is float:
        return -a
    if type(a) is Duration:
        return times.bounded(-a.nanos)
    raise wrong("-_", a)


_NUMBERS = frozenset({int, float, Uint})


def _ordered(name: str, a: Any, b: Any) -> CelError | None:
    """None where a and b have an order."""
    ta, tb = type(a), type(b)
    if ta in _NUMBERS and tb in _NUMBERS or ta is tb and ta in (str, bool, bytes, Timestamp, Duration):
        return None
    return _wrong(name, a)


def lt(a: Any, b: Any) -> bool:
    if type(a) is int and type(b) is int:
        return a < b
    if e := _ordered("_<_", a, b):
        raise e
    return bool(a < b)


def le(a: Any, b: Any) -> bool:
    if type(a) is int and type(b) is int:
        return a <= b
    if e := _ordered("_<=_", a, b):
        raise e
    return bool(a <= b)


def gt(a: Any, b: Any) -> bool:
    if type(a) is int and type(b) is int:
        return a > b
    if e := _ordered("_>_", a, b):
        raise e
    return bool(a > b)


def ge(a: Any, b: Any) -> bool:
    if type(a) is int and type(b) is int:
        return a >= b
    if e := _ordered("_>=_", a, b):
        raise e
    return bool(a >= b)


def ne(a: Any, b: Any) -> bool:
    return not equal(a, b)


def inside(a: Any, b: Any) -> bool:
    if isinstance(b, dict):
        return type(a) in (str, int, bool, Uint, float) and a in b
    if isinstance(b, list):
        return contains(b, a)
    raise wrong("@in", a, b)


def index(a: Any, b: Any) -> Any:
    if isinstance(a, list):
        if type(b) is float and b.is_integer():
            b = int(b)
        if type(b) is not int and type(b) is not Uint:
            raise CelError(f"unsupported index value {b} in list" if type(b) is float else
                           f"unsupported index type '{type_name(b)}' in list")
        if 0 <= b < len(a):
            return a[b]
        raise CelError(f"index out of bounds: {b}")
    if isinstance(a, dict):
        try:
            return a[b]
        except (KeyError, TypeError) as e:
            raise CelError(f"no such key: {b}") from e
    if type(a) is Option:
        return optional_index(a, b)
    raise CelError(f"no such key: {b}")


def optional_index(a: Any, b: Any) -> Option:
    """a[?b]; of an optional: its value's."""
    if type(a) is Option:
        if not a.has:
            return NONE
        a = a.value
    if isinstance(a, list):
        return Option(True, a[b]) if type(b) in (int, Uint) and 0 <= b < len(a) else NONE
    if isinstance(a, dict):
        return Option(True, a[b]) if type(b) is not list and b in a else NONE
    return NONE


def select(a: Any, field: str) -> Any:
    """a.field of what is no plain map."""
    if isinstance(a, dict):
        if field in a:
            return a[field]
        raise CelError(f"no such key: {field}")
    if type(a) is Option:
        return optional_index(a, field)
    if isinstance(a, Fields):
        return a.select(field)
    raise CelError(f"no such key: {field}")


BINARY = {"_+_": add, "_-_": sub, "_*_": mul, "_/_": div, "_%_": mod, "_==_": equal, "_!=_": ne, "_<_": lt,
          "_<=_": le, "_>_": gt, "_>=_": ge, "@in": inside, "_[_]": index, "_[?_]": optional_index}
