"""Strategic merge patch: a merge patch that knows which lists are keyed. Built-in kinds only.

In: the node of the kind, a document, a patch. Out: a new document sharing untouched parts. PatchError.
Called by: apiserver's patch verb. The rules are the API conventions' and those of the design "preserve order in strategic
merge patch":
`$patch: replace|delete` in a map or a list element, `$retainKeys`, `$deleteFromPrimitiveList/<field>`,
`$setElementOrder/<field>`; a null deletes. Patched items of a list come in the patch's order.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.merge.conform import plain
from kubewheel.api.merge.patch_error import PatchError
from kubewheel.api.schema.node import Node

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_PREFIX = "$deleteFromPrimitiveList/"
ORDER_PREFIX = "$setElementOrder/"

Doc = dict[str, Any]


def apply(node: Node | None, doc: Doc, patch: Doc) -> Doc:
    if not isinstance(patch, dict):
        raise PatchError("invalid JSON document", code=400)
    return _merge_map(node, doc, patch)


def _merge_map(node: Node | None, doc: Doc, patch: Doc) -> Doc:
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            return {key: value for key, value in patch.items() if key != DIRECTIVE}
        if directive == "delete":
            return {}
        raise PatchError(f"unknown patch type: {plain(directive)} in map: {plain(patch)}", code=500)
    out = _retained(doc, patch)
    for key, value in patch.items():
        if key == RETAIN_KEYS:
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
    if RETAIN_KEYS not in patch:
        return dict(doc)
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list):
        raise PatchError("invalid patch format of retainKeys", code=400)
    for key, value in patch.items():
        special = key == RETAIN_KEYS or key.startswith((DELETE_PREFIX, ORDER_PREFIX))
        if not special and value is not None and key not in keys:
            raise PatchError("invalid patch format of retainKeys", code=400)
    return {key: value for key, value in doc.items() if key in keys}


def _merge_field(node: Node | None, key: str, current: Any, patch: Doc) -> Any:
    value = patch[key]
    child = _child(node, key)
    if isinstance(value, dict):
        if not isinstance(current, dict):
            return _plain(value)
        return value if child is not None and "replace" in child.patch_strategy else _merge_map(child, current, value)
    if isinstance(value, list):
        order = patch.get(ORDER_PREFIX + key)
        if child is None or "merge" not in child.patch_strategy:
            return [_plain(item) for item in value]
        if order is not None:
            _check_order(child, value, order)
        else:  # as the patch has them, what is new before the server's own
            order = [item for item in value if not (isinstance(item, dict) and DIRECTIVE in item)]
        live = _listed(current)
        merged = _merge_list(child, _without(live, patch.get(DELETE_PREFIX + key)), value)
        return _ordered(child, merged, live, order)
    return value


def _merge_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    if any(isinstance(item, list) for item in (*live, *patch)):
        raise PatchError("lists of lists are not supported")
    merge_key = node.patch_merge_key
    if not merge_key:  # a set of scalars
        return live + [item for i, item in enumerate(patch) if item not in live and item not in patch[:i]]
    if not all(isinstance(item, dict) for item in (*live, *patch)):
        raise PatchError(f"list element types are not identical: {plain([live, patch])}", code=500)
    special = [item for item in patch if DIRECTIVE in item]
    plain_items = [item for item in patch if DIRECTIVE not in item]
    out = list(live)
    for item in special:
        directive = item[DIRECTIVE]
        if directive == "delete":
            wanted = _key_of(item, merge_key)
            out = [other for other in out if other.get(merge_key) != wanted]
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch", code=500)
        elif directive != "replace":
            raise PatchError(f"unknown patch type: {plain(directive)} in map: {plain(item)}", code=500)
    if any(item[DIRECTIVE] == "replace" for item in special):
        return [_plain(item) for item in plain_items]
    for item in plain_items:
        wanted = _key_of(item, merge_key)
        at = next((i for i, other in enumerate(out) if other.get(merge_key) == wanted), None)
        if at is None:
            out.append(_plain(item))
        else:
            out[at] = _merge_map(node.items, out[at], item)
    return out


def _key_of(item: Doc, merge_key: str) -> Any:
    if merge_key not in item:
        raise PatchError(f"map: {plain(item)} does not contain declared merge key: {merge_key}", code=500)
    return item[merge_key]


def _check_order(node: Node, patch: list[Any], order: Any) -> None:
    """The patch's items (but those it deletes) come in the order it asks for."""
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list", code=400)
    merge_key = node.patch_merge_key
    wanted = [_identity(item, merge_key) for item in order]
    at = 0
    for item in patch:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        here = _identity(item, merge_key)
        while at < len(wanted) and wanted[at] != here:
            at += 1
        if at == len(wanted):
            raise PatchError(f"The order in patch list:\n{plain(patch)}\n doesn't match $setElementOrder list:\n"
                             f"{plain(order)}\n", code=500)
        at += 1


def _identity(item: Any, merge_key: str) -> Any:
    return item.get(merge_key) if merge_key and isinstance(item, dict) else item


def _ordered(node: Node | None, merged: Any, live: list[Any], order: Any) -> list[Any]:
    """`merged` with the patch's elements in the order it asks for; the server's own elements keep their place
    among the live list's."""
    merged = _listed(merged)
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list", code=400)
    merge_key = node.patch_merge_key if node is not None else ""

    def identity(item: Any) -> Any:
        return _identity(item, merge_key)

    wanted = [identity(item) for item in order]
    asked = [item for item in merged if identity(item) in wanted]
    asked.sort(key=lambda item: wanted.index(identity(item)))
    places = [identity(item) for item in live]
    own = [item for item in merged if identity(item) not in wanted]
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
        raise PatchError("invalid patch format of primitive list", code=400)
    return [item for item in _listed(live) if item not in unwanted]


def _plain(value: Any) -> Any:
    """A patch value where nothing is there to merge with: directives and nulls of maps go."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()
                if member is not None and key not in (DIRECTIVE, RETAIN_KEYS)
                and not key.startswith((DELETE_PREFIX, ORDER_PREFIX))}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    return value


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _child(node: Node | None, key: str) -> Node | None:
    if node is None:
        return None
    return node.fields.get(key) or node.values
