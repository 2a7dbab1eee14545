"""Which fields a value sets, and which two values differ in: walkers made once per type out of its schema node.

In: Nodes and JSON values (without what nobody owns, see managed.owned_part). Out: FieldSets; FieldsError for lists that
break their own type.
Called by: managed.py, apply.py.

Objects of one kind mostly have the same members, so a map's walker remembers, per tuple of keys, the set it gives (all
leaves) or a template of it and which members to walk into. Sets are shared between objects: nobody changes one.

Upstream: structured-merge-diff's Compare and ToFieldSet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubewheel.api.merge import elements, fields
from kubewheel.api.merge.fields import DOT, LEAF, FieldsError, FieldSet
from kubewheel.api.protobuf import table
from kubewheel.api.schema.node import Node

Walk = Callable[[Any], FieldSet]
Object = dict[str, Any]

MAX_SHAPES = 1024  # remembered per type; then it begins anew
ABSENT: Any = object()

class Type:
    """The walkers of one node. `added`: what a value that was not there before sets; containers are members too.
    `filled`: what a value of a struct sets that was there before, empty (the root of a new object).
    `applied`: what an applied value sets; FieldsError (without text) for what conform.py will explain."""

    __slots__ = ("node", "is_map", "is_keyed", "name", "added", "applied", "applied_item", "filled", "items",
                 "_children", "_always")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.is_map = elements.is_map(node)
        self.is_keyed = elements.is_keyed(node)
        self.name = elements.namer(node) if self.is_keyed else None
        self._children: dict[str, Type] = {}
        self._always: dict[str, bool] = {}
        node.tracked = self  # before what lies below: a type may hold itself
        self.items = of(elements.items_node(node)) if self.is_keyed else None
        self.added: Walk = _added_walk(self)
        self.filled: Walk = _filled_walk(self)
        self.applied: Walk = _applied_walk(self, member=False)
        self.applied_item: Walk = _applied_walk(self, member=True)

    def child(self, name: str) -> Type:
        found = self._children.get(name)
        if found is None:
            made = of(elements.child(self.node, name))
            if name not in self.node.fields:
                return made  # keys of maps have no end
            found = self._children[name] = made
        return found

    def is_declared(self, name: str) -> bool:
        """A field of a struct, as against a key of a map."""
        return name in self.node.fields

    def is_always_there(self, name: str) -> bool:
        found = self._always.get(name)
        if found is None:
            found = _is_always_there(self.node, name)
            if name in self.node.fields:
                self._always[name] = found
        return found


def of(node: Node) -> Type:
    return node.tracked if node.tracked is not None else Type(node)


def _is_always_there(node: Node, name: str) -> bool:
    if name == "metadata":
        return True
    below = node.fields.get(name)
    if below is None or not node.definition:  # custom resources hold nothing by value
        return False
    # Structs that Go holds by value, and all that it writes even when empty (null slices too), are there before anything
    # is set: filling them does not make the container itself a member.
    row = _row(node, name)
    if row is None:
        return name in node.required or below.type == "object" and (below.has_default or name in ("spec", "status"))
    return row.omit == table.KEPT or row.mode == table.VALUE and row.type == table.MESSAGE and below.type == "object"


def _row(node: Node, name: str) -> table.Row | None:
    return table.json_names(node.definition).get(name) if table.knows(node.definition) else None


# -- sets of one value --------------------------------------------------------------------------------------------
def _leaf(value: Any) -> FieldSet:
    return LEAF


def _added_walk(kind: Type) -> Walk:
    shapes: dict[tuple[str, ...], tuple[FieldSet, list[tuple[str, str, Type]]]] = {}

    def struct(value: Any) -> FieldSet:
        if not isinstance(value, dict) or not value:
            return LEAF
        names = tuple(value)
        shape = shapes.get(names)
        if shape is None:
            shape = _shape(kind, names, member=True)
            _remember(shapes, names, shape)
        made, inner = shape
        if inner:
            made = made.copy()
            for name, element, below in inner:
                made[element] = below.added(value[name])
        return made

    def keyed(value: Any) -> FieldSet:
        if not isinstance(value, list) or not value:
            return LEAF
        assert kind.items is not None
        found = _named(kind, value)
        inner = kind.items.added if kind.node.list_type == "map" else _leaf
        made = {DOT: LEAF}
        for element, items in fields.in_order(found).items():
            made[element] = inner(items[0]) if len(items) == 1 else LEAF
        return made

    return struct if kind.is_map else keyed if kind.is_keyed else _leaf


def _filled_walk(kind: Type) -> Walk:
    shapes: dict[tuple[str, ...], tuple[FieldSet, list[tuple[str, str, Type, bool]]]] = {}

    def struct(value: Any) -> FieldSet:
        names = tuple(value)
        shape = shapes.get(names)
        if shape is None:
            made, inner = _shape(kind, names, member=False)
            nested = {name for name, _, _ in inner}
            special = [(name, "f:" + name, kind.child(name), kind.is_always_there(name)) for name in sorted(names)
                       if name in nested or kind.is_always_there(name)]
            shape = made, special
            _remember(shapes, names, shape)
        made, special = shape
        if special:
            made = made.copy()
            for name, element, below, is_there in special:
                if not is_there:
                    made[element] = below.added(value[name])
                    continue
                found = _filled(below, value[name], is_struct=_is_by_value(kind.node, name))
                if found is None:
                    del made[element]
                else:
                    made[element] = found
        return made

    return struct


def _is_by_value(node: Node, name: str) -> bool:
    row = _row(node, name)
    return row is None or row.mode == table.VALUE


def _filled(kind: Type, value: Any, *, is_struct: bool) -> FieldSet | None:
    """What a member sets that was there before, empty; None for nothing."""
    if is_struct and value == {} and kind.node.type == "object":
        return None
    if kind.is_map and isinstance(value, dict):
        return kind.filled(value) or None
    if kind.is_keyed and value:
        below = kind.added(value)
        return {element: inner for element, inner in below.items() if element != DOT} or LEAF
    return LEAF if value or isinstance(value, (dict, list)) or kind.is_map else None


def _remember(shapes: dict[Any, Any], names: tuple[str, ...], shape: Any) -> None:
    if len(shapes) >= MAX_SHAPES:
        shapes.clear()
    shapes[names] = shape


def _shape(kind: Type, names: tuple[str, ...], *, member: bool) -> tuple[FieldSet, list[tuple[str, str, Type]]]:
    """The set of a map with these keys, and the members that may have sets of their own."""
    made: FieldSet = {DOT: LEAF} if member else {}
    inner: list[tuple[str, str, Type]] = []
    for name in sorted(names):
        below = kind.child(name)
        made["f:" + name] = LEAF
        if below.is_map or below.is_keyed:
            inner.append((name, "f:" + name, below))
    return made, inner


def _named(kind: Type, items: list[Any]) -> dict[str, list[Any]]:
    """Items by path element; more than one where the list breaks its own type (as stored objects may)."""
    assert kind.name is not None
    out: dict[str, list[Any]] = {}
    for at, item in enumerate(items):
        try:
            element = kind.name(item)
        except FieldsError as e:
            raise FieldsError(f": element {at}: {e}") from e
        if element in out:
            out[element].append(item)
        else:
            out[element] = [item]
    return out


def _applied_walk(kind: Type, *, member: bool) -> Walk:
    """Containers with something in them are not members, unless they are items of a list or keys of a map (`member`)."""
    shapes: dict[tuple[str, ...], tuple[FieldSet, list[tuple[str, str, Type]]]] = {}
    anything = kind.node is elements.DEDUCED or kind.node.type == "any"
    fields_of = kind.node.fields

    def struct(value: Any) -> FieldSet:
        if not value or not isinstance(value, dict):
            if value is None or anything or isinstance(value, dict):
                return LEAF
            raise FieldsError
        names = tuple(value)
        shape = shapes.get(names)
        if shape is None:
            _check_declared(kind.node, names)
            shape = _shape(kind, names, member=member)
            _remember(shapes, names, shape)
        made, inner = shape
        if inner:
            made = made.copy()
            for name, element, below in inner:
                one = value[name]
                if name not in fields_of:
                    made[element] = below.applied_item(one)
                elif (found := below.applied(one)) or not _says_nothing(below, one):
                    made[element] = found
                else:
                    del made[element]
        return LEAF if member and len(made) == 1 else made

    def keyed(value: Any) -> FieldSet:
        if not isinstance(value, list):
            if value is None:
                return LEAF
            raise FieldsError
        assert kind.items is not None and kind.name is not None
        name = kind.name
        found = {name(item): item for item in value}
        if len(found) < len(value):
            raise FieldsError  # something comes twice
        if kind.node.list_type != "map":
            made = dict.fromkeys(fields.in_order(found), LEAF)
        else:
            inner = kind.items.applied_item
            made = {element: inner(item) for element, item in fields.in_order(found).items()}
        return {DOT: LEAF, **made} if member and made else made

    return struct if kind.is_map else keyed if kind.is_keyed else _leaf


def _says_nothing(kind: Type, value: Any) -> bool:
    """An empty keyed list, and a struct with nothing but such in it."""
    if value.__class__ is list:
        return True
    return kind.is_map and value.__class__ is dict and bool(value)


def _check_declared(node: Node, names: tuple[str, ...]) -> None:
    if node.values is not None or node.preserve_unknown or node.type == "any":
        return
    for name in names:
        if name not in node.fields and not (node.embedded and name in ("apiVersion", "kind", "metadata")):
            raise FieldsError


# -- two values ---------------------------------------------------------------------------------------------------
def compare(node: Node, old: Object, new: Object) -> tuple[FieldSet, FieldSet]:
    """(added or modified, removed). Equal subtrees cost one comparison. FieldsError."""
    if not old:
        return of(node).filled(new), LEAF
    changed: FieldSet = {}
    removed: FieldSet = {}
    old = old if "metadata" in old else {**old, "metadata": {}}
    new = new if "metadata" in new else {**new, "metadata": {}}
    _compare_maps(of(node), old, new, changed, removed)
    return fields.in_order(changed), fields.in_order(removed)


def _compare_maps(kind: Type, old: Object, new: Object, changed: FieldSet, removed: FieldSet) -> None:
    for name, value in new.items():
        before = old.get(name, ABSENT)
        if before is value or before == value:
            continue
        below = kind.child(name)
        if before is ABSENT:
            if not kind.is_always_there(name):
                changed["f:" + name] = below.added(value)
                continue
            before = {} if below.is_map else None
            if value == before or not value and not isinstance(value, (dict, list)):
                continue  # an empty scalar was there as well
        _compare_values("f:" + name, below, before, value, changed, removed)
    for name, before in old.items():
        if name not in new:
            below = kind.child(name)
            if below.is_map and isinstance(before, dict) and kind.is_always_there(name):
                _compare_values("f:" + name, below, before, {}, changed, removed)
            else:
                removed["f:" + name] = below.added(before)


def _compare_values(element: str, kind: Type, old: Any, new: Any, changed: FieldSet, removed: FieldSet) -> None:
    more: FieldSet = {}
    less: FieldSet = {}
    if kind.is_map and _is_map_or_null(old) and _is_map_or_null(new):
        if not old and not new:
            changed[element] = LEAF  # null and empty are told apart
            return
        _compare_maps(kind, old or {}, new or {}, more, less)
    elif kind.is_keyed and _is_list_or_null(old) and _is_list_or_null(new):
        if not old and not new:
            changed[element] = LEAF
            return
        _compare_lists(kind, old or [], new or [], more, less)
    else:
        less = {e: below for e, below in kind.added(old).items() if e != DOT}
        changed[element] = kind.added(new)
    if more:
        changed[element] = fields.in_order(more)
    if less:
        removed[element] = fields.in_order(less)


def _is_map_or_null(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_list_or_null(value: Any) -> bool:
    return value is None or isinstance(value, list)


def _compare_lists(kind: Type, old: list[Any], new: list[Any], more: FieldSet, less: FieldSet) -> None:
    """Items are compared by element. Those that come more than once count as one: a leaf."""
    before, after = _named(kind, old), _named(kind, new)
    assert kind.items is not None
    items = kind.items if kind.node.list_type == "map" else None
    for element in before | after:
        olds, news = before.get(element) or [], after.get(element) or []
        if len(olds) > 1 or len(news) > 1:
            _compare_twins(element, items, olds, news, more, less)
        elif not olds:
            more[element] = items.added(news[0]) if items is not None else LEAF
        elif not news:
            less[element] = items.added(olds[0]) if items is not None else LEAF
        elif items is not None and olds[0] != news[0]:
            _compare_values(element, items, olds[0], news[0], more, less)


def _compare_twins(element: str, items: Type | None, olds: list[Any], news: list[Any], more: FieldSet, less: FieldSet) -> None:
    if len(olds) > 1 and len(news) > 1:
        if olds != news:
            more[element] = LEAF
        return
    one, of_one = (news, more) if len(olds) > 1 else (olds, less)
    of_many = less if of_one is more else more
    if one:
        of_one[element] = items.added(one[0]) if items is not None else LEAF
    of_many[element] = LEAF
