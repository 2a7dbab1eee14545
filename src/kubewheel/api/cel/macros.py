"""Comprehensions as loops: one closure a macro, one charge a round.

In: what the range, the variables' slots and the arguments were built to. Out: (closure, cost). Called by: build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubewheel.api.cel import ast
from kubewheel.api.cel.build import Built, Closure, Frame, charge
from kubewheel.api.cel.estimate import LIST
from kubewheel.api.cel.values import NONE, CelError, Duration, Option, Timestamp, Uint, type_name


def build(node: ast.Macro, over: Closure, cost: int, slots: list[int], args: list[Built]) -> Built:
    if node.name in ("optMap", "optFlatMap"):
        body, more = args[0]
        asked = (0 if isinstance(node.range, ast.Ident) else 1) + 1  # the value's name, and hasValue()
        return _optional(over, slots[0], body, more, flat=node.name == "optFlatMap"), cost + asked
    closures, costs = [c for c, _ in args], [c for _, c in args]
    once, each, kept = _COSTS[node.name]
    once += 3 if node.name == "sortBy" else 0
    # a condition is paid for in every round, what it guards only where it holds
    each, kept = (each + costs[0], kept + costs[1]) if len(costs) == 2 else (
        (each + costs[0], kept) if node.name in _TESTS else (each + kept + costs[0], 0))
    if node.name in ("all", "exists"):
        kept = each - kept
    rounds = _pairs(over, slots, each) if len(slots) == 2 else _singles(over, slots[0], each)
    return _LOOPS[node.name](rounds, closures, kept), cost + once


# What a loop costs at run time: (once, each round, each round that is kept). The accumulator's name, what tests it and what
# writes it are units; a list of one is ten.
_COSTS = {"all": (1, 3, 2), "exists": (1, 4, 3), "exists_one": (2, 0, 2), "filter": (1, 0, LIST + 3),
          "map": (1, 0, LIST + 2), "transformList": (1, 0, LIST + 2), "sortBy": (1, 0, LIST + 2), "transformMap": (1, 0, 3),
          "transformMapEntry": (1, 0, 2)}
_END = object()
_TESTS = frozenset({"all", "exists", "exists_one", "filter"})
_GO = {bool: "Bool", int: "Int", float: "Double", str: "String", bytes: "Bytes", Uint: "Uint", type(None): "Null",
       Timestamp: "Timestamp", Duration: "Duration"}


Rounds = Callable[[Frame], Iterator[Any]]


def _singles(over: Closure, slot: int, each: int) -> Rounds:
    """One variable: elements of a list, keys of a map."""

    def rounds(frame: Frame) -> Iterator[Any]:
        items = over(frame)
        if not isinstance(items, (list, dict)):
            raise CelError(f"got 'types.{_GO.get(type(items), type_name(items))}', expected iterable type")
        for item in items:
            charge(frame, each)
            frame[slot] = item
            yield item

    return rounds


def _pairs(over: Closure, slots: list[int], each: int) -> Rounds:
    """Two variables: index and element, key and value."""
    first, second = slots

    def rounds(frame: Frame) -> Iterator[Any]:
        items = over(frame)
        if not isinstance(items, (list, dict)):
            raise CelError(f"unsupported comprehension range type: types.{_GO.get(type(items), type_name(items))}")
        for key, value in items.items() if isinstance(items, dict) else enumerate(items):
            charge(frame, each)
            frame[first], frame[second] = key, value
            yield key

    return rounds


Loop = Callable[[Rounds, list[Closure], int], Closure]


def _quantifier(decides: bool) -> Loop:
    def build_it(rounds: Rounds, args: list[Closure], spared: int) -> Closure:
        test = args[0]

        def run(frame: Frame) -> bool:
            error: CelError | None = None
            going = rounds(frame)
            for _ in going:
                try:
                    value = test(frame)
                except CelError as e:
                    error = e
                    continue
                if value is decides:
                    if next(going, _END) is not _END:  # the next round begins before it is seen that there need be none
                        frame[0] += spared
                    return decides
                if type(value) is not bool:
                    error = CelError("no such overload")
            if error is not None:
                raise error
            return not decides

        return run

    return build_it


def _is_true(frame: Frame, value: Any, kept: int) -> bool:
    """A condition's value; what it guards is paid for."""
    if type(value) is not bool:
        raise CelError("no such overload")
    if value:
        charge(frame, kept)
    return value


def _exists_one(rounds: Rounds, args: list[Closure], kept: int) -> Closure:
    test = args[0]
    return lambda frame: sum(1 for _ in rounds(frame) if _is_true(frame, test(frame), kept)) == 1


def _map(rounds: Rounds, args: list[Closure], kept: int) -> Closure:
    if len(args) == 1:
        change = args[0]
        return lambda frame: [change(frame) for _ in rounds(frame)]
    test, change = args
    return lambda frame: [change(frame) for _ in rounds(frame) if _is_true(frame, test(frame), kept)]


def _filter(rounds: Rounds, args: list[Closure], kept: int) -> Closure:
    test = args[0]
    return lambda frame: [item for item in rounds(frame) if _is_true(frame, test(frame), kept)]


def _sort_by(rounds: Rounds, args: list[Closure], _: int) -> Closure:
    from kubewheel.api.cel.lists import sorted_by

    key = args[0]

    def run(frame: Frame) -> list[Any]:
        pairs = [(item, key(frame)) for item in rounds(frame)]
        charge(frame, LIST + 2 * len(pairs) ** 2)
        return sorted_by([item for item, _ in pairs], [by for _, by in pairs])

    return run


def _transform_map(rounds: Rounds, args: list[Closure], kept: int) -> Closure:
    test, change = args if len(args) == 2 else (None, args[0])
    return lambda frame: {key: change(frame) for key in rounds(frame) if test is None or _is_true(frame, test(frame), kept)}


def _transform_entry(rounds: Rounds, args: list[Closure], kept: int) -> Closure:
    test, change = args if len(args) == 2 else (None, args[0])

    def run(frame: Frame) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for _ in rounds(frame):
            if test is not None and not _is_true(frame, test(frame), kept):
                continue
            entry = change(frame)
            if not isinstance(entry, dict):
                raise CelError("no such overload")
            for key, value in entry.items():
                if key in out:
                    raise CelError(f"insert failed: key {key} already exists")
                out[key] = value
        return out

    return run


_LOOPS: dict[str, Loop] = {
    "all": _quantifier(False), "exists": _quantifier(True), "exists_one": _exists_one, "map": _map, "filter": _filter,
    "sortBy": _sort_by, "transformList": _map, "transformMap": _transform_map, "transformMapEntry": _transform_entry}


def _optional(over: Closure, slot: int, body: Closure, cost: int, *, flat: bool) -> Closure:
    def run(frame: Frame) -> Any:
        value = over(frame)
        if type(value) is not Option:
            raise CelError("no such overload")
        charge(frame, cost + 3 - flat if value.has else 1)
        if not value.has:
            return NONE
        frame[slot] = value.value
        result = body(frame)
        return result if flat else Option(True, result)

    return run
