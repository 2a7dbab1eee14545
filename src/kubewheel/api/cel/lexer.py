"""Texts into tokens.

In: the source. Out: (kind, value, offset) tuples; SyntaxProblem. Called by: parser.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kubewheel.api.cel.values import Uint


class SyntaxProblem(Exception):
    """What is wrong and where (an offset)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


class Token(NamedTuple):
    kind: str  # ident literal op end
    value: Any
    at: int


_TOKEN = re.compile(r"""
    (?P<space>[ \t\r\n\f]+|//[^\n]*)
  | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<hex>0[xX][0-9a-fA-F]+[uU]?)
  | (?P<int>\d+[uU]?)
  | (?P<text>(?:[bB][rR]?|[rR][bB]?)?(?:\"\"\"|'''|"|'))
  | (?P<ident>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
  | (?P<op>==|!=|<=|>=|&&|\|\||\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])
""", re.VERBOSE)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34, "`": 96, "?": 63}


def tokens(source: str) -> list[Token]:
    out: list[Token] = []
    at, end = 0, len(source)
    while at < end:
        found = _TOKEN.match(source, at)
        if found is None:
            raise SyntaxProblem(f"token recognition error at: '{source[at]}'", at)
        kind, text = found.lastgroup or "", found.group()
        start, at = at, found.end()
        if kind == "space":
            continue
        if kind == "text":
            value, at = _string(source, text, start, at)
            out.append(Token("literal", value, start))
        elif kind == "quoted":
            out.append(Token("quoted", text[1:-1], start))
        elif kind in ("double", "hex", "int"):
            out.append(Token("literal", _number(kind, text, start), start))
        elif kind == "ident" and text in ("true", "false", "null"):
            out.append(Token("literal", {"true": True, "false": False, "null": None}[text], start))
        elif kind == "ident" and text == "in":
            out.append(Token("op", "in", start))
        else:
            out.append(Token(kind, text, start))
    out.append(Token("end", "<EOF>", end))
    return out


def _number(kind: str, text: str, at: int) -> Any:
    if kind == "double":
        return float(text)
    unsigned = text[-1] in "uU"
    digits = text[:-1] if unsigned else text
    value = int(digits, 16 if kind == "hex" else 10)
    if unsigned:
        if value > 2**64 - 1:
            raise SyntaxProblem("invalid uint literal", at)
        return Uint(value)
    return value  # the parser judges its size: -9223372036854775808 is one literal


def _string(source: str, opening: str, start: int, at: int) -> tuple[str | bytes, int]:
    prefix = opening.rstrip("\"'").lower()
    quote = opening[len(prefix):]
    raw, binary = "r" in prefix, "b" in prefix
    out: list[str] = []
    data = bytearray()

    def put(text: str) -> None:
        if binary:
            data.extend(text.encode())
        else:
            out.append(text)

    while True:
        if at >= len(source) or (len(quote) == 1 and source[at] == "\n"):
            raise SyntaxProblem(f"token recognition error at: '{source[start:at]}'", start)
        if source.startswith(quote, at):
            at += len(quote)
            return (bytes(data) if binary else "".join(out)), at
        char = source[at]
        if char != "\\" or raw:
            put(char)
            at += 1
            continue
        code, at, is_byte = _escape(source, at + 1, start, binary)
        if binary and is_byte:
            data.append(code & 255)
        else:
            put(chr(code))


def _escape(source: str, at: int, start: int, binary: bool) -> tuple[int, int, bool]:
    """(code, where it ends, is it a byte) of what follows a backslash."""
    char = source[at:at + 1]
    if char in _SIMPLE and char:
        return _SIMPLE[char], at + 1, False
    width = {"x": 2, "X": 2, "u": 4, "U": 8}.get(char, 0)
    digits, base = (source[at + 1:at + 1 + width], 16) if width else (source[at:at + 3], 8)
    try:
        if len(digits) != (width or 3) or (char in ("u", "U") and binary):
            raise ValueError(digits)
        code = int(digits, base)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(digits)
    except ValueError as e:
        raise SyntaxProblem(f"token recognition error at: '{source[start:at + 1]}'", start) from e
    return code, at + (1 + width if width else 3), char not in ("u", "U")
