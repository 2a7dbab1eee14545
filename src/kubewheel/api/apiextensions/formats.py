"""The string formats structural schemas may ask for. Formats that are not known say nothing, as upstream.

In: a format's name and a text. Out: whether it fits. Called by: values.py, fits.py, schemas.py (which formats are known).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache

from kubewheel.api import addresses, go_urls
from kubewheel.api.cel.functions import regex

_OF_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}
# One label with at most one dash, or labels and a top-level domain of two letters at least; letters of any script.
_HOST = (r"^([a-zA-Z0-9\p{S}\p{L}](-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?"
         r"|([a-zA-Z0-9\p{S}\p{L}]([a-zA-Z0-9-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?\.)+[a-zA-Z\p{L}]{2,63})$")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(.\d+)?(z|[+-]\d\d:\d\d)", re.ASCII)
_GO_DURATION = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_SPAN = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)")
# The last spelling is how longer ones begin.
_UNITS = {"ns": ("ns", "nano"), "us": ("us", "µs", "micro"), "ms": ("ms", "milli"), "s": ("s", "sec"), "m": ("m", "min"),
          "h": ("h", "hr", "hour"), "d": ("d", "day"), "w": ("w", "wk", "week")}
_SECONDS = {"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60),
            "h": Fraction(3600), "d": Fraction(86400), "w": Fraction(604800)}
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_WORD = rf'(?:{_ATOM}|"(?:[^"\\\r\n]|\\.)*")'
_ADDRESS = rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\r\n]|\\.)*\")@(?:{_ATOM}(?:\.{_ATOM})*|\[[^\[\]\\]*\])"
_MAIL = rf"\s*(?:{_ADDRESS}|(?:{_WORD}(?:[ .]+{_WORD})*\.?)?\s*<{_ADDRESS}>)\s*"
_CARD = re.compile(r"4\d{12}(\d{3})?|5[1-5]\d{14}|6(011|5\d\d)\d{12}|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}"
                   r"|(2131|1800|35\d{3})\d{11}",
                   re.ASCII)
_RGB = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", re.ASCII)


def fits(name: str, text: str) -> bool:
    rule = _FORMATS.get(name.replace("-", ""))
    return rule is None or rule(text)


def is_known(name: str, kind: str) -> bool:
    """`kind`: the schema's type; empty where it has none, or several."""
    if kind in ("", "string"):
        return name.replace("-", "") in _FORMATS
    return name in _OF_NUMBERS.get(kind, ())


def _pattern(text: str) -> Callable[[str], bool]:
    return lambda value: _compiled(text, re.ASCII).fullmatch(value) is not None


@cache
def _compiled(text: str, flags: int) -> re.Pattern[str]:
    """At first use: most servers never see most formats."""
    return re.compile(text, flags)


def _date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10 and text[4] == text[7] == "-"


def _date_time(text: str) -> bool:
    parts = text.lower().split("t")
    if len(parts) < 2 or not _date(parts[0]):
        return False
    found = _TIME.fullmatch(parts[1])
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def seconds(text: str) -> Fraction | None:
    """Of a duration: Go's, or the sum of all that is a number of some unit of time in the text."""
    if _GO_DURATION.fullmatch(text):
        parts = [(Fraction(n), unit) for n, unit in re.findall(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)", text)]
        total = sum((n * _SECONDS["us" if u in ("µs", "μs") else u] for n, u in parts), Fraction())
        return -total if text.startswith("-") else total
    found = [(int(n), _unit(unit.lower())) for n, unit in _SPAN.findall(text)]
    known = [n * _SECONDS[unit] for n, unit in found if unit]
    return sum(known, Fraction()) if known else None


def _unit(name: str) -> str:
    for unit, spelled in _UNITS.items():
        if name in spelled or name.startswith(spelled[-1]):
            return unit
    return ""


def _duration(text: str) -> bool:
    return seconds(text) is not None


def _host(text: str) -> bool:
    return (regex(_HOST).search(text) is not None and len(text.encode()) <= 255
            and all(len(part.encode()) <= 63 for part in text.split(".")))


def _ipv4(text: str) -> bool:
    return "." in text and addresses.parse(text) is not None


def _ipv6(text: str) -> bool:
    return ":" in text and addresses.parse(text) is not None


def _mac(text: str) -> bool:
    """Of 6, 8 or 20 bytes."""
    if "." in text:
        groups, width = text.split("."), 4
    else:
        groups, width = re.split("[:-]", text), 2
        if len(set(re.findall("[:-]", text))) > 1:
            return False
    return (len(groups) * width // 2 in (6, 8, 20)
            and all(re.fullmatch(f"[0-9a-fA-F]{{{width}}}", group) for group in groups))


def _isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch("[0-9]{9}[0-9X]", digits):
        return False
    return sum((i + 1) * (10 if d == "X" else int(d)) for i, d in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    return re.fullmatch("[0-9]{13}", digits) is not None and sum(int(d) * (1, 3)[i % 2] for i, d in enumerate(digits)) % 10 == 0


def _card(text: str) -> bool:
    digits = re.sub("[^0-9]", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d if d < 10 else d - 9 for d in doubled) % 10 == 0


def _rgb(text: str) -> bool:
    found = _RGB.fullmatch(text)
    return found is not None and all(int(n) <= 255 and (n == "0" or n[0] != "0") for n in found.groups())


_uuid = r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_ANY_HEX, _VARIANT = "[0-9a-f]", "[89ab]"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_is_label, _is_long = _pattern(_LABEL), _pattern(rf"{_LABEL}(\.{_LABEL})*")
_is_base64 = _pattern(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_is_ssn = _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}")
_FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _pattern(r"[0-9a-fA-F]{24}"),
    "byte": _is_base64,
    "cidr": lambda t: addresses.parse_cidr(t) is not None,
    "creditcard": _card,
    "date": _date,
    "datetime": _date_time,
    "duration": _duration,
    "email": lambda t: _compiled(_MAIL, 0).fullmatch(t) is not None,
    "hexcolor": _pattern(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _host,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "isbn": lambda t: _isbn10(t) or _isbn13(t),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "k8slongname": lambda t: len(t) <= 253 and _is_long(t),
    "k8sshortname": lambda t: len(t) <= 63 and _is_label(t),
    "mac": _mac,
    "password": lambda t: True,
    "rgbcolor": _rgb,
    "ssn": lambda t: len(t) == 11 and _is_ssn(t),
    "uri": go_urls.is_request,
    "uuid": _pattern(_uuid % (_ANY_HEX, _ANY_HEX)),
    "uuid3": _pattern(_uuid % ("3", _ANY_HEX)),
    "uuid4": _pattern(_uuid % ("4", _VARIANT)),
    "uuid5": _pattern(_uuid % ("5", _VARIANT)),
}
