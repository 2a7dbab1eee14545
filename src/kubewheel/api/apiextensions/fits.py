"""Is a value right by its schema? Closures made once a schema: the way for values that are.

In: a structural schema. Out: a test, value -> bool, that is True exactly where values.py finds nothing; whoever gets False
asks values.py what is wrong. tests/apiserver/extension compare the two. Called by: extension/crd/resource.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubewheel.api.apiextensions import formats, numbers, values
from kubewheel.api.cel.functions import regex

Schema = dict[str, Any]
Test = Callable[[Any], bool]


def compile(schema: Schema) -> Test:
    rules = [make(schema) for make in _MAKERS]
    wanted, every = _type(schema), [r for r in rules if r is not None]
    takes_null = (bool(schema.get("nullable")) or not numbers.types(schema)) and not schema.get("enum")
    if not every and not takes_null:
        return wanted

    def test(value: Any) -> bool:
        if value is None:
            return takes_null
        if not wanted(value):
            return False
        for rule in every:
            if not rule(value):
                return False
        return True

    return test


def _type(schema: Schema) -> Test:
    kinds, form = numbers.types(schema), schema.get("format") or ""
    if not kinds or form and formats.is_known(form, kinds[0] if len(kinds) == 1 else ""):
        return lambda v: not values.wrong_type(schema, v)
    if len(kinds) == 2:
        return lambda v: v.__class__ is str or v.__class__ is int and -_INT64 <= v < _INT64 or not values.wrong_type(schema, v)
    return _TYPES.get(kinds[0]) or (lambda v: not values.wrong_type(schema, v))


_INT64 = 2**63
_TYPES: dict[str, Test] = {
    "string": lambda v: v.__class__ is str, "boolean": lambda v: v.__class__ is bool,
    "number": lambda v: v.__class__ is int or v.__class__ is float,
    "array": lambda v: v.__class__ is list, "object": lambda v: isinstance(v, dict)}


def _enum(schema: Schema) -> Test | None:
    allowed = schema.get("enum")
    if not allowed:
        return None
    if all(isinstance(a, str) for a in allowed):
        return lambda v: v.__class__ is str and v in allowed
    return lambda v: values.is_one_of(v, allowed)


def _string(schema: Schema) -> Test | None:
    longest, shortest, form = schema.get("maxLength"), schema.get("minLength"), schema.get("format")
    kinds = numbers.types(schema)
    if form and not formats.is_known(form, kinds[0] if len(kinds) == 1 else ""):
        form = None
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
    if schema.get("type") not in ("integer", "number") and not schema.keys() & {"minimum", "maximum", "multipleOf"}:
        return None
    if schema.get("type") == "number" and not schema.keys() & {"minimum", "maximum", "multipleOf", "format"}:
        return None

    def test(value: Any) -> bool:
        return value.__class__ not in (int, float) or not numbers.check(schema, value, "", "")

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
        if unique and values.repeated(value):
            return False
        return each is None or all(map(each, value))

    return test


def _object(schema: Schema) -> Test | None:
    required = tuple(schema.get("required") or ())
    inner = {name: compile(prop) for name, prop in (schema.get("properties") or {}).items() if isinstance(prop, dict)}
    extra = schema.get("additionalProperties")
    others = compile(extra) if isinstance(extra, dict) else (lambda v: False) if extra is False else None
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
