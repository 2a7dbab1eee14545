"""The packed type data: definitions, resource facts, descriptions.

In: types.json.z (made by scripts/pack_types.py). Out: JSON dicts, shared and read-only.
Called by: compile.py (nodes), apiserver/extension (OpenAPI), the resource files' tests.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib import resources
from typing import Any

from kubewheel.api import codec


@cache
def _streams() -> tuple[bytes, bytes]:
    """(structure JSON, still packed descriptions)."""
    packed = resources.files(__package__).joinpath("types.json.z").read_bytes()
    first = zlib.decompressobj()
    structure = first.decompress(packed) + first.flush()
    return structure, first.unused_data


@cache
def _structure() -> dict[str, Any]:
    return codec.loads(_streams()[0])


def definitions() -> dict[str, Any]:
    """OpenAPI definitions by name, without descriptions; `$ref` is the bare name."""
    return _structure()["definitions"]


def resource_facts() -> list[dict[str, Any]]:
    """{group, version, kind, plural, namespaced, verbs, subresources: [{name, group, version, kind, verbs}]}."""
    return _structure()["resources"]


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """By definition: {"": its own text, field: text}."""
    return codec.loads(zlib.decompress(_streams()[1]))
