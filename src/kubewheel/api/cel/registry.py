"""Functions by name, and the choice among their overloads by the types of the arguments.

In: declarations: `@REGISTRY.add("string.startsWith(string) bool")`. Out: callables per call site, result types for the
checker. Called by: functions, strings, library (declare); build, check (use).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubewheel.api.cel.values import (
    CelError,
    Duration,
    NoOverload,
    Option,
    Timestamp,
    Type,
    Uint,
    type_name,
    wrong,
)

Implementation = Callable[..., Any]
CLASSES: dict[str, type] = {
    "dyn": object, "bool": bool, "int": int, "uint": Uint, "double": float, "string": str, "bytes": bytes, "list": list,
    "map": dict, "type": Type, "timestamp": Timestamp, "duration": Duration, "optional": Option,
    "null": type(None)}


@dataclass(frozen=True, slots=True)
class Overload:
    parameters: tuple[str, ...]  # the receiver first
    result: str
    run: Implementation
    cost: Callable[..., int] | None  # None: 1


# Cost units: of a character that is gone through, of one of a regular expression. estimate.py counts with the same.
TRAVERSAL, REGEX = 0.1, 0.25


def tenth(length: int) -> int:
    return -(-length // 10)


def size_cost(text: Any, *_: Any) -> int:
    """The receiver or first argument is gone through once."""
    return tenth(len(text)) if isinstance(text, (str, bytes)) else 1


def twice_cost(text: Any, *_: Any) -> int:
    """Gone through, and written anew."""
    return tenth(2 * len(text))


def argument_cost(_: Any, text: Any) -> int:
    return tenth(len(text))


def regex_cost(text: str, pattern: str, *_: Any) -> int:
    return tenth(len(text) + 1) * -(-len(pattern) // 4)


def list_cost(items: Any, *_: Any) -> int:
    """Each element is looked at once, texts character by character."""
    if isinstance(items, (str, bytes)):
        return len(items) // 10
    return sum(len(i) // 10 if isinstance(i, (str, bytes)) else 1 for i in items)


def join_cost(items: Any, separator: str = "") -> int:
    return tenth(2 * (sum(len(i) for i in items if isinstance(i, str)) + len(separator) * max(len(items) - 1, 0)))


class Registry:
    """`table[(name, is it called on a receiver, number of arguments with the receiver)]`."""

    def __init__(self, other: Registry | None = None) -> None:
        self.table: dict[tuple[str, bool, int], list[Overload]] = {}
        if other is not None:
            self.table = {k: list(v) for k, v in other.table.items()}
        self.names = {k[0] for k in self.table}

    def add(self, *signatures: str, cost: Callable[..., int] | None = None
            ) -> Callable[[Implementation], Implementation]:
        """A receiver's type stands before the name; global names may be dotted (`optional.of`): then it has a `:`
        before it (`:optional.of(dyn) optional`)."""

        def take(run: Implementation) -> Implementation:
            for signature in signatures:
                self._declare(signature, run, cost)
            return run

        return take

    def _declare(self, signature: str, run: Implementation, cost: Callable[..., int] | None) -> None:
        plain = signature.startswith(":")
        head, _, rest = signature.lstrip(":").partition("(")
        inner, _, result = rest.partition(")")
        receiver, name = ("", head) if plain or "." not in head else head.split(".", 1)
        parameters = tuple(p.strip() for p in inner.split(",") if p.strip())
        if receiver:
            parameters = (receiver, *parameters)
        self.names.add(name)
        self.table.setdefault((name, bool(receiver), len(parameters)), []).append(
            Overload(parameters, result.strip() or "dyn", run, cost))

    def find(self, name: str, receiver: bool, count: int) -> list[Overload]:
        return self.table.get((name, receiver, count), [])


def fits(parameter: str, value: Any) -> bool:
    cls = CLASSES[parameter]
    kind = type(value)
    return cls is object or kind is cls or (cls is not int and issubclass(kind, cls))


class Dispatch:
    """One call site: the overload for the arguments' types, remembered."""

    __slots__ = ("_known", "_name", "_overloads")

    def __init__(self, name: str, overloads: list[Overload]) -> None:
        self._name, self._overloads = name, overloads
        self._known: dict[tuple[type, ...], Overload] = {}

    def of(self, args: tuple[Any, ...]) -> Overload:
        key = tuple(map(type, args))
        found = self._known.get(key)
        if found is None:
            found = next((o for o in self._overloads if all(map(fits, o.parameters, args))), None)
            if found is None:
                raise self._refusal(args)
            self._known[key] = found
        return found


    def _refusal(self, args: tuple[Any, ...]) -> CelError:
        if self._name in _BARE:
            return NoOverload("no such overload")
        if self._name in _NAMED:
            return wrong(self._name)
        return NoOverload(f"no such overload: {self._name}({', '.join(map(type_name, args))})")


# functions that upstream refuses with fewer words than the rest
_BARE = frozenset({"startsWith", "endsWith", "contains", "matches", "find", "findAll"})
_NAMED = frozenset({"size", "sort"})
REGISTRY = Registry()
