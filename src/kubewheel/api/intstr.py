"""IntOrString: numbers and percentages.

In: an int, "5" or "25%". Out: numbers. Called by: controllers, disruption budgets, validation.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"[0-9]+%")


def is_percent(value: object) -> bool:
    return isinstance(value, str) and _PERCENT.fullmatch(value) is not None


def percent(value: object) -> int | None:
    """25 of "25%"; None of anything else."""
    return int(value[:-1]) if isinstance(value, str) and is_percent(value) else None


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """A count, or a percentage of `total` (GetScaledValueFromIntOrPercent). ValueError for other texts."""
    if isinstance(value, int):
        return value
    part = percent(value)
    if part is None:
        raise ValueError('invalid value for IntOrString: invalid type: string is not a percentage')
    return -(-part * total // 100) if round_up else part * total // 100


def number(value: int | str | None) -> int:
    """IntValue(): texts that are no number count as 0."""
    if isinstance(value, int):
        return value
    try:
        return int(value or 0)
    except ValueError:
        return 0
