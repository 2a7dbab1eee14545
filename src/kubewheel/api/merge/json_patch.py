"""JSON patch (RFC 6902), with the leniencies and words of the library upstream uses (evanphx/json-patch):
negative array indexes count from the end, a missing member tests equal to null, removing what is
absent fails.

In: a document and a list of operations. Out: a new document. Raises: PatchError.
Called by: apiserver's patch verb, mutating webhooks.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec
from kubewheel.api.merge.patch_error import PatchError

_NO_JSON = "json: cannot unmarshal {} into Go value of type jsonpatch.{}"
MAX_OPERATIONS = 10_000  # upstream answers 413 above it; the verb asks this


def apply(doc: Any, ops: Any) -> Any:
    if not isinstance(ops, list):
        raise PatchError(_NO_JSON.format("object", "Patch"), malformed=True)
    holder = {"": codec.copy(doc)}  # so that the root itself can be replaced
    for op in ops:
        if not isinstance(op, dict):
            raise PatchError(_NO_JSON.format("value", "Operation"), malformed=True)
        run = _OPERATIONS.get(str(op.get("op", "unknown")))
        if run is None:
            raise PatchError(f"Unexpected kind: {op.get('op', 'unknown')}")
        run(holder, op)
    return holder[""]


def _add(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "add")
    if "value" not in op:
        raise PatchError("add operation missing value field: missing value")
    _insert(holder, path, codec.copy(op["value"]), "add")


def _remove(holder: dict[str, Any], op: dict[str, Any]) -> None:
    _take_out(holder, _pointer(op, "path", "remove"), "remove")


def _replace(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "replace")
    if "value" not in op:
        raise PatchError("replace operation missing value field: missing value")
    parent, key = _parent(holder, path, "replace")
    if isinstance(parent, list):
        parent[_index(parent, key, path)] = codec.copy(op["value"])
    elif key in parent:
        parent[key] = codec.copy(op["value"])
    else:
        raise PatchError(f"replace operation does not apply: doc is missing key: {path}: missing value")


def _move(holder: dict[str, Any], op: dict[str, Any]) -> None:
    source = _pointer(op, "from", "move")
    target = _pointer(op, "path", "move")
    if target.startswith(source + "/"):
        raise PatchError(f"move operation does not apply: {target} is inside {source}")
    _insert(holder, target, _take_out(holder, source, "move"), "move")


def _copy(holder: dict[str, Any], op: dict[str, Any]) -> None:
    source = _pointer(op, "from", "copy")
    parent, key = _parent(holder, source, "copy")
    if isinstance(parent, list):
        value = parent[_index(parent, key, source)]
    elif key in parent:
        value = parent[key]
    else:
        raise PatchError(f"copy operation does not apply: doc is missing from key: {source}: missing value")
    _insert(holder, _pointer(op, "path", "copy"), codec.copy(value), "copy")


def _test(holder: dict[str, Any], op: dict[str, Any]) -> None:
    path = _pointer(op, "path", "test")
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
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError(f"{name} operation has no valid {member}: missing value")
    return path


def _parent(holder: dict[str, Any], path: str, name: str) -> tuple[Any, str]:
    """The container of `path` and the last part of it."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    at: Any = holder
    for part in parts[:-1]:
        if isinstance(at, list):
            at = at[_index(at, part, path)]
        else:
            at = at.get(part)
        if not isinstance(at, (dict, list)):
            what = "doc is missing from path" if name in ("move", "copy") else "doc is missing path"
            raise PatchError(f'{name} operation does not apply: {what}: "{path}": missing value')
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
            f"{name} operation does not apply: unable to remove nonexistent key: {key}: missing value"
        )
    return parent.pop(key)
