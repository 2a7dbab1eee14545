"""Bytes <-> dicts, and the resource version spliced into stored bytes without decoding.

A stored object is JSON whose first member is metadata and which holds no resourceVersion:
`{"metadata":{"name":…},"kind":…}`. The reader gets `{"metadata":{"resourceVersion":"7","name":…`.
In/Out: bytes and dicts. Called by: apiserver, client, testing.
"""

from __future__ import annotations

from typing import Any

import orjson

HEAD = b'{"metadata":{'

loads = orjson.loads


def dumps(value: Any) -> bytes:
    """Compact JSON. Integers past 64 bits fall back to the slow encoder's text."""
    try:
        return orjson.dumps(value)
    except TypeError:
        import json

        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sorted_dumps(value: Any) -> bytes:
    """Compact JSON with sorted keys, as Go writes maps."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        import json

        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def to_stored(obj: dict[str, Any]) -> bytes:
    """The bytes to store: metadata first, without resourceVersion and selfLink, then apiVersion and kind."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "selfLink")}
    out: dict[str, Any] = {"metadata": meta}
    for key in ("apiVersion", "kind"):
        if key in obj:
            out[key] = obj[key]
    return dumps(out | {key: value for key, value in obj.items() if key != "metadata"})


def kind_mark(api_version: str, kind: str) -> bytes:
    """The end of metadata, apiVersion and kind, as `to_stored` orders them. Nothing inside of metadata looks like it: what
    ends in a brace there is followed by no apiVersion and kind."""
    return b'},"apiVersion":"%s","kind":"%s"' % (api_version.encode(), kind.encode())


def splice(stored: bytes, revision: int) -> bytes:
    """Stored bytes as a reader gets them, with the revision inside."""
    if stored.startswith(HEAD) and not stored.startswith(b'{"metadata":{}'):
        return b'{"metadata":{"resourceVersion":"%d",' % revision + stored[len(HEAD):]
    obj = loads(stored)  # written by another server: no known place
    obj.setdefault("metadata", {})["resourceVersion"] = str(revision)
    return dumps(obj)


_AS_IT_IS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def copy(value: Any) -> Any:
    """A private deep copy of a JSON value. Through its text: several times as fast as walking it."""
    if not isinstance(value, (dict, list)):
        return value
    try:
        return orjson.loads(orjson.dumps(value, option=_AS_IT_IS))
    except TypeError:  # integers past 64 bits, keys that are no text, lone surrogates
        return _walked(value)


def _walked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _walked(v) if isinstance(v, (dict, list)) else v for k, v in value.items()}
    if isinstance(value, list):
        return [_walked(v) if isinstance(v, (dict, list)) else v for v in value]
    return value
