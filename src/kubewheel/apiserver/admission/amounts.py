"""Quantities for quota and limits: parsed, added, and written back the way upstream writes them. Pure.

In: texts or numbers ("100m", "1Gi", 2). Out: Amount. Called by: limit_ranger, resource_quota, resize.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


@dataclass(frozen=True, slots=True, order=False)
class Amount:
    value: Decimal
    binary: bool = False  # written with Ki, Mi, …

    def __add__(self, other: Amount) -> Amount:
        # the first one that is not zero decides how the sum is written
        return Amount(self.value + other.value, self.binary if self.value else other.binary)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.value - other.value, self.binary if self.value else other.binary)

    def __lt__(self, other: Amount) -> bool:
        return self.value < other.value

    def __le__(self, other: Amount) -> bool:
        return self.value <= other.value

    def __gt__(self, other: Amount) -> bool:
        return self.value > other.value

    def __ge__(self, other: Amount) -> bool:
        return self.value >= other.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amount) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return _text(self)


ZERO = Amount(Decimal(0))


@lru_cache(maxsize=4096)
def _parse(text: str) -> Amount:
    text = text.strip()
    if text[-2:] in BINARY:
        return Amount(Decimal(text[:-2]) * (1 << BINARY[text[-2:]]), True)
    if text and text[-1] in DECIMAL:
        return Amount(Decimal(text[:-1]).scaleb(DECIMAL[text[-1]]))
    return Amount(Decimal(text))


def parse(value: Any) -> Amount:
    """ValueError if it is no quantity."""
    try:
        return _parse(str(value))
    except (ArithmeticError, IndexError) as e:
        raise ValueError(f"not a quantity: {value!r}") from e


def count(number: int) -> Amount:
    return Amount(Decimal(number))


def _text(amount: Amount) -> str:
    value = amount.value
    if value == 0:
        return "0"
    if amount.binary and value == value.to_integral_value() and abs(value) >= 1024:
        number, suffix = int(value), ""
        for name in BINARY:
            if number % 1024:
                break
            number //= 1024
            suffix = name
        return f"{number}{suffix}"
    nanos = int((value * 1_000_000_000).to_integral_value(ROUND_CEILING))
    exponent = -9
    while nanos % 1000 == 0 and exponent < 18:
        nanos //= 1000
        exponent += 3
    return f"{nanos}{next(s for s, e in DECIMAL.items() if e == exponent)}"
