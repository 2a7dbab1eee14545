"""Types as the checker sees them, and when one stands for another.

In: nothing. Out: Kind; `parsed` of a text; Unifier (what type parameters stand for). Called by: check, declarations, who
declares variables. Source of the rule: "Gradual type checking" in the CEL language definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache


@dataclass(frozen=True)
class Kind:
    """`name`: dyn, bool, int, uint, double, string, bytes, null, list, map, object, timestamp, duration, optional, type,
    param (a type parameter), error (what an error was told of already), or a library's type (net.IP)."""

    name: str
    items: Kind | None = None  # of list, map, optional, type; None: dyn
    fields: Mapping[str, Kind] | None = None  # object: all there are; None: any
    shown: str = ""  # how an object type or a parameter is called in messages
    # The most elements, characters or bytes a value has by its schema; None: nothing is known. Of no account for types.
    size: int | None = field(default=None, compare=False)
    least: int = field(default=1, compare=False)  # bytes of the shortest JSON text of it
    key: Kind | None = None  # of map; None: string

    @property
    def inner(self) -> Kind:
        return self.items or DYN

    @property
    def has_params(self) -> bool:
        return self.name == "param" or any(k is not None and k.has_params for k in (self.items, self.key))

    def __str__(self) -> str:
        """As messages about arguments show it."""
        if self.name == "map":
            return f"map({self.key or STRING}, {self.inner})"
        if self.name in ("list", "optional"):
            return f"{_CALLED.get(self.name, self.name)}({self.inner})"
        if self.name == "type":
            return f"type({self.items})" if self.items is not None else "type"
        return self.shown or _CALLED.get(self.name, self.name)

    @property
    def full(self) -> str:
        """As messages about results show it."""
        if self.name == "map":
            return f"map({(self.key or STRING).full}, {self.inner.full})"
        if self.name in ("list", "optional"):
            return f"{_CALLED.get(self.name, self.name)}({self.inner.full})"
        if self.name == "type" and self.items is not None:
            return f"type({self.items.full})"
        return _FULL.get(self.name) or str(self)


_CALLED = {"optional": "optional_type", "error": "!error!"}
_FULL = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration", "null": "null_type"}
DYN, BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, ERROR, TIMESTAMP, DURATION = (
    Kind(n) for n in ("dyn", "bool", "int", "uint", "double", "string", "bytes", "null", "error", "timestamp", "duration"))
_ANY = frozenset({"dyn", "error"})
_PLAIN = frozenset({"dyn", "bool", "int", "uint", "double", "string", "bytes", "list", "map", "type", "param", "null"})


def list_of(items: Kind) -> Kind:
    return Kind("list", items)


def map_of(key: Kind, items: Kind) -> Kind:
    return Kind("map", items, key=key)


def optional_of(items: Kind) -> Kind:
    return Kind("optional", items)


@lru_cache(maxsize=256)
def parsed(text: str) -> Kind:
    """`map(string, list(A))`, `authz.Decision`."""
    name, bracket, rest = text.partition("(")
    if bracket:
        inner = rest[:-1]
        if name == "map":
            key, _, value = inner.partition(", ")
            return map_of(parsed(key), parsed(value))
        return Kind(name, parsed(inner))
    if len(name) == 1:
        return Kind("param", shown=name)
    return Kind(name.replace("authz.", "kubernetes.authorization."))


class Unifier:
    """What type parameters stand for so far."""

    def __init__(self) -> None:
        self._known: dict[str, Kind] = {}
        self._count = 0

    def fresh(self) -> Kind:
        self._count += 1
        return Kind("param", shown=f"_var{self._count - 1}")

    def fits(self, a: Sequence[Kind], b: Sequence[Kind]) -> bool:
        """Can each of `a` stand for its counterpart? What that says of parameters is kept if all can."""
        before = dict(self._known)
        if len(a) == len(b) and all(self._assignable(x, y) for x, y in zip(a, b, strict=True)):
            return True
        self._known = before
        return False

    def resolved(self, kind: Kind, *, final: bool = False) -> Kind:
        """With what its parameters stand for; `final`: dyn for those that stand for nothing."""
        if kind.name == "param":
            found = self._known.get(kind.shown)
            if found is not None:
                return self.resolved(found, final=final)
            return DYN if final else kind
        if not kind.has_params:
            return kind
        return replace(kind, items=kind.items and self.resolved(kind.items, final=final),
                       key=kind.key and self.resolved(kind.key, final=final))

    # -- the rules ----------------------------------------------------------------------------------------------------
    def _assignable(self, a: Kind, b: Kind) -> bool:
        if b.name == "param":
            fits, bound = self._bind(a, b)
            if fits or bound:
                return fits
        if a.name == "param":
            return self._bind(b, a)[0]
        if a.name in _ANY or b.name in _ANY:
            return True
        if a.name == "null" or b.name == "null":
            other = b if a.name == "null" else a
            return other.name == "null" or other.name not in _PLAIN
        if a.name != b.name:
            return False
        if a.name == "type":
            return True
        if a.name == "map":
            return self._assignable(a.key or STRING, b.key or STRING) and self._assignable(a.inner, b.inner)
        if a.name in ("list", "optional"):
            return self._assignable(a.inner, b.inner)
        return a == b

    def _bind(self, kind: Kind, param: Kind) -> tuple[bool, bool]:
        """(does the parameter stand for this kind, did it stand for one before)."""
        if kind == param:
            return True, True
        known = self._known.get(param.shown)
        if known is None:
            if self._occurs(param, kind):
                return False, False
            self._known[param.shown] = kind
            return True, False
        if known == kind:
            return True, True
        if not self._assignable(kind, known):
            return False, True
        general = more_general(kind, known)
        if not self._occurs(param, general):
            self._known[param.shown] = general
        return True, True

    def _occurs(self, param: Kind, kind: Kind) -> bool:
        if kind == param:
            return True
        if kind.name == "param":
            known = self._known.get(kind.shown)
            return known is not None and self._occurs(param, known)
        return any(k is not None and self._occurs(param, k) for k in (kind.items, kind.key))


def more_general(a: Kind, b: Kind) -> Kind:
    """The wider of two that fit each other."""
    return a if _at_most_as_specific(a, b) else b


def _at_most_as_specific(a: Kind, b: Kind) -> bool:
    if a.name in ("dyn", "param"):
        return True
    if b.name in ("dyn", "param") or a.name != b.name:
        return False
    if a.name == "map":
        return _at_most_as_specific(a.key or STRING, b.key or STRING) and _at_most_as_specific(a.inner, b.inner)
    if a.name in ("list", "optional"):
        return _at_most_as_specific(a.inner, b.inner)
    return a.name == "type" or a == b
