"""The scalar types with their own text: quantities, times, base64. Text in, canonical text out.

Errors are ScalarError with the words Go's unmarshallers use. Called by: decode.py.
"""

from __future__ import annotations

import base64
import binascii
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
_PLAIN = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ")
_MICRO = re.compile(_PLAIN.pattern[:-1] + r"\.\d{6}Z")
RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
_PARTS = ((r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"), (r"\d\d", "15"),
          (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d", "05"))
_ZONE = re.compile(r"(?:Z|[+-]\d\d:\d\d)")


def _parse(text: str, layout: str) -> dt.datetime:
    at, numbers = 0, []
    for pattern, name in _PARTS:
        match = re.compile(pattern).match(text, at)
        if match is None:
            raise ScalarError(f'parsing time "{text}" as "{layout}": cannot parse "{text[at:]}" as "{name}"')
        if pattern[0] == "\\":
            numbers.append(int(match.group()))
        at = match.end()
    micros = 0
    if fraction := re.compile(r"[.,](\d+)").match(text, at):
        micros = int(fraction.group(1)[:6].ljust(6, "0"))
        at = fraction.end()
    elif layout == RFC3339_MICRO:
        raise ScalarError(f'parsing time "{text}" as "{layout}": cannot parse "{text[at:]}" as ".000000"')
    zone = _ZONE.match(text, at)
    if zone is None:
        raise ScalarError(f'parsing time "{text}" as "{layout}": cannot parse "{text[at:]}" as "Z07:00"')
    if zone.end() != len(text):
        raise ScalarError(f'parsing time "{text}": extra text: "{text[zone.end():]}"')
    for value, low, high, name in zip(numbers[1:], (1, 1, 0, 0, 0), (12, 31, 23, 59, 59),
                                      ("month", "day", "hour", "minute", "second"), strict=True):
        if not low <= value <= high:
            raise ScalarError(f'parsing time "{text}": {name} out of range')
    offset = dt.timedelta()
    if zone.group() != "Z":
        offset = dt.timedelta(hours=int(text[at + 1:at + 3]), minutes=int(text[at + 4:at + 6]))
        offset = -offset if text[at] == "-" else offset
    try:
        return dt.datetime(*numbers, micros, tzinfo=dt.UTC) - offset  # type: ignore[misc, arg-type]
    except (ValueError, OverflowError) as e:
        raise ScalarError(f'parsing time "{text}": day out of range') from e


def time(text: str) -> str:
    """Whole seconds, UTC, `Z`."""
    if _PLAIN.fullmatch(text):
        return text
    return _parse(text, RFC3339).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def microtime(text: str) -> str:
    if _MICRO.fullmatch(text):
        return text
    return _parse(text, RFC3339_MICRO).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


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
