"""What is known of types before anything runs: every expression's type, and what can never be.

In: ast.Node, the variables' Kinds. Out: each node's Kind, `problems` (offset, words). Called by: program.
Source of the rule: "Gradual type checking" in the CEL language definition; macros are checked as what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kubewheel.api.cel import ast, formatting
from kubewheel.api.cel.declarations import FUNCTIONS, PATCH_FUNCTIONS, Signature
from kubewheel.api.cel.kinds import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Kind,
    Unifier,
    list_of,
    map_of,
    more_general,
    optional_of,
)
from kubewheel.api.cel.values import CelError

__all__ = ["BOOL", "DOUBLE", "DYN", "INT", "STRING", "Checker", "Kind"]
_OF_LITERAL = {bool: BOOL, int: INT, float: DOUBLE, str: STRING, bytes: BYTES, type(None): NULL}
_TYPES: dict[str, Kind] = {
    **{k.name: k for k in (BOOL, BYTES, DOUBLE, INT, STRING, UINT)}, "null_type": NULL, "list": list_of(DYN),
    "map": map_of(DYN, DYN), "type": Kind("type"), "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION, "optional_type": optional_of(DYN)}
_LIBRARY_TYPES = ("kubernetes.URL", "kubernetes.Quantity", "kubernetes.Semver", "kubernetes.NamedFormat", "net.IP", "net.CIDR")
_TYPES |= {name: Kind(name) for name in _LIBRARY_TYPES}
JSON_PATCH = Kind("object", shown="JSONPatch", fields={"op": STRING, "path": STRING, "from": STRING, "value": DYN})
OBJECT = Kind("object", shown="Object")


def _pattern(text: str) -> object:
    from kubewheel.api.cel.functions import regex

    return regex(text)


def _duration(value: Any) -> object:
    from kubewheel.api.cel.functions import to_duration

    return to_duration(value)


def _timestamp(value: Any) -> object:
    from kubewheel.api.cel.functions import to_timestamp

    return to_timestamp(value)


_LITERALS: dict[str, Callable[[Any], object]] = {"duration": _duration, "timestamp": _timestamp, "matches": _pattern}


class Checker:
    """`patches`: may the expression make Objects and JSONPatches?"""

    def __init__(self, variables: Mapping[str, Kind], *, patches: bool = False) -> None:
        self._scope: dict[str, Kind] = dict(variables)
        self._patches = patches
        self._local: frozenset[str] = frozenset()
        self._unifier = Unifier()
        self.problems: list[tuple[int, str]] = []
        self.kinds: dict[int, Kind] = {}  # by id() of each node seen: for estimates of cost
        self.resolved: dict[int, Signature] = {}  # by id() of a call: the one overload that fits, where it is one
        self._nodes: list[tuple[ast.Node, bool]] = []  # (literals with parts and calls, are their parts of one type)
        self._fitting: list[Signature] = []  # of the last call
        self._mixed = 0  # how many calls of format we are in

    def check(self, tree: ast.Node) -> Kind:
        """The whole expression; afterwards `problems` and `kinds` are what is known."""
        self.of(tree)
        for key, kind in self.kinds.items():
            self.kinds[key] = self._unifier.resolved(kind, final=True)
        if not self.problems:
            for node, mixed in self._nodes:
                self._judge(node, mixed)
        return self.kinds[id(tree)]

    def of(self, node: ast.Node) -> Kind:
        kind = self.kinds[id(node)] = getattr(self, "_" + type(node).__name__.lower())(node)
        return kind

    def _tell(self, at: int, text: str) -> Kind:
        self.problems.append((at, text))
        return ERROR

    def _literal(self, node: ast.Literal) -> Kind:
        return _OF_LITERAL.get(type(node.value), UINT)

    # -- names and fields ---------------------------------------------------------------------------------------------
    def _named(self, name: str) -> Kind | None:
        if name in self._scope:
            return self._scope[name]
        if name in _TYPES:
            return Kind("type", _TYPES[name])
        made = self._made(name)
        return Kind("type", made) if made is not None else None

    def _made(self, name: str) -> Kind | None:
        """The type a struct's name stands for."""
        if self._patches and name == "JSONPatch":
            return JSON_PATCH
        if self._patches and (name == "Object" or name.startswith("Object.")):
            return Kind("object", shown=name)
        return None

    def _ident(self, node: ast.Ident) -> Kind:
        found = self._named(node.name)
        return found if found is not None else self._undeclared(node.at, node.name)

    def _undeclared(self, at: int, name: str) -> Kind:
        return self._tell(at, f"undeclared reference to '{name}' (in container '')")

    def _select(self, node: ast.Select) -> Kind:
        name = ast.qualified(node)
        if name and name.partition(".")[0] not in self._local and (found := self._named(name)) is not None:
            return found
        return self._field(node.operand, node.field, node.at, optional=node.optional)

    def _has(self, node: ast.Has) -> Kind:
        self._field(node.operand, node.field, node.at, optional=False)
        return BOOL

    def _field(self, operand: ast.Node, field: str, at: int, *, optional: bool) -> Kind:
        kind = self._unifier.resolved(self.of(operand))
        if kind.name == "optional":
            kind, optional = kind.inner, True
        found = self._field_of(kind, field, at)
        return self._unifier.resolved(optional_of(found) if optional else found)

    def _field_of(self, kind: Kind, field: str, at: int) -> Kind:
        if kind.name == "map":
            return kind.inner
        if kind.name == "object":
            if kind.fields is None:
                return DYN
            found = kind.fields.get(field)
            return found if found is not None else self._tell(at, f"undefined field '{field}'")
        if kind.name == "param":
            self._unifier.fits((DYN,), (kind,))
        elif kind.name.startswith("kubernetes.") and kind.name != "kubernetes.NamedFormat":
            return self._tell(at, f"unexpected failed resolution of '{kind}'")
        elif kind.name not in ("dyn", "error"):
            self._tell(at, f"type '{kind}' does not support field selection")
        return DYN

    # -- literals with parts ------------------------------------------------------------------------------------------
    def _join(self, before: Kind | None, kind: Kind) -> Kind:
        if before is None:
            return kind
        if self._unifier.fits((before,), (kind,)):
            return more_general(before, kind)
        return DYN  # told by _judge

    def _mismatch(self, at: int, wanted: Kind, found: Kind) -> Kind:
        return self._tell(at, f"expected type '{wanted}' but found '{found}'")

    def _part(self, node: ast.Node, *, optional: bool) -> Kind:
        kind = self.of(node)
        if not optional:
            return kind
        if kind.name == "optional":
            return kind.inner
        if kind.name != "dyn":
            self._mismatch(node.at, optional_of(kind), kind)
        return kind

    def _list(self, node: ast.List) -> Kind:
        items: Kind | None = None
        for i, item in enumerate(node.items):
            items = self._join(items, self._part(item, optional=i in node.optional))
        self._nodes.append((node, self._mixed > 0))
        return list_of(items if items is not None else self._unifier.fresh())

    def _map(self, node: ast.Map) -> Kind:
        keys: Kind | None = None
        values: Kind | None = None
        for key, value, optional in node.entries:
            keys = self._join(keys, self.of(key))
            values = self._join(values, self._part(value, optional=optional))
        self._nodes.append((node, self._mixed > 0))
        if keys is None or values is None:
            return map_of(self._unifier.fresh(), self._unifier.fresh())
        return map_of(keys, values)

    def _struct(self, node: ast.Struct) -> Kind:
        made = self._made(node.name)
        if made is None:
            return self._undeclared(node.at, node.name)
        for name, value, optional in node.entries:
            kind = self._part(value, optional=optional)
            wanted = made.fields.get(name) if made.fields is not None else DYN
            if wanted is None:
                self._tell(node.at, f"undefined field '{name}'")
            elif not self._unifier.fits((wanted,), (kind,)):
                self._tell(value.at, f"expected type of field '{name}' is '{wanted}' but provided type is '{kind}'")
        return made

    # -- calls --------------------------------------------------------------------------------------------------------
    def _call(self, node: ast.Call) -> Kind:
        self._nodes.append((node, False))
        name, target = node.function, node.target
        self._mixed += name == "format"
        kinds = [self.of(a) for a in node.args]
        if target is not None:
            prefix = ast.qualified(target)
            if prefix and self._is_function(f"{prefix}.{name}"):
                name, target = f"{prefix}.{name}", None
            else:
                kinds.insert(0, self.of(target))
        self._mixed -= node.function == "format"
        if not self._is_function(name):
            return self._undeclared(node.at, name)
        self._fitting.clear()
        found = self._overload(name, kinds, node.at, method=target is not None, args=node.args)
        if len(self._fitting) == 1:
            self.resolved[id(node)] = self._fitting[0]
        return found

    def _is_function(self, name: str) -> bool:
        return name in FUNCTIONS and (self._patches or name not in PATCH_FUNCTIONS)

    def _overload(self, name: str, kinds: list[Kind], at: int, *, method: bool = False, args: tuple[ast.Node, ...] = ()
                  ) -> Kind:
        if name in ("_&&_", "_||_"):
            fit = [self._unifier.fits((kind,), (BOOL,)) or self._mismatch(arg.at, BOOL, kind)
                   for kind, arg in zip(kinds, args, strict=True)]
            return BOOL if all(f is True for f in fit) else ERROR
        result: Kind | None = None
        for overload in FUNCTIONS[name]:
            if overload.method is not method:
                continue
            parameters, gives = overload.parameters, overload.result
            if overload.generic:
                fresh: dict[str, Kind] = {}
                parameters = tuple(self._instance(p, fresh) for p in parameters)
                gives = self._instance(gives, fresh)
            if not self._unifier.fits(kinds, parameters):
                continue
            gives = self._unifier.resolved(gives)
            self._fitting.append(overload)
            if result is None:
                result = gives
            elif result.name != "dyn" and gives != result:
                result = DYN
        if result is not None:
            return result
        shown = [str(self._unifier.resolved(k, final=True)) for k in kinds]
        text = f"{shown[0]}.({', '.join(shown[1:])})" if method else f"({', '.join(shown)})"
        return self._tell(at, f"found no matching overload for '{name}' applied to '{text}'")

    def _instance(self, kind: Kind, fresh: dict[str, Kind]) -> Kind:
        """With parameters of its own."""
        if kind.name == "param":
            if kind.shown not in fresh:
                fresh[kind.shown] = self._unifier.fresh()
            return fresh[kind.shown]
        if not kind.has_params:
            return kind
        return replace(kind, items=kind.items and self._instance(kind.items, fresh),
                       key=kind.key and self._instance(kind.key, fresh))

    # -- macros -------------------------------------------------------------------------------------------------------
    def _macro(self, node: ast.Macro) -> Kind:
        if node.name in ("optMap", "optFlatMap"):
            return self._optional_macro(node)
        over = self._unifier.resolved(self.of(node.range))
        if node.name == "sortBy":
            keys = self._loop(node, over, lambda accu, kinds: self._overload(
                "_+_", [accu, list_of(kinds[-1])], node.at), list_of(self._unifier.fresh()))
            return self._overload("@sortByAssociatedKeys", [over, self._unifier.resolved(keys)], node.at, method=True)
        return _MACROS[node.name](self, node, over)

    def _scoped(self, node: ast.Macro, kinds: list[Kind]) -> list[Kind]:
        """The arguments' types, with the macro's variables."""
        scope, local = self._scope, self._local
        self._scope = {**scope, **dict(zip(node.variables, kinds, strict=True))}
        self._local = local | {*node.variables}
        found = [self.of(a) for a in node.args]
        self._scope, self._local = scope, local
        return found

    def _loop(self, node: ast.Macro, over: Kind, step: Callable[[Kind, list[Kind]], Kind], accu: Kind) -> Kind:
        """`step` of the accumulator's type and the arguments' must give the accumulator's type again."""
        kinds = self._scoped(node, self._variables(node, over))
        made = step(accu, kinds)
        if not self._unifier.fits((accu,), (made,)):
            self._mismatch(node.at, accu, made)
        return self._unifier.resolved(accu)

    def _variables(self, node: ast.Macro, over: Kind) -> list[Kind]:
        two = len(node.variables) == 2
        if over.name == "list":
            return [INT, over.inner] if two else [over.inner]
        if over.name == "map":
            return [over.key or STRING, over.inner] if two else [over.key or STRING]
        if over.name in ("dyn", "error", "param"):
            self._unifier.fits((DYN,), (over,))
            return [DYN, DYN] if two else [DYN]
        at = node.at if node.name == "sortBy" else node.range.at
        self._tell(at, f"expression of type '{over}' cannot be range of a comprehension "
                       "(must be list, map, or dynamic)")
        return [ERROR, ERROR] if two else [ERROR]

    def _quantifier(self, node: ast.Macro, over: Kind) -> Kind:
        return self._loop(node, over, lambda accu, kinds: self._overload(
            "_&&_", [accu, kinds[0]], node.at, args=(node, node.args[0])), BOOL)

    def _exactly_one(self, node: ast.Macro, over: Kind) -> Kind:
        self._loop(node, over, lambda accu, kinds: self._overload("_?_:_", [kinds[0], INT, INT], node.at), INT)
        return BOOL

    def _gathering(self, node: ast.Macro, over: Kind) -> Kind:
        """map, transformList: with a condition where there are two arguments."""
        def step(accu: Kind, kinds: list[Kind]) -> Kind:
            made = self._overload("_+_", [accu, list_of(kinds[-1])], node.at)
            return made if len(kinds) == 1 else self._overload("_?_:_", [kinds[0], made, accu], node.at)

        return self._loop(node, over, step, list_of(self._unifier.fresh()))

    def _filter(self, node: ast.Macro, over: Kind) -> Kind:
        element = over.inner if over.name == "list" else (over.key or STRING) if over.name == "map" else (
            DYN if over.name in ("dyn", "error", "param") else ERROR)

        def step(accu: Kind, kinds: list[Kind]) -> Kind:
            made = self._overload("_+_", [accu, list_of(element)], node.at)
            return self._overload("_?_:_", [kinds[0], made, accu], node.at)

        return self._loop(node, over, step, list_of(self._unifier.fresh()))

    def _mapping(self, node: ast.Macro, over: Kind) -> Kind:
        """transformMap, transformMapEntry."""
        entry = node.name == "transformMapEntry"
        key = INT if over.name == "list" else (over.key or STRING) if over.name == "map" else DYN

        def step(accu: Kind, kinds: list[Kind]) -> Kind:
            made = self._overload("cel.@mapInsert", [accu, kinds[-1]] if entry else [accu, key, kinds[-1]], node.at)
            return made if len(kinds) == 1 else self._overload("_?_:_", [kinds[0], made, accu], node.at)

        return self._loop(node, over, step, map_of(self._unifier.fresh(), self._unifier.fresh()))

    def _optional_macro(self, node: ast.Macro) -> Kind:
        """hasValue() ? optional.of(… value() …) : optional.none()."""
        over = self.of(node.range)
        test = self._overload("hasValue", [over], node.at, method=True)
        value = self._overload("value", [over], node.at, method=True)
        made = self._scoped(node, [value])[0]
        yes = self._overload("optional.of", [made], node.at) if node.name == "optMap" else made
        no = self._overload("optional.none", [], node.at)
        return self._unifier.resolved(self._overload("_?_:_", [test, yes, no], node.at))

    # -- what is looked at when all types are right -------------------------------------------------------------------
    def _judge(self, node: ast.Node, mixed: bool) -> None:
        """Times and patterns that are written out are right; what stands in one list or map has one type, but among
        format's arguments."""
        if isinstance(node, ast.Call):
            parse = _LITERALS.get(node.function)
            first = node.args[0] if node.args else None
            if parse is not None and isinstance(first, ast.Literal):
                try:
                    parse(first.value)
                except CelError:
                    self.problems.append((first.at, f"invalid {node.function} argument"))
            if node.function == "format" and isinstance(node.target, ast.Literal) and isinstance(first, ast.List):
                self._judge_format(node, node.target.value, first.items)
        elif isinstance(node, ast.List) and not mixed:
            self._alike([self._known(item, i in node.optional) for i, item in enumerate(node.items)], node.items, once=True)
        elif isinstance(node, ast.Map) and not mixed:
            self._alike([self._known(k, False) for k, _, _ in node.entries], [k for k, _, _ in node.entries])
            self._alike([self._known(v, o) for _, v, o in node.entries], [v for _, v, _ in node.entries])

    def _judge_format(self, node: ast.Call, text: str, items: tuple[ast.Node, ...]) -> None:
        def refused(item: ast.Node, clause: str) -> tuple[int, str] | None:
            kind = self.kinds[id(item)]
            if not formatting.takes(clause, kind):
                return item.at, kind.full.partition("(")[0]
            inner = () if clause != "s" else item.items if isinstance(item, ast.List) else tuple(
                part for k, v, _ in item.entries for part in (k, v)) if isinstance(item, ast.Map) else ()
            return next((found for part in inner if (found := refused(part, clause)) is not None), None)

        where = [node.at]

        def told(item: ast.Node) -> Callable[[str], str | None]:
            def tell(clause: str) -> str | None:
                found = refused(item, clause)
                if found is None:
                    return None
                where[0] = found[0]
                return found[1]

            return tell

        try:
            formatting.judge(text, [told(i) for i in items])
        except formatting.Wrong as e:
            self.problems.append((where[0], str(e)))

    def _known(self, node: ast.Node, optional: bool) -> Kind:
        kind = self.kinds[id(node)]
        return kind.inner if optional else kind

    def _alike(self, kinds: list[Kind], nodes: Any, *, once: bool = False) -> None:
        for kind, node in zip(kinds[1:], nodes[1:], strict=True):
            if kind != kinds[0]:
                self._mismatch(node.at, kinds[0], kind)
                if once:
                    return


_MACROS: dict[str, Callable[[Checker, ast.Macro, Kind], Kind]] = {
    **dict.fromkeys(("all", "exists"), Checker._quantifier), "exists_one": Checker._exactly_one, "filter": Checker._filter,
    **dict.fromkeys(("map", "transformList"), Checker._gathering),
    **dict.fromkeys(("transformMap", "transformMapEntry"), Checker._mapping)}
