"""Server-side apply: what a manager says it wants is merged in, what it no longer says is taken out.

In: the node of the kind, the live object, the applied configuration. Out: the merged object.
StatusError: 409 with every conflict, 400, 500 for what the schema cannot hold.
Called by: apiserver's patch verb. The semantics are structured-merge-diff's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubewheel.api import errors
from kubewheel.api.merge import fields, managed
from kubewheel.api.merge.fields import LEAF, FieldsError, FieldSet
from kubewheel.api.schema.node import Node
from kubewheel.lib.clock import rfc3339

Object = dict[str, Any]

BEFORE_FIRST_APPLY = "before-first-apply"


def apply(
    node: Node, live: Object | None, applied: Object, *, manager: str, force: bool, subresource: str = "",
    api_version: str, now: float, reset: Iterable[tuple[str, ...]] = (),
) -> Object:
    """`reset`: paths this endpoint never writes (`("status",)` on the main resource); ignored in `applied`.

    `now`: epoch seconds. The result shares untouched parts with `live` and `applied`."""
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    for path in reset:
        applied = _dropped(applied, path)
    wanted = _wanted_set(node, applied)
    entries = _entries(node, live, api_version=api_version, now=now)
    own = next((e for e in entries if managed.identity(e) == (manager, "Apply", "", subresource)), None)
    others = [e for e in entries if e is not own]

    merged = merge(node, live or {}, applied)
    if own is not None:
        keep = wanted
        for entry in others:
            keep = fields.union(keep, entry["fieldsV1"])
        merged = _prune_map(node, merged, own["fieldsV1"], keep)
    changed, removed = managed.compare(node, managed.owned_part(live or {}), managed.owned_part(merged))
    if not force:
        _refuse_conflicts(others, changed)
    out = [rest for entry in others if (rest := managed.without(entry, changed, removed)) is not None]
    if wanted:
        same = own is not None and not changed and not removed and own["fieldsV1"] == wanted
        mine = own if same and own is not None else _entry(manager, api_version, subresource, now, wanted)
        out.append(mine)
    meta = {**merged.get("metadata", {}), "managedFields": managed.ordered(out)}
    return {**merged, "metadata": meta}


def _entry(manager: str, api_version: str, subresource: str, now: float, wanted: FieldSet) -> Object:
    entry: Object = {
        "manager": manager, "operation": "Apply", "apiVersion": api_version, "time": rfc3339(now),
        "fieldsType": "FieldsV1", "fieldsV1": fields.canonical(wanted),
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def _entries(node: Node, live: Object | None, *, api_version: str, now: float) -> list[Object]:
    """The live managers. An object nobody tracks belongs, as it is, to one called before-first-apply."""
    if live is None:
        return []
    found = [e for e in (live.get("metadata") or {}).get("managedFields") or [] if managed.is_valid(e)]
    if found:
        return found
    return managed.updated(
        node, None, live, manager=BEFORE_FIRST_APPLY, api_version=api_version, now=now
    )


def _wanted_set(node: Node, applied: Object) -> FieldSet:
    try:
        _check(node, {k: v for k, v in applied.items() if k not in ("apiVersion", "kind", "metadata")})
        return fields.applied_set(node, managed.owned_part(applied)) if _has_fields(applied) else {}
    except FieldsError as e:
        meta = applied.get("metadata") or {}
        name = "/".join(part for part in (meta.get("namespace"), meta.get("name")) if part)
        what = f"{name}; {applied.get('apiVersion', '')}, Kind={applied.get('kind', '')}"
        raise errors.status_error(500, "", f"failed to create typed patch object ({what}): {e}") from e


def _has_fields(applied: Object) -> bool:
    return any(value or key != "metadata" for key, value in managed.owned_part(applied).items())


def _check(node: Node, value: Any) -> None:
    """Members the schema does not know and containers of the wrong kind. FieldsError."""
    if value is None:
        return
    if node.type in ("object", "map") and not isinstance(value, dict):
        raise FieldsError(f": expected map, got {_shown(value)}")
    if node.type == "list" and not isinstance(value, list):
        raise FieldsError(f": expected list, got {_shown(value)}")
    if isinstance(value, dict) and node.type in ("object", "map"):
        for name, member in value.items():
            below = node.fields.get(name) or node.values
            if below is None:
                if node.type == "object" and not node.preserve_unknown and not node.embedded:
                    raise FieldsError(f".{name}: field not declared in schema")
                continue
            if isinstance(member, (dict, list)) or below.type in ("object", "map", "list"):
                try:
                    _check(below, member)
                except FieldsError as e:
                    raise FieldsError(f".{name}{e}") from e
    elif isinstance(value, list) and node.items is not None and node.items.type in ("object", "map", "list"):
        for index, item in enumerate(value):
            try:
                _check(node.items, item)
            except FieldsError as e:
                raise FieldsError(f"[{index}]{e}") from e


def _shown(value: Any) -> str:
    return "&{" + errors.render_value(value).strip('"') + "}"


def _dropped(obj: Object, path: tuple[str, ...]) -> Object:
    if path[0] not in obj:
        return obj
    if len(path) == 1:
        return {key: value for key, value in obj.items() if key != path[0]}
    below = obj[path[0]]
    return {**obj, path[0]: _dropped(below, path[1:])} if isinstance(below, dict) else obj


# --- merge ------------------------------------------------------------------------------------------------


def merge(node: Node, live: Object, applied: Object) -> Object:
    """Both together, `applied` winning; members it sets to null go."""
    out = dict(live)
    for name, value in applied.items():
        if value is None:
            out.pop(name, None)
        elif not isinstance(value, (dict, list)):
            out[name] = value
        elif out.get(name) != value:
            out[name] = _merge_value(fields.child(node, name), out.get(name), value)
    return out


def _merge_value(node: Node, live: Any, applied: Any) -> Any:
    if fields.is_granular(node, applied):
        return merge(node, live if fields.is_granular(node, live) else {}, applied)
    if fields.is_keyed(node, applied) and fields.is_keyed(node, live):
        mine, theirs = fields.elements(node, live), fields.elements(node, applied)
        if mine is None or theirs is None:
            return applied
        return _merge_items(node, mine, theirs)
    if fields.is_keyed(node, applied) and node.list_type == "map":
        below = fields.items_node(node)
        return [_merge_value(below, None, item) for item in applied]
    return applied


def _merge_items(node: Node, live: dict[str, Any], applied: dict[str, Any]) -> list[Any]:
    """Applied items come in their order; items only the live list has keep their place among them."""
    below = fields.items_node(node)
    left, right = list(live), list(applied)
    shared = [element for element in right if element in live]
    out: list[Any] = []
    at_left = at_right = at_shared = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            element = left[at_left]
            if element not in applied:
                out.append(live[element])
                at_left += 1
                continue
            if at_shared >= len(shared) or shared[at_shared] != element:
                at_left += 1  # it comes, or came, where the applied order has it
                continue
        if at_right >= len(right):
            break
        element = right[at_right]
        item = applied[element]
        if element in live:
            item = item if item == live[element] else _merge_value(below, live[element], item)
            at_shared += 1
            if at_left < len(left) and left[at_left] == element:
                at_left += 1
        out.append(item)
        at_right += 1
    return out


# --- prune ------------------------------------------------------------------------------------------------


def _prune_map(node: Node, value: Object, last: FieldSet, keep: FieldSet) -> Object:
    """Without the members of `last` that `keep` does not have."""
    out = value
    for element, below_last in last.items():
        name = element[2:]
        if not element.startswith("f:") or name not in value or keep.get(element) == below_last:
            continue
        below = fields.child(node, name)
        # A struct field with anything owned below it counts as owned itself; a map key or list item does not.
        named = node.type == "object" and name in node.fields
        below_keep = keep.get(element)
        kept = below_keep is not None and (named or fields.is_member(below_keep))
        if (named or fields.is_member(below_last)) and not kept:
            rest = None
        else:
            rest = _prune_value(below, value[name], below_last, below_keep or {})
            if not rest and value[name] and not (below_keep is not None and fields.is_member(below_keep)):
                rest = None if isinstance(rest, (dict, list)) else rest
        if rest is value[name] and rest is not None:
            continue
        if out is value:
            out = dict(value)
        if rest is None:
            del out[name]
        else:
            out[name] = rest
    return out


def _prune_value(node: Node, value: Any, last: FieldSet, keep: FieldSet) -> Any:
    if fields.is_granular(node, value):
        return _prune_map(node, value, last, keep)
    if not fields.is_keyed(node, value):
        return value
    found = fields.elements(node, value)
    if found is None:
        return value
    below = fields.items_node(node)
    out: list[Any] = []
    for element, item in found.items():
        below_last, below_keep = last.get(element), keep.get(element)
        if below_last is not None and below_keep != below_last:
            kept = below_keep is not None and fields.is_member(below_keep)
            if fields.is_member(below_last) and not kept:
                continue
            item = _prune_value(below, item, below_last, below_keep or LEAF)
        out.append(item)
    same = len(out) == len(value) and all(a is b for a, b in zip(out, value, strict=True))
    return value if same else out


# --- conflicts --------------------------------------------------------------------------------------------


def _refuse_conflicts(others: list[Object], changed: FieldSet) -> None:
    found: dict[str, list[str]] = {}
    for entry in others:
        paths = list(fields.paths(fields.intersection(entry["fieldsV1"], changed)))
        if paths:
            found.setdefault(_manager_text(entry), []).extend(paths)
    if not found:
        return
    total = sum(map(len, found.values()))
    if total == 1:
        who, paths = next(iter(found.items()))
        message = f"Apply failed with 1 conflict: conflict with {who}: {paths[0]}"
    else:
        lines: list[str] = []
        for who in sorted(found):
            lines += [f"conflicts with {who}:", *(f"- {path}" for path in found[who])]
        message = f"Apply failed with {total} conflicts: " + "\n".join(lines)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who in sorted(found) for path in found[who]
    ]
    raise errors.status_error(409, "Conflict", message, causes=causes)


def _manager_text(entry: Object) -> str:
    text = errors.render_value(entry.get("manager", ""))
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry.get('apiVersion', '')}" if entry["operation"] == "Update" else text
