"""How large an object may be in the store: what etcd takes in one request (--max-request-bytes, 1.5 MiB).

In: an object about to be stored. Out: its stored bytes; StatusError 500 with etcd's words.
Called by: write_create.py, write_update.py, delete.py.
"""

from __future__ import annotations

from kubewheel.api import codec, errors
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.resource import Object, Resource

MAX_BYTES = 1536 * 1024
OVERHEAD = 512  # of the request around the value: the key, several times


def stored(hub: Resource, obj: Object) -> bytes:
    """The object's stored bytes. One that is too large is tried without managedFields, as upstream does."""
    value = codec.to_stored(obj)
    if len(value) + OVERHEAD <= MAX_BYTES or _size(hub, obj, value) + OVERHEAD <= MAX_BYTES:
        return value
    if obj["metadata"].pop("managedFields", None):
        return stored(hub, obj)
    raise errors.status_error(500, "", "etcdserver: request is too large")


def _size(hub: Resource, obj: Object, value: bytes) -> int:
    """What upstream would store: protobuf for built-in kinds, which escapes nothing, JSON for custom ones."""
    if hub.custom is not None:
        return len(value)
    return len(protobuf.item(obj, hub.definition))
