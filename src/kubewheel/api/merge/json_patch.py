"""JSON patch (RFC 6902), with the leniencies of the library upstream uses (evanphx/json-patch v4): negative array
indexes count from the end, what is before the first slash of a path is ignored, a missing member tests equal to null,
is copied as null and may be replaced; an operation without a value means null; only "replace" and "test" know the root.

In: a document and a list of operations. Out: a new document. Raises: PatchError.
Called by: apiserver's patch verb, mutating webhooks and policies.
"""

from __future__ import annotations

import re
from typing import Any

from kubewheel.api import codec
from kubewheel.api.merge.patch_error import PatchError

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_NO_JSON = "json: cannot unmarshal {} into Go value of type jsonpatch.{}"
MAX_COPIED = 3 * 1024 * 1024  # bytes of JSON that the copies of one patch add
MAX_OPERATIONS = 10_000  # upstream answers 413 above it; the verb asks this


def apply(doc: Any, ops: Any) -> Any:
    if not isinstance(ops, list):
        raise PatchError(_NO_JSON.format("object", "Patch"), code=400)
    holder = {"": codec.copy(doc), "copied": 0}  # so that the root itself can be replaced
    for op in ops:
        if not isinstance(op, dict):
            raise PatchError(_NO_JSON.format("value", "Operation"), code=400)
        run = _OPERATIONS.get(str(op.get("op", "unknown")))
        if run is None:
            raise PatchError(f"Unexpected kind: {op.get('op', 'unknown')}")
        run(holder, op)
    return holder[""]


class _Unfit(Exception):
    """A key that a container does not have, or cannot."""


def _add(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "add")
    parent, key = _parent(holder, path, 'add operation does not apply: doc is missing path: "{}"')
    _insert(parent, key, codec.copy(op.get("value")), f"error in add for path: '{path}'")


def _remove(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "remove")
    parent, key = _parent(holder, path, 'remove operation does not apply: doc is missing path: "{}"')
    _take_out(parent, key, f"error in remove for path: '{path}'")


def _replace(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path, value = _pointer(op, "path", "replace"), codec.copy(op.get("value"))
    if not path:
        if isinstance(value, (dict, list)):  # anything else leaves the document as it is
            holder[""] = value
        return
    parent, key = _parent(holder, path, "replace operation does not apply: doc is missing path: {}")
    if isinstance(parent, dict):
        parent[key] = value
        return
    try:
        parent[_index(parent, key)] = value
    except _Unfit as e:
        raise PatchError(f"replace operation does not apply: doc is missing key: {path}: missing value") from e


def _move(holder: dict[str, Any], op: dict[str, Any]) -> None:
    parent, key = _parent(holder, _pointer(op, "from", "move"), "move operation does not apply: doc is missing from path: {}")
    value = _take_out(parent, key, f"error in move for path: '{key}'")
    path = _pointer(op, "path", "move")
    parent, key = _parent(holder, path, "move operation does not apply: doc is missing destination path: {}")
    _insert(parent, key, value, f"error in move for path: '{path}'")


def _copy(holder: dict[str, Any], op: dict[str, Any]) -> None:
    source = _pointer(op, "from", "copy")
    parent, key = _parent(holder, source, "copy operation does not apply: doc is missing from path: {}")
    value = _get(parent, key, f"error in copy for from: '{source}'")
    path = _pointer(op, "path", "copy")
    parent, key = _parent(holder, path, "copy operation does not apply: doc is missing destination path: {}")
    holder["copied"] += len(codec.dumps(value))
    if holder["copied"] > MAX_COPIED:  # a few operations can double a document again and again
        raise PatchError(f"Unable to complete the copy, the accumulated size increase of copy is {holder['copied']}, "
                         f"exceeding the limit {MAX_COPIED}")
    _insert(parent, key, codec.copy(value), "error while adding value during copy")


def _test(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "test")
    if not path:
        found = holder[""]
    else:
        parent, key = _parent(holder, path, "test operation does not apply: is missing path: {}")
        found = _get(parent, key, f"error in test for path: '{path}'")
    if not same(found, op.get("value")):
        raise PatchError(f"testing value {path} failed: test failed")


_OPERATIONS = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}


def same(a: Any, b: Any) -> bool:
    """JSON equality: true is not 1, 1 is not 1.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def _pointer(op: dict[str, Any], member: str, name: str) -> str:
    path = op.get(member)
    if not isinstance(path, str):
        raise PatchError(f"{name} operation failed to decode {member}: missing value")
    return path


def _parent(holder: dict[str, Any], path: str, missing: str) -> tuple[Any, str]:
    """The container of `path` and the last part of it; `missing` says that there is none, of the path."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    at: Any = holder[""] if parts else None
    for part in parts[:-1]:
        try:
            at = at[_index(at, part)] if isinstance(at, list) else at.get(part)
        except _Unfit:
            at = None
        if not isinstance(at, (dict, list)):
            at = None
            break
    if at is None:
        raise PatchError(f"{missing.format(path)}: missing value")
    return at, parts[-1]


def _index(items: list[Any], text: str, *, adding: bool = False) -> int:
    if adding and text == "-":
        return len(items)
    size = len(items) + (1 if adding else 0)
    if _NUMBER.fullmatch(text) is None:
        where = f"value was not a proper array index: '{text}': " if adding else ""
        raise _Unfit(f'{where}strconv.Atoi: parsing "{text}": invalid syntax')
    position = int(text)
    if position >= size or position < -size:
        raise _Unfit(f"Unable to access invalid index: {position}: invalid index referenced")
    return position + size if position < 0 else position


def _get(parent: Any, key: str, where: str) -> Any:
    if isinstance(parent, dict):
        return parent.get(key)
    try:
        return parent[_index(parent, key)]
    except _Unfit as e:
        raise PatchError(f"{where}: {e}") from e


def _insert(parent: Any, key: str, value: Any, where: str) -> None:
    if isinstance(parent, dict):
        parent[key] = value
        return
    try:
        parent.insert(_index(parent, key, adding=True), value)
    except _Unfit as e:
        raise PatchError(f"{where}: {e}") from e


def _take_out(parent: Any, key: str, where: str) -> Any:
    if isinstance(parent, dict):
        if key not in parent:
            raise PatchError(f"{where}: Unable to remove nonexistent key: {key}: missing value")
        return parent.pop(key)
    try:
        return parent.pop(_index(parent, key))
    except _Unfit as e:
        raise PatchError(f"{where}: {e}") from e
