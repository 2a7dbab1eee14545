r"""The JSONPath of printer columns, selectable fields and scale paths: compiled once, read often.

In: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`, `.a['b.c'][0]`, `.a\.b`, `..name`, `[*]`.
Out: a function object -> list of values found. ValueError for what is no path. Called by: resource.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Step = Callable[[Any], Iterable[Any]]
_FILTER = re.compile(r"""@((?:\.[\w-]+|\['[^']*'\])*)\s*(?:(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|[-\w.]+))?""")
_QUOTED = re.compile(r"""(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*""")
_NAME = re.compile(r"(?:[^.\[\]\\]|\\.)+")


def compile(path: str) -> Callable[[Any], list[Any]]:
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    steps = list(_steps(text.removeprefix("$")))

    def find(obj: Any) -> list[Any]:
        values = [obj]
        for step in steps:
            values = [found for value in values for found in step(value)]
        return values

    return find


def names(path: str) -> tuple[str, ...]:
    """The plain field names of a simple path (`.spec.replicas`)."""
    return tuple(part for part in path.strip(".").split(".") if part)


def _steps(text: str) -> Iterable[Step]:
    at = 0
    while at < len(text):
        if text.startswith("..", at):
            yield _descend
            at += 1
            continue
        if text[at] == ".":
            at += 1
            if at < len(text) and text[at] == "[" or at == len(text):
                continue
        if text[at] == "[":
            end = _closing(text, at)
            yield _bracket(text[at + 1:end].strip())
            at = end + 1
            continue
        match = _NAME.match(text, at)
        if match is None:
            raise ValueError(f"unexpected {text[at]!r} in path {text!r}")
        name = re.sub(r"\\(.)", r"\1", match.group())
        yield _all if name == "*" else _field(name)
        at = match.end()


def _closing(text: str, at: int) -> int:
    depth, quote = 0, ""
    for i in range(at, len(text)):
        char = text[i]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                return i
    raise ValueError(f"unterminated array in path {text!r}")


def _bracket(inside: str) -> Step:
    if inside == "*":
        return _all
    if _QUOTED.fullmatch(inside):
        found = [list(_steps("." + name[1:-1])) for name in re.findall(r"'[^']*'|\"[^\"]*\"", inside)]
        return lambda value: [last for path in found for last in _follow(path, value)]  # dots part names here too
    if inside.startswith("?("):
        return _where(inside[2:-1].strip())
    if ":" in inside:
        low, high, *step = [int(p) if p else None for p in inside.split(":")]
        cut = slice(low, high, step[0] if step else None)
        return lambda value: value[cut] if isinstance(value, list) else ()
    index = int(inside)
    return lambda value: (value[index],) if isinstance(value, list) and -len(value) <= index < len(value) else ()


def _follow(path: list[Step], value: Any) -> list[Any]:
    values = [value]
    for step in path:
        values = [found for value in values for found in step(value)]
    return values


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _all(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _descend(value: Any) -> Iterable[Any]:
    yield value
    for inner in _all(value):
        yield from _descend(inner)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def _where(condition: str) -> Step:
    match = _FILTER.fullmatch(condition)
    if match is None:
        raise ValueError(f"unrecognized filter {condition!r}")
    find, operator, literal = compile(match.group(1)), match.group(2), match.group(3)
    wanted = _literal(literal) if literal else None

    def keep(item: Any) -> bool:
        found = find(item)
        if not operator:
            return bool(found)
        return any(type(f) is type(wanted) and _COMPARE[operator](f, wanted) for f in found)

    return lambda value: [item for item in _all(value) if keep(item)]


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)
