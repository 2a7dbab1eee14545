"""Quantities: "100m", "1.5Gi", "1e3" as exact numbers, and as Go prints them.

In: texts (or JSON numbers). Out: exact values in nano units, canonical texts. Called by: validation, admission
(quota, limits), scheduler, kubelet, controllers, Table cells. Source of the rule: apimachinery resource.Quantity.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

NANO = 1_000_000_000
_MAX = (2**63 - 1) * NANO
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_SUFFIX_OF = {v: k for k, v in _DECIMAL.items()}
_FORM = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)")
_EXPONENT = re.compile(r"[eE]([-+]?\d{1,9})")
FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
NUMBER_ERROR = "unable to parse numeric part of quantity"


class Quantity(NamedTuple):
    nano: int  # exact value times 10^9; finer input is rounded away from zero
    format: str  # DecimalSI | BinarySI | DecimalExponent


@lru_cache(maxsize=16384)
def _parse_text(text: str) -> Quantity:
    found = _FORM.fullmatch(text.strip())
    if found is None or not text:
        raise ValueError(FORMAT_ERROR)
    sign, whole, fraction, suffix = found.groups()
    fraction = fraction or ""
    if not whole and not fraction:
        raise ValueError(NUMBER_ERROR if text.strip(".+-") == "" else FORMAT_ERROR)
    nano, form = _nano_of(int(whole + fraction), len(fraction), suffix)
    nano = min(nano, _MAX)
    return Quantity(-nano if sign == "-" else nano, form)


def _nano_of(digits: int, decimals: int, suffix: str) -> tuple[int, str]:
    """digits / 10**decimals in units of the suffix, as (nano units, format). Who asks for a little gets the smallest
    unit, not nothing: rounded up."""
    if suffix in _BINARY:
        return -(-(digits * NANO << _BINARY[suffix]) // 10**decimals), "BinarySI"
    form, exponent = "DecimalSI", _DECIMAL.get(suffix)
    if exponent is None:
        if (head := _EXPONENT.fullmatch(suffix)) is None:
            raise ValueError(SUFFIX_ERROR)
        form, exponent = "DecimalExponent", int(head[1])
    scale = exponent - decimals + 9
    if scale > 200:  # past any limit, and 10**scale could be huge
        return _MAX if digits else 0, form
    if scale >= 0:
        return digits * 10**scale, form
    return (-(-digits // 10**-scale) if scale > -5000 else 0), form


def parse(value: Any) -> Quantity:
    """ValueError if it is none. JSON numbers are taken as their text."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _parse_text(repr(value))
    raise ValueError(FORMAT_ERROR)


def is_valid(value: Any) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def nano(value: Any) -> int:
    return parse(value).nano


def milli(value: Any) -> int:
    """Thousandths, rounded up (Quantity.MilliValue)."""
    return -(-parse(value).nano // 1_000_000)


def value(text: Any) -> int:
    """Whole units, rounded up (Quantity.Value)."""
    return -(-parse(text).nano // NANO)


def compare(a: Any, b: Any) -> int:
    left, right = parse(a).nano, parse(b).nano
    return (left > right) - (left < right)


def add(a: Any, b: Any) -> str:
    """Their sum, in the form of the first (of the second where the first is zero)."""
    left, right = parse(a), parse(b)
    return to_text(Quantity(left.nano + right.nano, right.format if left.nano == 0 else left.format))


def sub(a: Any, b: Any) -> str:
    left, right = parse(a), parse(b)
    return to_text(Quantity(left.nano - right.nano, right.format if left.nano == 0 else left.format))


def from_milli(amount: int, form: str = "DecimalSI") -> str:
    return to_text(Quantity(amount * 1_000_000, form))


def from_value(amount: int, form: str = "DecimalSI") -> str:
    return to_text(Quantity(amount * NANO, form))


@lru_cache(maxsize=16384)
def _canonical_text(text: str) -> str:
    return to_text(_parse_text(text))


def canonical(value: Any) -> str:
    """As Go prints it: "1000m" is "1", "1024Mi" is "1Gi", "0.5" is "500m"."""
    return _canonical_text(value) if isinstance(value, str) else to_text(parse(value))


def to_text(quantity: Quantity) -> str:
    amount, form = quantity
    if amount == 0:
        return "0"
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    # Small or broken numbers of the binary form are shown decimal, as to lose nothing.
    if form == "BinarySI" and amount >= 1024 * NANO and amount % NANO == 0:
        number, power = amount // NANO, 0
        while number % 1024 == 0 and power < 60:
            number, power = number // 1024, power + 10
        return f"{sign}{number}{_binary_suffix(power)}"
    exponent = -9
    while exponent < 18 and amount % 1000 == 0:
        amount, exponent = amount // 1000, exponent + 3
    if form == "DecimalExponent":
        return f"{sign}{amount}e{exponent}" if exponent else f"{sign}{amount}"
    return f"{sign}{amount}{_SUFFIX_OF[exponent]}"


def _binary_suffix(power: int) -> str:
    return ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")[power // 10]
