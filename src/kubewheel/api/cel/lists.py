"""Functions of lists: Kubernetes' own, and the lists extension (version 3).

In: values. Out: values; CelError. Called by: program (imported for its declarations). `sortBy` is a macro: macros.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from kubewheel.api.cel.operators import add as plus
from kubewheel.api.cel.operators import lt
from kubewheel.api.cel.registry import REGISTRY, list_cost
from kubewheel.api.cel.values import CelError, contains, equal

add = REGISTRY.add
MAX_RANGE = 1_000_000
LIST = 10  # of a list that is made


def _whole(items: Any, *_: Any) -> int:
    return LIST + len(items) + 1


def _squared(items: Any, *_: Any) -> int:
    return LIST + 1 + 2 * len(items) ** 2


@add("list.isSorted() bool", cost=list_cost)
def is_sorted(items: list[Any]) -> bool:
    return not any(lt(b, a) for a, b in zip(items, items[1:], strict=False))


@add("list.sum() dyn", cost=list_cost)
def total(items: list[Any]) -> Any:
    if not items:
        return 0
    out = items[0]
    for item in items[1:]:
        out = plus(out, item)
    return out


@add("list.min() dyn", cost=list_cost)
def smallest(items: list[Any]) -> Any:
    return _extreme("min", items, lt)


@add("list.max() dyn", cost=list_cost)
def largest(items: list[Any]) -> Any:
    return _extreme("max", items, lambda item, best: lt(best, item))


def _extreme(name: str, items: list[Any], is_better: Callable[[Any, Any], bool]) -> Any:
    """The first that no other one is better than."""
    if not items:
        raise CelError(f"{name} called on empty list")
    out = items[0]
    for item in items[1:]:
        out = item if is_better(item, out) else out
    return out


@add("list.indexOf(dyn) int", cost=list_cost)
def index_of(items: list[Any], value: Any) -> int:
    return next((i for i, item in enumerate(items) if equal(item, value)), -1)


@add("list.lastIndexOf(dyn) int", cost=list_cost)
def last_index_of(items: list[Any], value: Any) -> int:
    return next((i for i in range(len(items) - 1, -1, -1) if equal(items[i], value)), -1)


@add("list.slice(int, int) list", cost=lambda items, start, end: LIST + max(end - start, 0) + 1)
def slice_(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise CelError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


@add("list.flatten() list", "list.flatten(int) list", cost=lambda items, depth=1: LIST + 1 + len(items) * max(depth, 1))
def flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    out: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth:
            out += flatten(item, depth - 1)
        else:
            out.append(item)
    return out


@add(":lists.range(int) list", cost=lambda count: LIST + max(count, 0) + 1)
def range_(count: int) -> list[int]:
    if count < 0:
        raise CelError(f"lists.range: size must be non-negative, got {count}")
    if count > MAX_RANGE:
        raise CelError(f"lists.range() exceeds max size of {MAX_RANGE}")
    return list(range(count))


add("list.reverse() list", cost=_whole)(lambda items: list(reversed(items)))


@add("list.distinct() list", cost=_squared)
def distinct(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if not contains(out, item):
            out.append(item)
    return out


@add("list.sort() list", cost=_squared)
def sort(items: list[Any]) -> list[Any]:
    return sorted_by(items, items)


def sorted_by(items: list[Any], by: list[Any]) -> list[Any]:
    """Stable, by keys of one type that has an order."""
    for key in by:
        if type(key) is not type(by[0]):
            raise CelError("list elements must have the same type")
        if isinstance(key, (list, dict)) or key is None:
            raise CelError("list elements must be comparable")

    def compare(a: int, b: int) -> int:
        return -1 if lt(by[a], by[b]) else 1 if lt(by[b], by[a]) else 0

    return [items[i] for i in sorted(range(len(items)), key=cmp_to_key(compare))]
