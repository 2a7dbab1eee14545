"""A tree becomes closures `f(frame)`; `frame[0]` is the budget left, `frame[1:]` the variables.

What a straight line of nodes costs is summed up at compile time and charged at once; loops charge each round, calls on
texts and lists what they go through. In: ast.Node, names of variables, functions. Out: (closure, cost); CelError for a
conversion that is written out and fails. Called by: program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubewheel.api.cel import ast, operators
from kubewheel.api.cel.declarations import FUNCTIONS, Signature
from kubewheel.api.cel.functions import regex
from kubewheel.api.cel.registry import Dispatch, Registry, tenth
from kubewheel.api.cel.values import (
    NAMES,
    NONE,
    CelError,
    CostExceeded,
    Message,
    Opaque,
    Option,
    Type,
    Uint,
    contains,
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


def unescape(field: str) -> str:
    """Property names that are no identifiers: `foo__dot__bar`, `__namespace__`."""
    return _ESCAPED.sub(lambda m: _UNESCAPED.get(m[1], m[1]), field) if "__" in field else field


def charge(frame: Frame, cost: int) -> None:
    frame[0] -= cost
    if frame[0] < 0:
        raise CostExceeded


class Builder:
    """`resolved`: by id() of a call, the one overload that fits it (check.py). A literal whose parts are all written out is
    made once and costs nothing, as do conversions of literals."""

    def __init__(self, variables: tuple[str, ...], functions: Registry, resolved: Mapping[int, Signature]) -> None:
        self._slots: dict[str, int] = {name: i + 1 for i, name in enumerate(variables)}
        self._declared = frozenset(variables)
        self.size = len(variables) + 1
        self._functions = functions
        self._resolved = resolved
        self.fixed: dict[Closure, Any] = {}  # the value of what is one and the same each time
        self.attributes: set[Closure] = set()  # names, and what is selected from them: the name's unit is paid once

    def node(self, node: ast.Node) -> Built:
        return getattr(self, "_" + type(node).__name__.lower())(node)

    # -- leaves ---------------------------------------------------------------------------------------------------
    def _literal(self, node: ast.Literal) -> Built:
        return self._constant(node.value)

    def _constant(self, value: Any) -> Built:
        def constant(frame: Frame) -> Any:
            return value

        self.fixed[constant] = value
        return constant, 0

    def _attribute(self, closure: Closure, cost: int) -> Built:
        self.attributes.add(closure)
        return closure, cost

    def _ident(self, node: ast.Ident) -> Built:
        slot = self._slots.get(node.name)
        if slot is None:
            return self._constant(TYPES.get(node.name) or Type(node.name))
        return self._attribute(lambda frame: frame[slot], 1)

    def _operand(self, node: ast.Node) -> Built:
        """Of a selection: what is no name costs a unit more."""
        operand, cost = self.node(node)
        return operand, cost + (operand not in self.attributes)

    # -- fields ---------------------------------------------------------------------------------------------------
    def _select(self, node: ast.Select) -> Built:
        name = ast.qualified(node)
        if name and (name in self._slots or name.partition(".")[0] not in self._slots):
            slot = self._slots.get(name)
            if slot is None:
                return self._constant(TYPES.get(name) or Type(name))
            return self._attribute(lambda frame: frame[slot], 1)
        operand, cost = self._operand(node.operand)
        field, plain = node.field, unescape(node.field)
        if node.optional:
            def maybe(frame: Frame) -> Option:
                found = _optional_select(operand(frame), field, plain)
                if found.has:
                    charge(frame, 1)
                return found

            return self._attribute(maybe, cost)

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

        return self._attribute(select, cost + 1)

    def _has(self, node: ast.Has) -> Built:
        operand, cost = self._operand(node.operand)
        field, plain = node.field, unescape(node.field)

        def has(frame: Frame) -> bool:
            value = operand(frame)
            if type(value) is Option:
                if not value.has:
                    return False
                value = value.value
            if isinstance(value, dict):
                return field in value or plain in value
            return False

        return has, cost  # of what is asked about, less the unit of a name, and a unit for the asking

    # -- calls ----------------------------------------------------------------------------------------------------
    def _call(self, node: ast.Call) -> Built:
        special = _SPECIAL.get(node.function)
        if special is not None and node.target is None:
            return special(self, node)
        binary = operators.BINARY.get(node.function)
        if binary is not None and node.target is None:
            return self._binary(node, binary)
        if node.target is not None and node.function in ("or", "orValue") and len(node.args) == 1:
            return _or_else(self, node, node.target)
        return self._function(node)

    def _binary(self, node: ast.Call, run: Callable[[Any, Any], Any]) -> Built:
        name, resolved = node.function, self._resolved.get(id(node))
        if name in ("_[_]", "_[?_]"):
            (left, a), (right, b) = self._operand(node.args[0]), self.node(node.args[1])
            cost = a + b - (right in self.attributes)
            return self._attribute(*(_operation(left, right, run), cost + 1) if name == "_[_]" else (_maybe(left, right), cost))
        (left, a), (right, b) = self.node(node.args[0]), self.node(node.args[1])
        if right in self.fixed and type(self.fixed[right]) is str and name in ("_==_", "_!=_"):
            return _same_text(left, self.fixed[right], name == "_==_"), a + b
        price = _price(name, resolved)
        if name == "@in" and price is not None and right in self.fixed:
            return self._among(left, a, self.fixed[right], node)
        if price is None:
            return _operation(left, right, run), a + b + 1
        return _priced(left, right, run, price), a + b

    def _among(self, left: Closure, cost: int, items: list[Any], node: ast.Call) -> Built:
        """`x in [1, 2]`: looked up."""
        if not items:
            return self._constant(False)
        if all(type(i) in (bool, int, Uint, float, str) for i in items):
            return (lambda frame: contains(items, left(frame))), cost
        return _priced(left, lambda frame: items, operators.inside, _of_list), cost

    def _function(self, node: ast.Call) -> Built:
        target, name = node.target, node.function
        if target is not None:
            prefix = ast.qualified(target)
            whole = f"{prefix}.{name}"
            if prefix and whole in FUNCTIONS:
                target, name = None, whole
        arguments = ((target,) if target is not None else ()) + node.args
        built = [self.node(a) for a in arguments]
        overloads = self._functions.find(name, target is not None, len(arguments))
        closures = [c for c, _ in built]
        cost = sum(c for _, c in built)
        dispatch = Dispatch(name, overloads)
        if name in _CONVERSIONS and len(closures) == 1 and closures[0] in self.fixed:
            value = self.fixed[closures[0]]
            return self._constant(dispatch.of((value,)).run(value))
        if name in ("matches", "find", "findAll") and len(closures) > 1 and type(self.fixed.get(closures[1])) is str:
            regex(self.fixed[closures[1]])  # a pattern that is written out is right, or there is no program
        if all(o.cost is None for o in overloads):
            return _plain_call(dispatch, closures), cost + 1
        if name in ("string", "bytes") and id(node) not in self._resolved:
            return _plain_call(dispatch, closures), cost + 1
        return _costly_call(dispatch, closures), cost

    # -- literals with parts --------------------------------------------------------------------------------------
    def _list(self, node: ast.List) -> Built:
        built = [self.node(i) for i in node.items]
        cost = LIST_COST + sum(c for _, c in built)
        closures = [c for c, _ in built]
        if not node.optional:
            if all(c in self.fixed for c in closures):
                return self._constant([self.fixed[c] for c in closures])
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
                if isinstance(k, (list, dict)):
                    raise CelError(f"unsupported key type: {type_name(k)}")
                if k in out:
                    raise CelError(f"Failed with repeated key: {k}")
                out[k] = v
            return out

        if all(k in self.fixed and v in self.fixed and not optional for k, v, optional in entries):
            return self._constant(make([]))
        return make, cost

    def _struct(self, node: ast.Struct) -> Built:
        name = node.name
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
    return NONE


# -- operators --------------------------------------------------------------------------------------------------------
_CONVERSIONS = frozenset({"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"})
Price = Callable[[Any, Any], int]


def _price(name: str, resolved: Signature | None) -> Price | None:
    """What an operator costs by its operands; None: a unit."""
    if name in ("_==_", "_!=_"):
        return _of_shorter
    first = resolved.parameters[0].name if resolved is not None else ""
    if first in ("string", "bytes") and name in ("_<_", "_<=_", "_>_", "_>=_"):
        return _of_shorter
    if first in ("string", "bytes") and name == "_+_":
        return _of_both
    if name == "@in" and resolved is not None and resolved.parameters[1].name == "list":
        return _of_list
    return None


def _size(value: Any) -> int:
    kind = type(value)
    if kind is str or kind is list or kind is dict or kind is bytes or isinstance(value, (list, dict)):
        return len(value)
    return 1


def _of_shorter(a: Any, b: Any) -> int:
    return 1 if isinstance(a, Opaque) else tenth(min(_size(a), _size(b)))


def _of_both(a: Any, b: Any) -> int:
    return tenth(_size(a) + _size(b))


def _of_list(_: Any, items: Any) -> int:
    return _size(items)


def _operation(left: Closure, right: Closure, run: Callable[[Any, Any], Any]) -> Closure:
    return lambda frame: run(left(frame), right(frame))


def _maybe(left: Closure, right: Closure) -> Closure:
    """a[?b]: what is there costs a unit."""

    def look(frame: Frame) -> Option:
        found = operators.optional_index(left(frame), right(frame))
        if found.has:
            charge(frame, 1)
        return found

    return look


def _priced(left: Closure, right: Closure, run: Callable[[Any, Any], Any], price: Price) -> Closure:
    """Operators whose cost grows with what they compare or join."""

    def operate(frame: Frame) -> Any:
        a, b = left(frame), right(frame)
        frame[0] -= price(a, b)
        if frame[0] < 0:
            raise CostExceeded
        return run(a, b)

    return operate


def _same_text(left: Closure, text: str, same: bool) -> Closure:
    """Is it the text that is written out?"""
    size = len(text)

    def compare(frame: Frame) -> bool:
        value = left(frame)
        frame[0] -= tenth(min(_size(value), size))
        if frame[0] < 0:
            raise CostExceeded
        return bool(value == text) is same

    return compare


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

    def junction(frame: Frame) -> bool:
        try:
            first = left(frame)
        except CelError:
            charge(frame, b)
            if right(frame) is decides:
                return decides
            raise
        if first is decides:
            return decides
        frame[0] -= b
        if frame[0] < 0:
            raise CostExceeded
        second = right(frame)
        if second is decides:
            return decides
        if type(first) is not bool or type(second) is not bool:
            raise CelError("no such overload")
        return not decides

    return junction, a


def _conditional(builder: Builder, node: ast.Call) -> Built:
    """A name that is chosen costs nothing for being one."""
    (test, a), (yes, b), (no, c) = (builder.node(x) for x in node.args)
    b, c = b - (yes in builder.attributes), c - (no in builder.attributes)

    def choose(frame: Frame) -> Any:
        value = test(frame)
        if value is True:
            frame[0] -= b
            chosen = yes
        elif value is False:
            frame[0] -= c
            chosen = no
        else:
            raise CelError("no such overload")
        if frame[0] < 0:
            raise CostExceeded
        return chosen(frame)

    builder.attributes.add(choose)
    return choose, a


def _not(builder: Builder, node: ast.Call) -> Built:
    operand, cost = builder.node(node.args[0])

    def negate(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is not bool:
            raise CelError("no such overload")
        return not value

    return negate, cost + 1


def _minus(builder: Builder, node: ast.Call) -> Built:
    operand, cost = builder.node(node.args[0])
    return (lambda frame: operators.neg(operand(frame))), cost + 1


def _dyn(builder: Builder, node: ast.Call) -> Built:
    operand, cost = builder.node(node.args[0])
    return (operand, 0) if operand in builder.fixed else ((lambda frame: operand(frame)), cost + 1)


def _or_else(builder: Builder, node: ast.Call, target: ast.Node) -> Built:
    """or, orValue: the other is looked at where there is no value."""
    (left, a), (right, b) = builder.node(target), builder.node(node.args[0])
    whole = node.function == "or"

    def choose(frame: Frame) -> Any:
        value = left(frame)
        if type(value) is not Option:
            raise CelError("no such overload")
        if value.has:
            return value if whole else value.value
        charge(frame, b)
        return right(frame)

    return choose, a


_SPECIAL: dict[str, Callable[[Builder, ast.Call], Built]] = {
    "_&&_": _and, "_||_": _or, "_?_:_": _conditional, "!_": _not, "-_": _minus, "dyn": _dyn}
__all__ = ["Builder", "Closure", "Frame", "charge", "equal", "unescape"]
