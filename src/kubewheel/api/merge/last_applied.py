"""The annotation of client-side apply, kept right by `kubectl apply --server-side`, and what it excuses.

In: objects, conflicts. Out: the object with the annotation brought up to date; the conflicts it does not explain.
Called by: apply.py, for the manager "kubectl" alone: others opt out by being called something else.
"""

from __future__ import annotations

from typing import Any

import orjson

from kubewheel.api import codec
from kubewheel.api.merge import conform, fields, managed, typed
from kubewheel.api.merge.fields import FieldsError, FieldSet
from kubewheel.api.merge.managed import Endpoint, Entry

Object = dict[str, Any]

MANAGER = "kubectl"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ANNOTATIONS = 256 * 1024  # bytes, keys and values


def noted(merged: Object, applied: Object) -> Object:
    """`merged` with the annotation saying what was applied, where it has one."""
    annotations = (merged.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(ANNOTATION):
        return merged
    wanted = dict(applied)
    if (applied.get("metadata") or {}).get("annotations") is not None:
        kept = {key: value for key, value in applied["metadata"]["annotations"].items() if key != ANNOTATION}
        wanted["metadata"] = {**applied["metadata"], "annotations": kept}
    new = {**annotations, ANNOTATION: orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS).decode() + "\n"}
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in new.items()) > MAX_ANNOTATIONS:
        del new[ANNOTATION]
    return {**merged, "metadata": {**merged["metadata"], "annotations": new}}


def unexplained(endpoint: Endpoint, live: Object, found: list[tuple[Entry, FieldSet]]) -> list[tuple[Entry, FieldSet]]:
    """The conflicts over fields that are not as client-side apply last set them."""
    allowed = _still_as_applied(endpoint, live)
    if allowed is None:
        return found
    return [(entry, left) for entry, both in found if (left := fields.difference(both, allowed))]


def _still_as_applied(endpoint: Endpoint, live: Object) -> FieldSet | None:
    text = (live["metadata"].get("annotations") or {}).get(ANNOTATION)
    if not text:
        return None
    try:
        applied = codec.loads(text)
        if not isinstance(applied, dict) or applied.get("apiVersion") != endpoint.api_version:
            return None
        owned = managed.owned_part(applied)
        if conform.findings(endpoint.node, owned):
            return None
        said = typed.of(endpoint.node).applied(owned)
        changed, removed = typed.compare(endpoint.node, owned, managed.owned_part(live))
    except (ValueError, FieldsError):
        return None
    return fields.difference(fields.difference(said, changed), removed)
