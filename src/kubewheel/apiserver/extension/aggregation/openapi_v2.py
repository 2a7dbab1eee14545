"""OpenAPI v2 documents of several servers as one, and v2 as v3. Pure.

In: documents as dicts. Out: new dicts. Called by: openapi.py, extension/openapi.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kubewheel.api.resource import Object

_DEFINITIONS = "#/definitions/"
_SCHEMAS = "#/components/schemas/"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def only(document: Object, prefix: str) -> Object:
    """What is about paths below `prefix`, with the definitions these need."""
    shared = document.get("parameters") or {}
    paths = {p: _inlined(item, shared) for p, item in (document.get("paths") or {}).items()
             if p.rstrip("/") == prefix or p.startswith(prefix + "/")}
    definitions = document.get("definitions") or {}
    needed: dict[str, Any] = {}
    waiting = list(references(paths))
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in needed:
            needed[name] = definitions[name]
            waiting += references(definitions[name])
    return {"swagger": "2.0", "info": document.get("info") or {}, "paths": paths, "definitions": needed}


def _inlined(item: Object, shared: Object) -> Object:
    """The path's item with its parameters in the place of references to those of the whole document."""
    def one(parameter: Object) -> Object:
        return shared.get(str(parameter.get("$ref", "")).removeprefix("#/parameters/"), parameter)

    def holder(value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("parameters"), list):
            return {**value, "parameters": [one(p) for p in value["parameters"]]}
        return value

    return {key: holder(value) for key, value in holder(item).items()}


def references(value: Any, prefix: str = _DEFINITIONS) -> Iterator[str]:
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str) and ref.startswith(prefix):
            yield ref[len(prefix):]
        for inner in value.values():
            yield from references(inner, prefix)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner, prefix)


def merged(own: Object, others: Iterable[Object]) -> Object:
    """`own` with the others' paths and definitions. A definition that says something else under a name that is taken
    gets `_v2`, `_v3` … as suffix; ours never change."""
    paths, definitions = dict(own["paths"]), dict(own["definitions"])
    for other in others:
        names: dict[str, str] = {}
        for name, definition in other["definitions"].items():
            chosen, number = name, 1
            while chosen in definitions and definitions[chosen] != definition:
                number += 1
                chosen = f"{name}_v{number}"
            names[name] = chosen
        for name, definition in other["definitions"].items():
            definitions.setdefault(names[name], renamed(definition, names))
        for path, item in other["paths"].items():
            paths.setdefault(path, renamed(item, names))
    return {**own, "paths": paths, "definitions": definitions}


def renamed(value: Any, names: dict[str, str], prefix: str = _DEFINITIONS, to: str = _DEFINITIONS) -> Any:
    """A copy whose references name what `names` says."""
    if isinstance(value, dict):
        out = {k: renamed(v, names, prefix, to) for k, v in value.items()}
        ref = out.get("$ref")
        if isinstance(ref, str) and ref.startswith(prefix):
            name = ref[len(prefix):]
            out["$ref"] = to + names.get(name, name)
        return out
    if isinstance(value, list):
        return [renamed(v, names, prefix, to) for v in value]
    return value


def to_v3(document: Object) -> Object:
    moved = renamed(document, {}, to=_SCHEMAS)
    return {"openapi": "3.0.0", "info": moved.get("info") or {},
            "paths": {path: _item(item) for path, item in moved["paths"].items()},
            "components": {"schemas": moved["definitions"]}}


def _item(item: Object) -> Object:
    out: Object = {}
    for name, value in item.items():
        if name == "parameters":
            out[name] = [_parameter(p) for p in value]
        elif name in _METHODS:
            out[name] = _operation(value)
        else:
            out[name] = value
    return out


def _operation(operation: Object) -> Object:
    made = {k: v for k, v in operation.items() if k not in ("consumes", "produces", "schemes", "parameters", "responses")}
    parameters = operation.get("parameters") or []
    if plain := [_parameter(p) for p in parameters if p.get("in") != "body"]:
        made["parameters"] = plain
    for body in (p for p in parameters if p.get("in") == "body"):
        made["requestBody"] = {"content": {kind: {"schema": body.get("schema") or {}}
                                           for kind in operation.get("consumes") or ["*/*"]}}
    made["responses"] = {code: _response(r, operation.get("produces") or ["application/json"])
                         for code, r in (operation.get("responses") or {}).items()}
    return made


def _parameter(parameter: Object) -> Object:
    kept = ("name", "in", "description", "required")
    schema = {k: v for k, v in parameter.items() if k not in kept}
    return {**{k: parameter[k] for k in kept if k in parameter}, "schema": schema}


def _response(response: Object, produces: list[str]) -> Object:
    out = {k: v for k, v in response.items() if k != "schema"}
    if "schema" in response:
        out["content"] = {kind: {"schema": response["schema"]} for kind in produces}
    return out
