"""Is a value right by its schema? Closures made once a schema: the way for values that are.

In: a structural schema. Out: a test, value -> bool, that is True exactly where values.py finds nothing; whoever gets False
asks values.py what is wrong. tests/apiserver/extension compare the two. Called by: extension/crd/resource.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubewheel.api.apiextensions import formats, values
from kubewheel.api.cel.functions import regex

Schema = dict[str, Any]
Test = Callable[[Any], bool]


def compile(schema: Schema) -> Test:
    rules = [make(schema) for make in _MAKERS]
    wanted, every = _type(schema), [r for r in rules if r is not None]
    nullable = bool(schema.get("nullable"))
    if not every and not nullable:
        return wanted

    def test(value: Any) -> bool:
        if value is None and nullable:
            return True
        if not wanted(value):
            return False
        for rule in every:
            if not rule(value):
                return False
        return True

    return test


def _type(schema: Schema) -> Test:
    if schema.get("x-kubernetes-int-or-string"):
        return lambda v: v.__class__ is str or v.__class__ is int or v.__class__ is float and v.is_integer()
    return _TYPES.get(schema.get("type") or "", lambda v: True)


_TYPES: dict[str, Test] = {
    "string": lambda v: v.__class__ is str, "boolean": lambda v: v.__class__ is bool,
    "integer": lambda v: v.__class__ is int or v.__class__ is float and v.is_integer(),
    "number": lambda v: v.__class__ is int or v.__class__ is float,
    "array": lambda v: v.__class__ is list, "object": lambda v: isinstance(v, dict)}


def _enum(schema: Schema) -> Test | None:
    allowed = schema.get("enum")
    return None if allowed is None else lambda v: v in allowed


def _string(schema: Schema) -> Test | None:
    longest, shortest, form = schema.get("maxLength"), schema.get("minLength"), schema.get("format")
    pattern = regex(schema["pattern"]) if schema.get("pattern") else None
    if longest is None and shortest is None and pattern is None and not form:
        return None

    def test(value: Any) -> bool:
        if value.__class__ is not str:
            return True
        if longest is not None and len(value) > longest or shortest is not None and len(value) < shortest:
            return False
        return (pattern is None or pattern.search(value) is not None) and (not form or formats.fits(form, value))

    return test


def _number(schema: Schema) -> Test | None:
    if not schema.keys() & {"minimum", "maximum", "multipleOf"}:
        return None

    def test(value: Any) -> bool:
        return value.__class__ not in (int, float) or not values.number(schema, value, "")

    return test


def _array(schema: Schema) -> Test | None:
    items = schema.get("items")
    each = compile(items) if isinstance(items, dict) else None
    most, least, unique = schema.get("maxItems"), schema.get("minItems"), schema.get("uniqueItems")
    if each is None and most is None and least is None and not unique:
        return None

    def test(value: Any) -> bool:
        if value.__class__ is not list:
            return True
        if most is not None and len(value) > most or least is not None and len(value) < least:
            return False
        if unique and values.repeated(value, None):
            return False
        return each is None or all(map(each, value))

    return test


def _object(schema: Schema) -> Test | None:
    required = tuple(schema.get("required") or ())
    inner = {name: compile(prop) for name, prop in (schema.get("properties") or {}).items() if isinstance(prop, dict)}
    extra = schema.get("additionalProperties")
    others = compile(extra) if isinstance(extra, dict) else None
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if not required and not inner and others is None and most is None and least is None:
        return None

    def test(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name in required:
            if name not in value:
                return False
        if most is not None and len(value) > most or least is not None and len(value) < least:
            return False
        for name, item in value.items():
            rule = inner.get(name, others)
            if rule is not None and not rule(item):
                return False
        return True

    return test


def _junctors(schema: Schema) -> Test | None:
    anyone, one, each = ([compile(s) for s in schema.get(k) or ()] for k in ("anyOf", "oneOf", "allOf"))
    never = compile(schema["not"]) if isinstance(schema.get("not"), dict) else None
    if not anyone and not one and not each and never is None:
        return None

    def test(value: Any) -> bool:
        if anyone and not any(t(value) for t in anyone) or one and sum(t(value) for t in one) != 1:
            return False
        return all(t(value) for t in each) and (never is None or not never(value))

    return test


_MAKERS: tuple[Callable[[Schema], Test | None], ...] = (_enum, _string, _number, _array, _object, _junctors)
