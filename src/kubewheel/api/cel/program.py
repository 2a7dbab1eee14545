"""Compiling an expression, and running it: the front door of the package.

In: a source text and the names of its variables. Out: Program; ParseError. A program's `run(values, budget)` gives
(value, budget left); CelError, CostExceeded. Called by: apiserver (CRD rules, admission policies, match conditions).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from kubewheel.api.cel import ast, authorizer, functions, library, lists, net, strings
from kubewheel.api.cel.build import Builder, Closure
from kubewheel.api.cel.check import Checker, Kind
from kubewheel.api.cel.estimate import of_tree
from kubewheel.api.cel.parser import ParseError, located, parse
from kubewheel.api.cel.registry import REGISTRY
from kubewheel.api.cel.values import CostExceeded

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


def compile(source: str, variables: Sequence[str], *, kinds: dict[str, Kind] | None = None,
            wants: Sequence[str] = ()) -> Program:
    """`kinds`: what is known of the variables' types (check.py); `wants`: types the result may have.
    ParseError with every problem's `ERROR: <input>:…` block."""
    if kinds is None:
        return _cached(source, tuple(variables), tuple(wants))
    return _compile(source, tuple(variables), kinds, wants)[0]


def measured(source: str, variables: Sequence[str], *, kinds: dict[str, Kind], wants: Sequence[str] = ()
             ) -> tuple[Program, int]:
    """The program, and what it may cost at worst."""
    program, tree, checker = _compile(source, tuple(variables), kinds, wants)
    return program, of_tree(tree, checker.kinds)


@lru_cache(maxsize=2048)
def _cached(source: str, variables: tuple[str, ...], wants: tuple[str, ...]) -> Program:
    return _compile(source, variables, {}, wants)[0]


def _compile(source: str, variables: tuple[str, ...], kinds: dict[str, Kind], wants: Sequence[str]
             ) -> tuple[Program, ast.Node, Checker]:
    tree = parse(source)
    checker = Checker({name: kinds.get(name, Kind("dyn")) for name in variables}, REGISTRY)
    kind = checker.of(tree)
    builder = Builder(variables, REGISTRY)
    closure, cost = builder.node(tree)
    problems = {**dict(checker.problems), **dict(builder.problems)}
    if problems:
        raise ParseError("\n".join(located(source, at, text) for at, text in sorted(problems.items())))
    if wants and kind.name != "dyn" and kind.name not in wants:
        raise ParseError("must evaluate to " + " or ".join(wants))
    return Program(source, variables, closure, cost, builder.size, kind), tree, checker
