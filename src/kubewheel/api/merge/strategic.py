"""Strategic merge patch: a merge patch that knows which lists are keyed. Built-in kinds only.

In: the node of the kind, a document, a patch. Out: a new document sharing untouched parts. PatchError.
Called by: apiserver's patch verb, mutating policies. The rules are the API conventions' and those of the
design "preserve order in strategic merge patch":
`$patch: replace|merge|delete` in a map or a list element, `$retainKeys`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`; a null deletes.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.merge.patch_error import PatchError
from kubewheel.api.schema.node import Node

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"

Doc = dict[str, Any]


def apply(node: Node | None, doc: Doc, patch: Doc) -> Doc:
    if not isinstance(patch, dict):
        raise PatchError("Invalid JSON document", malformed=True)
    return _merge_map(node, doc, patch)


def _merge_map(node: Node | None, doc: Doc, patch: Doc) -> Doc:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch type found: {directive}")
    out = _retained(doc, patch)
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS):
            continue
        if key.startswith(DELETE_PREFIX):
            field = key[len(DELETE_PREFIX):]
            if field in out and field not in patch:
                out[field] = _without(out[field], value)
        elif key.startswith(ORDER_PREFIX):
            field = key[len(ORDER_PREFIX):]
            if field in out and field not in patch:  # else merging the patch's list puts it in order
                out[field] = _ordered(_child(node, field), out[field], _listed(out[field]), value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = _merge_field(node, key, out.get(key), patch)
    return out


def _retained(doc: Doc, patch: Doc) -> Doc:
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(doc)
    if not isinstance(keys, list):
        raise PatchError("invalid patch format of retainKeys")
    for key, value in patch.items():
        if key != RETAIN_KEYS and value is not None and not key.startswith("$") and key not in keys:
            raise PatchError("invalid patch format of retainKeys")
    return {key: value for key, value in doc.items() if key in keys}


def _merge_field(node: Node | None, key: str, current: Any, patch: Doc) -> Any:
    value = patch[key]
    child = _child(node, key)
    if isinstance(value, dict):
        if child is not None and "replace" in child.patch_strategy:
            return _plain(value)
        return _merge_map(child, current if isinstance(current, dict) else {}, value)
    if isinstance(value, list):
        if child is None or "merge" not in child.patch_strategy:
            return _plain(value)
        live = _listed(current)
        base = _without(live, patch.get(DELETE_PREFIX + key))
        merged = _merge_list(child, base, value)
        order = patch.get(ORDER_PREFIX + key)
        if order is None:  # as the patch has them, what is new before the server's own
            order = [item for item in value if not (isinstance(item, dict) and DIRECTIVE in item)]
        return _ordered(child, merged, live, order)
    return value


def _merge_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    if not node.patch_merge_key:  # a set of scalars
        fresh = [item for i, item in enumerate(patch) if item not in live and item not in patch[:i]]
        return live + fresh
    merge_key = node.patch_merge_key
    for item in patch:
        if not isinstance(item, dict):
            raise PatchError(f"expected maps in a list with merge key {merge_key}")
    if any(item.get(DIRECTIVE) == "replace" and merge_key not in item for item in patch):
        return [_plain(item) for item in patch if DIRECTIVE not in item]
    out = list(live)
    for item in patch:
        directive = item.get(DIRECTIVE)
        if merge_key not in item:
            raise PatchError(f"map: {_shown(item)} does not contain declared merge key: {merge_key}")
        wanted = item[merge_key]
        at = [i for i, other in enumerate(out) if isinstance(other, dict) and other.get(merge_key) == wanted]
        if directive == "delete":
            out = [other for i, other in enumerate(out) if i not in at]
        elif directive not in (None, "merge", "replace"):
            raise PatchError(f"unknown patch type found: {directive}")
        elif at:
            out[at[0]] = _merge_map(node.items, out[at[0]], item)
        else:
            out.append(_merge_map(node.items, {}, item))
    return out


def _ordered(node: Node | None, merged: Any, live: list[Any], order: Any) -> list[Any]:
    """`merged` with the patch's elements in the order it asks for; the server's own elements keep their place
    among the live list's."""
    merged = _listed(merged)
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list")
    merge_key = node.patch_merge_key if node is not None else ""

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    wanted = [identity(item) for item in order]
    asked = [item for item in merged if identity(item) in wanted]
    asked.sort(key=lambda item: wanted.index(identity(item)))
    own = [item for item in merged if identity(item) not in wanted]
    places = [identity(item) for item in live]
    out: list[Any] = []
    while own and asked:
        left, right = identity(own[0]), identity(asked[0])
        first = left in places and right in places and places.index(left) < places.index(right)
        out.append((own if first else asked).pop(0))
    return out + own + asked


def _without(live: Any, unwanted: Any) -> list[Any]:
    if unwanted is None:
        return _listed(live)
    if not isinstance(unwanted, list):
        raise PatchError("invalid patch format of deleteFromPrimitiveList")
    return [item for item in _listed(live) if item not in unwanted]


def _plain(value: Any) -> Any:
    """A patch value where nothing is there to merge with: directives and nulls of maps go."""
    if isinstance(value, dict):
        return _merge_map(None, {}, value)
    return value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _shown(item: Doc) -> str:
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(item.items())) + "]"


def _child(node: Node | None, key: str) -> Node | None:
    if node is None:
        return None
    return node.fields.get(key) or node.values
