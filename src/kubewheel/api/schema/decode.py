"""A decoded JSON object held against a node, as Go's decoding into the struct would: in place.

In: a Node and a private JSON dict. Out: the dict as Go would write it back (nulls gone, canonical quantities and
times, empty optional lists gone), the unknown fields removed and named; DecodeError for wrong types.
Called by: apiserver verbs (every write), merge.

Two walkers with one meaning: closures compiled once per node for the way that is fine, and a slow walk with paths
for what is not (unknown fields, wrong types, null elements). tests/api/schema compare them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from kubewheel.api import codec
from kubewheel.api.protobuf import table
from kubewheel.api.schema import compile, go_names, prune, scalars
from kubewheel.api.schema.node import Node

Checker = Callable[[Any], Any]  # a value -> the value to keep; None: leave the field out


class DecodeError(ValueError):
    """The object does not fit its type. The text is Go's (`json: cannot unmarshal string into Go struct field …`)."""


class _Irregular(Exception):
    """The fast way met something that needs a path: start again with the slow walk."""


def check(node: Node, obj: Any) -> list[str]:
    """Removes what the type does not know and returns `unknown field "spec.foo"` texts; changes `obj` in place."""
    if node.raw is not None:
        return prune.prune(node, obj)
    try:
        (node.compiled or _compiled(node))(obj)
        return []
    except _Irregular:
        unknown: list[str] = []
        _Walk(unknown).value(node, obj, "", [], None)
        return list(dict.fromkeys(unknown))


# -- the fast way -------------------------------------------------------------------------------------------------
def _compiled(node: Node) -> Checker:
    if node.compiled is None:
        _MAKERS[node.type](node)
    return node.compiled


def _make_struct(node: Node) -> None:
    known: dict[str, Any] = {}
    kept: set[str] = set()
    get = known.get

    def struct(obj: Any) -> Any:
        if obj.__class__ is not dict:
            raise _Irregular
        gone = None
        for key, value in obj.items():
            want = get(key)
            if want is value.__class__:  # str and bool fields: the class itself is the rule
                if value or key in kept:
                    continue
            elif want is None:
                raise _Irregular
            elif value is not None:
                if want.__class__ is type:
                    raise _Irregular
                new = want(value)
                if new or new is not None and key in kept:
                    if new is not value:
                        obj[key] = new
                    continue
            if gone is None:
                gone = [key]
            else:
                gone.append(key)
        if gone is not None:
            for key in gone:
                del obj[key]
        return obj

    node.compiled = struct  # before the fields: a struct may hold itself
    kept |= _kept(node)
    for name, field in node.fields.items():
        known[name] = {"string": str, "boolean": bool}.get(field.type) or _compiled(field)


def _kept(struct: Node) -> set[str]:
    """The fields that Go writes though they are empty: structs, what a pointer holds, and all without omitempty."""
    if not table.knows(struct.definition):
        return {name for name, field in struct.fields.items() if field.type not in ("list", "map") or name in struct.required}
    rows = table.json_names(struct.definition)
    return {name for name, field in struct.fields.items() if name not in rows or _is_kept(field, rows[name])}


def _is_kept(field: Node, row: table.Row) -> bool:
    if field.type in ("object", "any") or row.omit == table.KEPT:
        return True
    if field.type in ("list", "map", "bytes"):  # a pointer to a slice has no field of its own in protobuf
        return False
    return row.mode == table.POINTER


def _make_list(node: Node) -> None:
    assert node.items is not None
    if node.items.type in ("string", "boolean"):
        plain = str if node.items.type == "string" else bool

        def scalars_only(value: Any) -> Any:
            if value.__class__ is not list:
                raise _Irregular
            for item in value:
                if item.__class__ is not plain:
                    raise _Irregular
            return value

        node.compiled = scalars_only
        return
    items = node.items

    def checked(value: Any) -> Any:
        if value.__class__ is not list:
            raise _Irregular
        rule = items.compiled or _compiled(items)
        for i, item in enumerate(value):
            if item is None:
                raise _Irregular
            new = rule(item)
            if new is not item:
                value[i] = new
        return value

    node.compiled = checked


def _make_map(node: Node) -> None:
    assert node.values is not None
    values = node.values
    if values.type == "string":
        def texts(value: Any) -> Any:
            if value.__class__ is not dict:
                raise _Irregular
            for item in value.values():
                if item.__class__ is not str:
                    raise _Irregular
            return value

        node.compiled = texts
        return

    def checked(value: Any) -> Any:
        if value.__class__ is not dict:
            raise _Irregular
        rule = values.compiled or _compiled(values)
        for key, item in value.items():
            if item is None:
                raise _Irregular
            new = rule(item)
            if new is not item:
                value[key] = new
        return value

    node.compiled = checked


