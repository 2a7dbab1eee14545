"""What rules see of a value: its type as CEL knows it, with the sizes its schema allows, and the value in CEL's terms.

In: structural schemas. Out: Kinds (what compiles, what it may cost) and views (JSON values as CEL's). Called by: rules.py.
Source of the rule: "Type system" of "Validation rules" in the CustomResourceDefinition documentation.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from kubewheel.api.apiextensions import formats
from kubewheel.api.cel import times
from kubewheel.api.cel.check import Kind
from kubewheel.api.cel.values import CelError, Duration, MapList, SetList

Schema = dict[str, Any]
View = Callable[[Any], Any]
MAX_BYTES = 3 * 1024 * 1024  # of a request: what bounds a value whose schema does not
_WHOLE = MAX_BYTES - 2  # without its quotes or brackets
_FORMATS = {"date-time": "timestamp", "date": "timestamp", "duration": "duration", "byte": "bytes"}
_FORMAT_SIZES = {"date-time": (36, 21), "date": (10, 12), "duration": (32, 3)}  # the longest text, the shortest JSON
_RESERVED = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
    "loop", "package", "namespace", "return", "var", "void", "while"})
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_NAME = re.compile(r"[A-Za-z_./-][\w./-]*", re.ASCII)
_ESCAPED = re.compile(r"__|[./-]")


def escaped(name: str) -> str | None:
    """A property's name as an identifier; None for those no rule can name."""
    if name in _RESERVED:
        return f"__{name}__"
    if _NAME.fullmatch(name) is None:
        return None
    return _ESCAPED.sub(lambda m: _ESCAPES[m[0]], name)


# -- types --------------------------------------------------------------------------------------------------------
_SCALARS = {"integer": Kind("int", size=0), "number": Kind("double", size=0), "boolean": Kind("bool", size=0, least=4)}
_TEXT = Kind("string", size=_WHOLE, least=2)
_META = Kind("object", fields={"name": _TEXT, "generateName": _TEXT}, shown="object", size=0, least=2)


def kind(schema: Schema, *, root: bool = False) -> Kind | None:
    """None where nothing is declared: such fields are not there for rules."""
    if schema.get("x-kubernetes-int-or-string"):
        return Kind("dyn", size=_WHOLE)
    type_ = schema.get("type", "")
    if type_ == "string":
        return _string(schema)
    if type_ == "array":
        items = schema.get("items")
        inner = kind(items) if isinstance(items, dict) else None
        return inner and Kind("list", inner, size=_most(schema.get("maxItems"), max_items(inner)), least=2)
    if type_ != "object":
        return _SCALARS.get(type_)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        inner = kind(extra)
        return inner and Kind("map", inner, size=_most(schema.get("maxProperties"), max_entries(inner)), least=2)
    return _object(schema, root or bool(schema.get("x-kubernetes-embedded-resource")))


def _object(schema: Schema, whole: bool) -> Kind:
    properties, required = schema.get("properties") or {}, schema.get("required") or ()
    fields, least = {}, 2
    for name, prop in properties.items():
        made = kind(prop)
        if made is None:
            continue
        if (known := escaped(name)) is not None:
            fields[known] = made
        if name in required and "default" not in prop:
            least += len(name) + made.least + 4
    if whole:
        fields |= {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _META}
    return Kind("object", fields=fields, shown="object", size=0, least=least)


def _string(schema: Schema) -> Kind:
    form = schema.get("format", "")
    if form == "byte":
        return Kind("bytes", size=_most(schema.get("maxLength"), _WHOLE), least=2)
    if form in _FORMATS:
        most, least = _FORMAT_SIZES[form]
        return Kind(_FORMATS[form], size=most, least=least)
    if "maxLength" in schema:
        return Kind("string", size=max(schema["maxLength"], 0) * 4, least=2)  # characters of up to four bytes
    if schema.get("enum"):
        return Kind("string", size=max(len(e) for e in schema["enum"] if isinstance(e, str)), least=2)
    return _TEXT


def _most(declared: int | None, otherwise: int) -> int:
    return otherwise if declared is None else max(declared, 0)


def max_items(inner: Kind) -> int:
    """How many elements fit into a request."""
    return _WHOLE // (inner.least + 1)


def max_entries(inner: Kind) -> int:
    return _WHOLE // (inner.least + 6)


def max_cardinality(own: Kind) -> int:
    """How often a value can stand in one request."""
    return MAX_BYTES // (own.least + 1)


# -- values -------------------------------------------------------------------------------------------------------
def view(schema: Schema) -> View | None:
    """How a JSON value becomes what rules see; None where it is the same."""
    type_ = schema.get("type", "")
    if type_ == "number":
        return lambda v: float(v) if type(v) is int else v
    if type_ == "string":
        return _string_view(schema.get("format", ""))
    if type_ == "array":
        return _list_view(schema)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and (inner := view(extra)) is not None:
        each = inner
        return lambda v: {k: each(i) for k, i in v.items()} if isinstance(v, dict) else v
    inners = {name: made for name, prop in (schema.get("properties") or {}).items() if (made := view(prop)) is not None}
    if not inners:
        return None
    return lambda v: {k: inners[k](i) if k in inners else i for k, i in v.items()} if isinstance(v, dict) else v


def _span(text: str) -> Duration:
    found = formats.seconds(text)
    if found is None:
        raise CelError(text)
    return Duration(int(found * 10**9))


def _string_view(form: str) -> View | None:
    reader: Callable[[str], Any] | None = {
        "date-time": times.timestamp, "date": lambda t: times.timestamp(t + "T00:00:00Z"), "duration": _span,
        "byte": lambda t: base64.b64decode(t)}.get(form)
    if reader is None:
        return None
    read = reader

    def see(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read(value)
        except (CelError, binascii.Error):
            return value  # the format's own check says so

    return see


def _list_view(schema: Schema) -> View | None:
    each = view(schema.get("items") or {})
    list_type = schema.get("x-kubernetes-list-type")
    if list_type == "set":
        return lambda v: SetList(map(each, v) if each else v) if isinstance(v, list) else v
    if list_type == "map":
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        return lambda v: MapList(map(each, v) if each else v, keys) if isinstance(v, list) else v
    if each is None:
        return None
    one = each
    return lambda v: [one(i) for i in v] if isinstance(v, list) else v
