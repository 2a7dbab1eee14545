"""CEL's values as Python's, and what equality, types and texts of them are.

null None, bool bool, int int, uint Uint, double float, string str, bytes bytes, list list, map dict; the rest are the
classes below. In: values. Out: verdicts, texts; CelError. Called by: the whole package.
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any, NamedTuple

MIN_INT, MAX_INT, MAX_UINT = -(2**63), 2**63 - 1, 2**64 - 1
NANO = 1_000_000_000


class CelError(Exception):
    """An expression has no value: a missing key, no such overload, overflow. && and || absorb it."""


class NoOverload(CelError):
    """An operator or a function was given what it does not take."""


class CostExceeded(Exception):
    """The budget is spent. Nothing absorbs it."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class Uint(int):
    __slots__ = ()


class Timestamp(NamedTuple):
    nanos: int  # since the epoch


class Duration(NamedTuple):
    nanos: int


class Type(NamedTuple):
    name: str


class Option:
    """optional.of(x), optional.none()."""

    __slots__ = ("has", "value")

    def __init__(self, has: bool, value: Any = None) -> None:
        self.has, self.value = has, value


NONE = Option(False)


class SetList(list):
    """x-kubernetes-list-type: set. Order does not count."""

    __slots__ = ()


class MapList(list):
    """x-kubernetes-list-type: map. Elements are known by their keys; order does not count."""

    __slots__ = ("keys",)

    def __init__(self, items: Any, keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key(self, item: Any) -> tuple[str, ...]:
        return tuple(repr(item.get(k)) for k in self.keys) if isinstance(item, dict) else (repr(item),)


class Message(dict):
    """A struct made in an expression (Object{…}, JSONPatch{…})."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


class Opaque:
    """Base of library values (URL, IP, Quantity …): a `type_name`, compared by `==`."""

    __slots__ = ()
    type_name = ""


class Fields:
    """A value whose fields are computed when they are asked for (policies' `variables`)."""

    def select(self, field: str) -> Any:
        raise CelError(f"no such key: {field}")


NAMES: dict[type, str] = {
    type(None): "null_type", bool: "bool", int: "int", Uint: "uint", float: "double", str: "string", bytes: "bytes",
    list: "list", SetList: "list", MapList: "list", dict: "map", Message: "map", Type: "type",
    Timestamp: "google.protobuf.Timestamp", Duration: "google.protobuf.Duration", Option: "optional_type"}
_NUMBERS = frozenset({int, Uint, float})


def type_name(value: Any) -> str:
    if isinstance(value, Message):
        return value.name
    name = NAMES.get(type(value)) or getattr(value, "type_name", "")
    return name or ("map" if isinstance(value, dict) else "list" if isinstance(value, list) else type(value).__name__)


def equal(a: Any, b: Any) -> bool:
    """CEL's ==: numbers of all kinds compare by value, everything else by type and value."""
    ta, tb = type(a), type(b)
    if ta is str or tb is str or ta is bool or tb is bool:
        return ta is tb and bool(a == b)
    if ta in _NUMBERS:
        return tb in _NUMBERS and bool(a == b)
    if isinstance(a, list):
        return isinstance(b, list) and _lists(a, b)
    if isinstance(a, dict):
        return (isinstance(b, dict) and len(a) == len(b)
                and all(k in b and equal(v, b[k]) for k, v in a.items()))
    if ta is Option:
        return tb is Option and a.has == b.has and equal(a.value, b.value)
    return ta is tb and bool(a == b)


def _lists(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    if isinstance(a, MapList):
        theirs = {a.key(i): i for i in b}
        return all((k := a.key(i)) in theirs and equal(i, theirs[k]) for i in a)
    if isinstance(a, SetList):
        return all(contains(b, i) for i in a)
    return all(map(equal, a, b))


def contains(items: Any, value: Any) -> bool:
    """`value in items`."""
    if type(value) is str and type(items) is list:
        return value in items  # texts equal texts only
    return any(equal(value, i) for i in items)


def wrong(function: str, *_: Any) -> NoOverload:
    return NoOverload(f"no such overload: {function}")


def int64(value: int) -> int:
    if MIN_INT <= value <= MAX_INT:
        return value
    raise CelError("integer overflow")


def uint64(value: int) -> Uint:
    if 0 <= value <= MAX_UINT:
        return Uint(value)
    raise CelError("unsigned integer overflow")


def double_text(value: float) -> str:
    """As Go's strconv prints with the format g: no trailing .0, exponents of two digits at least."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if repr(value)[0] == "-" else "0"
    digits, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{digits}e{exponent[0]}{exponent[1:].zfill(2)}"
    return f"{Decimal(repr(value)).normalize():f}"


def to_json(value: Any) -> Any:
    """A value as JSON has it: for patches and audit texts. CelError for what JSON cannot hold."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (Timestamp, Duration)):
        from kubewheel.api.cel import times

        return times.text(value)
    if isinstance(value, Opaque):
        return str(value)
    raise CelError(f"cannot convert {type_name(value)} to JSON")
