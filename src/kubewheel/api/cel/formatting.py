"""`'…'.format([…])`: its directives, and what is wrong with a call whose texts and arguments are written out.

In: a format and values, or a format and the Kinds of its arguments. Out: texts; CelError, or (argument, words). Called by:
strings (declares the function), check. Source of the rule: the strings extension of CEL, version 2, in the locale en_US.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from kubewheel.api.cel import times
from kubewheel.api.cel.kinds import Kind
from kubewheel.api.cel.values import CelError, Duration, Opaque, Timestamp, Type, Uint, double_text, type_name

_WORDS = {
    "s": "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and "
         "timestamps", "d": "decimal clause can only be used on integers", "f": "fixed-point clause can only be used on doubles",
    "e": "scientific clause can only be used on doubles", "b": "only integers and bools can be formatted as binary",
    "x": "only integers, byte buffers, and strings can be formatted as hex", "o": "octal clause can only be used on integers"}
_TAKES = {
    "s": {"list", "map", "int", "uint", "double", "bool", "string", "timestamp", "bytes", "duration", "type", "null"},
    "d": {"int", "uint"}, "f": {"double", "string"}, "e": {"double", "string"}, "b": {"int", "uint", "bool"},
    "x": {"int", "uint", "string", "bytes"}, "o": {"int", "uint"}}


class Wrong(CelError):
    """`argument`: which one is wrong; None: the format itself."""

    def __init__(self, words: str, argument: int | None = None) -> None:
        super().__init__(words)
        self.argument = argument


def walk(text: str, count: int, put: Callable[[int, str, int], str]) -> tuple[str, int]:
    """The text with what `put(argument, clause, precision)` makes of each clause, and how many clauses there are."""
    out: list[str] = []
    at, used, size = 0, 0, len(text)
    while at < size:
        if text[at] != "%":
            out.append(text[at])
            at += 1
        elif text[at + 1:at + 2] == "%":
            out.append("%")
            at += 2
        else:
            if used >= count and at + 1 < size:
                raise Wrong(f"index {used} out of range")
            if at + 1 >= size:
                raise Wrong("unexpected end of string")
            precision, at = _precision(text, at + 1)
            clause = text[at]
            if clause.lower() not in _WORDS or clause in "SDFEBO":
                raise Wrong(f'could not parse formatting clause: unrecognized formatting clause "{clause}"')
            out.append(put(used, clause, precision))
            at, used = at + 1, used + 1
    return "".join(out), used


def _precision(text: str, at: int) -> tuple[int, int]:
    if text[at] != ".":
        return 6, at
    end = at + 1
    while end < len(text) and text[end].isdigit():
        end += 1
    where = "could not parse formatting clause: error while parsing precision: "
    if end >= len(text):
        raise Wrong(where + "could not find end of precision specifier")
    if end == at + 1:
        raise Wrong(where + 'error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax')
    return int(text[at + 1:end]), end


def format_(text: str, args: list[Any]) -> str:
    return walk(text, len(args), lambda i, clause, precision: _clause(clause, precision, args[i]))[0]


def judge(text: str, kinds: Sequence[Callable[[str], str | None]]) -> None:
    """Wrong, if what is written out can never be formatted. `kinds`: for each argument, what says of a clause which type
    does not fit (None: it does)."""

    def put(i: int, clause: str, _: int) -> str:
        found = kinds[i](clause.lower())
        if found is not None:
            raise Wrong(f"error during formatting: {_WORDS[clause.lower()]}, was given {found}", i)
        return ""

    _, used = walk(text, len(kinds), put)
    if used < len(kinds):
        raise Wrong(f"too many arguments supplied to string.format (expected {used}, got {len(kinds)})")


def takes(clause: str, kind: Kind) -> bool:
    return kind.name == "dyn" or kind.name in _TAKES[clause]


def _refused(clause: str, value: Any) -> CelError:
    return CelError(f"error during formatting: {_WORDS[clause.lower()]}, was given {type_name(value)}")


def _clause(clause: str, precision: int, value: Any) -> str:
    kind = type(value)
    whole = kind is int or kind is Uint
    if clause == "s":
        return shown(value)
    if clause == "d" and whole:
        return str(int(value))
    if clause in "fe":
        if kind is str and value in ("NaN", "Infinity", "-Infinity"):
            value = float(value)
        elif kind is not float:
            raise _refused(clause, value)
        return _special(value) or (f"{value:,.{precision}f}" if clause == "f" else _scientific(value, precision))
    if clause == "b" and (whole or kind is bool):
        return f"{int(value):b}"
    if clause == "o" and whole:
        return f"{int(value):o}"
    if clause in "xX" and (whole or kind is str or kind is bytes):
        out = f"{int(value):x}" if whole else (value.encode() if kind is str else value).hex()
        return out.upper() if clause == "X" else out
    raise _refused(clause, value)


_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _scientific(value: float, precision: int) -> str:
    digits, _, exponent = f"{value:.{precision}e}".partition("e")
    return f"{digits}×10{exponent.removeprefix('+').translate(_RAISED)}"


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("∞" if value > 0 else "-∞") if math.isinf(value) else ""


def shown(value: Any) -> str:
    """%s."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as e:
            raise CelError("error during formatting: could not convert argument \"invalid UTF-8 in bytes, cannot convert to "
                           "string\" to string") from e
    if isinstance(value, (Timestamp, Duration)):
        return times.text(value)
    if isinstance(value, Type):
        return value.name
    if isinstance(value, list):
        return "[" + ", ".join(map(_inner, value)) + "]"
    if isinstance(value, dict) and not isinstance(value, Opaque):
        return "{" + ", ".join(sorted(f"{_key(k)}:{_inner(v)}" for k, v in value.items())) + "}"
    raise _refused("s", value)


def _key(key: Any) -> str:
    if type(key) not in (str, bool, int, Uint):
        raise CelError(f"error during formatting: no formatting function for map key of type {type_name(key)}")
    return _inner(key)


def _inner(value: Any) -> str:
    """Of a list or map: as it would be written in an expression."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return "b" + json.dumps(shown(value), ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:.6f}" if math.isfinite(value) else f'"{double_text(value)}"'
    if isinstance(value, Timestamp):
        return f'timestamp("{times.text(value)}")'
    if isinstance(value, Duration):
        return f'duration("{times.text(value)}")'
    if isinstance(value, Opaque):
        raise CelError(f"error during formatting: no formatting function for {type_name(value)}")
    return shown(value)
