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


# -- maps ---------------------------------------------------------------------------------------------------------
def _merge_map(node: Node | None, doc: Doc, patch: Doc) -> Doc:
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            return {key: value for key, value in patch.items() if key != DIRECTIVE}
        if directive == "delete":
            return {}
        raise _unknown_directive(patch)
    out = _retained(doc, patch)
    done = {RETAIN_KEYS}
    for key, order in patch.items():
        if key.startswith(ORDER_PREFIX):
            done |= {key, key[len(ORDER_PREFIX):]}
            _merge_ordered(node, out, patch, key[len(ORDER_PREFIX):], order)
    for key, value in patch.items():  # before what is added; upstream takes them in any order
        if key.startswith(DELETE_PREFIX) and key not in done:
            done.add(key)
            _delete_scalars(out, key[len(DELETE_PREFIX):], value)
    for key, value in patch.items():
        if key in done:
            continue
        if value is None:
            out.pop(key, None)
        elif key in out and out[key] is not None:
            _merge_field(node, out, key, value)
        else:
            _put_new(out, key, value)
    return out


def _retained(doc: Doc, patch: Doc) -> Doc:
    if RETAIN_KEYS not in patch:
        return dict(doc)
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list):
        raise PatchError(_BAD_RETAIN, code=400)
    for key, value in patch.items():
        special = key == RETAIN_KEYS or key.startswith((DELETE_PREFIX, ORDER_PREFIX))
        if not special and value is not None and key not in keys:
            raise PatchError(_BAD_RETAIN, code=400)
    return {key: value for key, value in doc.items() if key in keys}


def _merge_field(node: Node | None, out: Doc, key: str, value: Any) -> None:
    current, child = out[key], _child(node, key)
    if isinstance(value, dict) and isinstance(current, dict):
        is_replaced = child is not None and "replace" in child.patch_strategy
        out[key] = value if is_replaced else _merge_map(child, current, value)
    elif isinstance(value, list) and isinstance(current, list):
        out[key], _ = _merge_lists(child, current, value)
    else:
        _put_new(out, key, value)


def _put_new(out: Doc, key: str, value: Any) -> None:
    """Where nothing is there to merge with: maps that hold a directive go, and nulls. Other directives stay, to be found
    out as unknown fields."""
    if _is_directed(value):
        out.pop(key, None)
    else:
        out[key] = _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()
                if member is not None and not _is_directed(member)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directed(item)]
    return value


def _is_directed(value: Any) -> bool:
    return isinstance(value, dict) and value.get(DIRECTIVE) is not None


# -- lists --------------------------------------------------------------------------------------------------------
def _merge_ordered(node: Node | None, out: Doc, patch: Doc, key: str, order: Any) -> None:
    """A list and its $setElementOrder, in `out`."""
    live, given = out.get(key), patch.get(key)
    for value in (order, [] if live is None else live, [] if key not in patch else given):
        if not isinstance(value, list):
            raise _bad_type("[]interface {}", value)
    child = _child(node, key)
    if child is None and node is not None:
        struct = node.definition.rpartition(".")[2]
        raise PatchError(f'unable to find api field in struct {struct} for the json field "{key}"', code=500)
    merge_key = child.patch_merge_key if child is not None else ""
    _check_order(merge_key, given or [], order)
    if live is None and given is None:
        return
    merged: list[Any]
    places: list[Any]
    if given is None:
        merged = places = live or []
    elif live is None:
        merged, places = _plain(given), []
    else:
        merged, places = _merge_lists(child, live, given)
    for item in merged if merge_key else ():
        _key_of(item, merge_key)
    is_maps = _are_maps(live or [], given or [])
    if is_maps is None:
        raise PatchError("no elements in any of the given slices", code=500)
    out[key] = _in_order(merged, order, places, merge_key, is_maps=is_maps)


