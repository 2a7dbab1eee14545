"""Selectors, tolerations and quantities, compiled once into hashable values.

In: the JSON of label selectors, tolerations, quantities. Out: Selector and Toleration values, integers.
Called by: podinfo, table, plugins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kubewheel.api import quantity


@lru_cache(maxsize=65_536)
def amount(text: Any, *, milli: bool = False) -> int:
    """A quantity as an integer, rounded up (Value, MilliValue)."""
    return quantity.milli(text) if milli else quantity.value(text)


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str  # In NotIn Exists DoesNotExist Gt Lt
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                if value is None or not self.values:
                    return False
                try:
                    left, right = int(value), int(self.values[0])
                except ValueError:
                    return False
                return left > right if self.operator == "Gt" else left < right
        return False


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements hold. `nothing` matches no labels at all (a nil LabelSelector)."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    def and_labels(self, labels: Mapping[str, str]) -> Selector:
        more = tuple(Requirement(k, "In", (v,)) for k, v in sorted(labels.items()))
        return Selector(self.requirements + more, self.nothing)


def requirement(json: Mapping[str, Any]) -> Requirement:
    return Requirement(json["key"], json["operator"], tuple(json.get("values") or ()))


def selector(json: Mapping[str, Any] | None) -> Selector:
    """Of a metav1.LabelSelector: None matches nothing, {} everything."""
    if json is None:
        return Selector(nothing=True)
    parts = [Requirement(k, "In", (v,)) for k, v in sorted((json.get("matchLabels") or {}).items())]
    parts += [requirement(e) for e in json.get("matchExpressions") or ()]
    return Selector(tuple(parts))


def labels_selector(labels: Mapping[str, str] | None) -> Selector:
    """Of a plain map (a Service's selector)."""
    return Selector(tuple(Requirement(k, "In", (v,)) for k, v in sorted((labels or {}).items())))


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{{{self.key}: {self.value}}}"


@dataclass(frozen=True, slots=True)
class Toleration:
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        match self.operator:
            case "Exists":
                return True
            case "" | "Equal":
                return self.value == taint.value
            case "Gt" | "Lt":
                try:
                    theirs, ours = int(taint.value), int(self.value)
                except ValueError:
                    return False
                return theirs > ours if self.operator == "Gt" else theirs < ours
        return False


def taints(node: Mapping[str, Any]) -> tuple[Taint, ...]:
    return tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in node.get("spec", {}).get("taints") or ())


def tolerations(spec: Mapping[str, Any]) -> tuple[Toleration, ...]:
    return tuple(Toleration(t.get("key") or "", t.get("operator") or "Equal", t.get("value") or "",
                            t.get("effect") or "") for t in spec.get("tolerations") or ())


def first_untolerated(
    all_taints: Iterable[Taint], tolerated: Iterable[Toleration], effects: tuple[str, ...]
) -> Taint | None:
    tolerated = tuple(tolerated)
    for taint in all_taints:
        if taint.effect in effects and not any(t.tolerates(taint) for t in tolerated):
            return taint
    return None
