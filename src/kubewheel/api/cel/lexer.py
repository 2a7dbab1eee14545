"""Texts into tokens.

In: the source. Out: (kind, value, offset) tuples; SyntaxProblem. Called by: parser.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kubewheel.api.cel.values import Uint


class SyntaxProblem(Exception):
    """What is wrong and where (an offset). `syntax`: said of the syntax."""

    def __init__(self, message: str, at: int, *, syntax: bool = True) -> None:
        super().__init__(message)
        self.message, self.at, self.syntax = message, at, syntax


class Token(NamedTuple):
    kind: str  # ident literal op end
    value: Any
    at: int
    text: str = "<EOF>"  # as it stands in the source


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


class Broken(SyntaxProblem):
    """A text that does not end as it should. `end`: where reading goes on."""

    def __init__(self, message: str, at: int, end: int, *, syntax: bool = True) -> None:
        super().__init__(message, at, syntax=syntax)
        self.end = end


def tokens(source: str) -> tuple[list[Token], list[SyntaxProblem]]:
    """What could be read, and what could not: that is left out."""
    out: list[Token] = []
    problems: list[SyntaxProblem] = []
    at, end = 0, len(source)
    while at < end:
        found = _TOKEN.match(source, at)
        if found is None:
            width = 2 if source[at] in "=&|" else 1
            problems.append(SyntaxProblem(f"token recognition error at: '{source[at:at + width]}'", at))
            at += width
            continue
        start, at = at, found.end()
        try:
            made, at = _token(source, found, start)
            if made is not None:
                out.append(made)
        except Broken as e:
            problems.append(e)
            at = e.end
            if not e.syntax:
                out.append(Token("literal", None, start, source[start:at]))
        except SyntaxProblem as e:
            problems.append(e)
            out.append(Token("literal", None, start, found.group()))
    out.append(Token("end", "<EOF>", end))
    return out, problems


def _token(source: str, found: re.Match[str], start: int) -> tuple[Token | None, int]:
    """The token and where it ends; None for what lies between tokens."""
    kind, text, at = found.lastgroup or "", found.group(), found.end()
    if kind == "space":
        return None, at
    if kind == "text":
        value, at = _string(source, text, start, at)
        return Token("literal", value, start, source[start:at]), at
    if kind == "quoted":
        return Token("quoted", text[1:-1], start, text), at
    if kind in ("double", "hex", "int"):
        return Token("literal", _number(kind, text, start), start, text), at
    if kind == "ident" and text in _CONSTANTS:
        return Token("literal", _CONSTANTS[text], start, text), at
    return Token("op" if kind == "ident" and text == "in" else kind, text, start, text), at


_CONSTANTS = {"true": True, "false": False, "null": None}


def _number(kind: str, text: str, at: int) -> Any:
    if kind == "double":
        if float(text) == float("inf"):
            raise SyntaxProblem("invalid double literal", at, syntax=False)
        return float(text)
    unsigned = text[-1] in "uU"
    digits = text[:-1] if unsigned else text
    value = int(digits, 16 if kind == "hex" else 10)
    if unsigned:
        if value > 2**64 - 1:
            raise SyntaxProblem("invalid uint literal", at, syntax=False)
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
            if len(quote) == 3:  # two quotes are a text without anything in it
                start += 2
            raise Broken(f"token recognition error at: '{source[start:at]}'", start, at)
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
    if len(digits) != (width or 3) or not _DIGITS[base].fullmatch(digits):
        raise Broken(f"token recognition error at: '{source[start:at + 1]}'", start, at + 1)
    code, end = int(digits, base), at + (1 + width if width else 3)
    if char in ("u", "U") and binary:
        raise Broken("unable to unescape string", start, _past(source, start), syntax=False)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise Broken("invalid unicode code point", start, _past(source, start), syntax=False)
    return code, end, char not in ("u", "U")


_DIGITS = {16: re.compile("[0-9a-fA-F]+"), 8: re.compile("[0-3][0-7]{2}")}


def _past(source: str, start: int) -> int:
    """Where a text ends, roughly: at the next quote of its kind."""
    quote = source[start:].lstrip("bBrR")[0]
    found = source.find(quote, source.index(quote, start) + 1)
    return len(source) if found < 0 else found + 1
