"""A tree becomes closures `f(frame)`; `frame[0]` is the budget left, `frame[1:]` the variables.

What a straight line of nodes costs is summed up at compile time and charged at once; loops charge each round, calls on
texts and lists what they go through. In: ast.Node, names of variables, functions. Out: (closure, cost). CompileProblem
lists what is undeclared. Called by: program.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubewheel.api.cel import ast, operators
from kubewheel.api.cel.registry import Dispatch, Registry
from kubewheel.api.cel.values import (
    NAMES,
    NONE,
    CelError,
    CostExceeded,
    Message,
    Option,
    Type,
    equal,
    type_name,
    wrong,
)

Frame = list[Any]
Closure = Callable[[Frame], Any]
Built = tuple[Closure, int]
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
_ESCAPED = re.compile(r"__(underscores|dot|dash|slash|[a-z]+)__")
_UNESCAPED = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
TYPES = {n: Type(n) for n in NAMES.values()} | {"null_type": Type("null_type"), "type": Type("type")}


class CompileProblem(Exception):
    """(offset, words) of each thing that has no meaning."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        super().__init__("; ".join(text for _, text in problems))
        self.problems = problems


def unescape(field: str) -> str:
    """Property names that are no identifiers: `foo__dot__bar`, `__namespace__`."""
    return _ESCAPED.sub(lambda m: _UNESCAPED.get(m[1], m[1]), field) if "__" in field else field


def charge(frame: Frame, cost: int) -> None:
    frame[0] -= cost
    if frame[0] < 0:
        raise CostExceeded