def _scalar(node: Node) -> Checker:
    """A scalar's one rule; the slow walk uses it too and makes its own words of _Irregular."""
    kind, bits = node.type, 31 if node.format == "int32" else 63

    def string(value: Any) -> Any:
        if value.__class__ is not str:
            raise _Irregular
        return value

    def boolean(value: Any) -> Any:
        if value.__class__ is not bool:
            raise _Irregular
        return value

    low, high = -(1 << bits), (1 << bits) - 1

    def integer(value: Any) -> Any:
        if value.__class__ is not int or not low <= value <= high:
            raise _Irregular
        return value

    def number(value: Any) -> Any:
        if value.__class__ is not float and value.__class__ is not int:
            raise _Irregular
        return value

    def int_or_string(value: Any) -> Any:
        if value.__class__ is str or (value.__class__ is int and -(1 << 31) <= value < 1 << 31):
            return value
        raise _Irregular

    def quantity(value: Any) -> Any:
        text = value if value.__class__ is str else codec.dumps(value).decode()
        return _or_irregular(scalars.quantity, text)

    return {"string": string, "boolean": boolean, "integer": integer, "number": number, "quantity": quantity,
            "int-or-string": int_or_string, "bytes": _bytes, "time": _textual(scalars.time, is_time=True),
            "microtime": _textual(scalars.microtime, is_time=True), "duration": string}[kind]


def _bytes(value: Any) -> Any:
    """Base64 text; Go takes a list of numbers as well."""
    if value.__class__ is list and all(item.__class__ is int and 0 <= item < 256 or item is None for item in value):
        return base64.b64encode(bytes(item or 0 for item in value)).decode()
    return _base64(value)


def _textual(parse: Callable[[str], str], *, is_time: bool = False) -> Checker:
    """The zero time is null."""
    def checked(value: Any) -> Any:
        if value.__class__ is not str:
            raise _Irregular
        return _or_irregular(parse, value) or None if is_time else _or_irregular(parse, value)

    return checked


_base64 = _textual(scalars.base64_text)


def _or_irregular(parse: Callable[[str], str], text: str) -> str:
    try:
        return parse(text)
    except scalars.ScalarError as e:
        raise _Irregular(str(e)) from e


def _make_scalar(node: Node) -> None:
    node.compiled = _scalar(node)


def _make_any(node: Node) -> None:
    if not node.definition.startswith(compile.EXTENSIONS + "JSONSchemaPropsOr"):
        node.compiled = lambda value: value
        return
    inner = compile.definition(compile.EXTENSIONS + "JSONSchemaProps")

    def schema_or(value: Any) -> Any:
        """JSONSchemaPropsOrBool/OrArray/OrStringArray: a schema, a list of schemas (or texts), or a bool."""
        if value.__class__ is dict:
            return _compiled(inner)(value)
        if value.__class__ is not list:
            if value.__class__ is bool and node.definition.endswith("OrBool"):
                return value
            raise _Irregular
        for item in value:
            if item.__class__ is dict:
                _compiled(inner)(item)
        return value

    node.compiled = schema_or


_MAKERS: dict[str, Callable[[Node], None]] = {
    "object": _make_struct, "list": _make_list, "map": _make_map, "any": _make_any,
    **{kind: _make_scalar for kind in ("string", "boolean", "integer", "number", "quantity", "int-or-string", "bytes",
                                       "time", "microtime", "duration")}}


# -- the slow way -------------------------------------------------------------------------------------------------
_ZERO = {"string": "", "boolean": False, "integer": 0, "number": 0, "quantity": "0", "int-or-string": 0}
_GO_PACKAGES = {"quantity": "resource.Quantity", "int-or-string": "intstr.IntOrString", "time": "v1.Time",
                "microtime": "v1.MicroTime", "any": "runtime.RawExtension", "bytes": "[]uint8", "string": "string",
                "boolean": "bool", "number": "float64", "duration": "v1.Duration"}


