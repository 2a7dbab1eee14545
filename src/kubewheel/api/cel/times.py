"""Timestamps and durations: texts, fields, in whole nanoseconds.

In: texts and numbers. Out: Timestamp, Duration, ints; CelError. Called by: functions, operators, crd rules.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from kubewheel.api.cel.values import MAX_INT, MIN_INT, NANO, CelError, Duration, Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_SECONDS, MAX_SECONDS = -62135596800, 253402300799
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": NANO, "m": 60 * NANO, "h": 3600 * NANO}
_ZONE = re.compile(r"([+-]?)(\d\d?):(\d\d)")


def timestamp(text: str) -> Timestamp:
    found = _STAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
        zone = found[8]
        offset = 0
        if zone not in "Zz":
            offset = (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * (-1 if zone[0] == "-" else 1)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as e:
        raise CelError(f'invalid RFC 3339 timestamp "{text}"') from e
    seconds = (moment - _EPOCH) // timedelta(seconds=1) - offset
    return checked(seconds * NANO + int((found[7] or "0")[:9].ljust(9, "0")))


def checked(nanos: int) -> Timestamp:
    if not MIN_SECONDS <= nanos // NANO <= MAX_SECONDS:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def bounded(nanos: int) -> Duration:
    if not MIN_INT <= nanos <= MAX_INT:
        raise CelError("duration overflow")
    return Duration(nanos)


def duration(text: str) -> Duration:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    total = 0
    for number, unit in _PART.findall(found[2]):
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
    return bounded(-total if found[1] == "-" else total)


def text(value: Timestamp | Duration) -> str:
    """RFC 3339, or seconds with an `s`."""
    if isinstance(value, Duration):
        sign, nanos = ("-", -value.nanos) if value.nanos < 0 else ("", value.nanos)
        return f"{sign}{nanos // NANO}{_fraction(nanos % NANO)}s"
    moment = _EPOCH + timedelta(seconds=value.nanos // NANO)
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + _fraction(value.nanos % NANO) + "Z"


def _fraction(nanos: int) -> str:
    return "." + f"{nanos:09d}".rstrip("0") if nanos else ""


def _zone(name: str) -> tzinfo:
    if found := _ZONE.fullmatch(name):
        minutes = int(found[2]) * 60 + int(found[3])
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as e:
        raise CelError(f"unknown time zone {name}") from e


def at(value: Timestamp, zone: str = "UTC") -> datetime:
    return (_EPOCH + timedelta(seconds=value.nanos // NANO)).astimezone(UTC if zone == "UTC" else _zone(zone))
