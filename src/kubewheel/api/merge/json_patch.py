"""JSON patch (RFC 6902), with the leniencies of the library upstream uses (evanphx/json-patch v4): negative array
indexes count from the end, what is before the first slash of a path is ignored, a missing member tests equal to null,
is copied as null and may be replaced; an operation without a value means null; only "replace" and "test" know the root.

In: a document and a list of operations. Out: a new document. Raises: PatchError.
Called by: apiserver's patch verb, mutating webhooks and policies.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec
from kubewheel.api.merge.patch_error import PatchError

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


def _add(holder: dict[str, Any], op: dict[str, Any]) -> None:
    _insert(holder, _pointer(op, "path", "add"), codec.copy(op.get("value")), "add")


def _remove(holder: dict[str, Any], op: dict[str, Any]) -> None:
    _take_out(holder, _pointer(op, "path", "remove"), "remove")


def _replace(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path, value = _pointer(op, "path", "replace"), codec.copy(op.get("value"))
    if not path:
        if isinstance(value, (dict, list)):  # anything else leaves the document as it is
            holder[""] = value
        return
    parent, key = _parent(holder, path, "replace")
    if isinstance(parent, list):
        parent[_index(parent, key, path)] = value
    else:
        parent[key] = value


def _move(holder: dict[str, Any], op: dict[str, Any]) -> None:
    value = _take_out(holder, _pointer(op, "from", "move"), "move")
    _insert(holder, _pointer(op, "path", "move"), value, "move")


def _copy(holder: dict[str, Any], op: dict[str, Any]) -> None:
    source = _pointer(op, "from", "copy")
    parent, key = _parent(holder, source, "copy")
    value = parent[_index(parent, key, source)] if isinstance(parent, list) else parent.get(key)
    holder["copied"] += len(codec.dumps(value))
    if holder["copied"] > MAX_COPIED:  # a few operations can double a document again and again
        raise PatchError(f"Unable to complete the copy, the accumulated size increase of copy is {holder['copied']}, "
                         f"exceeding the limit {MAX_COPIED}")
    _insert(holder, _pointer(op, "path", "copy"), codec.copy(value), "copy")


def _test(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "test")
    if not path:
        found = holder[""]
    else:
        parent, key = _parent(holder, path, "test")
        found = parent[_index(parent, key, path)] if isinstance(parent, list) else parent.get(key)
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


def _parent(holder: dict[str, Any], path: str, name: str) -> tuple[Any, str]:
    """The container of `path` and the last part of it."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    at: Any = holder[""] if parts else None
    for part in parts[:-1]:
        at = at[_index(at, part, path)] if isinstance(at, list) else at.get(part)
        if not isinstance(at, (dict, list)):
            at = None
            break
    if at is None:
        raise PatchError(f'{name} operation does not apply: doc is missing path: "{path}": missing value')
    return at, parts[-1]


def _index(items: list[Any], text: str, path: str, *, adding: bool = False) -> int:
    size = len(items) + (1 if adding else 0)
    if adding and text == "-":
        return len(items)
    try:
        position = int(text)
    except ValueError as e:
        raise PatchError(f"value was not a proper array index: '{text}' in path '{path}'") from e
    if position >= size or position < -size:
        raise PatchError(f"Unable to access invalid index: {position}: invalid index referenced")
    return position + size if position < 0 else position


def _insert(holder: dict[str, Any], path: str, value: Any, name: str) -> None:
    parent, key = _parent(holder, path, name)
    if isinstance(parent, list):
        parent.insert(_index(parent, key, path, adding=True), value)
    else:
        parent[key] = value


def _take_out(holder: dict[str, Any], path: str, name: str) -> Any:
    parent, key = _parent(holder, path, name)
    if isinstance(parent, list):
        return parent.pop(_index(parent, key, path))
    if key not in parent:
        raise PatchError(
            f"error in remove for path: '{path}': unable to remove nonexistent key: {key}: missing value" if name == "remove" else
            f"{name} operation does not apply: unable to remove nonexistent key: {key}: missing value"
        )
    return parent.pop(key)
