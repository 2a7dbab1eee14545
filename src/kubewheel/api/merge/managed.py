"""metadata.managedFields: who set which field.

In: the node of the kind, the object before and after a write, and who wrote. Out: the new list of entries.
Called by: apiserver's create, update and patch verbs (`updated`), apply.py (the rest).

The rules are upstream's field manager's: the writer owns what it changed; what disappeared belongs to
nobody; an entry that loses nothing stays as it is, time included, so a write without effect has none here.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.merge import fields
from kubewheel.api.merge.fields import DOT, LEAF, FieldSet
from kubewheel.api.schema.node import Node
from kubewheel.lib.clock import rfc3339

Object = dict[str, Any]
Entry = dict[str, Any]

MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"

# Never owned: upstream's stripMeta.
_STRIPPED = frozenset(("apiVersion", "kind"))
_STRIPPED_META = frozenset((
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
    "managedFields", "resourceVersion",
))
# Structs that upstream's types hold by value: an empty one is there before anything is set in it, so filling
# it does not make the container itself a member. OpenAPI v3 marks them with `default: {}`; v2 data does not.
_BY_VALUE = frozenset(("metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate"))
_ABSENT: Any = object()


def updated(
    node: Node, old: Object | None, new: Object, *, manager: str, operation: str = "Update",
    subresource: str = "", api_version: str, now: float,
) -> list[Entry]:
    """The managedFields of `new` after a create (`old` None), update or patch at `now` (epoch)."""
    live = _entries(old) if old is not None else []
    given = (new.get("metadata") or {}).get("managedFields")
    if given == [{}]:
        return []  # asked to forget everything
    entries = given if given and all(map(is_valid, given)) else live
    if old is not None and not entries:
        return []  # nothing is tracked on an object without managers until somebody applies
    changed, removed = compare(node, owned_part(old or {}), owned_part(new))
    if not changed and not removed:
        return list(entries)
    mine: Entry = _entry(manager, operation, api_version, subresource)
    out: list[Entry] = []
    own: FieldSet = {}
    for entry in entries:
        rest = without(entry, changed, removed)
        if rest is None:
            continue
        if changed and identity(rest) == identity(mine):
            own = fields.union(own, rest["fieldsV1"])
        else:
            out.append(rest)
    if changed:
        out.append({**mine, "time": rfc3339(now), "fieldsV1": fields.canonical(fields.union(own, changed))})
    return ordered(_capped(out))


def identity(entry: Entry) -> tuple[str, ...]:
    """What makes two entries one. Appliers are the same across API versions."""
    operation = entry.get("operation", "")
    version = "" if operation == "Apply" else entry.get("apiVersion", "")
    return (entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def is_valid(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and entry.get("operation") in ("Apply", "Update")
        and entry.get("fieldsType") == "FieldsV1" and isinstance(entry.get("fieldsV1"), dict)
    )


def _entries(obj: Object) -> list[Entry]:
    return [e for e in (obj.get("metadata") or {}).get("managedFields") or [] if is_valid(e)]


def _entry(manager: str, operation: str, api_version: str, subresource: str) -> Entry:
    entry: Entry = {
        "manager": manager, "operation": operation, "apiVersion": api_version, "time": "",
        "fieldsType": "FieldsV1", "fieldsV1": LEAF,
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def without(entry: Entry, *gone: FieldSet) -> Entry | None:
    """The entry less some fields; the same object if it had none of them, None if nothing stays."""
    mine = entry["fieldsV1"]
    rest = mine
    for fieldset in gone:
        rest = fields.difference(rest, fieldset)
    if rest is mine:
        return entry
    return {**entry, "fieldsV1": rest} if rest else None


def ordered(entries: list[Entry]) -> list[Entry]:
    """Upstream's order: appliers first, then by time, then by name."""
    return sorted(entries, key=lambda e: (
        e.get("operation", ""), e.get("time") or "", e.get("manager", ""), e.get("apiVersion", ""),
        e.get("subresource", ""),
    ))


