"""The string formats structural schemas may ask for. Formats not listed say nothing, as upstream.

In: a format's name and a text. Out: whether it fits. Called by: values.py.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

_HOST = re.compile(r"(?=.{1,253}$)([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*"
                   r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?([.,]\d+)?([Zz]|[+-]\d\d:?\d\d)?")
_DURATION = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)\s*(ns|nanoseconds?|us|µs|microseconds?|ms|milliseconds?|s|seconds?|"
                       r"m|minutes?|h|hours?|d|days?|w|weeks?)\s*)+")


def fits(name: str, text: str) -> bool:
    rule = _FORMATS.get(name.replace("-", ""))
    return rule is None or rule(text)


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text)
    return lambda value: compiled.fullmatch(value) is not None


def _tried(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def rule(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return rule


def _date_time(text: str) -> None:
    if not _DATE_TIME.fullmatch(text):
        raise ValueError(text)
    dt.date.fromisoformat(text[:10])


def _uri(text: str) -> None:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(text)


def _cidr(text: str) -> None:
    if "/" not in text:
        raise ValueError(text)
    ipaddress.ip_interface(text)


def _uuid(version: str) -> Callable[[str], bool]:
    return _pattern(rf"(?i)[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?[0-9a-f]{{4}}-?[0-9a-f]{{12}}")


_FORMATS: dict[str, Callable[[str], bool]] = {
    "byte": _tried(lambda t: base64.b64decode(t, validate=True)),
    "bsonobjectid": _pattern(r"[0-9a-fA-F]{24}"),
    "cidr": _tried(_cidr),
    "creditcard": _pattern(r"[0-9 -]{12,23}"),
    "date": _tried(dt.date.fromisoformat),
    "datetime": _tried(_date_time),
    "duration": lambda t: t == "0" or _DURATION.fullmatch(t) is not None,
    "email": _pattern(r"[^@\s]+@[^@\s]+"),
    "hexcolor": _pattern(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": lambda t: _HOST.fullmatch(t) is not None,
    "ipv4": _tried(ipaddress.IPv4Address),
    "ipv6": _tried(ipaddress.IPv6Address),
    "isbn": _pattern(r"[0-9Xx -]{10,17}"),
    "isbn10": _pattern(r"[0-9Xx -]{10,13}"),
    "isbn13": _pattern(r"[0-9 -]{13,17}"),
    "mac": _pattern(r"(?i)([0-9a-f]{2}[:-]){5}[0-9a-f]{2}|([0-9a-f]{4}\.){2}[0-9a-f]{4}"),
    "rgbcolor": _pattern(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)"),
    "ssn": _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _tried(_uri),
    "uuid": _uuid("[0-9a-f]"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
}
