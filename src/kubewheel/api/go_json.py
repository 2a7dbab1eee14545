"""What Go's JSON decoder says of bytes that are no JSON, and what it makes of numbers and broken text.

In: bytes, JSON values. Out: texts, values. Called by: apiserver (bodies, continue tokens, patches).
"""

from __future__ import annotations

import json
import re
from typing import Any

_ERRORS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}
_LITERALS = {"n": "null", "t": "true", "f": "false"}


def kind(value: object) -> str:
    """What Go's errors call a value of JSON."""
    if isinstance(value, bool):
        return "bool"
    return {dict: "object", list: "array", str: "string", type(None): "null"}.get(type(value), "number")


def error(raw: bytes) -> str:
    """What the decoder says of bytes that are no JSON."""
    text = raw.decode(errors="surrogateescape")
    if text.startswith("\ufeff"):
        return "invalid character '\\ufeff' looking for beginning of value"
    try:
        json.loads(text)
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as e:
        return _of_position(text, e)
    return "invalid UTF-8 or number out of range"


def _of_position(text: str, e: json.JSONDecodeError) -> str:
    rest = text[e.pos:].lstrip() if not e.msg.startswith("Invalid") else text[e.pos + ("escape" in e.msg):]
    if not rest or e.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    if e.msg == "Expecting value" and rest[0] in _LITERALS:
        return _of_literal(_LITERALS[rest[0]], rest)
    where = _ERRORS.get(e.msg, "")
    if e.msg == "Expecting ',' delimiter":
        where = "after object key:value pair" if _in_object(text[:e.pos]) else "after array element"
    return f"invalid character {_quoted(rest[0])} {where or 'looking for beginning of value'}"


def _of_literal(literal: str, rest: str) -> str:
    for wanted, got in zip(literal, rest, strict=False):
        if wanted != got:
            return f"invalid character {_quoted(got)} in literal {literal} (expecting '{wanted}')"
    return "unexpected end of JSON input"


def _quoted(character: str) -> str:
    """A character as Go quotes it; a byte that is no text comes as a surrogate."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"'\\x{code - 0xDC00:02x}'"
    if character in "'\"":
        return "'\\''" if character == "'" else "'\"'"
    if (short := {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\\": "\\\\"}.get(character)) is not None:
        return f"'{short}'"
    if character.isprintable():
        return f"'{character}'"
    return f"'\\x{code:02x}'" if code < 0x80 else f"'\\u{code:04x}'"


def _in_object(text: str) -> bool:
    """Whether the innermost open bracket of a piece of JSON is a brace."""
    stack, in_string, skip = [], False, False
    for c in text:
        if skip:
            skip = False
        elif in_string:
            skip, in_string = c == "\\", c != '"'
        elif c == '"':
            in_string = True
        elif c in "{[":
            stack.append(c)
        elif c in "}]" and stack:
            stack.pop()
    return bool(stack) and stack[-1] == "{"


_SURROGATE = re.compile("[\ud800-\udfff]")


class OutOfRange(ValueError):
    """A number that no float64 is."""


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise OutOfRange(f"json: cannot unmarshal number {text} into Go value of type float64")
    return value


def _refused(text: str) -> Any:
    raise ValueError(text)


def lenient(raw: bytes) -> Any:
    """The value of JSON whose text is no Unicode all through: what is none becomes U+FFFD, as in Go. For bytes that the fast
    decoder refused. OutOfRange; ValueError where it is no JSON even so."""
    value = json.loads(raw.decode(errors="replace"), parse_float=_float, parse_constant=_refused)
    return json.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))


_LARGEST, _SMALLEST = (1 << 63) - 1, -(1 << 63)
_NUMBER = re.compile(rb"[:\[,]\s*-?[0-9]+(?:[.eE]|[0-9]{18})|[:\[,]\s*-0")


def numbers(value: Any, raw: bytes) -> Any:
    """A decoded value as Go would write it again: whole floats without a fraction, integers past 64 bits as floats. `raw`:
    the text, which few bodies are that need it; the same value then, changed in place."""
    return _numbers(value) if _NUMBER.search(raw) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        for key, member in value.items():
            if isinstance(member, (dict, list, float, int)):
                value[key] = _numbers(member)
    elif isinstance(value, list):
        value[:] = [_numbers(member) for member in value]
    elif isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e21 and value else 0 if not value else value
    elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return _as_float(value)
    return value


def _as_float(value: int) -> Any:
    """An integer past 64 bits, rounded to what a float64 holds; it is written in digits up to 1e21."""
    rounded = float(value)
    return int(repr(rounded).partition("e")[0].replace(".", "").ljust(len(str(value)), "0")) if abs(rounded) < 1e21 else rounded
