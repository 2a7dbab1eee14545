"""Compiling an expression, and running it: the front door of the package.

In: a source text and the names of its variables. Out: Program; ParseError. A program's `run(values, budget)` gives
(value, budget left); CelError, CostExceeded. Called by: apiserver (CRD rules, admission policies, match conditions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from kubewheel.api.cel import ast, authorizer, functions, library, lists, net, strings
from kubewheel.api.cel.build import Builder, Closure
from kubewheel.api.cel.check import DYN, Checker, Kind
from kubewheel.api.cel.estimate import of_tree
from kubewheel.api.cel.parser import ParseError, all_located, parse
from kubewheel.api.cel.registry import REGISTRY
from kubewheel.api.cel.values import CelError, CostExceeded

CALL_LIMIT = 1_000_000  # of one evaluation (PerCallLimit)
BUDGET = 10_000_000  # of all of one object's or one policy's expressions (RuntimeCELCostBudget)
LIBRARIES = (functions, strings, lists, library, net, authorizer)  # imported: their functions are declared


class Program:
    """One compiled expression. Holds no state of a run: may be shared."""

    __slots__ = ("_closure", "_cost", "_size", "kind", "source", "variables")

    def __init__(self, source: str, variables: tuple[str, ...], closure: Closure, cost: int, size: int,
                 kind: Kind) -> None:
        self.source, self.variables, self.kind = source, variables, kind
        self._closure, self._cost, self._size = closure, cost, [None] * (size - len(variables) - 1)

    def run(self, values: Sequence[Any], budget: int = CALL_LIMIT) -> tuple[Any, int]:
        """`values` in the order of `variables`."""
        limit = CALL_LIMIT if budget > CALL_LIMIT else budget
        frame = [limit - self._cost, *values, *self._size]
        if frame[0] < 0:
            raise CostExceeded
        result = self._closure(frame)
        return result, budget - (limit - frame[0])


def compile(source: str, variables: Sequence[str], *, kinds: Mapping[str, Kind] | None = None,
            wants: Sequence[str] = (), patches: bool = False) -> Program:
    """`kinds`: what is known of the variables' types (kinds.py); a name with a dot is a variable of its own. `wants`: types
    the result may have; `patches`: may Objects and JSONPatches be made? ParseError with every problem's
    `ERROR: <input>:…` block."""
    if kinds is None:
        return _cached(source, tuple(variables), tuple(wants), patches)
    return _compile(source, tuple(variables), kinds, wants, patches)[0]


def measured(source: str, variables: Sequence[str], *, kinds: Mapping[str, Kind], wants: Sequence[str] = ()
             ) -> tuple[Program, int]:
    """The program, and what it may cost at worst."""
    program, tree, checker = _compile(source, tuple(variables), kinds, wants, False)
    return program, of_tree(tree, checker.kinds)


@lru_cache(maxsize=2048)
def _cached(source: str, variables: tuple[str, ...], wants: tuple[str, ...], patches: bool) -> Program:
    return _compile(source, variables, {}, wants, patches)[0]


def _compile(source: str, variables: tuple[str, ...], kinds: Mapping[str, Kind], wants: Sequence[str], patches: bool
             ) -> tuple[Program, ast.Node, Checker]:
    tree = parse(source)
    checker = Checker({**dict.fromkeys(variables, DYN), **kinds}, patches=patches)
    kind = checker.check(tree)
    if checker.problems:
        raise ParseError(all_located(source, checker.problems))
    if wants and kind.full not in wants:
        shown = wants[0] if len(wants) == 1 else f"one of [{' '.join(wants)}]"
        raise ParseError(f"must evaluate to {shown} but got {kind.full}")
    builder = Builder(variables, REGISTRY, checker.resolved)
    try:
        closure, cost = builder.node(tree)
    except CelError as e:
        raise ParseError(f"program instantiation failed: {e}") from e
    return Program(source, variables, closure, cost, builder.size, kind), tree, checker
