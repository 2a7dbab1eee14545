"""Label and field selectors: their text forms, LabelSelector objects, and fast matching.

In: texts of queries, LabelSelector dicts. Out: LabelSelector and FieldSelector values with `matches`.
Called by: apiserver lists and watches, controllers, scheduler, proxy. Raises StatusError 400 for bad texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from kubewheel.api import errors, names

Labels = Mapping[str, str]
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


class Requirement(NamedTuple):
    key: str
    op: str  # in | notin | exists | ! | = | != | gt | lt
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        if self.op in ("=", "in"):
            return value is not None and value in self.values
        if self.op in ("!=", "notin"):
            return value is None or value not in self.values
        if self.op == "exists":
            return value is not None
        if self.op == "!":
            return value is None
        try:
            number, bound = int(value or ""), int(self.values[0])
        except ValueError:
            return False
        return number > bound if self.op == "gt" else number < bound

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        if self.op == "in" and len(self.values) > 1 or self.op in ("in", "notin"):
            return f"{self.key} {self.op} ({values})"
        return {"=": f"{self.key}={values}", "!=": f"{self.key}!={values}", "exists": self.key, "!": f"!{self.key}",
                "gt": f"{self.key}>{values}", "lt": f"{self.key}<{values}"}[self.op]


@dataclass(frozen=True, slots=True)
class LabelSelector:
    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False  # matches no object at all

    def matches(self, labels: Labels | None) -> bool:
        if self.nothing:
            return False
        have = labels or {}
        for r in self.requirements:
            if r.op == "=":
                if have.get(r.key) != r.values[0]:
                    return False
            elif not r.matches(have):
                return False
        return True

    @property
    def is_everything(self) -> bool:
        return not self.nothing and not self.requirements

    def __str__(self) -> str:
        return ",".join(str(r) for r in sorted(self.requirements, key=lambda r: r.key))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


# -- text form ----------------------------------------------------------------------------------------------------
_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_WORDS = frozenset(("=", "==", "!=", "!", ",", "(", ")", ">", "<"))


def _tokens(text: str) -> list[str]:
    out, position, end = [], 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:  # cannot be: every character belongs to a token
            raise AssertionError(text)
        out.append(found[1])
        position = found.end()
    return out


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def parse(self) -> list[Requirement]:
        out: list[Requirement] = []
        while self.peek():
            if self.peek() in _WORDS and self.peek() != "!":
                raise ValueError(f"found '{self.peek()}', expected: !, identifier, or 'end of string'")
            try:
                out.append(self.requirement())
            except ValueError as e:
                raise ValueError(f"unable to parse requirement: {e}") from e
            token = self.take()
            if not token:
                break
            if token != ",":
                raise ValueError(f"found '{token}', expected: ',' or 'end of string'")
            if not self.peek() or (self.peek() in _WORDS and self.peek() != "!"):
                raise ValueError(f"found '{self.peek()}', expected: identifier after ','")
        return out

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.key(), "!")
        key = self.key()
        op = self.peek()
        if op in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if op in ("in", "notin"):
            return Requirement(key, op, self.values(key))
        if op in ("=", "==", "!="):
            return Requirement(key, "=" if op == "==" else op, (self.value(key, op),))
        if op in (">", "<"):
            value = self.value(key, op)
            if not re.fullmatch(r"[+-]?[0-9]+", value) or not -(1 << 63) <= int(value) < 1 << 63:
                problem = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise ValueError(f"values[0]: Invalid value: {errors.quoted(value)}: {problem}")
            return Requirement(key, "gt" if op == ">" else "lt", (value,))
        raise ValueError(f"found '{op}', expected: in, notin, =, ==, !=, gt, lt")

    def key(self) -> str:
        token = self.take()
        if not token or token in _WORDS:
            raise ValueError(f"found '{token}', expected: identifier")
        problems = names.qualified(token)
        if problems:
            raise ValueError(f"<nil>: Invalid value: {errors.quoted(token)}: {'; '.join(problems)}")
        return token

    def value(self, key: str, op: str) -> str:
        token = self.peek()
        if token in ("", ","):
            return ""
        if token in _WORDS:
            raise ValueError(f"found '{token}', expected: identifier")
        return self.checked(key, self.take())

    def values(self, key: str) -> tuple[str, ...]:
        if self.take() != "(":
            raise ValueError(f"found '{self.tokens[self.at - 1] if self.at <= len(self.tokens) else ''}' expected: '('")
        out: list[str] = []
        expecting = True
        while True:
            token = self.take()
            if token == ")":
                if expecting:
                    out.append("")
                return tuple(out)
            if token == ",":
                if expecting:
                    out.append("")
                expecting = True
            elif not token or token in _WORDS or not expecting:
                what = "',' or ')'" if not expecting else "',', or identifier" if out else "',', ')' or identifier"
                raise ValueError(f"found '{token}', expected: {what}")
            else:
                out.append(self.checked(key, token))
                expecting = False

    @staticmethod
    def checked(key: str, value: str) -> str:
        problems = names.label_value(value)
        if problems:
            raise ValueError(f"values[0][{key}]: Invalid value: {errors.quoted(value)}: {'; '.join(problems)}")
        return value


@lru_cache(maxsize=1024)
def _parse_label(text: str) -> LabelSelector:
    return LabelSelector(tuple(_Parser(text).parse()))


def parse_label(text: str) -> LabelSelector:
    """`a=b,c in (d,e),!f`. StatusError 400 with upstream's words."""
    if not text:
        return EVERYTHING
    try:
        return _parse_label(text)
    except ValueError as e:
        raise errors.bad_request(str(e)) from e


