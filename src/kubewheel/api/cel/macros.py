"""Comprehensions as loops: one closure a macro, one charge a round.

In: what the range, the variables' slots and the arguments were built to. Out: (closure, cost). Called by: build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubewheel.api.cel import ast
from kubewheel.api.cel.build import Built, Closure, Frame, charge
from kubewheel.api.cel.estimate import LIST, LOOPS
from kubewheel.api.cel.values import NONE, CelError, Option, equal, wrong


def build(node: ast.Macro, over: Closure, cost: int, slots: list[int], args: list[Built]) -> Built:
    if node.name in ("bind", "optMap", "optFlatMap"):
        body, more = args[0]
        return _VALUES[node.name](over, slots[0], body), cost + more + LIST + (0 if node.name == "bind" else 2)
    once, each = LOOPS[node.name](sum(c for _, c in args[:-1]), args[-1][1])
    closures = [c for c, _ in args]
    rounds = _pairs(node.name, over, slots, each) if len(slots) == 2 else _singles(node.name, over, slots[0], each)
    return _LOOPS[node.name](rounds, closures), cost + once


Rounds = Callable[[Frame], Iterator[Any]]


def _singles(name: str, over: Closure, slot: int, each: int) -> Rounds:
    """One variable: elements of a list, keys of a map."""

    def rounds(frame: Frame) -> Iterator[Any]:
        items = over(frame)
        if not isinstance(items, (list, dict)):
            raise wrong(name, items)
        for item in items:
            charge(frame, each)
            frame[slot] = item
            yield item

    return rounds


def _pairs(name: str, over: Closure, slots: list[int], each: int) -> Rounds:
    """Two variables: index and element, key and value."""
    first, second = slots

    def rounds(frame: Frame) -> Iterator[Any]:
        items = over(frame)
        if not isinstance(items, (list, dict)):
            raise wrong(name, items)
        for key, value in items.items() if isinstance(items, dict) else enumerate(items):
            charge(frame, each)
            frame[first], frame[second] = key, value
            yield key

    return rounds


def _quantifier(name: str, decides: bool) -> Callable[[Rounds, list[Closure]], Closure]:
    def build_it(rounds: Rounds, args: list[Closure]) -> Closure:
        test = args[0]

        def run(frame: Frame) -> bool:
            error: CelError | None = None
            for _ in rounds(frame):
                try:
                    value = test(frame)
                except CelError as e:
                    error = error or e
                    continue
                if value is decides:
                    return decides
                if type(value) is not bool:
                    error = error or wrong("_&&_" if name == "all" else "_||_", value)
            if error is not None:
                raise error
            return not decides

        return run

    return build_it


def _is_true(value: Any) -> bool:
    if type(value) is not bool:
        raise wrong("_?_:_", value)
    return value


def _exists_one(rounds: Rounds, args: list[Closure]) -> Closure:
    test = args[0]
    return lambda frame: sum(1 for _ in rounds(frame) if _is_true(test(frame))) == 1


def _map(rounds: Rounds, args: list[Closure]) -> Closure:
    if len(args) == 1:
        change = args[0]
        return lambda frame: [change(frame) for _ in rounds(frame)]
    test, change = args
    return lambda frame: [change(frame) for _ in rounds(frame) if _is_true(test(frame))]


def _filter(rounds: Rounds, args: list[Closure]) -> Closure:
    test = args[0]
    return lambda frame: [item for item in rounds(frame) if _is_true(test(frame))]


def _sort_by(rounds: Rounds, args: list[Closure]) -> Closure:
    from kubewheel.api.cel.lists import sorted_by

    key = args[0]

    def run(frame: Frame) -> list[Any]:
        pairs = [(item, key(frame)) for item in rounds(frame)]
        charge(frame, len(pairs))
        return sorted_by([item for item, _ in pairs], [by for _, by in pairs])

    return run


def _transform_map(rounds: Rounds, args: list[Closure]) -> Closure:
    test, change = args if len(args) == 2 else (None, args[0])
    return lambda frame: {key: change(frame) for key in rounds(frame) if test is None or _is_true(test(frame))}


def _transform_entry(rounds: Rounds, args: list[Closure]) -> Closure:
    test, change = args if len(args) == 2 else (None, args[0])

    def run(frame: Frame) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for _ in rounds(frame):
            if test is not None and not _is_true(test(frame)):
                continue
            entry = change(frame)
            if not isinstance(entry, dict):
                raise wrong("transformMapEntry", entry)
            for key, value in entry.items():
                if key in out and not equal(out[key], value):
                    raise CelError(f"insert failed: key {key} already exists")
                out[key] = value
        return out

    return run


_LOOPS: dict[str, Callable[[Rounds, list[Closure]], Closure]] = {
    "all": _quantifier("all", False), "exists": _quantifier("exists", True), "exists_one": _exists_one, "map": _map,
    "filter": _filter, "sortBy": _sort_by,
    "transformList": _map, "transformMap": _transform_map, "transformMapEntry": _transform_entry}


def _bind(over: Closure, slot: int, body: Closure) -> Closure:
    def run(frame: Frame) -> Any:
        frame[slot] = over(frame)
        return body(frame)

    return run


def _opt(flat: bool) -> Callable[[Closure, int, Closure], Closure]:
    def build_it(over: Closure, slot: int, body: Closure) -> Closure:
        def run(frame: Frame) -> Any:
            value = over(frame)
            if type(value) is not Option:
                raise wrong("optFlatMap" if flat else "optMap", value)
            if not value.has:
                return NONE
            frame[slot] = value.value
            result = body(frame)
            return result if flat else Option(True, result)

        return run

    return build_it


_VALUES: dict[str, Callable[[Closure, int, Closure], Closure]] = {
    "bind": _bind, "optMap": _opt(False), "optFlatMap": _opt(True)}
