"""Server-side apply: what a manager says it wants is merged in, what it no longer says is taken out.

In: where it came in (managed.Endpoint), the live object, the applied configuration. Out: the merged object.
StatusError: 409 with every conflict, 400, 500 for what the schema cannot hold.
Called by: apiserver's apply verb, scale. The semantics are structured-merge-diff's; KEP-555 and "Server-Side Apply".
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.merge import conform, fields, last_applied, managed, merging, typed
from kubewheel.api.merge.fields import FieldsError, FieldSet
from kubewheel.api.merge.managed import Comparison, Endpoint, Entry
from kubewheel.api.schema.node import Node
from kubewheel.lib.clock import rfc3339

Object = dict[str, Any]

BEFORE_FIRST_APPLY = "before-first-apply"


class Conflicts(Exception):
    """Fields that others own: by manager (an entry), in the order they are told."""

    def __init__(self, found: list[tuple[Entry, FieldSet]]) -> None:
        super().__init__(f"{len(found)} managers own fields")
        self.found = found


def apply(endpoint: Endpoint, live: Object | None, applied: Object, *, manager: str, force: bool, now: float) -> Object:
    """`now`: epoch seconds. The result shares untouched parts with `live` and `applied`; nulls of `applied` stay in it."""
    meta = applied.get("metadata")
    if meta is None:
        applied = {key: value for key, value in applied.items() if key != "metadata"}
    elif isinstance(meta, dict) and meta.get("managedFields") is not None:
        if isinstance(meta["managedFields"], list):
            raise errors.bad_request("metadata.managedFields must be nil")
        raise misfit(endpoint.node, applied)
    wanted = endpoint.kept(_wanted_set(endpoint.node, applied))
    try:
        merged = _forced(endpoint, live, applied, wanted, manager=manager, force=force, now=now)
    except Conflicts as e:
        left = e.found
        if manager == last_applied.MANAGER and live is not None:
            left = last_applied.unexplained(endpoint, live, e.found)
        if left:
            if conform.findings(endpoint.node, managed.owned_part(applied)):  # what does not fit is told first
                raise misfit(endpoint.node, applied) from e
            raise _conflict(left) from e
        merged = _forced(endpoint, live, applied, wanted, manager=manager, force=True, now=now)
    if manager == last_applied.MANAGER:
        merged = last_applied.noted(merged, applied)
    return merged


def _forced(endpoint: Endpoint, live: Object | None, applied: Object, wanted: FieldSet, *, manager: str, force: bool,
            now: float) -> Object:
    before = live or {}
    entries = _entries(endpoint, live, now=now)
    mine = {"manager": manager, "operation": "Apply", "subresource": endpoint.subresource}
    own = next((e for e in entries if managed.identity(e) == managed.identity(mine)), None)
    others = [e for e in entries if e is not own]

    merged = merging.merge(endpoint.node, before, applied)
    if own is not None and own["fieldsV1"] != wanted:
        # What is never owned keeps its place all the same: the configuration names it.
        named = fields.union(wanted, managed.unowned_metadata(merged))
        merged = _pruned(endpoint, merged, own, [*others, {**mine, "apiVersion": endpoint.api_version, "fieldsV1": named}])
    comparison = Comparison(endpoint, before, merged)
    out = _remaining(others, comparison, force=force)
    is_changed = bool(comparison.changed or comparison.removed) or merged is not before and merged != before
    if wanted:
        out.append(_own_entry(endpoint, mine, own, wanted, rfc3339(now) if is_changed else None))
    return {**merged, "metadata": {**merged.get("metadata", {}), "managedFields": managed.ordered(out)}}


def _own_entry(endpoint: Endpoint, mine: Entry, own: Entry | None, wanted: FieldSet, stamp: str | None) -> Entry:
    """An apply that changes nothing leaves the time as it was, absent for a new manager, as upstream does."""
    version = endpoint.api_version
    if own is not None and stamp is None and own["fieldsV1"] == wanted and own.get("apiVersion") == version:
        return own
    time = stamp or (own or {}).get("time")
    return {"manager": mine["manager"], "operation": "Apply", "apiVersion": version, **({"time": time} if time else {}),
            "fieldsType": "FieldsV1", "fieldsV1": wanted,
            **({"subresource": endpoint.subresource} if endpoint.subresource else {})}


def _entries(endpoint: Endpoint, live: Object | None, *, now: float) -> list[Entry]:
    """The live managers. An object nobody tracks belongs, as it is, to one called before-first-apply."""
    if live is None:
        return []
    found = managed.entries_of(live, endpoint.node)
    if found:
        return found
    meta = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    return managed.updated(endpoint, None, {**live, "metadata": meta}, manager=BEFORE_FIRST_APPLY, now=now)


def _wanted_set(node: Node, applied: Object) -> FieldSet:
    try:
        owned = managed.owned_part(applied)
        found = typed.of(node).applied(owned)
        if node.raw is None or not conform.findings(node, owned):  # scalars of built-ins are held to their types later
            return found
        raise FieldsError
    except FieldsError as e:
        raise misfit(node, applied) from e


def misfit(node: Node, applied: Object) -> errors.StatusError:
    """The configuration does not fit its type; the text says where."""
    text = conform.findings(node, {key: value for key, value in applied.items() if key not in ("apiVersion", "kind")})
    return errors.status_error(500, "", f"failed to create typed patch object ({described(applied)}): {text}")


def described(obj: Object) -> str:
    """namespace/name; group/version, Kind=kind (upstream's objectGVKNN)."""
    meta = obj.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    return f"{meta.get('namespace') or ''}/{meta.get('name') or ''}; {kind_text(obj)}"


def kind_text(obj: Object) -> str:
    group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
    return f"{group}/{version}, Kind={obj.get('kind') or ''}"


# -- prune --------------------------------------------------------------------------------------------------------
def _pruned(endpoint: Endpoint, merged: Object, last: Entry, managers: list[Entry]) -> Object:
    """Without the fields that the applier named last time, and that neither it nor anybody else names now."""
    version = last.get("apiVersion", "")
    there = endpoint.other(version) if version != endpoint.api_version else None
    if version != endpoint.api_version and there is None:
        return merged  # of a version that is gone
    node = there.node if there is not None else endpoint.node
    whole = there.there(merged) if there is not None else merged
    last_set = merging.with_containers(node, last["fieldsV1"])
    pruned = merging.remove(node, whole, last_set)
    named: dict[str, FieldSet] = {}
    for entry in managers:
        named[entry["apiVersion"]] = fields.union(named.get(entry["apiVersion"], {}), entry["fieldsV1"])
    pruned = _with_named(node, whole, pruned, named.pop(version, {}))
    for other, fieldset in named.items():
        pruned = _with_named_elsewhere(endpoint, version, other, node, whole, pruned, fieldset)
    gone = fields.difference(merging.held(node, whole), merging.held(node, pruned))
    pruned = merging.remove(node, whole, fields.intersection(gone, last_set))
    return there.back(pruned) if there is not None else pruned


def _with_named(node: Node, whole: Object, pruned: Object, named: FieldSet) -> Object:
    """`pruned` with what somebody names put back."""
    kept = fields.union(merging.held(node, pruned), merging.with_containers(node, named))
    return merging.remove(node, whole, fields.difference(merging.held(node, whole), kept))


def _with_named_elsewhere(endpoint: Endpoint, version: str, other: str, node: Node, whole: Object, pruned: Object,
                          named: FieldSet) -> Object:
    """The same for a set in another version than the one the object is pruned in."""
    to_own = endpoint.other(version) if version != endpoint.api_version else None
    target = endpoint.other(other) if other != endpoint.api_version else None
    if target is None and other != endpoint.api_version:
        return pruned

    def there(obj: Object) -> Object:
        own = to_own.back(obj) if to_own is not None else obj
        return target.there(own) if target is not None else own

    def back(obj: Object) -> Object:
        own = target.back(obj) if target is not None else obj
        return to_own.there(own) if to_own is not None else own

    node = target.node if target is not None else endpoint.node
    return back(_with_named(node, there(whole), there(pruned), named))


# -- conflicts ----------------------------------------------------------------------------------------------------
def _remaining(others: list[Entry], comparison: Comparison, *, force: bool) -> list[Entry]:
    """What the others keep. Conflicts, unless forced."""
    found: list[tuple[Entry, FieldSet]] = []
    out: list[Entry] = []
    for entry in others:
        difference = comparison.at(entry.get("apiVersion", ""))
        if difference is None:
            continue
        changed, removed = difference
        if not changed and not removed:
            out.append(entry)
            continue
        if not force and (both := fields.intersection(entry["fieldsV1"], changed)):
            found.append((entry, both))
        elif (rest := managed.without(entry, changed, removed)) is not None:
            out.append(rest)
    if found:
        raise Conflicts(sorted(found, key=lambda pair: managed.identifier(pair[0])))
    return out


def _conflict(found: list[tuple[Entry, FieldSet]]) -> errors.StatusError:
    told = [(_manager_text(entry), list(fields.paths(fieldset))) for entry, fieldset in found]
    total = sum(len(paths) for _, paths in told)
    if total == 1:
        message = f"Apply failed with 1 conflict: conflict with {told[0][0]}: {told[0][1][0]}"
    else:
        lines: list[str] = []
        for who, paths in told:
            lines += [f"conflicts with {who}:", *(f"- {path}" for path in paths)]
        message = f"Apply failed with {total} conflicts: " + "\n".join(lines)
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
              for who, paths in told for path in paths]
    return errors.status_error(409, "Conflict", message, causes=causes)


def _manager_text(entry: Entry) -> str:
    text = errors.render_value(entry.get("manager", ""))
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry.get('apiVersion', '')}" if entry["operation"] == "Update" else text
