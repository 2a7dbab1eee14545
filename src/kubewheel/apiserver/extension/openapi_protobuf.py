"""OpenAPI documents as protobuf: what kubectl and client-go ask for first. Pure.

In: a document as a dict. Out: bytes of gnostic's `openapi.v2.Document` or `openapi.v3.Document`. Called by: openapi.py.
One table per version: JSON key -> (field number, how the value is written). Keys that the messages do not have are
left out, as gnostic does; `x-…` keys become extensions, their values YAML text (JSON is YAML).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from kubewheel.api import codec
from kubewheel.lib import wire

Writer = Callable[[int, Any], bytes]
Table = dict[str, tuple[int, Writer]]


# -- the wire -------------------------------------------------------------------------------------------------------
def _string(number: int, value: Any) -> bytes:
    return wire.delimited(number, str(value).encode())


def _bool(number: int, value: Any) -> bytes:
    return wire.number_field(number, 1) if value else b""


def _int(number: int, value: Any) -> bytes:
    return wire.number_field(number, int(value))


def _double(number: int, value: Any) -> bytes:
    return wire.uvarint(number << 3 | 1) + struct.pack("<d", value)


def _any(number: int, value: Any) -> bytes:
    return wire.delimited(number, wire.delimited(2, codec.dumps(value) + b"\n"))


# -- how messages are nested ------------------------------------------------------------------------------------------
def _many(write: Writer) -> Writer:
    return lambda number, values: b"".join([write(number, v) for v in values])


def _named(write: Writer) -> Writer:
    """A dict as repeated {name = 1, value = 2}."""
    return lambda number, values: b"".join([wire.delimited(number, _string(1, k) + write(2, v)) for k, v in values.items()])


def _inside(inner: int, write: Writer) -> Writer:
    """The value is field `inner` of a message of its own: wrappers and oneofs."""
    return lambda number, value: wire.delimited(number, write(inner, value))


def _message(table: Table) -> Writer:
    return lambda number, value: wire.delimited(number, _fields(table, value))


def _fields(table: Table, value: dict[str, Any]) -> bytes:
    out = []
    for key, inner in value.items():
        found = table.get(key)
        if found is not None:
            out.append(found[1](found[0], inner))
        elif key.startswith("x-") and "x-" in table:
            out.append(wire.delimited(table["x-"][0], _string(1, key) + _any(2, inner)))
    return b"".join(out)


def _texts(number: int, value: Any) -> bytes:
    return _many(_string)(number, [value] if isinstance(value, str) else value)


_LIMITS = ("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
           "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties")
_LIMIT_WRITERS: dict[str, Writer] = {
    "multipleOf": _double, "maximum": _double, "minimum": _double, "exclusiveMaximum": _bool, "exclusiveMinimum": _bool,
    "uniqueItems": _bool, "pattern": _string}


def _limits(first: int, names: tuple[str, ...] = _LIMITS) -> Table:
    return {name: (first + i, _LIMIT_WRITERS.get(name, _int)) for i, name in enumerate(names)}


_EXTENSION: Writer = _any
_SECURITY = _many(_inside(1, _named(_inside(1, _texts))))

# -- version 2 --------------------------------------------------------------------------------------------------------
_SCHEMA_2: Table = {
    "$ref": (1, _string), "format": (2, _string), "title": (3, _string), "description": (4, _string), "default": (5, _any),
    **_limits(6), "required": (19, _texts), "enum": (20, _many(_any)), "type": (22, _inside(1, _texts)),
    "discriminator": (26, _string), "readOnly": (27, _bool), "example": (30, _any), "x-": (31, _EXTENSION)}
_schema_2 = _message(_SCHEMA_2)
_SCHEMA_2 |= {
    "additionalProperties": (21, lambda n, v: wire.delimited(n, _schema_2(1, v) if isinstance(v, dict) else _bool(2, v))),
    "items": (23, lambda n, v: wire.delimited(n, _many(_schema_2)(1, v if isinstance(v, list) else [v]))),
    "allOf": (24, _many(_schema_2)), "properties": (25, _inside(1, _named(_schema_2)))}

_PARAMETER_LIMITS = _LIMITS[1:11]
_PATH_2: Table = {  # header and path parameters
    "required": (1, _bool), "in": (2, _string), "description": (3, _string), "name": (4, _string), "type": (5, _string),
    "format": (6, _string), "collectionFormat": (8, _string), "default": (9, _any), **_limits(10, _PARAMETER_LIMITS),
    "enum": (20, _many(_any)), "multipleOf": (21, _double), "x-": (22, _EXTENSION)}
_QUERY_2: Table = {  # query and form parameters
    "required": (1, _bool), "in": (2, _string), "description": (3, _string), "name": (4, _string),
    "allowEmptyValue": (5, _bool), "type": (6, _string), "format": (7, _string), "collectionFormat": (9, _string),
    "default": (10, _any), **_limits(11, _PARAMETER_LIMITS), "enum": (21, _many(_any)), "multipleOf": (22, _double),
    "x-": (23, _EXTENSION)}
_BODY_2: Table = {"description": (1, _string), "name": (2, _string), "in": (3, _string), "required": (4, _bool),
                  "schema": (5, _schema_2), "x-": (6, _EXTENSION)}
_PLACES: dict[str, tuple[int, Table]] = {
    "header": (1, _PATH_2), "formData": (2, _QUERY_2), "query": (3, _QUERY_2), "path": (4, _PATH_2)}


def _parameter_2(number: int, value: dict[str, Any]) -> bytes:
    """ParametersItem: oneof parameter (of oneof body, non-body (of four)), reference."""
    if "$ref" in value:
        return wire.delimited(number, wire.delimited(2, _string(1, value["$ref"])))
    return wire.delimited(number, _shared_2(1, value))


def _shared_2(number: int, value: dict[str, Any]) -> bytes:
    if value["in"] == "body":
        return wire.delimited(number, wire.delimited(1, _fields(_BODY_2, value)))
    place, table = _PLACES[value["in"]]
    return wire.delimited(number, wire.delimited(2, wire.delimited(place, _fields(table, value))))


_RESPONSE_2: Table = {"description": (1, _string), "schema": (2, _inside(1, _schema_2)), "x-": (5, _EXTENSION)}
_OPERATION_2: Table = {
    "tags": (1, _texts), "summary": (2, _string), "description": (3, _string), "operationId": (5, _string),
    "produces": (6, _texts), "consumes": (7, _texts), "parameters": (8, _many(_parameter_2)),
    "responses": (9, _inside(1, _named(_inside(1, _message(_RESPONSE_2))))), "schemes": (10, _texts),
    "deprecated": (11, _bool), "security": (12, _SECURITY), "x-": (13, _EXTENSION)}
_operation_2 = _message(_OPERATION_2)
_ITEM_2: Table = {
    "$ref": (1, _string), "get": (2, _operation_2), "put": (3, _operation_2), "post": (4, _operation_2),
    "delete": (5, _operation_2), "options": (6, _operation_2), "head": (7, _operation_2), "patch": (8, _operation_2),
    "parameters": (9, _many(_parameter_2)), "x-": (10, _EXTENSION)}
_INFO_2: Table = {"title": (1, _string), "version": (2, _string), "description": (3, _string),
                  "termsOfService": (4, _string), "x-": (7, _EXTENSION)}
_API_KEY: Table = {"type": (1, _string), "name": (2, _string), "in": (3, _string), "description": (4, _string),
                   "x-": (5, _EXTENSION)}
_DOCUMENT_2: Table = {
    "swagger": (1, _string), "info": (2, _message(_INFO_2)), "host": (3, _string), "basePath": (4, _string),
    "schemes": (5, _texts), "consumes": (6, _texts), "produces": (7, _texts),
    "paths": (8, _inside(2, _named(_message(_ITEM_2)))), "definitions": (9, _inside(1, _named(_schema_2))),
    "parameters": (10, _inside(1, _named(_shared_2))),
    "security": (12, _SECURITY), "securityDefinitions": (13, _inside(1, _named(_inside(2, _message(_API_KEY))))),
    "x-": (16, _EXTENSION)}


def v2(document: dict[str, Any]) -> bytes:
    return _fields(_DOCUMENT_2, document)


# -- version 3 --------------------------------------------------------------------------------------------------------
def _or_reference(write: Writer) -> Writer:
    def written(number: int, value: dict[str, Any]) -> bytes:
        return wire.delimited(number, wire.delimited(2, _string(1, value["$ref"])) if "$ref" in value else write(1, value))

    return written


def _default_3(number: int, value: Any) -> bytes:
    """DefaultType holds scalars only."""
    if isinstance(value, bool):
        return wire.delimited(number, wire.uvarint(2 << 3) + (b"\x01" if value else b"\x00"))
    if isinstance(value, (int, float)):
        return wire.delimited(number, _double(1, value))
    return wire.delimited(number, _string(3, value)) if isinstance(value, str) else b""


_SCHEMA_3: Table = {
    "nullable": (1, _bool), "readOnly": (3, _bool), "writeOnly": (4, _bool), "example": (7, _any), "deprecated": (8, _bool),
    "title": (9, _string), **_limits(10), "required": (23, _texts), "enum": (24, _many(_any)), "type": (25, _string),
    "default": (33, _default_3), "description": (34, _string), "format": (35, _string), "x-": (36, _EXTENSION)}
_schema_3 = _or_reference(_message(_SCHEMA_3))
_SCHEMA_3 |= {
    "allOf": (26, _many(_schema_3)), "oneOf": (27, _many(_schema_3)), "anyOf": (28, _many(_schema_3)),
    "not": (29, _message(_SCHEMA_3)), "properties": (31, _inside(1, _named(_schema_3))),
    "items": (30, lambda n, v: wire.delimited(n, _many(_schema_3)(1, v if isinstance(v, list) else [v]))),
    "additionalProperties": (32, lambda n, v: wire.delimited(n, _schema_3(1, v) if isinstance(v, dict) else _bool(2, v)))}
_CONTENT_3 = _inside(1, _named(_message({"schema": (1, _schema_3), "example": (2, _any), "x-": (5, _EXTENSION)})))
_parameter_3 = _or_reference(_message({
    "name": (1, _string), "in": (2, _string), "description": (3, _string), "required": (4, _bool), "deprecated": (5, _bool),
    "allowEmptyValue": (6, _bool), "style": (7, _string), "explode": (8, _bool), "allowReserved": (9, _bool),
    "schema": (10, _schema_3), "example": (11, _any), "content": (13, _CONTENT_3), "x-": (14, _EXTENSION)}))
_response_3 = _or_reference(_message({"description": (1, _string), "content": (3, _CONTENT_3), "x-": (5, _EXTENSION)}))


def _responses_3(number: int, value: dict[str, Any]) -> bytes:
    codes = {code: r for code, r in value.items() if code != "default"}
    default = _response_3(1, value["default"]) if "default" in value else b""
    return wire.delimited(number, default + _named(_response_3)(2, codes))


_operation_3 = _message({
    "tags": (1, _texts), "summary": (2, _string), "description": (3, _string), "operationId": (5, _string),
    "parameters": (6, _many(_parameter_3)), "requestBody": (7, _or_reference(_message({
        "description": (1, _string), "content": (2, _CONTENT_3), "required": (3, _bool), "x-": (4, _EXTENSION)}))),
    "responses": (8, _responses_3), "deprecated": (10, _bool), "security": (11, _SECURITY), "x-": (13, _EXTENSION)})
_ITEM_3: Table = {
    "$ref": (1, _string), "summary": (2, _string), "description": (3, _string), "get": (4, _operation_3),
    "put": (5, _operation_3), "post": (6, _operation_3), "delete": (7, _operation_3), "options": (8, _operation_3),
    "head": (9, _operation_3), "patch": (10, _operation_3), "trace": (11, _operation_3),
    "parameters": (13, _many(_parameter_3)), "x-": (14, _EXTENSION)}
_COMPONENTS_3: Table = {
    "schemas": (1, _inside(1, _named(_schema_3))), "responses": (2, _inside(1, _named(_response_3))),
    "parameters": (3, _inside(1, _named(_parameter_3))), "securitySchemes": (7, _inside(1, _named(_or_reference(_message({
        "type": (1, _string), "description": (2, _string), "name": (3, _string), "in": (4, _string), "scheme": (5, _string),
        "bearerFormat": (6, _string), "openIdConnectUrl": (8, _string), "x-": (9, _EXTENSION)}))))),
    "x-": (10, _EXTENSION)}
_DOCUMENT_3: Table = {
    "openapi": (1, _string), "info": (2, _message({
        "title": (1, _string), "description": (2, _string), "termsOfService": (3, _string), "version": (6, _string),
        "x-": (7, _EXTENSION)})),
    "paths": (4, _inside(1, _named(_message(_ITEM_3)))), "components": (5, _message(_COMPONENTS_3)),
    "security": (6, _SECURITY), "x-": (9, _EXTENSION)}


def v3(document: dict[str, Any]) -> bytes:
    return _fields(_DOCUMENT_3, document)
