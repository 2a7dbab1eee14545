"""What a mutating policy's ApplyConfiguration makes of an object. Pure.

In: the kind's Node, the object, the Object{…} an expression gave. Out: the new object; ConfigurationError with upstream's
words: names of types that do not follow the fields, values the schema does not know, and atomic values, which would take away
what they do not name. Called by: mutating_admission_policy. Source of the rule: KEP-3962.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubewheel.api import cel, codec
from kubewheel.api.cel.values import Duration, Message, Opaque, Timestamp
from kubewheel.api.merge import conform, elements, merging, typed
from kubewheel.api.resource import Object
from kubewheel.api.schema.node import Node


class ConfigurationError(Exception):
    """The configuration cannot be applied."""


def applied(node: Node, before: Object, value: Message) -> Object:
    """`before` (shared) with the configuration merged into it."""
    if names := "\n".join(_misnamed(value, "Object")):
        raise ConfigurationError(f"type mismatch: {names}")
    where = "error applying patch: failed to convert patch object to typed object: "
    if odd := list(_foreign(node, value, "")):
        raise ConfigurationError(where + ("\n  ".join(["errors:", *odd]) if len(odd) > 1 else odd[0]))
    configuration = {**cel.to_json(value), "apiVersion": before.get("apiVersion"), "kind": before.get("kind")}
    if found := conform.findings(node, configuration):
        raise ConfigurationError(where + found)
    if atomic := list(_atomic(node, configuration, "")):
        raise ConfigurationError("error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or "
                                 f"structs: {', '.join(atomic)}")
    return codec.copy(merging.without_nulls(node, merging.merge(node, before, configuration)))


def _misnamed(value: Any, path: str) -> Iterator[str]:
    """Object.spec is the type of the field spec of an Object, and so on."""
    if isinstance(value, Message):
        if value.name != path:
            yield (f'unexpected type name "{value.name}", expected "{path}", which matches field name path from root Object '
                   "type")
        for name, member in value.items():
            yield from _misnamed(member, f"{path}.{name}")
    elif isinstance(value, (list, dict)):
        for member in value if isinstance(value, list) else value.values():
            yield from _misnamed(member, path)


def _foreign(node: Node | None, value: Any, path: str) -> Iterator[str]:
    """Nulls, times, bytes: nothing that an object holds."""
    if isinstance(value, dict) and not isinstance(value, Opaque):
        for name, member in value.items():
            below = (node.fields.get(str(name)) or node.values) if node is not None else None
            yield from _foreign(below, member, f"{path}.{name}")
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from _foreign(elements.items_node(node) if node is not None and node.type == "list" else None, member,
                                f"{path}[{at}]")
    elif value is None and node is not None and node.type == "string":
        yield f"{path}: expected string, got &value.valueUnstructured{{Value:0}}"
    elif value is None or isinstance(value, (bytes, Timestamp, Duration, Opaque)):
        shown = "0" if value is None else f"[{' '.join(map(str, value))}]" if isinstance(value, bytes) else cel.to_json(value)
        yield f"{path}: expected map, got &{{{shown}}}"


def _atomic(node: Node, value: Any, path: str) -> Iterator[str]:
    kind = typed.of(node)
    if isinstance(value, dict) and node.type in ("object", "map"):
        if not kind.is_map:
            yield path
        for name, member in value.items():
            if name in node.fields:
                yield from _atomic(node.fields[name], member, f"{path}.{name}")
    elif isinstance(value, list) and node.type == "list":
        if not kind.is_keyed:
            yield path
        for at, member in enumerate(value):
            yield from _atomic(elements.items_node(node), member, f"{path}[{at}]")
