"""The strings extension and sets; format's directives are in formatting.py.

In: values. Out: values; CelError. Called by: program (imported for its declarations).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.cel import formatting
from kubewheel.api.cel.registry import REGISTRY, join_cost, list_cost, size_cost, twice_cost
from kubewheel.api.cel.values import CelError, contains

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
    if not part:
        return start
    if start < 0:
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


add("string.format(list) string", cost=size_cost)(formatting.format_)


# -- sets -----------------------------------------------------------------------------------------------------------
def _product(a: list[Any], b: list[Any]) -> int:
    return 1 + len(a) * len(b)


@add(":sets.contains(list, list) bool", cost=_product)
def sets_contains(a: list[Any], b: list[Any]) -> bool:
    return all(contains(a, i) for i in b)


add(":sets.equivalent(list, list) bool", cost=lambda a, b: 1 + 2 * len(a) * len(b))(
    lambda a, b: sets_contains(a, b) and sets_contains(b, a))
add(":sets.intersects(list, list) bool", cost=_product)(lambda a, b: any(contains(b, i) for i in a))
