"""fieldPath of rules and jsonPath of selectable fields: `.spec.foo`, `['a.b'].c`, held against the schema.

In: a path and the schema it starts in. Out: the schema it leads to, and the path as errors print it (`spec.foo`; entries of
maps in brackets). ValueError with upstream's words. Called by: rules.py, definition.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_TOKEN = re.compile(r"[.\[\]]|'(?:[^'\\]|\\.)*'|'[^']*\Z|[^.\[\]]+")
_UNESCAPED = re.compile(r"\\(.)")


def follow(path: str, schema: Schema, *, brackets: bool = True) -> tuple[Schema, str]:
    """ValueError"""
    tokens, out = iter(_TOKEN.findall(path)), ""
    for token in tokens:
        if token == "[":
            if not brackets:
                raise ValueError("array notation is not allowed")
            name = _next(tokens)
            if len(name) < 2 or name[0] != "'" or name[-1] != "'":
                raise ValueError(f"expected single quoted string but got {name}")
            schema, out = _step(_UNESCAPED.sub(r"\1", name[1:-1]), schema, out)
            if (end := _next(tokens)) != "]":
                raise ValueError(f"expected ] but got {end}")
        elif token == ".":
            schema, out = _step(_next(tokens), schema, out)
        else:
            raise ValueError(f"expected [ or . but got: {token}")
    return schema, out


def _next(tokens: Iterator[str]) -> str:
    token = next(tokens, None)
    if token is None:
        raise ValueError("unexpected end of JSON path")
    return token


def _step(name: str, schema: Schema, out: str) -> tuple[Schema, str]:
    properties, extra = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        if name not in properties:
            raise ValueError("does not refer to a valid field")
        return properties[name], f"{out}.{name}" if out else name
    if not isinstance(extra, dict):
        raise ValueError("does not refer to a valid field")
    return extra, f"{out}[{name}]"
