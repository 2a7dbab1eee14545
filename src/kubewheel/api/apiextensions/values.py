"""Values against a structural schema, with upstream's (kube-openapi's) words, in its order.

In: the root Node (its `raw` is the schema) and an object; on updates the old one: what did not change is not judged
again (ratcheting). Out: FieldErrors. Called by: default_values.py, extension/crd/resource.py.

A value of the wrong type is held against the rest of its schema too. Whoever looks at several schemas of which one must fit
(anyOf, oneOf) tells of the one that came closest: of the most checks that went well, which is what `_Told.passed` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import errors
from kubewheel.api.apiextensions import formats, numbers
from kubewheel.api.cel.functions import regex
from kubewheel.api.errors import FieldError
from kubewheel.api.schema.node import Node

Schema = dict[str, Any]
ABSENT = object()


@dataclass(slots=True)
class _Told:
    """What one look at a value found, each thing once, and how many checks went well."""

    findings: dict[FieldError, None] = field(default_factory=dict)
    passed: int = 0

    def add(self, *found: FieldError) -> None:
        self.findings |= dict.fromkeys(found)

    def take(self, other: _Told) -> None:
        self.findings |= other.findings
        self.passed += other.passed


def findings(node: Node, obj: Any, *, old: Any = ABSENT) -> list[FieldError]:
    return list(_look(node.raw or {}, obj, "", old).findings)


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _look(schema: Schema, value: Any, path: str, old: Any = ABSENT) -> _Told:
    """Of a value that did not change nothing is told."""
    told = _judge(schema, value, path, old)
    if told.findings and old is not ABSENT and type(old) is type(value) and old == value:
        told.findings = {}
    return told


def _judge(schema: Schema, value: Any, path: str, old: Any) -> _Told:
    told = _Told()
    found = wrong_type(schema, value, path)
    told.add(*found)
    if value is None:
        told.add(*_enum(schema, value, path))
        told.passed = 0 if found else 1
        return told
    if numbers.types(schema) or _format(schema):
        told.passed = 1 if found else 2
    told.take(_junctors(schema, value, path, old))
    if (check := _BY_KIND.get(type(value))) is not None:
        check(schema, value, path, old, told)
    told.add(*_enum(schema, value, path))
    told.passed += 3  # junctors, enum and the whole
    if isinstance(value, dict):
        _object(schema, value, path, old, told)
        told.passed += 1
    return told


# -- types and enums ----------------------------------------------------------------------------------------------
def _format(schema: Schema) -> str:
    """The format, where the server knows it for the type."""
    name, kinds = schema.get("format") or "", numbers.types(schema)
    return name if name and formats.is_known(name, kinds[0] if len(kinds) == 1 else "") else ""


def _wrong_type(path: str, wanted: str, shown: str) -> FieldError:
    return errors.field_type_invalid(_at(path), shown, f"{path} in body must be of type {wanted}: {errors.quoted(shown)}")


def _at(path: str) -> str:
    return path.removeprefix(".") or "<nil>"


def wrong_type(schema: Schema, value: Any, path: str = "") -> list[FieldError]:
    wanted, form = numbers.types(schema), _format(schema)
    if value is None:
        return [] if not wanted or schema.get("nullable") else [_wrong_type(path, ",".join(wanted), "null")]
    got, go_type = numbers.kind_of(value)
    is_whole = got == "number" and "integer" in wanted and numbers.is_whole(value)
    is_other = got == "integer" and "number" in wanted
    if form and got not in ("string", "array") and not (got in wanted or go_type == form or is_whole or is_other):
        return [_wrong_type(path, form, go_type)]
    if form and got in ("string", "array") and not {"number", "integer"} & set(wanted):
        return []  # the format's own check says so
    return [] if not wanted or got in wanted or is_whole or is_other else [_wrong_type(path, ",".join(wanted), got)]


def _enum(schema: Schema, value: Any, path: str) -> list[FieldError]:
    allowed = schema.get("enum")
    if not allowed or is_one_of(value, allowed):
        return []
    shown = ", ".join(errors.quoted(a if isinstance(a, str) else errors.render_value(a)) for a in allowed)
    return [FieldError("FieldValueNotSupported", _at(path),  # upstream keeps the schema's order here
                       f"Unsupported value: {errors.render_value(value)}: supported values: {shown}")]


def is_one_of(value: Any, allowed: Iterable[Any]) -> bool:
    """Numbers are converted to the type of the one they are compared with; null is never one of them."""
    if value is None:
        return False
    is_number = numbers.is_number(value)
    for a in allowed:
        if is_number and numbers.is_number(a):
            if (int(value) if isinstance(a, int) else float(value)) == a:
                return True
        elif type(a) is type(value) and a == value:
            return True
    return False


# -- by kind ------------------------------------------------------------------------------------------------------
def _string(schema: Schema, value: str, path: str, old: Any, told: _Told) -> None:
    """Of length and pattern the first that does not hold is told."""
    at = _at(path)
    found: list[FieldError] = []
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        found = [errors.field_too_long(at, most)]
    elif (least := schema.get("minLength")) is not None and len(value) < least:
        found = [errors.field_invalid(at, value, f"{path} in body should be at least {least} chars long")]
    elif (pattern := schema.get("pattern")) and regex(pattern).search(value) is None:
        found = [errors.field_invalid(at, value, f"{path} in body should match '{pattern}'")]
    told.add(*found)
    told.passed += 1
    if form := _format(schema):
        told.passed += 1
        if not formats.fits(form, value):
            words = f"{path} in body must be of type {form}: {errors.quoted(value)}"
            told.add(errors.field_type_invalid(at, value, words))


def _number(schema: Schema, value: int | float, path: str, old: Any, told: _Told) -> None:
    found = numbers.check(schema, value, path, _at(path))
    told.add(*found)
    told.passed += 2


def _array(schema: Schema, value: list[Any], path: str, old: Any, told: _Told) -> None:
    items, at = schema.get("items"), _at(path)
    if isinstance(items, dict):
        keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
        before = {_key(o, keys): o for o in old} if keys and isinstance(old, list) else {}
        for i, item in enumerate(value):
            told.take(_look(items, item, f"{path}[{i}]", before.get(_key(item, keys), ABSENT) if before else ABSENT))
    if (least := schema.get("minItems")) is not None and len(value) < least:
        told.add(errors.field_invalid(at, len(value), f"{path} in body should have at least {least} items"))
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        told.add(errors.field_too_many(at, len(value), most))
    if schema.get("uniqueItems") and repeated(value):
        told.add(errors.field_invalid(at, "", f"{path} in body shouldn't contain duplicates"))
    told.passed += 2


def _object(schema: Schema, value: dict[str, Any], path: str, old: Any, told: _Told) -> None:
    at = _at(path)
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        told.add(errors.field_invalid(at, len(value), f"{path} in body should have at least {least} properties"))
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        told.add(errors.field_too_many(at, len(value), most))
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    before = old if isinstance(old, dict) else {}
    for name in value if extra is not None else ():
        if name in properties:
            continue
        if extra is False:
            told.add(errors.field_invalid(at, name, f"{path}.{name} in body is a forbidden property"))
        elif isinstance(extra, dict):
            told.take(_look(extra, value[name], f"{path}.{name}", before.get(name, ABSENT)))
    for name, inner in properties.items():
        if name in value:
            told.take(_look(inner, value[name], joined(path, name), before.get(name, ABSENT)))
    for name in schema.get("required") or ():
        if name not in value:
            told.add(errors.field_required(_at(f"{path}.{name}")))


_BY_KIND: dict[type, Callable[[Schema, Any, str, Any, _Told], None]] = {
    str: _string, int: _number, float: _number, list: _array}


# -- allOf, anyOf, oneOf, not -------------------------------------------------------------------------------------
def _composite(text: str) -> FieldError:
    """These have no path of their own upstream."""
    return errors.field_invalid("<nil>", "", text)


def _junctors(schema: Schema, value: Any, path: str, old: Any) -> _Told:
    told, shown = _Told(), errors.quoted(path)

    def looks(junctor: str) -> list[_Told]:
        return [_judge(s, value, path, old) for s in schema.get(junctor) or ()]

    if results := looks("anyOf"):
        if all(r.findings for r in results):
            told.add(_composite(f"{shown} must validate at least one schema (anyOf)"))
            told.take(_closest(results))
        else:
            told.take(next(r for r in results if not r.findings))
    if results := looks("oneOf"):
        valid = [r for r in results if not r.findings]
        if len(valid) == 1:
            told.take(valid[0])
        else:
            found = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
            told.add(_composite(f"{shown} must validate one and only one schema (oneOf). {found}"))
            if not valid:
                told.take(_closest(results))
    if results := looks("allOf"):
        for result in results:
            told.take(result)
        if any(r.findings for r in results):
            told.add(_composite(f"{shown} must validate all the schemas (allOf)"
                                + (". None validated" if all(r.findings for r in results) else "")))
    if isinstance(schema.get("not"), dict) and not _judge(schema["not"], value, path, old).findings:
        told.add(_composite(f"{shown} must not validate the schema (not)"))
    told.passed += 1
    return told


def _closest(results: list[_Told]) -> _Told:
    return max(results, key=lambda r: r.passed)


# -- what holds across a list -------------------------------------------------------------------------------------
def _key(item: Any, keys: list[str] | None) -> str:
    if keys and isinstance(item, dict):
        item = [item.get(k) for k in keys]
    return errors.render_value(item)


def repeated(value: list[Any]) -> list[int]:
    """Where elements stand for the second time."""
    times: dict[str, int] = {}
    out = []
    for i, item in enumerate(value):
        key = _key(item, None)
        if not isinstance(item, (dict, list)):
            key = f"{type(item).__name__} {key}"  # 1 and 1.0 are two
        times[key] = times.get(key, 0) + 1
        if times[key] == 2:
            out.append(i)
    return out


def lists(schema: Schema, value: Any, path: str = "") -> list[FieldError]:
    """Elements of sets, and keys of lists of type map, stand there once."""
    out: list[FieldError] = []
    if isinstance(value, list):
        list_type = schema.get("x-kubernetes-list-type")
        if list_type == "set":
            out += [errors.field_duplicate(f"{path}[{i}]", value[i]) for i in repeated(value)]
        elif list_type == "map":
            out += _map_keys(value, schema.get("x-kubernetes-list-map-keys") or [], path)
        if isinstance(schema.get("items"), dict):
            for i, item in enumerate(value):
                if isinstance(item, (list, dict)):
                    out += lists(schema["items"], item, f"{path}[{i}]")
    elif isinstance(value, dict):
        for name, at, inner in parts(schema, value, path):
            out += lists(inner, value[name], at)
    return out


def _map_keys(value: list[Any], keys: list[str], path: str) -> list[FieldError]:
    for i, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            return [errors.field_invalid(f"{path}[{i}]", item, "must be an object for an array of list-type map")]
    of = [{k: item[k] for k in keys if k in (item or {})} for item in value]
    return [errors.field_duplicate(f"{path}[{i}]", of[i]) for i in repeated(of)]


def parts(schema: Schema, value: dict[str, Any], path: str) -> Iterable[tuple[str, str, Schema]]:
    """(name, path, schema) of what an object has inside and its schema names."""
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in value:
        if isinstance(properties.get(name), dict):
            yield name, joined(path, name), properties[name]
        elif isinstance(extra, dict):
            yield name, f"{path}[{name}]", extra