class Builder:
    def __init__(self, variables: tuple[str, ...], functions: Registry) -> None:
        self._slots: dict[str, int] = {name: i + 1 for i, name in enumerate(variables)}
        self._declared = frozenset(variables)
        self.size = len(variables) + 1
        self._functions = functions
        self.problems: list[tuple[int, str]] = []

    def node(self, node: ast.Node) -> Built:
        return getattr(self, "_" + type(node).__name__.lower())(node)

    # -- leaves ---------------------------------------------------------------------------------------------------
    def _literal(self, node: ast.Literal) -> Built:
        value = node.value
        return (lambda frame: value), 0

    def _ident(self, node: ast.Ident) -> Built:
        slot = self._slots.get(node.name)
        if slot is None:
            if node.name in TYPES:
                value = TYPES[node.name]
                return (lambda frame: value), 1
            self.problems.append((node.at, f"undeclared reference to '{node.name}' (in container '')"))
            slot = 0

        return (lambda frame: frame[slot]), 1

    # -- fields ---------------------------------------------------------------------------------------------------
    def _select(self, node: ast.Select) -> Built:
        name = ast.qualified(node)
        if name in TYPES and name.partition(".")[0] not in self._slots:
            value = TYPES[name]
            return (lambda frame: value), 1
        operand, cost = self.node(node.operand)
        field, plain = node.field, unescape(node.field)
        if node.optional:
            return (lambda frame: _optional_select(operand(frame), field, plain)), cost + 1

        def select(frame: Frame) -> Any:
            value = operand(frame)
            if type(value) is dict:
                try:
                    return value[field]
                except KeyError:
                    if plain != field and plain in value:
                        return value[plain]
                    raise CelError(f"no such key: {field}") from None
            return operators.select(value, field)

        return select, cost + 1

    def _has(self, node: ast.Has) -> Built:
        operand, cost = self.node(node.operand)
        field, plain = node.field, unescape(node.field)

        def has(frame: Frame) -> bool:
            value = operand(frame)
            if type(value) is Option:
                if not value.has:
                    return False
                value = value.value
            if isinstance(value, dict):
                return field in value or plain in value
            raise wrong("has", value)

        return has, max(cost - 1, 0)  # asking whether something is there is free

    # -- calls ----------------------------------------------------------------------------------------------------
    def _call(self, node: ast.Call) -> Built:
        special = _SPECIAL.get(node.function)
        if special is not None and node.target is None:
            return special(self, node)
        binary = operators.BINARY.get(node.function)
        if binary is not None and node.target is None:
            return self._binary(node, binary)
        return self._function(node)

    def _binary(self, node: ast.Call, run: Callable[[Any, Any], Any]) -> Built:
        (left, a), (right, b) = self.node(node.args[0]), self.node(node.args[1])
        cost = a + b + (node.function != "@in")
        constant = node.args[1]
        if isinstance(constant, ast.Literal) and type(constant.value) is str and node.function in ("_==_", "_!=_"):
            value, same = constant.value, node.function == "_==_"
            return (lambda frame: (left(frame) == value) is same), cost
        if node.function in ("_==_", "_!=_", "@in", "_+_"):
            return _sized(left, right, run), cost
        return (lambda frame: run(left(frame), right(frame))), cost

    def _function(self, node: ast.Call) -> Built:
        target, name = node.target, node.function
        if target is not None:
            prefix = ast.qualified(target)
            whole = f"{prefix}.{name}"
            if prefix and whole in self._functions.names and prefix.partition(".")[0] not in self._slots:
                target, name = None, whole
        arguments = ((target,) if target is not None else ()) + node.args
        built = [self.node(a) for a in arguments]
        overloads = self._functions.find(name, target is not None, len(arguments))
        if not overloads:
            text = (f"undeclared reference to '{name}' (in container '')" if name not in self._functions.names else
                    f"found no matching overload for '{name}' applied to "
                    f"'{'dyn.' if target is not None else ''}({', '.join('dyn' for _ in node.args)})'")
            self.problems.append((node.at, text))
            return (lambda frame: None), 1
        closures = [c for c, _ in built]
        cost = sum(c for _, c in built)
        dispatch = Dispatch(name, overloads)
        if all(o.cost is None for o in overloads):
            return _plain_call(dispatch, closures), cost + 1
        return _costly_call(dispatch, closures), cost

    # -- literals with parts --------------------------------------------------------------------------------------
    def _list(self, node: ast.List) -> Built:
        built = [self.node(i) for i in node.items]
        cost = LIST_COST + sum(c for _, c in built)
        closures = [c for c, _ in built]
        if not node.optional:
            return (lambda frame: [c(frame) for c in closures]), cost
        maybe = node.optional

        def make(frame: Frame) -> list[Any]:
            out = []
            for i, closure in enumerate(closures):
                value = closure(frame)
                if i in maybe:
                    if type(value) is not Option:
                        raise wrong("list", value)
                    if not value.has:
                        continue
                    value = value.value
                out.append(value)
            return out

        return make, cost

    def _map(self, node: ast.Map) -> Built:
        parts = [(self.node(k), self.node(v), optional) for k, v, optional in node.entries]
        cost = MAP_COST + sum(k[1] + v[1] for k, v, _ in parts)
        entries = [(k[0], v[0], optional) for k, v, optional in parts]

        def make(frame: Frame) -> dict[Any, Any]:
            out: dict[Any, Any] = {}
            for key, value, optional in entries:
                k, v = key(frame), value(frame)
                if optional:
                    if not v.has:
                        continue
                    v = v.value
                if isinstance(k, (list, dict)) or k is None or type(k) is float:
                    raise CelError(f"unsupported key type: {type_name(k)}")
                if k in out:
                    raise CelError(f"Failed with repeated key: {k}")
                out[k] = v
            return out

        return make, cost

    def _struct(self, node: ast.Struct) -> Built:
        name = node.name
        if not (name == "JSONPatch" or name == "Object" or name.startswith("Object.")):
            self.problems.append((node.at, f"undeclared reference to '{name}' (in container '')"))
        parts = [(field, self.node(value), optional) for field, value, optional in node.entries]
        entries = [(unescape(field), value[0], optional) for field, value, optional in parts]
        cost = STRUCT_COST + sum(v[1] for _, v, _ in parts)

        def make(frame: Frame) -> Message:
            out = {}
            for field, value, optional in entries:
                v = value(frame)
                if optional:
                    if not v.has:
                        continue
                    v = v.value
                out[field] = v
            return Message(name, out)

        return make, cost

    # -- macros ---------------------------------------------------------------------------------------------------
    def _macro(self, node: ast.Macro) -> Built:
        from kubewheel.api.cel import macros

        over, cost = self.node(node.range)
        saved = {name: self._slots.get(name) for name in node.variables}
        slots = []
        for name in node.variables:
            self._slots[name] = self.size
            slots.append(self.size)
            self.size += 1
        args = [self.node(a) for a in node.args]
        for name, slot in saved.items():
            if slot is None:
                del self._slots[name]
            else:
                self._slots[name] = slot
        return macros.build(node, over, cost, slots, args)


