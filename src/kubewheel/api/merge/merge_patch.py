"""JSON merge patch (RFC 7386).

In: a document and a patch, both JSON values. Out: a new document sharing untouched parts with both.
Called by: apiserver's patch verb, strategic.py's fallback for custom resources.
"""

from __future__ import annotations

from typing import Any


def apply(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = apply(out.get(key), value)
    return out
