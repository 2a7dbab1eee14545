"""metadata.managedFields: who set which field.

In: the node of the kind, the object before and after a write, and who wrote. Out: the new list of entries.
Called by: apiserver's create, update and patch verbs (`updated`), apply.py (the rest).

The rules are upstream's field manager's: the writer owns what it changed; what disappeared belongs to
nobody; an entry that loses nothing stays as it is, time included, so a write without effect has none here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from kubewheel.api.merge import elements, fields, typed
from kubewheel.api.merge.fields import DOT, LEAF, FieldsError, FieldSet
from kubewheel.api.schema.node import Node
from kubewheel.lib.clock import rfc3339

Object = dict[str, Any]
Entry = dict[str, Any]
Filter = Callable[[FieldSet], FieldSet]

MAX_UPDATE_MANAGERS = 10
ANCIENT = "ancient-changes"

# Never owned: upstream's stripMeta.
_STRIPPED = frozenset(("apiVersion", "kind"))
_STRIPPED_META = frozenset((
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation",
    "managedFields", "resourceVersion",
))


@dataclass(frozen=True, slots=True)
class Version:
    """Another version of the kind: how objects get there and back, and what its endpoint leaves to others."""

    node: Node
    there: Callable[[Object], Object]
    back: Callable[[Object], Object]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a write came in. `owns` drops what the endpoint never sets (upstream's ResetFields).

    `other(apiVersion)`: the kind in a version that an entry names; None for one that is not served (any more), whose
    entries are dropped."""

    node: Node
    api_version: str
    subresource: str = ""
    owns: Filter | None = None
    other: Callable[[str], Version | None] = lambda api_version: None

    def kept(self, fieldset: FieldSet) -> FieldSet:
        return fieldset if self.owns is None or not fieldset else self.owns(fieldset)