def _capped(entries: list[Entry]) -> list[Entry]:
    """At most ten updaters: the oldest of one version become one entry."""
    updaters = ordered([e for e in entries if e["operation"] == "Update"])
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return entries
    others = [e for e in entries if e["operation"] != "Update"]
    buckets: dict[str, Entry] = {}
    folded: list[Entry] = []
    for entry in updaters:
        version = entry.get("apiVersion", "")
        if excess > 0 and version in buckets:
            first = buckets[version]
            buckets[version] = {
                **_entry(ANCIENT, "Update", version, ""), "time": entry.get("time", ""),
                "fieldsV1": fields.canonical(fields.union(first["fieldsV1"], entry["fieldsV1"])),
            }
            folded[folded.index(first)] = buckets[version]
            excess -= 1
        else:
            if excess > 0:
                buckets[version] = entry
            folded.append(entry)
    return others + folded


# --- what changed -----------------------------------------------------------------------------------------


def owned_part(obj: Object) -> Object:
    """The object without what nobody owns."""
    out = {key: value for key, value in obj.items() if key not in _STRIPPED}
    meta = obj.get("metadata")
    if isinstance(meta, dict):
        kept = out["metadata"] = {key: value for key, value in meta.items() if key not in _STRIPPED_META}
        if not kept:  # nothing but a name: that is nobody's
            del out["metadata"]
    return out


def compare(node: Node, old: Object, new: Object) -> tuple[FieldSet, FieldSet]:
    """(added or modified, removed) of two owned parts. Equal subtrees cost one comparison."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    old = old if "metadata" in old else {**old, "metadata": {}}
    new = new if "metadata" in new else {**new, "metadata": {}}
    _compare_maps(node, old, new, changed, removed)
    return changed, removed


def _compare_maps(node: Node, old: Object, new: Object, changed: FieldSet, removed: FieldSet) -> None:
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if before is value or before == value:
            continue
        below = fields.child(node, name)
        if before is _ABSENT and _is_always_there(node, name, below):
            before = type(value)() if isinstance(value, (dict, list)) else _ABSENT
        _compare_values("f:" + name, below, before, value, changed, removed)
    for name, before in old.items():
        if name not in new:
            below = fields.child(node, name)
            if _is_always_there(node, name, below) and fields.is_granular(below, before):
                _compare_values("f:" + name, below, before, {}, changed, removed)
            else:
                removed["f:" + name] = fields.whole_set(below, before)


def _compare_values(
    element: str, node: Node, old: Any, new: Any, changed: FieldSet, removed: FieldSet
) -> None:
    if old is _ABSENT:
        changed[element] = fields.whole_set(node, new)
        return
    more: FieldSet = {}
    less: FieldSet = {}
    if fields.is_granular(node, old) and fields.is_granular(node, new):
        _compare_maps(node, old, new, more, less)
    elif fields.is_keyed(node, old) and fields.is_keyed(node, new):
        _compare_lists(node, old, new, more, less)
        if not more and not less:
            return
    else:
        less = {e: below for e, below in fields.whole_set(node, old).items() if e != DOT}
        changed[element] = fields.whole_set(node, new)
    if more:
        changed[element] = more
    if less:
        removed[element] = less


def _compare_lists(node: Node, old: list[Any], new: list[Any], more: FieldSet, less: FieldSet) -> None:
    before = fields.elements(node, old)
    after = fields.elements(node, new)
    if before is None or after is None:  # duplicates or missing keys: the list changes as one
        more[DOT] = LEAF
        return
    below = fields.items_node(node)
    for element, item in after.items():
        if element not in before:
            more[element] = fields.whole_set(below, item) if node.list_type == "map" else LEAF
        elif item != before[element]:
            _compare_values(element, below, before[element], item, more, less)
    for element, item in before.items():
        if element not in after:
            less[element] = fields.whole_set(below, item) if node.list_type == "map" else LEAF


def _is_always_there(parent: Node, name: str, below: Node) -> bool:
    if name == "metadata":
        return True
    if not parent.definition:  # custom resources hold nothing by value
        return False
    return name in parent.required or below.type == "object" and (below.has_default or name in _BY_VALUE)
