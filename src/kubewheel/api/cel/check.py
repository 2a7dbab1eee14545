"""What is known of types before anything runs: undefined fields and calls that can never fit are found here.

A Kind of "dyn" is anything: lenient where nothing is declared, strict where a schema says what there is.
In: ast.Node, the variables' Kinds. Out: the result's Kind, `problems`. Called by: program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api.cel import ast, times
from kubewheel.api.cel.registry import Registry
from kubewheel.api.cel.values import NAMES, CelError


@dataclass(frozen=True)
class Kind:
    """`name`: dyn, bool, int, uint, double, string, bytes, list, map, object, timestamp, duration …"""

    name: str
    items: Kind | None = None  # of list and map
    fields: Mapping[str, Kind] | None = None  # object: all there are
    shown: str = ""  # how an object type is called in messages
    # The most elements, characters or bytes a value has by its schema; None: nothing is known. Of no account for types.
    size: int | None = field(default=None, compare=False)
    least: int = field(default=1, compare=False)  # bytes of the shortest JSON text of it

    def __str__(self) -> str:
        if self.name == "list":
            return f"list({self.items or DYN})"
        if self.name == "map":
            return f"map(string, {self.items or DYN})"
        return self.shown or self.name


DYN, BOOL, INT, UINT, DOUBLE, STRING, NULL = (
    Kind(n) for n in ("dyn", "bool", "int", "uint", "double", "string", "null"))
_OF_LITERAL = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, bytes: Kind("bytes"), type(None): NULL}
_NUMBERS = ("int", "uint", "double")
_SAME = {"_+_": (*_NUMBERS, "string", "bytes", "list", "duration"), "_-_": (*_NUMBERS, "duration", "timestamp"),
         "_*_": _NUMBERS, "_/_": _NUMBERS, "_%_": ("int", "uint")}
_ORDERED = (*_NUMBERS, "string", "bytes", "bool", "timestamp", "duration")


def _pattern(text: str) -> object:
    from kubewheel.api.cel.functions import regex

    return regex(text)


_LITERALS: dict[str, Callable[[str], object]] = {
    "duration": times.duration, "timestamp": times.timestamp, "matches": _pattern}


class Checker:
    def __init__(self, variables: dict[str, Kind], functions: Registry) -> None:
        self._scope = variables
        self._functions = functions
        self.problems: list[tuple[int, str]] = []
        self._mixed_allowed: set[int] = set()  # id() of lists that are format's arguments
        self.kinds: dict[int, Kind] = {}  # by id() of each node seen: for estimates of cost

    def of(self, node: ast.Node) -> Kind:
        kind = self.kinds[id(node)] = getattr(self, "_" + type(node).__name__.lower())(node)
        return kind

    def _literal(self, node: ast.Literal) -> Kind:
        return _OF_LITERAL.get(type(node.value), UINT)

    def _ident(self, node: ast.Ident) -> Kind:
        if node.name in self._scope:
            return self._scope[node.name]
        return Kind("type") if node.name in NAMES.values() else DYN  # what is undeclared, build says

    def _field(self, operand: Kind, field: str, at: int) -> Kind:
        if operand.name == "object" and operand.fields is not None:
            found = operand.fields.get(field)
            if found is None:
                self.problems.append((at, f"undefined field '{field}'"))
            return found or DYN
        if operand.name == "map":
            return operand.items or DYN
        if operand.name not in ("dyn", "optional", "object"):
            self.problems.append((at, f"type '{operand}' does not support field selection"))
        return DYN

    def _select(self, node: ast.Select) -> Kind:
        root = ast.qualified(node).partition(".")[0]
        if root and root not in self._scope:
            return DYN
        kind = self._field(self.of(node.operand), node.field, node.at)
        return Kind("optional", kind) if node.optional else kind

    def _has(self, node: ast.Has) -> Kind:
        self._field(self.of(node.operand), node.field, node.at)
        return BOOL

    def _list(self, node: ast.List) -> Kind:
        kinds = [self.of(i) for i in node.items]
        if not node.optional and id(node) not in self._mixed_allowed:
            self._alike(kinds, [i.at for i in node.items])
        same = kinds and not node.optional and all(k == kinds[0] for k in kinds)
        return Kind("list", kinds[0] if same else DYN)

    def _map(self, node: ast.Map) -> Kind:
        keys, kinds = [self.of(k) for k, _, _ in node.entries], [self.of(v) for _, v, _ in node.entries]
        self._alike(keys, [k.at for k, _, _ in node.entries])
        if not any(optional for _, _, optional in node.entries):
            self._alike(kinds, [v.at for _, v, _ in node.entries])
        return Kind("map", kinds[0] if kinds and all(k == kinds[0] for k in kinds) else DYN)

    def _alike(self, kinds: list[Kind], at: list[int]) -> None:
        """What stands in one list or map literal has one type (HomogeneousAggregateLiterals)."""
        first = next((k for k in kinds if k.name != "dyn"), DYN)
        for kind, where in zip(kinds, at, strict=True):
            if not _assignable(first, kind):
                self.problems.append((where, f"expected type '{first}' but found '{kind}'"))
                return

    def _struct(self, node: ast.Struct) -> Kind:
        for _, value, _ in node.entries:
            self.of(value)
        return Kind("object", shown=node.name)

    # -- calls ----------------------------------------------------------------------------------------------------
    def _call(self, node: ast.Call) -> Kind:
        target = node.target
        self._literals(node)
        name = ast.qualified(target)
        if target is not None and name and name.partition(".")[0] not in self._scope:
            if f"{name}.{node.function}" in self._functions.names:
                kinds = [self.of(a) for a in node.args]
                return self._result(node, f"{name}.{node.function}", False, kinds)
        kinds = [self.of(a) for a in ((target,) if target is not None else ()) + node.args]
        if target is None and (node.function.startswith(("_", "@", "!", "-")) or node.function == "dyn"):
            return self._operator(node, kinds)
        return self._result(node, node.function, target is not None, kinds)

    def _literals(self, node: ast.Call) -> None:
        """Times and patterns that are written out are right, or nothing is compiled."""
        last = node.args[-1] if node.args else None
        if node.function == "format" and len(node.args) == 1:
            self._mixed_allowed.add(id(last))
        parse = _LITERALS.get(node.function)
        if parse is None or not isinstance(last, ast.Literal) or type(last.value) is not str:
            return
        if (node.function == "matches") == (len(node.args) + (node.target is not None) == 2):
            try:
                parse(last.value)
            except CelError:
                self.problems.append((last.at, f"invalid {node.function} argument"))

    def _mismatch(self, node: ast.Call, kinds: list[Kind], receiver: bool = False, name: str = "") -> Kind:
        shown = f"{kinds[0]}.({', '.join(map(str, kinds[1:]))})" if receiver else f"({', '.join(map(str, kinds))})"
        self.problems.append((node.at, f"found no matching overload for '{name or node.function}' applied to '{shown}'"))
        return DYN

    def _result(self, node: ast.Call, name: str, receiver: bool, kinds: list[Kind]) -> Kind:
        overloads = self._functions.find(name, receiver, len(kinds))
        if not overloads:
            return DYN  # said by build
        fitting = [o for o in overloads if all(_may_be(k, p) for k, p in zip(kinds, o.parameters, strict=True))]
        if not fitting:
            return self._mismatch(node, kinds, receiver, name)
        results = {o.result for o in fitting}
        if len(results) > 1:
            return DYN
        result = results.pop()
        if name == "type":
            return Kind("type")
        if result == "dyn" and name in ("min", "max", "sum") and kinds and kinds[0].items is not None:
            return kinds[0].items
        return Kind(result, STRING if name in ("split", "findAll") else DYN) if result == "list" else Kind(result)

    def _operator(self, node: ast.Call, kinds: list[Kind]) -> Kind:
        name, known = node.function, [k.name for k in kinds]
        if name == "dyn":
            return DYN
        if name in ("_&&_", "_||_", "!_"):
            if any(k not in ("bool", "dyn") for k in known):
                self._mismatch(node, kinds)
            return BOOL
        if name == "_?_:_":
            if known[0] not in ("bool", "dyn") or kinds[1] != kinds[2] and not {"dyn", "null"} & {*known[1:]} \
                    and _clash(kinds[1], kinds[2]):
                return self._mismatch(node, kinds)
            return kinds[1] if kinds[1] == kinds[2] else DYN
        if name in ("_==_", "_!=_"):
            if _clash(*kinds):
                self._mismatch(node, kinds)
            return BOOL
        if name in ("_<_", "_<=_", "_>_", "_>=_"):
            if "dyn" not in known and not (known[0] == known[1] and known[0] in _ORDERED
                                           or known[0] in _NUMBERS and known[1] in _NUMBERS):
                self._mismatch(node, kinds)
            return BOOL
        if name == "@in":
            if known[1] not in ("list", "map", "dyn"):
                self._mismatch(node, kinds)
            return BOOL
        if name in ("_[_]", "_[?_]"):
            return self._index(node, kinds)
        if name == "-_":
            return kinds[0] if known[0] in ("int", "double", "duration", "dyn") else self._mismatch(node, kinds)
        return self._arithmetic(node, kinds)

    def _index(self, node: ast.Call, kinds: list[Kind]) -> Kind:
        if kinds[0].name not in ("list", "map", "dyn", "optional"):
            return self._mismatch(node, kinds)
        if kinds[0].name == "list" and kinds[1].name not in (*_NUMBERS, "dyn"):
            return self._mismatch(node, kinds)
        found = (kinds[0].items or DYN) if kinds[0].name in ("list", "map") else DYN
        return Kind("optional", found) if node.function == "_[?_]" else found

    def _arithmetic(self, node: ast.Call, kinds: list[Kind]) -> Kind:
        left, right = kinds
        names = (left.name, right.name)
        if "dyn" in names:
            return DYN
        if names[0] == names[1] and names[0] in _SAME[node.function]:
            return Kind("duration") if names[0] == "timestamp" else left
        if "timestamp" in names and "duration" in names and node.function in ("_+_", "_-_"):
            return Kind("timestamp")
        return self._mismatch(node, kinds)

    # -- macros ---------------------------------------------------------------------------------------------------
    def _macro(self, node: ast.Macro) -> Kind:
        over = self.of(node.range)
        if node.name not in ("bind", "optMap", "optFlatMap") and over.name not in ("list", "map", "dyn"):
            self.problems.append((node.range.at, f"expression of type '{over}' cannot be range of a comprehension "
                                                 "(must be list, map, or dynamic)"))
        saved = self._scope
        self._scope = {**saved, **dict(zip(node.variables, self._variables(node, over), strict=False))}
        kinds = [self.of(a) for a in node.args]
        self._scope = saved
        tests = {"all": kinds, "exists": kinds, "exists_one": kinds, "filter": kinds, "sortBy": ()}.get(node.name, kinds[:-1])
        for kind, arg in zip(tests, node.args, strict=False):
            if kind.name not in ("bool", "dyn"):
                self.problems.append((arg.at, f"expected type 'bool' but found '{kind}'"))
        if node.name in ("all", "exists", "exists_one"):
            return BOOL
        if node.name == "bind":
            return kinds[-1]
        if node.name in ("filter", "sortBy"):
            return over if over.name == "list" else Kind("list", STRING if over.name == "map" else DYN)
        if node.name in ("map", "transformList"):
            return Kind("list", kinds[-1])
        if node.name in ("optMap", "optFlatMap"):
            return Kind("optional", kinds[-1] if node.name == "optMap" else DYN)
        return Kind("map", kinds[-1] if node.name == "transformMap" else DYN)

    @staticmethod
    def _variables(node: ast.Macro, over: Kind) -> list[Kind]:
        items = over.items or DYN
        if node.name == "bind":
            return [over]
        if node.name in ("optMap", "optFlatMap"):
            return [items]
        if len(node.variables) == 2:
            return [{"list": INT, "map": STRING}.get(over.name, DYN), items]
        return [STRING if over.name == "map" else items if over.name == "list" else DYN]


def _assignable(a: Kind, b: Kind) -> bool:
    if "dyn" in (a.name, b.name):
        return True
    if a.name == b.name:
        return a.items is None or b.items is None or _assignable(a.items, b.items)
    return {a.name, b.name} <= {"object", "map"}


def _may_be(kind: Kind, parameter: str) -> bool:
    return kind.name == "dyn" or parameter == "dyn" or kind.name == parameter \
        or kind.name == "object" and parameter == "map" and kind.fields is None


def _clash(a: Kind, b: Kind) -> bool:
    """Can == never hold for their types?"""
    names: Any = {a.name, b.name}
    if "dyn" in names or "null" in names or a.name == b.name or names <= {"object", "map"}:
        return False
    return not names <= set(_NUMBERS) or a.name != b.name