def _optional_select(value: Any, field: str, plain: str) -> Option:
    if type(value) is Option:
        if not value.has:
            return NONE
        value = value.value
    if isinstance(value, dict):
        if field in value:
            return Option(True, value[field])
        return Option(True, value[plain]) if plain in value else NONE
    raise wrong("_?._", value)


def _sized(left: Closure, right: Closure, run: Callable[[Any, Any], Any]) -> Closure:
    """Operators whose cost grows with what they compare or join."""

    def operate(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        kind = type(b)
        if kind is str:
            if len(b) > 10 and type(a) is str:
                charge(frame, (len(a) + len(b) if run is operators.add else min(len(a), len(b))) // 10)
        elif run is operators.inside:
            charge(frame, len(b) if isinstance(b, list) else 1)
        elif kind is list and run is not operators.add and isinstance(a, list):
            charge(frame, min(len(a), len(b)) // 10)
        return run(a, b)

    return operate


def _plain_call(dispatch: Dispatch, closures: list[Closure]) -> Closure:
    if len(closures) == 1:
        only = closures[0]

        def one(frame: Frame) -> Any:
            args = (only(frame),)
            return dispatch.of(args).run(*args)

        return one

    def call(frame: Frame) -> Any:
        args = tuple([c(frame) for c in closures])
        return dispatch.of(args).run(*args)

    return call


def _costly_call(dispatch: Dispatch, closures: list[Closure]) -> Closure:
    if len(closures) == 2:
        first, second = closures
        known: dict[tuple[type, type], tuple[Callable[..., Any], Callable[..., int] | None]] = {}

        def two(frame: Frame) -> Any:
            a, b = first(frame), second(frame)
            key = (type(a), type(b))
            found = known.get(key)
            if found is None:
                overload = dispatch.of((a, b))
                found = known[key] = (overload.run, overload.cost)
            run, price = found
            charge(frame, price(a, b) if price is not None else 1)
            return run(a, b)

        return two

    def call(frame: Frame) -> Any:
        args = tuple([c(frame) for c in closures])
        overload = dispatch.of(args)
        charge(frame, overload.cost(*args) if overload.cost is not None else 1)
        return overload.run(*args)

    return call


# -- operators that do not evaluate all of their operands -----------------------------------------------------------
def _and(builder: Builder, node: ast.Call) -> Built:
    return _junction(builder, node, False)


def _or(builder: Builder, node: ast.Call) -> Built:
    return _junction(builder, node, True)


def _junction(builder: Builder, node: ast.Call, decides: bool) -> Built:
    """&& is decided by false, || by true, on whichever side; an error on the other side then does not count."""
    (left, a), (right, b) = builder.node(node.args[0]), builder.node(node.args[1])
    name = node.function

    def junction(frame: Frame) -> bool:
        try:
            first = left(frame)
        except CelError:
            if right(frame) is decides:
                return decides
            raise
        if first is decides:
            return decides
        second = right(frame)
        if second is decides:
            return decides
        if type(first) is not bool:
            raise wrong(name, first)
        if type(second) is not bool:
            raise wrong(name, second)
        return not decides

    return junction, a + b


def _conditional(builder: Builder, node: ast.Call) -> Built:
    (test, a), (yes, b), (no, c) = (builder.node(x) for x in node.args)

    def choose(frame: Frame) -> Any:
        value = test(frame)
        if value is True:
            return yes(frame)
        if value is False:
            return no(frame)
        raise wrong("_?_:_", value)

    return choose, a + max(b, c)


def _not(builder: Builder, node: ast.Call) -> Built:
    operand, cost = builder.node(node.args[0])

    def negate(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is not bool:
            raise wrong("!_", value)
        return not value

    return negate, cost + 1


def _minus(builder: Builder, node: ast.Call) -> Built:
    operand, cost = builder.node(node.args[0])
    return (lambda frame: operators.neg(operand(frame))), cost + 1


def _dyn(builder: Builder, node: ast.Call) -> Built:
    if len(node.args) != 1:
        builder.problems.append((node.at, "found no matching overload for 'dyn'"))
        return (lambda frame: None), 0
    operand, cost = builder.node(node.args[0])
    return operand, cost + 1


_SPECIAL: dict[str, Callable[[Builder, ast.Call], Built]] = {
    "_&&_": _and, "_||_": _or, "_?_:_": _conditional, "!_": _not, "-_": _minus, "dyn": _dyn}
__all__ = ["Builder", "Closure", "CompileProblem", "Frame", "charge", "equal", "unescape"]
