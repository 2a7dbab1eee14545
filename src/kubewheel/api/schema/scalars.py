"""The scalar types with their own text: quantities, times, base64. Text in, canonical text out.

Errors are ScalarError with the words Go's unmarshallers use. Called by: decode.py.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import datetime as dt
import re

from kubewheel.api import quantity as quantities


class ScalarError(ValueError):
    pass


def quantity(text: str) -> str:
    """The canonical text: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`."""
    try:
        return quantities.canonical(text)
    except ValueError as e:
        raise ScalarError(str(e)) from e


# -- times (metav1.Time, metav1.MicroTime) ------------------------------------------------------------------------
_PLAIN = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z")
_MICRO = re.compile(_PLAIN.pattern[:-1] + r"\.[0-9]{6}Z")
RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
# What stands before each number, the number's name in a layout, its digits, its least, its end, its name.
_TWO = "[0-9]{2}"
_NUMBERS = (("", "2006", "[0-9]{4}", 0, 10_000, "year"), ("-", "01", _TWO, 1, 13, "month"), ("-", "02", _TWO, 0, 100, "day"),
            ("T", "15", "[0-9]{1,2}", 0, 24, "hour"), (":", "04", _TWO, 0, 60, "minute"), (":", "05", _TWO, 0, 60, "second"))
_ZERO_TIME = (1, 1, 1, 0, 0, 0, 0)
_CYCLE = 400  # years after which the calendar comes again


class _Time:
    """One text read after a layout, as Go's time.Parse goes through it: the first thing that is wrong is told."""

    def __init__(self, text: str, layout: str) -> None:
        self.text, self.layout, self.at = text, layout, 0

    def parse(self) -> tuple[int, ...]:
        """(year, month, day, hour, minute, second, microsecond) in UTC."""
        numbers = [self.number(*row) for row in _NUMBERS]
        micros = self.fraction()
        offset = self.zone()
        if self.at < len(self.text):
            raise self.wrong(f"extra text: {_quoted(self.text[self.at:])}")
        year, month, day = numbers[:3]
        if not 1 <= day <= calendar.monthrange(year % _CYCLE + _CYCLE, month)[1]:
            raise self.wrong("day out of range")
        moment = dt.datetime(year % _CYCLE + _CYCLE, *numbers[1:], micros, tzinfo=dt.UTC) - offset  # type: ignore[misc, arg-type]
        return (moment.year + year - year % _CYCLE - _CYCLE, *moment.timetuple()[1:6], micros)

    def number(self, before: str, name: str, digits: str, low: int, end: int, what: str) -> int:
        if not self.text.startswith(before, self.at):
            raise self.unlike(before)
        self.at += len(before)
        match = re.compile(digits).match(self.text, self.at)
        if match is None:
            raise self.unlike(name)
        self.at, value = match.end(), int(match.group())
        if not low <= value < end:
            raise self.wrong(f"{what} out of range")
        return value

    def fraction(self) -> int:
        """Microseconds. Where the layout has none, one of any length may come."""
        exact = self.layout == RFC3339_MICRO
        match = re.compile("[.,]([0-9]{6})" if exact else "[.,]([0-9]+)").match(self.text, self.at)
        if match is None:
            if exact:
                raise self.unlike(".000000")
            return 0
        self.at = match.end()
        return int(match.group(1)[:6].ljust(6, "0"))

    def zone(self) -> dt.timedelta:
        if self.text.startswith("Z", self.at):
            self.at += 1
            return dt.timedelta()
        match = _ZONE.match(self.text, self.at)
        if match is None:
            raise self.unlike("Z07:00")
        self.at = match.end()
        hours, minutes = int(match.group(2)), int(match.group(3))
        if hours > 24:
            raise self.wrong("time zone offset hour out of range")
        if minutes > 60:
            raise self.wrong("time zone offset minute out of range")
        offset = dt.timedelta(hours=hours, minutes=minutes)
        return -offset if match.group(1) == "-" else offset

    def unlike(self, name: str) -> ScalarError:
        rest = _quoted(self.text[self.at:])
        return ScalarError(f'parsing time {_quoted(self.text)} as "{self.layout}": cannot parse {rest} as "{name}"')

    def wrong(self, what: str) -> ScalarError:
        return ScalarError(f"parsing time {_quoted(self.text)}: {what}")


_ZONE = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")


def _quoted(text: str) -> str:
    """As Go's time package quotes: bytes that are no plain ASCII by their number."""
    out = []
    for byte in text.encode():
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        else:
            out.append(chr(byte) if 32 <= byte < 128 else f"\\x{byte:02x}")
    return '"' + "".join(out) + '"'


def time(text: str) -> str:
    """Whole seconds, UTC, `Z`. The zero time, which Go writes as null, is ""."""
    if _PLAIN.fullmatch(text) and text[:4] != "0001":
        return text
    return _written(_Time(text, RFC3339).parse(), "")


def microtime(text: str) -> str:
    """The same to the microsecond."""
    if _MICRO.fullmatch(text) and text[:4] != "0001":
        return text
    parts = _Time(text, RFC3339_MICRO).parse()
    return _written(parts, f".{parts[6]:06}")


def _written(parts: tuple[int, ...], fraction: str) -> str:
    if parts == _ZERO_TIME:
        return ""
    year, month, day, hour, minute, second = parts[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"


# -- base64 -------------------------------------------------------------------------------------------------------
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def base64_text(text: str) -> str:
    """Go's StdEncoding: padding needed, line breaks ignored (and gone from what is kept)."""
    clean = text.replace("\n", "").replace("\r", "") if "\n" in text or "\r" in text else text
    try:
        value = binascii.a2b_base64(clean, strict_mode=True)
    except (binascii.Error, ValueError) as e:
        bad = _NOT_BASE64.search(text.rstrip("="))
        at = bad.start() if bad else len(text.rstrip("=")) // 4 * 4
        raise ScalarError(f"illegal base64 data at input byte {at}") from e
    if len(clean) % 4:
        raise ScalarError(f"illegal base64 data at input byte {len(text) - len(clean) % 4}")
    # Stray bits in the last character are not an error in Go; they vanish when it is written out again.
    return clean if not clean.endswith("=") else base64.b64encode(value).decode()
