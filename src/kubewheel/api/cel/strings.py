"""The strings extension, sets, base64, and format's directives.

In: values. Out: values; CelError. Called by: program (imported for its declarations).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

from kubewheel.api.cel import times
from kubewheel.api.cel.registry import REGISTRY, join_cost, list_cost, size_cost, twice_cost
from kubewheel.api.cel.values import CelError, Duration, Timestamp, Type, Uint, contains, double_text, type_name

add = REGISTRY.add
_LOWER = str.maketrans({chr(c): chr(c + 32) for c in range(65, 91)})
_UPPER = str.maketrans({chr(c): chr(c - 32) for c in range(97, 123)})


@add("string.charAt(int) string")
def char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise CelError(f"index out of range: {index}")
    return text[index:index + 1]


@add("string.indexOf(string) int", "string.indexOf(string, int) int", cost=list_cost)
def index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text):
        if not part:
            return start
        raise CelError(f"index out of range: {start}")
    return text.find(part, start)


@add("string.lastIndexOf(string) int", "string.lastIndexOf(string, int) int", cost=list_cost)
def last_index_of(text: str, part: str, until: int | None = None) -> int:
    if until is None:
        return text.rfind(part)
    if not 0 <= until <= len(text):
        raise CelError(f"index out of range: {until}")
    return text.rfind(part, 0, until + len(part))


add("string.lowerAscii() string", cost=size_cost)(lambda t: t.translate(_LOWER))
add("string.upperAscii() string", cost=size_cost)(lambda t: t.translate(_UPPER))
add("string.trim() string", cost=size_cost)(lambda t: t.strip())
add("string.reverse() string")(lambda t: t[::-1])


@add("string.replace(string, string) string", "string.replace(string, string, int) string", cost=twice_cost)
def replace(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count if count >= 0 else -1)


@add("string.split(string) list", "string.split(string, int) list", cost=twice_cost)
def split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        parts = list(text)
        return parts if count < 0 or len(parts) <= count else [*parts[:count - 1], "".join(parts[count - 1:])]
    return text.split(separator, count - 1 if count > 0 else -1)


@add("string.substring(int) string", "string.substring(int, int) string", cost=size_cost)
def substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise CelError(f"index out of range: {index}")
    if start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


@add("list.join() string", "list.join(string) string", cost=join_cost)
def join(items: list[Any], separator: str = "") -> str:
    if not all(type(i) is str for i in items):
        raise CelError("no such overload: join")
    return separator.join(items)


_QUOTES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\",
           '"': '\\"'}
add(":strings.quote(string) string", cost=size_cost)(lambda t: '"' + "".join(_QUOTES.get(c, c) for c in t) + '"')


# -- format ---------------------------------------------------------------------------------------------------------
_CLAUSE = re.compile(r"%(?:\.(\d+))?(.?)", re.DOTALL)


@add("string.format(list) string", cost=size_cost)
def format_(text: str, args: list[Any]) -> str:
    rest = iter(enumerate(args))

    def one(found: re.Match[str]) -> str:
        if found[2] == "%":
            return "%"
        try:
            i, value = next(rest)
        except StopIteration:
            raise CelError(f"index {len(args)} out of range") from None
        return _clause(found[2], int(found[1]) if found[1] is not None else 6, value)

    return _CLAUSE.sub(one, text)


def _clause(verb: str, precision: int, value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if verb == "s":
        return shown(value)
    if verb == "d" and number:
        return str(int(value)) if whole or value.is_integer() else double_text(value)
    if verb == "f" and number:
        return _special(value) or f"{value:.{precision}f}"
    if verb == "e" and number:
        return _special(value) or f"{value:.{precision}e}"
    if verb == "b" and (whole or isinstance(value, bool)):
        return f"{int(value):b}"
    if verb == "o" and whole:
        return f"{value:o}"
    if verb in ("x", "X") and (whole or isinstance(value, (str, bytes))):
        out = f"{value:x}" if whole else (value.encode() if isinstance(value, str) else value).hex()
        return out.upper() if verb == "X" else out
    if verb not in "sdfeboxX" or not verb:
        raise CelError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    raise CelError(f"error during formatting: no formatting function for %{verb} of {type_name(value)}")


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else ""


def shown(value: Any) -> str:
    """%s."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _special(value) or double_text(value)
    if isinstance(value, (int, Uint)):
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (Timestamp, Duration)):
        return times.text(value)
    if isinstance(value, Type):
        return value.name
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{shown(k)}: {shown(v)}" for k, v in value.items())) + "}"
    return str(value)


# -- base64, sets ---------------------------------------------------------------------------------------------------
add(":base64.encode(bytes) string", cost=size_cost)(lambda v: base64.b64encode(v).decode())


@add(":base64.decode(string) bytes", cost=size_cost)
def decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as e:
        raise CelError("illegal base64 data") from e


def _product(a: list[Any], b: list[Any]) -> int:
    return 1 + len(a) * len(b)


@add(":sets.contains(list, list) bool", cost=_product)
def sets_contains(a: list[Any], b: list[Any]) -> bool:
    return all(contains(a, i) for i in b)


add(":sets.equivalent(list, list) bool", cost=lambda a, b: 1 + 2 * len(a) * len(b))(
    lambda a, b: sets_contains(a, b) and sets_contains(b, a))
add(":sets.intersects(list, list) bool", cost=_product)(lambda a, b: any(contains(b, i) for i in a))