def _merge_lists(node: Node | None, live: list[Any], patch: list[Any]) -> tuple[list[Any], list[Any]]:
    """The merged list, and the order that the server's own elements had. Deleting closes ranks: new elements are taken for
    the server's own as far as the live list went."""
    if node is None or "merge" not in node.patch_strategy:
        return patch, live
    is_maps = _are_maps(live, patch)
    if is_maps is None:
        return live, live
    merge_key = node.patch_merge_key
    if not is_maps:
        if merge_key:
            raise _bad_type("map[string]interface {}", (*live, *patch)[0])
        out: list[Any] = []
        for item in (*live, *patch):
            if not _has(out, item):
                out.append(item)
        return _in_order(out, patch, live, "", is_maps=False), live
    size = len(live)
    kept, patch = _directed(live, patch, merge_key)
    merged = list(kept)
    for item in patch:
        wanted = _key_of(item, merge_key)
        at = next((i for i, other in enumerate(merged) if merge_key in other and other[merge_key] == wanted), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = _merge_map(node.items, merged[at], item)
    places = merged[:size] if len(kept) < size and patch else live
    return _in_order(merged, patch, kept, merge_key, is_maps=True), places


def _directed(live: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """The live list after the directives among a patch's elements, and the other elements."""
    plain_items: list[Any] = []
    replaced = False
    for item in patch:
        directive = item.get(DIRECTIVE, plain_items)
        if directive is plain_items:
            plain_items.append(item)
        elif directive == "delete":
            wanted = _key_of(item, merge_key)
            live = [other for other in live if merge_key not in other or other[merge_key] != wanted]
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch", code=500)
        else:
            raise _unknown_directive(item)
    return (plain_items, []) if replaced else (live, plain_items)


def _are_maps(*lists: list[Any]) -> bool | None:
    """Elements are all of one type; None where there are none."""
    # By instance: the watch cache hands out dicts of a class of its own.
    kinds = [dict if isinstance(item, dict) else type(item) for items in lists for item in items]
    if not kinds:
        return None
    if kinds[0] is list:
        raise PatchError("lists of lists are not supported")
    if any(kind is not kinds[0] for kind in kinds):
        raise PatchError(f"list element types are not identical: {plain(list(lists))}", code=500)
    return kinds[0] is dict


def _delete_scalars(out: Doc, field: str, unwanted: Any) -> None:
    if unwanted is None:
        out.pop(field, None)
    elif isinstance(unwanted, list) and isinstance(out.get(field), list):
        if _are_maps(out[field], unwanted) is not None:
            out[field] = [item for item in out[field] if not _has(unwanted, item)]


def _key_of(item: Doc, merge_key: str) -> Any:
    if not isinstance(item, dict):
        raise _bad_type("map[string]interface {}", item)
    if merge_key not in item:
        raise PatchError(f"map: {plain(item)} does not contain declared merge key: {merge_key}", code=500)
    return item[merge_key]


def _check_order(merge_key: str, patch: list[Any], order: list[Any]) -> None:
    """The patch's items (but those with directives) come in the order it asks for."""
    if not patch or not order:
        return
    items = [item for item in patch if not (merge_key and isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    for item in items if merge_key else ():
        if not isinstance(item, dict):
            raise _bad_type("map[string]interface {}", item)
    at = asked = 0
    while at < len(items) and asked < len(order):
        if _holds_directive(items[at]):
            at += 1
            continue
        at += _is_same_item(items[at], order[asked], merge_key)
        asked += 1
    if at < len(items) and asked == len(order):
        raise PatchError(f"The order in patch list:\n{plain(patch)}\n doesn't match $setElementOrder list:\n"
                         f"{plain(order)}\n", code=500)


def _is_same_item(one: Any, other: Any, merge_key: str) -> bool:
    if not merge_key:
        return type(one) is type(other) and bool(one == other)
    return bool(_key_of(one, merge_key) == _key_of(other, merge_key))


def _holds_directive(value: Any) -> bool:
    if isinstance(value, dict):
        return DIRECTIVE in value or any(map(_holds_directive, value.values()))
    return isinstance(value, list) and any(map(_holds_directive, value))


def _in_order(merged: list[Any], order: list[Any], live: list[Any], merge_key: str, *, is_maps: bool) -> list[Any]:
    """`merged` with what `order` names in that order; the other elements keep their place among the live list's."""
    def identity(item: Any) -> Any:
        return _key_of(item, merge_key) if is_maps else item

    keys = [identity(item) for item in merged]
    wanted, places = [identity(item) for item in order], [identity(item) for item in live]
    pairs = list(zip(keys, merged, strict=True))
    asked = sorted((pair for pair in pairs if _has(wanted, pair[0])), key=lambda pair: wanted.index(pair[0]))
    own = [pair for pair in pairs if not _has(wanted, pair[0])]
    if all(key in places for key, _ in own):
        own.sort(key=lambda pair: places.index(pair[0]))
    out: list[Any] = []
    while own and asked:
        left, right = own[0][0], asked[0][0]
        first = left in places and right in places and places.index(left) < places.index(right)
        out.append((own if first else asked).pop(0)[1])
    return out + [item for _, item in own + asked]


def _has(items: list[Any], wanted: Any) -> bool:
    return any(type(item) is type(wanted) and item == wanted for item in items)


def _child(node: Node | None, key: str) -> Node | None:
    if node is None:
        return None
    return node.fields.get(key) or node.values


# -- errors -------------------------------------------------------------------------------------------------------
_BAD_RETAIN = "invalid patch format of retainKeys"
_GO_TYPES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", int: "int64", float: "float64",
             bool: "bool"}


def _unknown_directive(patch: Doc) -> PatchError:
    directive = patch[DIRECTIVE]
    shown = directive
    if directive is None:
        shown = "%!s(<nil>)"
    elif isinstance(directive, (int, float)):
        shown = f"%!s({_GO_TYPES[type(directive)]}={plain(directive)})"
    elif not isinstance(directive, str):
        shown = plain(directive)
    return PatchError(f"unknown patch type: {shown} in map: {plain(patch)}", code=500)


def _bad_type(wanted: str, value: Any) -> PatchError:
    return PatchError(f"expected a {wanted}, but received a {_GO_TYPES.get(type(value), '%!s(<nil>)')}", code=500)
