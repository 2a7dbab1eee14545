"""Quantities as the kubelet needs them: numbers for cgroups, texts for status.

In: quantity texts ("100m", "1Gi"). Out: integers, rounded up as upstream's Value()/MilliValue(). Pure.
Called by: runtime/, node_status.py, eviction.py, volumes/.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6, "G": Decimal(10) ** 9, "T": Decimal(10) ** 12, "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18, "Ki": Decimal(2) ** 10, "Mi": Decimal(2) ** 20, "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40, "Pi": Decimal(2) ** 50, "Ei": Decimal(2) ** 60,
}


def parse(text: Any) -> Decimal:
    """ValueError if it is no quantity."""
    body = str(text).strip()
    digits = body.rstrip("numkKMGTPEi")
    suffix = body[len(digits):]
    if suffix not in _SUFFIXES:
        raise ValueError(f"not a quantity: {text!r}")
    try:
        return Decimal(digits) * _SUFFIXES[suffix]
    except ArithmeticError as e:
        raise ValueError(f"not a quantity: {text!r}") from e


def value(text: Any) -> int:
    return int(parse(text).to_integral_value(ROUND_CEILING))


def milli(text: Any) -> int:
    return int((parse(text) * 1000).to_integral_value(ROUND_CEILING))


def milli_text(millis: int) -> str:
    """CPU as upstream prints it: 1500m, 2."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def divided(text: Any, divisor: Any, *, cpu: bool) -> int:
    """resourceFieldRef: the quantity in units of the divisor ("0" or absent means 1), rounded up."""
    unit = parse(divisor or 1) or Decimal(1)
    if cpu:
        return -(-milli(text) // int(unit * 1000))
    return -(-value(text) // value(unit))
