"""Cron schedules with robfig/cron's rules (what CronJobs use): five fields, names, @daily …, @every, time
zones.

In: a text. Out: Schedule with `next(epoch seconds)`. Pure. Called by: controllers/cronjob, api/batch
validation.
When both day fields are restricted a day matches if either does; with `*` or `?` in one, the other decides.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

UTC = dt.UTC
MONTHS = {n: i for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
DAYS = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}
BOUNDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}


class CronError(ValueError):
    """Not a schedule; the message is robfig/cron's."""


@dataclass(frozen=True, slots=True)
class Every:
    seconds: float

    def next(self, after: float) -> float | None:
        return float(int(after) + self.seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool  # the day-of-month field was a star
    any_weekday: bool
    zone: dt.tzinfo

    def next(self, after: float) -> float | None:
        """The first matching minute after `after`; None where there is none within five years (30
        February)."""
        t = dt.datetime.fromtimestamp(int(after) // 60 * 60 + 60, self.zone)
        limit = t.year + 5
        while t.year <= limit:
            if t.month not in self.months:
                t = self._start(t.year + t.month // 12, t.month % 12 + 1, 1)
            elif not self._matches_day(t):
                following = t.date() + dt.timedelta(days=1)
                t = self._start(following.year, following.month, following.day)
            elif t.hour not in self.hours:
                t = self._shift(t, 60 - t.minute)
            elif t.minute not in self.minutes:
                t = self._shift(t, 1)
            else:
                return t.timestamp()
        return None

    def _matches_day(self, t: dt.datetime) -> bool:
        day, weekday = t.day in self.days, t.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday

    def _start(self, year: int, month: int, day: int) -> dt.datetime:
        # By way of the timestamp: midnight may not exist on a day the clocks change.
        return dt.datetime.fromtimestamp(
            dt.datetime(year, month, day, tzinfo=self.zone).timestamp(), self.zone
        )

    def _shift(self, t: dt.datetime, minutes: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(t.timestamp() + minutes * 60, self.zone)


def parse(text: str, zone: str | None = None) -> Schedule | Every:
    """CronError for what is no schedule. `zone` is an IANA name; TZ= and CRON_TZ= in the text are
    honoured."""
    found = re.match(r"^(?:TZ|CRON_TZ)=(\S+)\s+(.*)$", text)
    if found:
        zone, text = found.group(1), found.group(2)
    text = text.strip()
    if not text:
        raise CronError("empty spec string")
    if text.startswith("@every "):
        return _every(text)
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != 5:
        raise CronError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    parsed = [_field(f, *bounds) for f, bounds in zip(fields, BOUNDS, strict=True)]
    sets = [frozenset(values) for values, _ in parsed]
    return Schedule(sets[0], sets[1], sets[2], sets[3], sets[4], parsed[2][1], parsed[4][1], timezone(zone))


def timezone(zone: str | None) -> dt.tzinfo:
    if not zone or zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as e:
        raise CronError(f"provided bad location {zone}: unknown time zone {zone}") from e


def _every(text: str) -> Every:
    body = text.removeprefix("@every ")
    parts = re.findall(r"([0-9]*\.?[0-9]+)(h|ms|us|ns|m|s)", body)
    if not parts or "".join(n + u for n, u in parts) != body:
        raise CronError(f'failed to parse duration {text}: time: invalid duration "{body}"')
    seconds = sum(float(n) * UNITS[u] for n, u in parts)
    return Every(max(float(int(seconds)), 1.0))


def _field(text: str, low: int, high: int, names: dict[str, int]) -> tuple[set[int], bool]:
    values: set[int] = set()
    star = False
    for part in text.split(","):
        found, is_star = _range(part, low, high, names)
        values |= found
        star = star or is_star
    return values, star


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[set[int], bool]:
    base, slash, step_text = text.partition("/")
    if "/" in step_text:
        raise CronError(f"too many slashes: {text}")
    star = base in ("*", "?")
    if star:
        first, last = low, high
    else:
        a, dash, b = base.partition("-")
        if "-" in b:
            raise CronError(f"too many hyphens: {text}")
        first = _number(a, names)
        last = _number(b, names) if dash else first
        if slash and not dash:
            last = high
    step = 1
    if slash:
        step = _number(step_text, {})
        star = star and step <= 1
    if first < low:
        raise CronError(f"beginning of range ({first}) below minimum ({low}): {text}")
    if last > high:
        raise CronError(f"end of range ({last}) above maximum ({high}): {text}")
    if first > last:
        raise CronError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return set(range(first, last + 1, step)), star


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdecimal():
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
