"""The live object and an applied configuration put together, and what an applier no longer names taken out again.

In: Nodes, JSON objects, FieldSets. Out: new objects that share untouched parts with both.
Called by: apply.py, mutating admission policies. The semantics are structured-merge-diff's Merge and RemoveItems.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.merge import fields, typed
from kubewheel.api.merge.fields import DOT, LEAF, FieldSet
from kubewheel.api.merge.typed import Type
from kubewheel.api.schema.node import Node

Object = dict[str, Any]


# -- merge --------------------------------------------------------------------------------------------------------
def merge(node: Node, live: Object, applied: Object) -> Object:
    """Both, `applied` winning; the live object itself if that changes nothing. A null stays, for comparisons: see
    without_nulls."""
    return _merge_maps(typed.of(node), live, applied)


def _merge_maps(kind: Type, live: Object, applied: Object) -> Object:
    out = live
    for name, value in applied.items():
        before = live.get(name, typed.ABSENT)
        if before is value or (before == value and before is not typed.ABSENT):
            continue
        made = _merge_values(kind.child(name), None if before is typed.ABSENT else before, value)
        if made is before:
            continue
        if out is live:
            out = dict(live)
        out[name] = made
    return out


def _merge_values(kind: Type, live: Any, applied: Any) -> Any:
    """Null takes away a scalar or an atomic value; of what is owned member by member it says nothing."""
    if kind.is_map and (applied is None or isinstance(applied, dict)) and isinstance(live, dict) and live:
        return _merge_maps(kind, live, applied) if applied else live
    if kind.is_keyed and (applied is None or isinstance(applied, list)) and isinstance(live, list) and live:
        return _merge_lists(kind, live, applied) if applied else live
    return applied


def _merge_lists(kind: Type, live: list[Any], applied: list[Any]) -> list[Any]:
    """Applied items come in their order; items only the live list has keep their place among them."""
    assert kind.name is not None
    left_names, right_names = list(map(kind.name, live)), list(map(kind.name, applied))
    if left_names == right_names:  # nearly always
        same = [_merged_item(kind, mine, theirs) for mine, theirs in zip(live, applied, strict=True)]
        return live if all(a is b for a, b in zip(same, live, strict=True)) else same
    lefts, rights = list(zip(left_names, live, strict=True)), list(zip(right_names, applied, strict=True))
    in_left, in_right = dict(lefts), dict(rights)
    if len(in_left) < len(lefts):  # what comes twice is not merged with: the applied one takes its place
        twice = {e for e in in_left if sum(other == e for other, _ in lefts) > 1}
        in_left = {e: None if e in twice else item for e, item in lefts}
    shared = [e for e, _ in rights if e in in_left]
    out: list[Any] = []
    done: set[str] = set()
    at_left = at_right = at_shared = 0
    while at_left < len(lefts) or at_right < len(rights):
        here = lefts[at_left][0] if at_left < len(lefts) else None
        there = rights[at_right][0] if at_right < len(rights) else None
        if here is not None and here not in in_right:
            out.append(lefts[at_left][1])
            at_left += 1
            continue
        if here is not None and there is not None and here != there and at_shared < len(shared) and shared[at_shared] != here:
            at_left += 1  # it comes, or came, where the applied order has it
            continue
        if here is not None and (here in done or here == there):
            at_left += 1
        if there is not None:
            done.add(there)
            out.append(_merged_item(kind, in_left.get(there), rights[at_right][1]))
            at_right += 1
            if at_shared < len(shared) and shared[at_shared] == there:
                at_shared += 1
    return live if len(out) == len(live) and all(a is b for a, b in zip(out, live, strict=True)) else out


def _merged_item(kind: Type, live: Any, applied: Any) -> Any:
    if live is None:
        return applied
    assert kind.items is not None
    return live if live == applied else _merge_values(kind.items, live, applied)


def without_nulls(node: Node, value: Any) -> Any:
    """The value without null members, except where the schema of a custom resource lets them be null."""
    return _without_nulls(typed.of(node), value)


def _without_nulls(kind: Type, value: Any) -> Any:
    if isinstance(value, dict) and kind.is_map:
        out = value
        for name, member in value.items():
            below = kind.child(name)
            kept = _without_nulls(below, member) if isinstance(member, (dict, list)) else member
            if kept is member and (member is not None or below.node.nullable or not kind.is_declared(name)):
                continue
            if out is value:
                out = dict(value)
            if member is None:
                del out[name]
            else:
                out[name] = kept
        return out
    if isinstance(value, list) and kind.items is not None:
        items = [_without_nulls(kind.items, item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


# -- prune --------------------------------------------------------------------------------------------------------
def remove(node: Node, value: Object, unwanted: FieldSet) -> Object:
    """Without the members of a set. A container that loses all it had becomes null."""
    removed = _remove(typed.of(node), value, unwanted)
    return removed if isinstance(removed, dict) else {}


def _remove(kind: Type, value: Any, unwanted: FieldSet) -> Any:
    if kind.is_map and isinstance(value, dict):
        out: Object = {}
        for name, member in value.items():
            below = unwanted.get("f:" + name)
            if below is None:
                out[name] = member
            elif not fields.is_member(below):
                out[name] = _remove(kind.child(name), member, below)
        return out or None
    if kind.is_keyed and isinstance(value, list):
        assert kind.name is not None and kind.items is not None
        items: list[Any] = []
        for item in value:
            below = unwanted.get(kind.name(item))
            if below is None:
                items.append(item)
            elif not fields.is_member(below):
                items.append(_remove(kind.items, item, below))
        return items or None
    return None if isinstance(value, (dict, list)) else value


def held(node: Node, value: Any) -> FieldSet:
    """The fields of a whole object, the containers between them included: what could be removed from it."""
    return with_containers(node, _held(typed.of(node), value) or {})


def _held(kind: Type, value: Any) -> FieldSet | None:
    """None: nothing to own (an empty keyed list)."""
    out: FieldSet = {}
    if kind.is_map and isinstance(value, dict):
        for name, member in value.items():
            below = _held(kind.child(name), member)
            if below is None and kind.is_declared(name):
                continue
            out["f:" + name] = below if below and kind.is_declared(name) else {DOT: LEAF, **below} if below else LEAF
        return fields.in_order(out)
    if kind.is_keyed and isinstance(value, list):
        assert kind.name is not None and kind.items is not None
        twice: set[str] = set()
        for item in value:
            element = kind.name(item)
            if element in out:
                twice.add(element)
            below = _held(kind.items, item) if kind.node.list_type == "map" else None
            out[element] = {DOT: LEAF, **below} if below else LEAF
        for element in twice:
            out[element] = LEAF
        return fields.in_order(out) if out else None
    return LEAF


def with_containers(node: Node, fieldset: FieldSet) -> FieldSet:
    """The set with every struct field that holds members as a member too; keys of maps and items of lists are not."""
    return _with_containers(typed.of(node), fieldset)


def _with_containers(kind: Type, fieldset: FieldSet) -> FieldSet:
    out: FieldSet = {}
    for element, below in fieldset.items():
        if not below or element == DOT:
            out[element] = below
            continue
        named = element.startswith("f:")
        child = kind.child(element[2:]) if named or kind.items is None else kind.items
        inner = _with_containers(child, below)
        if named and DOT not in inner and kind.is_map and kind.is_declared(element[2:]):
            inner = {DOT: LEAF, **inner}
        out[element] = inner
    return out
