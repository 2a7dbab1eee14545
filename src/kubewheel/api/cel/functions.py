"""CEL's standard functions: sizes, conversions, time, regex match; optional values.

In: values. Out: values; CelError. Called by: program (imported for its declarations).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

from kubewheel.api.cel import times
from kubewheel.api.cel.registry import REGISTRY, argument_cost, regex_cost, size_cost, tenth
from kubewheel.api.cel.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    NANO,
    NONE,
    CelError,
    Duration,
    Option,
    Timestamp,
    Type,
    Uint,
    double_text,
    int64,
    type_name,
    wrong,
)

add = REGISTRY.add
_WHOLE, _DIGITS = re.compile(r"[+-]?[0-9]+"), re.compile(r"[0-9]+")


# Go's words for what RE2 says
_REGEX_WORDS = {"missing )": "missing closing )", "missing ]": "missing closing ]",
                "invalid repetition size": "invalid repeat count",
                "no argument for repetition operator": "missing argument to repetition operator",
                "bad repetition operator": "invalid nested repetition operator",
                "invalid perl operator": "invalid or unsupported Perl syntax"}


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Any:
    import re2  # late: what runs as a pod (cluster DNS) loads the catalog, not the expressions

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as e:
        words, colon, part = (e.args[0].decode() if isinstance(e.args[0], bytes) else str(e)).partition(": ")
        raise CelError(f"error parsing regexp: {_REGEX_WORDS.get(words, words)}" + (f": `{part}`" if colon else "")) from e


for _size in ("string", "bytes", "list", "map"):
    add(f"size({_size}) int", f"{_size}.size() int")(len)

add("string.startsWith(string) bool", cost=argument_cost)(lambda a, b: a.startswith(b))
add("string.endsWith(string) bool", cost=argument_cost)(lambda a, b: a.endswith(b))
add("string.contains(string) bool", cost=lambda a, b: tenth(len(a)) * tenth(len(b)))(lambda a, b: b in a)
add("string.matches(string) bool", "matches(string, string) bool", cost=regex_cost)(lambda a, b: regex(b).search(a) is not None)


# -- conversions ----------------------------------------------------------------------------------------------------
@add("int(int) int", "int(uint) int", "int(double) int", "int(string) int", "int(timestamp) int", "int(duration) int")
def to_int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanos // NANO
    if isinstance(value, Duration):
        return value.nanos
    if isinstance(value, float):
        if math.isnan(value) or not MIN_INT <= value <= MAX_INT:
            raise CelError("integer overflow")
        return int64(int(value))
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) is None or not MIN_INT <= int(value) <= MAX_INT:
            raise CelError("type conversion error from 'string' to 'int'")
        return int(value)
    return int64(int(value))


@add("uint(int) uint", "uint(uint) uint", "uint(double) uint", "uint(string) uint")
def to_uint(value: Any) -> Uint:
    if isinstance(value, str):
        if _DIGITS.fullmatch(value) is None or int(value) > MAX_UINT:
            raise CelError("type conversion error from 'string' to 'uint'")
        value = int(value)
    if isinstance(value, float) and math.isnan(value) or not 0 <= value <= MAX_UINT:
        raise CelError("unsigned integer overflow")
    return Uint(value)


@add("double(int) double", "double(uint) double", "double(double) double", "double(string) double")
def to_double(value: Any) -> float:
    try:
        return float(value)
    except ValueError as e:
        raise CelError("type conversion error from 'string' to 'double'") from e


@add("string(int) string", "string(uint) string", "string(double) string", "string(bool) string", "string(string) string",
     "string(timestamp) string", "string(duration) string")
def to_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as e:
            raise CelError("invalid UTF-8 in bytes, cannot convert to string") from e
    if isinstance(value, (Timestamp, Duration)):
        return times.text(value)
    return str(value)


add("string(bytes) string", cost=size_cost)(to_string)


@add("bool(bool) bool", "bool(string) bool")
def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise CelError("type conversion error from 'string' to 'bool'")


add("bytes(string) bytes", cost=size_cost)(lambda v: v.encode())
add("bytes(bytes) bytes")(lambda v: v)
add("type(dyn) type")(lambda v: Type(type_name(v)))


@add("timestamp(string) timestamp", "timestamp(timestamp) timestamp", "timestamp(int) timestamp")
def to_timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    if value is None:
        raise wrong("timestamp", value)
    return times.timestamp(value) if isinstance(value, str) else times.checked(value * NANO)


@add("duration(string) duration", "duration(duration) duration", "duration(int) duration")
def to_duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if value is None:
        raise wrong("duration", value)
    return times.duration(value) if isinstance(value, str) else times.bounded(value)


# -- parts of times -------------------------------------------------------------------------------------------------
def _part(name: str, read: Any) -> None:
    add(f"timestamp.{name}() int")(lambda t: read(times.at(t)))
    add(f"timestamp.{name}(string) int")(lambda t, zone: read(times.at(t, zone)))


for _name, _read in {
    "getFullYear": lambda d: d.year, "getMonth": lambda d: d.month - 1, "getDate": lambda d: d.day,
    "getDayOfMonth": lambda d: d.day - 1, "getDayOfWeek": lambda d: d.isoweekday() % 7,
    "getDayOfYear": lambda d: d.timetuple().tm_yday - 1, "getHours": lambda d: d.hour, "getMinutes": lambda d: d.minute,
    "getSeconds": lambda d: d.second,
}.items():
    _part(_name, _read)
add("timestamp.getMilliseconds() int", "timestamp.getMilliseconds(string) int")(
    lambda t, zone="UTC": t.nanos % NANO // 10**6)


def _whole(nanos: int, unit: int) -> int:
    return abs(nanos) // unit * (-1 if nanos < 0 else 1)


add("duration.getHours() int")(lambda d: _whole(d.nanos, 3600 * NANO))
add("duration.getMinutes() int")(lambda d: _whole(d.nanos, 60 * NANO))
add("duration.getSeconds() int")(lambda d: _whole(d.nanos, NANO))
add("duration.getMilliseconds() int")(lambda d: _whole(d.nanos, 10**6))


# -- optional values ------------------------------------------------------------------------------------------------
add(":optional.of(dyn) optional")(lambda v: Option(True, v))
add(":optional.none() optional")(lambda: NONE)


@add(":optional.ofNonZeroValue(dyn) optional")
def of_non_zero(value: Any) -> Option:
    zero = value is None or value in (False, 0, "", b"") if not isinstance(value, (list, dict)) else not value
    return NONE if zero else Option(True, value)


add("optional.hasValue() bool")(lambda o: o.has)
add("optional.or(optional) optional")(lambda o, other: o if o.has else other)
add("optional.orValue(dyn) dyn")(lambda o, other: o.value if o.has else other)


@add("optional.value() dyn")
def value_of(option: Option) -> Any:
    if not option.has:
        raise CelError("optional.none() dereference")
    return option.value


@add("list.first() optional")
def first(items: list[Any]) -> Option:
    return Option(True, items[0]) if items else NONE


@add("list.last() optional")
def last(items: list[Any]) -> Option:
    return Option(True, items[-1]) if items else NONE


add(":optional.unwrap(list) list", "list.unwrapOpt() list")(
    lambda items: [i.value for i in items if i.has])