# -- LabelSelector objects ----------------------------------------------------------------------------------------
def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector:
    """None matches nothing, {} everything (metav1.LabelSelectorAsSelector). ValueError for an unknown operator."""
    if selector is None:
        return NOTHING
    parts = [Requirement(k, "=", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    for e in selector.get("matchExpressions") or ():
        op = _OPERATORS.get(e["operator"])
        if op is None:
            raise ValueError(f'"{e["operator"]}" is not a valid label selector operator')
        parts.append(Requirement(e["key"], op, tuple(e.get("values") or ())))
    return LabelSelector(tuple(parts))


def from_map(labels: Mapping[str, str] | None) -> LabelSelector:
    """A plain map, as Services and ReplicationControllers have; empty matches everything (labels.SelectorFromSet)."""
    return LabelSelector(tuple(Requirement(k, "=", (v,)) for k, v in (labels or {}).items()))


def matcher(selector: Mapping[str, Any] | None) -> Callable[[Labels | None], bool]:
    return from_label_selector(selector).matches


def to_text(selector: Mapping[str, Any] | None) -> str:
    """The text form of a LabelSelector or a plain map, keys sorted (labels.Selector.String)."""
    if not selector:
        return ""
    if isinstance(selector.get("matchLabels"), dict) or isinstance(selector.get("matchExpressions"), list):
        return str(from_label_selector(selector))
    return str(from_map(selector))


# -- field selectors ----------------------------------------------------------------------------------------------
class FieldTerm(NamedTuple):
    path: str
    op: str  # "=" or "!="
    value: str


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    terms: tuple[FieldTerm, ...] = ()

    def matches(self, value_of: Callable[[str], str]) -> bool:
        return all((value_of(t.path) == t.value) is (t.op == "=") for t in self.terms)

    def __str__(self) -> str:
        return ",".join(f"{t.path}{t.op}{_escaped(t.value)}" for t in self.terms)


_NO_FIELDS = FieldSelector()


def parse_field(text: str) -> FieldSelector:
    """`status.phase=Running,spec.nodeName!=a`; "\\," "\\=" "\\\\" escape. StatusError 400."""
    if not text:
        return _NO_FIELDS
    terms = []
    for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", text):
        found = re.match(r"(.*?)(!=|==|=)(.*)\Z", part, re.DOTALL)
        if found is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        value = _unescaped(found[3])
        if found[1] or value:
            terms.append(FieldTerm(found[1], "!=" if found[2] == "!=" else "=", value))
    return FieldSelector(tuple(terms))


def _unescaped(value: str) -> str:
    out, position = [], 0
    while position < len(value):
        c = value[position]
        if c == "\\":
            position += 1
            escaped = value[position:position + 1]
            if escaped not in (",", "=", "\\") or not escaped:
                raise errors.bad_request(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif c in ",=":
            raise errors.bad_request(f"invalid field selector: unescaped character in value: {ord(c)}")
        else:
            out.append(c)
        position += 1
    return "".join(out)
