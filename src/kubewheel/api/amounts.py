"""Quantities that are added and compared a lot (quota, limits), as values with operators. Pure.

In: texts or numbers ("100m", "1Gi", 2). Out: Amount. Called by: limit_ranger, resource_quota, resize.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubewheel.api import quantity


@dataclass(frozen=True, slots=True)
class Amount:
    nano: int
    format: str = "DecimalSI"

    def __add__(self, other: Amount) -> Amount:
        # the first one that is not zero decides how the sum is written
        return Amount(self.nano + other.nano, self.format if self.nano else other.format)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.nano - other.nano, self.format if self.nano else other.format)

    def __lt__(self, other: Amount) -> bool:
        return self.nano < other.nano

    def __le__(self, other: Amount) -> bool:
        return self.nano <= other.nano

    def __gt__(self, other: Amount) -> bool:
        return self.nano > other.nano

    def __ge__(self, other: Amount) -> bool:
        return self.nano >= other.nano

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Amount) and self.nano == other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __str__(self) -> str:
        return quantity.to_text(quantity.Quantity(self.nano, self.format))


ZERO = Amount(0)


def parse(value: Any) -> Amount:
    """ValueError if it is no quantity."""
    return Amount(*quantity.parse(value))


def count(number: int) -> Amount:
    return Amount(number * quantity.NANO)
