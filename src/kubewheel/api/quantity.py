"""Quantities: "100m", "1.5Gi", "1e3" as exact numbers, and as Go prints them.

In: texts (or JSON numbers). Out: exact values in nano units, canonical texts. Called by: validation, admission
(quota, limits), scheduler, kubelet, controllers, Table cells. Source of the rule: apimachinery resource.Quantity.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

NANO = 1_000_000_000
_MAX = 2**63 - 1
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_SUFFIX_OF = {v: k for k, v in _DECIMAL.items()}
_FORM = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]{1,18})")
_MAX_SCALE = 500  # powers of ten past it make no number any larger: nobody's comparison needs it
FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_ERROR = "unable to parse quantity's suffix"
NUMBER_ERROR = "unable to parse numeric part of quantity"


class Quantity(NamedTuple):
    nano: int  # exact value times 10^9; finer input is rounded away from zero
    format: str  # DecimalSI | BinarySI | DecimalExponent


class _Parts(NamedTuple):
    """A text taken apart: whole.fraction * base**exponent."""

    sign: str
    whole: str  # without leading zeros, "0" for none
    fraction: str
    base: int
    exponent: int
    format: str


def _parts(text: str) -> _Parts:
    text = text.strip()
    found = _FORM.fullmatch(text)
    if found is None or not text:
        raise ValueError(FORMAT_ERROR)
    sign, whole, fraction, suffix = found.groups()
    base, exponent, form = _scale_of(suffix)
    out = _Parts(sign, whole or "0", fraction or "", base, exponent, form)
    has_digits = whole or fraction or text.lstrip("+-")[:1] == "0"
    if not has_digits and not _is_short(out):  # a bare unit is zero, if it is a small one
        raise ValueError(NUMBER_ERROR)
    return out


def _scale_of(suffix: str) -> tuple[int, int, str]:
    """(base, exponent, format)"""
    if suffix in _BINARY:
        return 2, _BINARY[suffix], "BinarySI"
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], "DecimalSI"
    if (head := _EXPONENT.fullmatch(suffix)) is None:
        raise ValueError(SUFFIX_ERROR)
    return 10, (int(head[1]) + 2**31) % 2**32 - 2**31, "DecimalExponent"  # upstream counts in 32 bits


def _is_short(parts: _Parts) -> bool:
    """Of numbers that fit 64 bits for sure, upstream keeps no decimal."""
    if parts.base == 2:
        return not parts.fraction and len(parts.whole) + parts.exponent * 3 // 10 < 15
    return len(parts.whole) + len(parts.fraction) <= 18 and parts.exponent - len(parts.fraction) >= -9


@lru_cache(maxsize=16384)
def _parse_text(text: str) -> Quantity:
    parts = _parts(text)
    digits, decimals = int(parts.whole + parts.fraction), len(parts.fraction)
    form = parts.format
    if parts.base == 2:
        nano = min(_up(digits * NANO << parts.exponent, 10**decimals), _MAX * NANO)
        if 0 < nano < NANO and not _is_short(parts):
            form = "DecimalSI"
    else:
        scale = min(parts.exponent - decimals + 9, _MAX_SCALE)
        nano = digits * 10**scale if scale >= 0 else _up(digits, 10**-scale) if scale > -5000 else min(digits, 1)
    return Quantity(-nano if parts.sign == "-" else nano, form)


def _up(dividend: int, divisor: int) -> int:
    """Who asks for a little gets the smallest unit, not nothing."""
    return -(-dividend // divisor)


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
    return _bounded(-(-parse(text).nano // NANO))


def _bounded(number: int) -> int:
    return max(-_MAX, min(number, _MAX))


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
    parts = _parts(text)
    return text.strip() if _is_as_printed(parts) else to_text(_parse_text(text))


def _is_as_printed(parts: _Parts) -> bool:
    """Whether upstream takes the text for its canonical form; it looks at little, so "+1.500" passes."""
    if not _is_short(parts):
        return False
    if parts.base == 2:
        return int(parts.whole) % 8 != 0
    digits = parts.whole + parts.fraction
    return (parts.exponent - len(parts.fraction)) % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


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
    while amount % 1000 == 0:
        amount, exponent = amount // 1000, exponent + 3
    if form == "DecimalExponent":
        return f"{sign}{amount}e{exponent}" if exponent else f"{sign}{amount}"
    return f"{sign}{amount}{_SUFFIX_OF.get(exponent, '')}"


def _binary_suffix(power: int) -> str:
    return ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")[power // 10]