class _Walk:
    def __init__(self, unknown: list[str]) -> None:
        self.unknown = unknown

    def value(self, node: Node, value: Any, path: str, names: list[str], struct: Node | None) -> Any:
        """`path` is the strict-decoding path (with indexes), `names` Go's (without), `struct` the innermost one."""
        if node.type == "object":
            return self.struct(node, value, path, names, struct)
        if node.type == "list":
            assert node.items is not None
            self.expect(list, node, value, names, struct)
            for i, item in enumerate(value):
                value[i] = self.element(node.items, item, f"{path}[{i}]", names, struct)
            return value
        if node.type == "map":
            assert node.values is not None
            self.expect(dict, node, value, names, struct)
            for key, item in value.items():
                value[key] = self.element(node.values, item, f"{path}.{key}" if path else key, names, struct)
            return value
        if node.type == "any":
            return self.any(node, value, path, names, struct)
        try:
            return _scalar(node)(value)
        except _Irregular as e:
            raise self.scalar_error(node, value, str(e), names, struct) from e

    def element(self, node: Node, item: Any, path: str, names: list[str], struct: Node | None) -> Any:
        """In lists and maps null is the element's zero value."""
        if item is None:
            return _ZERO[node.type] if node.type in _ZERO else {} if node.type == "object" else None
        return self.value(node, item, path, names, struct)

    def struct(self, node: Node, value: Any, path: str, names: list[str], outer: Node | None) -> Any:
        self.expect(dict, node, value, names, outer)
        kept = _kept(node)
        for key in list(value):
            field, here = node.fields.get(key), f"{path}.{key}" if path else key
            if field is None:
                self.unknown.append(f'unknown field "{here}"')
                del value[key]
                continue
            if value[key] is None:
                del value[key]
                continue
            new = self.value(field, value[key], here, [*names, *go_names.through(node.definition, key), key], node)
            if new or new is not None and key in kept:
                value[key] = new
            else:
                del value[key]
        return value

    def any(self, node: Node, value: Any, path: str, names: list[str], struct: Node | None) -> Any:
        if not node.definition.startswith(compile.EXTENSIONS + "JSONSchemaPropsOr"):
            return value
        # Unknown fields go without a word here: these types decode themselves, and are never strict.
        quiet, inner = _Walk([]), compile.definition(compile.EXTENSIONS + "JSONSchemaProps")
        if isinstance(value, dict):
            return quiet.value(inner, value, path, names, struct)
        if node.definition.endswith("OrBool"):
            if not isinstance(value, bool):
                raise DecodeError("boolean or JSON schema expected")
            return value
        if not isinstance(value, list):
            return None
        for item in value:
            if isinstance(item, dict):
                quiet.value(inner, item, path, names, struct)
        return value

    def expect(self, kind: type, node: Node, value: Any, names: list[str], struct: Node | None) -> None:
        if value.__class__ is not kind:
            raise _mismatch(_json_kind(value), _told_type(node, names, struct), names, struct)

    def scalar_error(self, node: Node, value: Any, text: str, names: list[str], struct: Node | None) -> DecodeError:
        if text:  # of a custom unmarshaller, which knows nothing of where it is
            return DecodeError(text)
        if node.type in ("time", "microtime"):
            return _mismatch(_json_kind(value), "string", names, struct)
        if node.type == "int-or-string":
            return _mismatch(_number_kind(value), "int32", names, struct)
        if node.type == "bytes" and isinstance(value, list):
            wrong = next(i for i in value if i is not None and (i.__class__ is not int or not 0 <= i < 256))
            return _mismatch(_number_kind(wrong), "uint8", names, struct)
        told = _number_kind(value) if node.type in ("integer", "number") else _json_kind(value)
        return _mismatch(told, _told_type(node, names, struct), names, struct)


def _mismatch(told: str, go_type: str, names: list[str], struct: Node | None) -> DecodeError:
    where = "Go value"
    if struct is not None and names:
        where = f"Go struct field {struct.definition.rpartition('.')[2]}.{'.'.join(names)}"
    return DecodeError(f"json: cannot unmarshal {told} into {where} of type {go_type}")


def _told_type(node: Node, names: list[str], struct: Node | None) -> str:
    """The type of a field, or of what is in it."""
    named = go_names.field_type(struct.definition, names[-1]) if struct is not None and names else ""
    if not named:
        return _go_type(node)
    assert struct is not None
    field = struct.fields[names[-1]]
    if field is node:
        return named
    is_element = node is field.items or node is field.values
    return named.partition("]")[2] if is_element and named.startswith(("[]", "map[")) else _go_type(node)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {"str": "string", "list": "array", "dict": "object"}.get(type(value).__name__, "null")


def _number_kind(value: Any) -> str:
    """Numbers of the wrong size or with a fraction are told with their text."""
    kind = _json_kind(value)
    return f"number {codec.dumps(value).decode()}" if kind == "number" else kind


def _go_type(node: Node) -> str:
    if node.type == "integer":
        return node.format or "int64"
    if node.type == "list":
        assert node.items is not None
        return "[]" + _go_type(node.items)
    if node.type == "map":
        assert node.values is not None
        return "map[string]" + _go_type(node.values)
    if node.type == "object":
        parts = node.definition.split(".")
        return ".".join(parts[-2:]) if node.definition else "struct {}"
    return _GO_PACKAGES[node.type]
