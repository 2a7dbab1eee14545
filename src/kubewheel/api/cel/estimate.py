"""What an expression may cost at worst, before it ever runs: from the sizes its variables' types allow.

In: a source text and the variables' Kinds (their `size` says how long lists, maps and texts may be). Out: cost units, at
most UNBOUNDED. ParseError. Called by: apiextensions/rules.py, which refuses rules that may cost too much.
Source of the rule: "Resource use by validation functions" in the CustomResourceDefinition documentation; the units are
the ones build.py charges at run time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from kubewheel.api.cel import ast
from kubewheel.api.cel.check import Checker, Kind
from kubewheel.api.cel.parser import ParseError, all_located, parse
from kubewheel.api.cel.registry import REGEX, REGISTRY, TRAVERSAL

UNBOUNDED = 2**64 - 1
LIST, MAP, STRUCT, AUTHORIZER = 10, 30, 40, 350_000
_SCALARS = frozenset({"bool", "int", "uint", "double", "timestamp", "duration", "null", "optional"})


class Size(NamedTuple):
    least: int
    most: int

    def __or__(self, other: object) -> Size:
        assert isinstance(other, Size)
        return Size(min(self.least, other.least), max(self.most, other.most))


UNKNOWN = Size(0, UNBOUNDED)


def capped(value: float) -> int:
    return UNBOUNDED if value >= UNBOUNDED else math.ceil(value)


def plus(*costs: int) -> int:
    return min(sum(costs), UNBOUNDED)


def times(a: int, b: int) -> int:
    return min(a * b, UNBOUNDED)


class Estimate(NamedTuple):
    """Of one node: its worst cost, the size of its value and of the elements in it."""

    cost: int
    size: Size
    element: Size | None = None


def estimate(source: str, kinds: dict[str, Kind]) -> int:
    tree = parse(source)
    checker = Checker(kinds)
    checker.check(tree)
    if checker.problems:
        raise ParseError(all_located(source, checker.problems))
    return of_tree(tree, checker.kinds)


def of_tree(tree: ast.Node, kinds: dict[int, Kind]) -> int:
    """Of an expression that is checked already; `kinds` by id() of its nodes."""
    return _Estimator(kinds).of(tree).cost


class _Estimator:
    def __init__(self, kinds: dict[int, Kind]) -> None:
        self._kinds = kinds
        self._local: dict[str, Estimate] = {}

    def of(self, node: ast.Node) -> Estimate:
        return getattr(self, "_" + type(node).__name__.lower())(node)

    def _kind(self, node: ast.Node) -> Kind:
        return self._kinds.get(id(node)) or Kind("dyn")

    def of_library(self, node: ast.Node) -> bool:
        return self._kind(node).name.startswith(("kubernetes.", "net."))

    def _sized(self, cost: int, kind: Kind) -> Estimate:
        return Estimate(cost, size_of(kind), size_of(kind.items) if kind.items is not None else None)

    # -- leaves and fields ----------------------------------------------------------------------------------------
    def _literal(self, node: ast.Literal) -> Estimate:
        value = node.value
        length = len(value) if isinstance(value, (str, bytes)) else 1
        return Estimate(0, Size(length, length))

    def _ident(self, node: ast.Ident) -> Estimate:
        local = self._local.get(node.name)
        made = self._sized(1, self._kind(node))
        if local is not None and made.size == UNKNOWN:
            return local._replace(cost=1)
        return made

    def _select(self, node: ast.Select) -> Estimate:
        inner, kind = self.of(node.operand), self._kind(node)
        if node.optional:
            return self._sized(plus(inner.cost, 1), kind)
        if self._kind(node.operand).name not in ("map", "object"):
            return self._sized(inner.cost, kind)
        if self._kind(node.operand).name == "map":  # upstream finds no size by this way
            kind = Kind(kind.name, kind.items, kind.fields)
        return self._sized(plus(inner.cost, 1), kind)

    def _has(self, node: ast.Has) -> Estimate:
        return Estimate(self.of(node.operand).cost, Size(1, 1))

    # -- literals with parts --------------------------------------------------------------------------------------
    def _list(self, node: ast.List) -> Estimate:
        parts = [self.of(i) for i in node.items]
        count = len(parts)
        element = parts[0].size if parts else Size(0, 0)
        for part in parts[1:]:
            element = element | part.size
        return Estimate(plus(LIST, *(p.cost for p in parts)), Size(count, count), element)

    def _map(self, node: ast.Map) -> Estimate:
        keys = [self.of(k) for k, _, _ in node.entries]
        values = [self.of(v) for _, v, _ in node.entries]
        element = values[0].size if values else Size(0, 0)
        for value in values[1:]:
            element = element | value.size
        return Estimate(plus(MAP, *(p.cost for p in (*keys, *values))), Size(len(keys), len(keys)), element)

    def _struct(self, node: ast.Struct) -> Estimate:
        return Estimate(plus(STRUCT, *(self.of(v).cost for _, v, _ in node.entries)), UNKNOWN)

    # -- loops ----------------------------------------------------------------------------------------------------
    def _macro(self, node: ast.Macro) -> Estimate:
        over = self.of(node.range)
        saved = {name: self._local.get(name) for name in node.variables}
        for i, name in enumerate(node.variables):
            of_value = i == len(node.variables) - 1
            self._local[name] = Estimate(1, over.element if of_value and over.element is not None else UNKNOWN)
        args = [self.of(a) for a in node.args]
        for name, before in saved.items():
            if before is None:
                del self._local[name]
            else:
                self._local[name] = before
        if node.name in ("optMap", "optFlatMap"):
            # hasValue() ? of(value() as the variable) : none(); what is no name is bound to one before
            named = isinstance(node.range, ast.Ident)
            wrapped = 1 if node.name == "optMap" else 0
            return Estimate(plus(0 if named else plus(LIST, over.cost), 4, wrapped, LIST, args[0].cost), UNKNOWN)
        if node.name == "sortBy":
            return _sorted(over, args[0].cost)
        before_loop, step = LOOPS[node.name](plus(*(a.cost for a in args[:-1])), args[-1].cost)
        cost = plus(over.cost, before_loop, times(over.size.most, step))
        if node.name in ("all", "exists", "exists_one"):
            return Estimate(cost, Size(1, 1))
        element = over.element if node.name == "filter" else args[-1].size
        return Estimate(cost, over.size, element)

    # -- calls ----------------------------------------------------------------------------------------------------
    def _call(self, node: ast.Call) -> Estimate:
        if node.function == "dyn" and node.target is None and len(node.args) == 1:
            inner = self.of(node.args[0])
            return inner._replace(cost=plus(inner.cost, 1))
        target, name = node.target, node.function
        prefix = ast.qualified(target)
        if target is not None and prefix and f"{prefix}.{name}" in REGISTRY.names:
            target, name = None, f"{prefix}.{name}"
        operands = [self.of(a) for a in ((target,) if target is not None else ()) + node.args]
        spent = plus(*(o.cost for o in operands))
        if (operator := _OPERATORS.get(name)) is not None and target is None:
            return operator(self, node, operands, spent)
        if name in ("slice", "lists.range"):
            return _made(node, spent, self._kind(node))
        if name == "flatten" and node.args and isinstance(node.args[0], ast.Literal):
            operands[0] = operands[0]._replace(size=Size(0, times(operands[0].size.most, max(node.args[0].value, 1))))
        cost, size = call_cost(name, target is not None, operands, [self._kind(a) for a in (
            (target,) if target is not None else ()) + node.args])
        kind = self._kind(node)
        made = self._sized(plus(spent, cost), kind)
        return made._replace(size=size) if size is not None else made


def _sorted(over: Estimate, key: int) -> Estimate:
    """The list by a name, its keys as map makes them, both sorted."""
    count = over.size.most
    keys = plus(1, LIST + 1, times(count, plus(LIST + 2, key)))
    size = times(count, count)
    return Estimate(plus(over.cost, LIST, 1, keys, LIST + 1, times(2, size)), Size(0, size), over.element)


def _made(node: ast.Call, spent: int, kind: Kind) -> Estimate:
    """slice, lists.range: as many elements as are asked for, if that is written out."""
    bounds = [a.value if isinstance(a, ast.Literal) and type(a.value) is int else None for a in node.args]
    first, last = bounds[0] if len(bounds) == 2 else 0, bounds[-1]
    if first is None or last is None:
        return Estimate(UNBOUNDED, UNKNOWN)
    count = max(last - max(first, 0), 0)
    return Estimate(plus(spent, LIST + 1, count), Size(count, count))


def size_of(kind: Kind) -> Size:
    if kind.size is not None:
        return Size(0, kind.size)
    return Size(1, 1) if kind.name in _SCALARS else UNKNOWN


# What a macro costs: (once, each round), given the cost of its condition (0 without one) and of its last argument. They
# are what the loops they stand for would: an accumulator that is read, tested and written.
LOOPS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "all": lambda _, test: (1, plus(3, test)),
    "exists": lambda _, test: (1, plus(4, test)),
    "exists_one": lambda _, test: (2, plus(2, test)),
    "filter": lambda _, test: (LIST + 1, plus(LIST + 3, test)),
    "map": lambda test, change: (LIST + 1, plus(LIST + 2, test, change)),
    "transformList": lambda test, change: (LIST + 1, plus(LIST + 2, test, change)),
    "transformMap": lambda test, change: (MAP + 1, plus(3, test, change)),
    "transformMapEntry": lambda test, change: (MAP + 1, plus(2, test, change)),
}


# -- operators ----------------------------------------------------------------------------------------------------
def _free(_: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    """&& and ||: their operands only."""
    return Estimate(spent, Size(1, 1))


def _conditional(_: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    test, yes, no = operands
    element = yes.element | no.element if yes.element is not None and no.element is not None else None
    return Estimate(plus(test.cost, max(yes.cost, no.cost)), yes.size | no.size, element)


def _compare(estimator: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    if estimator.of_library(node.args[0]):
        return Estimate(plus(spent, 1), Size(1, 1))
    shortest = min(o.size.most for o in operands)
    return Estimate(plus(spent, capped(shortest * TRAVERSAL)), Size(1, 1))


def _order(estimator: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    kinds = {estimator._kind(a).name for a in node.args}
    if kinds & {"string", "bytes", "dyn"}:
        return _compare(estimator, node, operands, spent)
    return Estimate(plus(spent, 1), Size(1, 1))


def _contains(estimator: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    if estimator._kind(node.args[1]).name == "map":
        return Estimate(plus(spent, 1), Size(1, 1))
    return Estimate(plus(spent, operands[1].size.most), Size(1, 1))


def _add(estimator: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    kind = estimator._kind(node).name
    a, b = operands
    size = Size(plus(a.size.least, b.size.least), plus(a.size.most, b.size.most))
    if kind == "list":
        element = a.element | b.element if a.element is not None and b.element is not None else None
        return Estimate(plus(spent, 1), size, element)
    if kind in ("string", "bytes"):
        return Estimate(plus(spent, capped(size.most * TRAVERSAL)), size)
    if kind == "dyn":  # texts, for all that is known
        return Estimate(plus(spent, capped(size.most * TRAVERSAL)), size)
    return Estimate(plus(spent, 1), Size(1, 1))


def _index(estimator: _Estimator, node: ast.Call, operands: list[Estimate], spent: int) -> Estimate:
    made = estimator._sized(plus(spent, 1), estimator._kind(node))
    if made.size == UNKNOWN and operands[0].element is not None:
        made = made._replace(size=operands[0].element)
    return made


_OPERATORS: dict[str, Callable[[_Estimator, ast.Call, list[Estimate], int], Estimate]] = {
    "_&&_": _free, "_||_": _free, "_?_:_": _conditional, "_==_": _compare, "_!=_": _compare, "@in": _contains,
    "_+_": _add, "_[_]": _index, "_[?_]": _index, **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _order)}


# -- functions ----------------------------------------------------------------------------------------------------
_WHOLE = {"url", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver", "bytes",
          "jsonpatch.escapeKey", "ip", "strings.quote"}
_KEEP = {"lowerAscii", "upperAscii", "substring", "trim"}
_LISTS = {"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"}
_THROUGH = {"flatten", "reverse", "distinct", "sort"}


def call_cost(name: str, receiver: bool, operands: list[Estimate], kinds: list[Kind]) -> tuple[int, Size | None]:
    """(what the call itself costs, the size of its result where that follows from its arguments)."""
    first = operands[0].size if operands else Size(0, 0)
    if name == "check":
        return AUTHORIZER, None
    if name == "type":
        return 1, first if kinds[0].size is not None else None
    if receiver and name in _LISTS:
        return _list_cost(operands[0], kinds[0]), None
    if receiver and name in _THROUGH and kinds[0].name in ("list", "dyn"):
        if name in ("distinct", "sort"):
            pairs = times(first.most, first.most)
            return plus(LIST + 1, times(2, pairs)), Size(0, pairs)
        return plus(LIST + 1, first.most), first
    if name in ("startsWith", "endsWith"):
        return capped(operands[1].size.most * TRAVERSAL), None
    if name == "contains":
        return times(capped(first.most * TRAVERSAL), capped(operands[1].size.most * TRAVERSAL)), None
    if name in ("matches", "find", "findAll"):
        cost = times(capped((first.most + 1) * TRAVERSAL), capped(operands[1].size.most * REGEX))
        return cost, None if name == "matches" else Size(0, first.most)
    if name == "replace":
        return capped(first.most * 2 * TRAVERSAL), _replaced(first, operands[1].size, operands[2].size)
    if name == "split":
        return capped(first.most * 2 * TRAVERSAL), Size(0, first.most)
    if name == "join" and kinds[0].name == "dyn":
        return 1, None
    if name == "join":
        size = _joined(operands, kinds[0])
        return capped(size.most * TRAVERSAL), size
    if name in _KEEP:
        return capped(first.most * TRAVERSAL), first
    if name in _WHOLE and operands and kinds[0].name in ("string", "bytes", "dyn"):
        return capped(first.most * TRAVERSAL), Size(first.least, times(first.most, 4)) if name == "bytes" else None
    if name == "format":
        return capped(first.most * TRAVERSAL), None
    if name == "ip.isCanonical":
        return capped(first.most * 2 * TRAVERSAL), None
    if name in ("containsIP", "containsCIDR"):
        text = capped(operands[1].size.most * TRAVERSAL) if kinds[1].name == "string" else 0
        return plus(4, 3 if name == "containsCIDR" else 0, text), None
    if name.startswith("sets."):
        factor = 2 if name == "sets.equivalent" else 1
        return plus(1, times(factor, times(first.most, operands[1].size.most))), None
    if name == "string" and kinds[0].name in ("bytes", "dyn"):
        return capped(first.most * TRAVERSAL), first
    if name == "validate":
        return times(capped((operands[1].size.most + 1) * TRAVERSAL), 32), None
    return 1, None


def _list_cost(target: Estimate, kind: Kind) -> int:
    if kind.name in ("string", "dyn"):
        return capped(target.size.most * TRAVERSAL)
    each = 1
    if kind.items is not None and kind.items.name in ("string", "bytes"):
        each = plus(1, capped(size_of(kind.items).most * TRAVERSAL))
    return times(target.size.most, each)


def _replaced(text: Size, old: Size, new: Size) -> Size:
    """The longest result: the shortest part replaced by the longest, as often as it fits."""
    if old.least == 0:
        return Size(0, plus(times(plus(text.most, 1), new.most), text.most))
    if new.most <= old.least:
        return Size(0, text.most)
    return Size(0, times(capped(text.most / old.least), new.most))


def _joined(operands: list[Estimate], kind: Kind) -> Size:
    count, element = operands[0].size, size_of(kind.inner)  # how long texts are that are written out is not looked at
    most = times(count.most, element.most)
    if len(operands) > 1 and count.most:
        most = plus(most, times(count.most - 1, operands[1].size.most))
    return Size(0, most)