@dataclass(slots=True)
class Comparison:
    """What differs between two objects, in the endpoint's version and, when asked, in others."""

    endpoint: Endpoint
    old: Object
    new: Object
    changed: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)
    _seen: dict[str, tuple[FieldSet, FieldSet] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        end = self.endpoint
        self.changed, self.removed = typed.compare(end.node, owned_part(self.old), owned_part(self.new))
        self._seen[end.api_version] = end.kept(self.changed), end.kept(self.removed)

    def at(self, api_version: str) -> tuple[FieldSet, FieldSet] | None:
        """(changed, removed) as far as the endpoint may set it; None for a version that is gone."""
        if api_version not in self._seen:
            version = self.endpoint.other(api_version)
            found = None
            if version is not None:
                pair = typed.compare(version.node, *(owned_part(version.there(o)) if o else {} for o in (self.old, self.new)))
                found = self.endpoint.kept(pair[0]), self.endpoint.kept(pair[1])
            self._seen[api_version] = found
        return self._seen[api_version]


def updated(endpoint: Endpoint, old: Object | None, new: Object, *, manager: str, now: float) -> list[Entry]:
    """The managedFields of `new` after a create (`old` None), update or patch at `now` (epoch)."""
    entries = _tracked(endpoint, old, new)
    if old is not None and not entries:
        return []  # nothing is tracked on an object without managers until somebody applies
    if endpoint.node.raw is not None and any(_is_foreign(endpoint, e) for e in entries if e not in _live(old)):
        return []  # upstream cannot convert a custom resource to compare it, and drops them all
    try:
        comparison = Comparison(endpoint, old or {}, new)
    except FieldsError:
        return []  # a list that breaks its own type; upstream drops them all as well
    changed = endpoint.kept(comparison.changed)
    if not changed and not comparison.removed and all(e.get("apiVersion") == endpoint.api_version for e in entries):
        return [e for e in entries if e["fieldsV1"]]
    mine: Entry = _entry(manager or "unknown", "Update", endpoint.api_version, endpoint.subresource)
    out: list[Entry] = []
    own: FieldSet = {}
    for entry in entries:
        difference = comparison.at(entry.get("apiVersion", ""))
        rest = None if difference is None else without(entry, *difference)
        if rest is None:
            continue
        if changed and identity(rest) == identity(mine):
            own = rest["fieldsV1"]
        else:
            out.append(rest)
    if changed:
        out.append({**mine, "time": rfc3339(now), "fieldsV1": fields.union(own, changed)})
    return ordered(_capped(out))


def _tracked(endpoint: Endpoint, old: Object | None, new: Object) -> list[Entry]:
    """The entries before the write: the client's, if it sends any that are right; else the live ones."""
    live = _live(old)
    given = None if endpoint.subresource else (new.get("metadata") or {}).get("managedFields")
    if given == [{}]:
        return []  # asked to forget everything
    if given and given != live and all(is_valid(e) and fields.is_readable(e.get("fieldsV1") or {}) for e in given):
        return list({identity(e): decoded(e) for e in given}.values())
    return entries_of(old, endpoint.node) if old is not None else []


def _live(old: Object | None) -> list[Entry]:
    return (old.get("metadata") or {}).get("managedFields") or [] if old is not None else []


def _is_foreign(endpoint: Endpoint, entry: Entry) -> bool:
    """In a version that the kind does not have."""
    version = entry.get("apiVersion", "")
    return version != endpoint.api_version and endpoint.other(version) is None


def entries_of(obj: Object, node: Node) -> list[Entry]:
    """The managers of a stored object; none at all if one of them cannot be read."""
    entries: list[Entry] = (obj.get("metadata") or {}).get("managedFields") or []
    if not all(map(is_valid, entries)):
        return []
    if node.raw is None:
        return list(entries)
    return [_reconciled(typed.of(node), entry) for entry in entries]


def identity(entry: Entry) -> tuple[str, ...]:
    """What makes two entries one. Appliers are the same across API versions."""
    operation = entry.get("operation", "")
    version = "" if operation == "Apply" else entry.get("apiVersion", "")
    return (entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def identifier(entry: Entry) -> bytes:
    """Upstream's text of the identity; it decides where names and times are equal."""
    manager, operation, version, subresource = identity(entry)
    shown = {"manager": manager, "operation": operation, "apiVersion": version, "subresource": subresource}
    return orjson.dumps({key: value for key, value in shown.items() if value})


def is_valid(entry: Any) -> bool:
    return (
        isinstance(entry, dict) and entry.get("operation") in ("Apply", "Update") and bool(entry.get("apiVersion"))
        and entry.get("fieldsType") == "FieldsV1" and isinstance(entry.get("fieldsV1") or {}, dict)
    )


def decoded(entry: Entry) -> Entry:
    """A client's entry as upstream would write it back."""
    return {**entry, "fieldsV1": fields.canonical(entry.get("fieldsV1") or {})}


def _reconciled(kind: typed.Type, entry: Entry) -> Entry:
    """The entry after a schema's change from granular to atomic: who owned members now owns the whole."""
    fieldset = _made_atomic(kind, entry["fieldsV1"])
    return entry if fieldset is entry["fieldsV1"] else {**entry, "fieldsV1": fieldset}


def _made_atomic(kind: typed.Type, fieldset: FieldSet) -> FieldSet:
    out = fieldset
    for element, below in fieldset.items():
        if not below or element == DOT:
            continue
        child = kind.child(element[2:]) if element[0] == "f" or kind.items is None else kind.items
        atomic = not child.is_map and not child.is_keyed and child.node is not elements.DEDUCED
        inner = LEAF if atomic else _made_atomic(child, below)
        if inner is not below:
            out = dict(fieldset) if out is fieldset else out
            out[element] = inner
    return out


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
        return entry if rest else None
    return {**entry, "fieldsV1": rest} if rest else None


def ordered(entries: list[Entry]) -> list[Entry]:
    """Upstream's order: appliers first, then by time, then by name."""
    if len(entries) < 2:
        return entries
    return sorted(entries, key=lambda e: (
        e.get("operation", ""), e.get("time") or "", e.get("manager", ""), e.get("apiVersion", ""),
        e.get("subresource", ""),
    ))


def _capped(entries: list[Entry]) -> list[Entry]:
    """At most ten updaters: the oldest of one version become one entry."""
    if len(entries) <= MAX_UPDATE_MANAGERS:
        return entries
    updaters = sorted((e for e in entries if e["operation"] == "Update"),
                      key=lambda e: (e.get("time") or "", identifier(e)))
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return entries
    buckets: dict[str, Entry] = {}  # by version: the oldest entry, then what became of it
    kept: list[Entry] = [e for e in entries if e["operation"] != "Update"]
    for entry in updaters:
        version = entry.get("apiVersion", "")
        first = buckets.get(version)
        if excess > 0 and first is not None:
            buckets[version] = {
                **_entry(ANCIENT, "Update", version, ""), "time": entry.get("time", ""),
                "fieldsV1": fields.union(first["fieldsV1"], entry["fieldsV1"]),
            }
            excess -= 1
        elif excess > 0:
            buckets[version] = entry
        else:
            kept.append(entry)
    return [*kept, *buckets.values()]


def is_same_but_times(one: list[Entry] | None, other: list[Entry] | None) -> bool:
    """Two lists of managers that differ in nothing or only in when."""
    if not one or not other or len(one) != len(other):
        return False
    return all({**a, "time": ""} == {**b, "time": ""} for a, b in zip(one, other, strict=True))


def unowned_metadata(obj: Object) -> FieldSet:
    """What of the object's metadata nobody owns, so that no apply takes it out."""
    return {"f:metadata": {f"f:{key}": fields.LEAF for key in sorted(_STRIPPED_META & obj["metadata"].keys())}}


def owned_part(obj: Object) -> Object:
    """The object without what nobody owns."""
    out = {key: value for key, value in obj.items() if key not in _STRIPPED}
    meta = obj.get("metadata")
    if isinstance(meta, dict):
        kept = out["metadata"] = {key: value for key, value in meta.items() if key not in _STRIPPED_META}
        if not kept:  # nothing but a name: that is nobody's
            del out["metadata"]
    return out
