"""Kubernetes' own functions: regex, URLs, quantities, semver, formats, JSON pointers. Lists: lists.py; addresses: net.py.

In: values. Out: values; CelError. Called by: program (imported for its declarations).
Source of the rule: "Kubernetes CEL libraries" in the reference documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from kubewheel.api import names, quantity
from kubewheel.api.cel import times
from kubewheel.api.cel.functions import regex
from kubewheel.api.cel.registry import CLASSES, REGISTRY, regex_cost, size_cost, tenth
from kubewheel.api.cel.values import NONE, CelError, Opaque, Option, int64

add = REGISTRY.add


# -- regex ----------------------------------------------------------------------------------------------------------
@add("string.find(string) string", cost=regex_cost)
def find(text: str, pattern: str) -> str:
    found = regex(pattern).search(text)
    return found.group() if found else ""


@add("string.findAll(string) list", "string.findAll(string, int) list", cost=regex_cost)
def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [m.group() for m in regex(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


# -- URLs -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Url(Opaque):
    type_name = "kubernetes.URL"
    text: str

    def __str__(self) -> str:
        return self.text


CLASSES["url"] = Url


def _url(text: str) -> Url | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    # Go's ParseRequestURI: absolute, or a rooted path
    if not text or any(c.isspace() or ord(c) < 32 for c in text) or not (text.startswith("/") or parts.scheme and
                                                                          text[len(parts.scheme) + 1:].startswith("/")):
        return None
    return Url(text)


@add("url(string) url", cost=size_cost)
def url(text: str) -> Url:
    made = _url(text)
    if made is None:
        raise CelError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return made


add("isURL(string) bool")(lambda t: _url(t) is not None)
add("url.getScheme() string")(lambda u: urlsplit(u.text).scheme)
add("url.getHost() string")(lambda u: urlsplit(u.text).netloc.rpartition("@")[2])
add("url.getHostname() string")(lambda u: _hostname(u.text))
add("url.getPort() string")(lambda u: str(urlsplit(u.text).port or ""))
add("url.getEscapedPath() string")(lambda u: urlsplit(u.text).path)
add("url.getQuery() map")(lambda u: {unquote(k): v for k, v in parse_qs(
    urlsplit(u.text).query, keep_blank_values=True).items()})


def _hostname(text: str) -> str:
    host = urlsplit(text).netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


# -- quantities -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Quantity(Opaque):
    type_name = "kubernetes.Quantity"
    nano: int

    def __str__(self) -> str:
        return quantity.to_text(quantity.Quantity(self.nano, "DecimalSI"))


CLASSES["quantity"] = Quantity


@add("quantity(string) quantity", cost=size_cost)
def to_quantity(text: str) -> Quantity:
    try:
        return Quantity(quantity.nano(text))
    except ValueError as e:
        raise CelError(str(e)) from e


add("isQuantity(string) bool", cost=size_cost)(quantity.is_valid)
add("sign(quantity) int")(lambda q: (q.nano > 0) - (q.nano < 0))
add("quantity.isGreaterThan(quantity) bool")(lambda a, b: a.nano > b.nano)
add("quantity.isLessThan(quantity) bool")(lambda a, b: a.nano < b.nano)
add("quantity.compareTo(quantity) int")(lambda a, b: (a.nano > b.nano) - (a.nano < b.nano))
add("quantity.add(quantity) quantity")(lambda a, b: Quantity(a.nano + b.nano))
add("quantity.add(int) quantity")(lambda a, b: Quantity(a.nano + b * quantity.NANO))
add("quantity.sub(quantity) quantity")(lambda a, b: Quantity(a.nano - b.nano))
add("quantity.sub(int) quantity")(lambda a, b: Quantity(a.nano - b * quantity.NANO))
add("quantity.isInteger() bool")(lambda q: q.nano % quantity.NANO == 0)
add("quantity.asApproximateFloat() double")(lambda q: q.nano / quantity.NANO)


@add("quantity.asInteger() int")
def as_integer(value: Quantity) -> int:
    if value.nano % quantity.NANO:
        raise CelError("cannot convert value to integer")
    return int64(value.nano // quantity.NANO)


# -- semantic versions ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Semver(Opaque):
    type_name = "kubernetes.Semver"
    major: int
    minor: int
    patch: int
    pre: tuple[tuple[int, int, str], ...]

    def order(self) -> Any:
        return self.major, self.minor, self.patch, not self.pre, self.pre


CLASSES["semver"] = Semver


def _number(part: str, which: str) -> int:
    if not part.isascii() or not part.isdigit() and part:
        raise CelError(f'Invalid character(s) found in {which.lower()} number "{part}"')
    if len(part) > 1 and part[0] == "0":
        raise CelError(f'{which} number must not contain leading zeroes "{part}"')
    if not part:
        raise CelError('strconv.ParseUint: parsing "": invalid syntax')
    return int(part)


def _normal(text: str) -> str:
    """Without a leading v and leading zeroes, with all three numbers."""
    parts = text.removeprefix("v").split(".", 2)
    for i, part in enumerate(parts):
        stripped = part.lstrip("0") if len(part) > 1 else part
        parts[i] = stripped if stripped[:1].isdigit() or len(part) <= 1 else "0" + stripped
    if len(parts) < 3:
        if "+" in parts[-1] or "-" in parts[-1]:
            raise CelError("Short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


_IDENTIFIER = re.compile(r"[0-9A-Za-z-]+")


def _parsed(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normal(text)
    if not text:
        raise CelError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise CelError("No Major.Minor.Patch elements found")
    major, minor = _number(parts[0], "Major"), _number(parts[1], "Minor")
    rest, plus, build = parts[2].partition("+")
    last, minus, before = rest.partition("-")
    patch, pre = _number(last, "Patch"), []
    for part in before.split(".") if minus else ():
        if not part:
            raise CelError("Prerelease is empty")
        if part.isdigit() and len(part) > 1 and part[0] == "0":
            raise CelError(f'Numeric PreRelease version must not contain leading zeroes "{part}"')
        if not _IDENTIFIER.fullmatch(part):
            raise CelError(f'Invalid character(s) found in prerelease "{part}"')
        pre.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    for part in build.split(".") if plus else ():
        if not part:
            raise CelError("Build meta data is empty")
        if not _IDENTIFIER.fullmatch(part):
            raise CelError(f'Invalid character(s) found in build meta data "{part}"')
    return Semver(major, minor, patch, tuple(pre))


@add("semver(string) semver", "semver(string, bool) semver", cost=size_cost)
def semver(text: str, normalize: bool = False) -> Semver:
    return _parsed(text, normalize)


def _semver(*args: Any) -> Semver | None:
    try:
        return _parsed(*args)
    except CelError:
        return None


add("isSemver(string) bool", "isSemver(string, bool) bool", cost=size_cost)(lambda *a: _semver(*a) is not None)
add("semver.major() int")(lambda v: v.major)
add("semver.minor() int")(lambda v: v.minor)
add("semver.patch() int")(lambda v: v.patch)
add("semver.isLessThan(semver) bool")(lambda a, b: a.order() < b.order())
add("semver.isGreaterThan(semver) bool")(lambda a, b: a.order() > b.order())
add("semver.compareTo(semver) int")(lambda a, b: (a.order() > b.order()) - (a.order() < b.order()))


# -- named formats --------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Format(Opaque):
    type_name = "kubernetes.NamedFormat"
    name: str


CLASSES["format"] = Format


def _is_time(text: str, words: str) -> list[str]:
    try:
        times.timestamp(text)
    except CelError:
        return [words]
    return []


def _is_uri(text: str) -> list[str]:
    try:
        url(text)
    except CelError as e:
        return [str(e).removeprefix("URL parse error during conversion from string: ")]
    return []


def _unless(pattern: str, words: str) -> Any:
    compiled = re.compile(pattern)
    return lambda text: [] if compiled.fullmatch(text) else [words]


FORMATS: dict[str, Any] = {
    "dns1123Label": names.label, "dns1123Subdomain": names.subdomain, "dns1035Label": names.label_1035,
    "qualifiedName": names.qualified, "labelValue": names.label_value,
    "dns1123LabelPrefix": lambda t: names.label(t[:-1] + "a" if t.endswith("-") else t),
    "dns1123SubdomainPrefix": lambda t: names.subdomain(t[:-1] + "a" if t.endswith("-") else t),
    "dns1035LabelPrefix": lambda t: names.label_1035(t[:-1] + "a" if t.endswith("-") else t),
    "uri": _is_uri,
    "uuid": _unless(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "does not match the UUID format"),
    "byte": _unless(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "invalid base64"),
    "date": lambda t: _is_time(t + "T00:00:00Z", "invalid date"), "datetime": lambda t: _is_time(t, "invalid datetime")}


@add(":format.named(string) optional")
def named(name: str) -> Option:
    return Option(True, Format(name)) if name in FORMATS else NONE


for _name in FORMATS:
    add(f":format.{_name}() format")(lambda name=_name: Format(name))


# how long upstream takes each format's pattern for
_PATTERNS = {"dns1123Label": 30, "dns1123Subdomain": 60, "dns1035Label": 30, "qualifiedName": 60, "dns1123LabelPrefix": 30,
             "dns1123SubdomainPrefix": 60, "dns1035LabelPrefix": 30, "labelValue": 40, "uri": 1103, "uuid": 70, "byte": 84,
             "date": 70, "datetime": 70}


@add("format.validate(string) optional", cost=lambda f, t: tenth(len(t) + 1) * -(-_PATTERNS[f.name] // 4))
def validate(form: Format, text: str) -> Option:
    found = FORMATS[form.name](text)
    return Option(True, list(found)) if found else NONE


# -- JSON pointers --------------------------------------------------------------------------------------------------
add(":jsonpatch.escapeKey(string) string", cost=size_cost)(lambda t: t.replace("~", "~0").replace("/", "~1"))
