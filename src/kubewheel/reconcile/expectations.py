"""So that a slow cache never makes things twice: a key waits until the cache has seen what was written for
it.

In: answers of our own writes. Out: `satisfied(key, cache)`. Called by: controllers that make or delete pods.
Resource versions of one server are numbers that only grow, and the cache says how far it has read; so unlike
upstream's counters nothing is lost when an object is made and gone again between two looks.
"""

from __future__ import annotations

import asyncio

from kubewheel.api.resource import Object
from kubewheel.client.cache import Cache

TIMEOUT = 300.0  # upstream's ExpectationsTimeout: past it the cache is believed as it is


def version_number(text: str | None) -> int:
    """A resource version as a number; 0 for none and for a server whose versions are not numbers."""
    return int(text) if text and text.isdecimal() else 0


class Expectations:
    def __init__(self) -> None:
        self._written: dict[str, tuple[int, float]] = {}  # key -> (highest version written, loop time)
        self._deleted: dict[
            str, dict[str, tuple[str, str, float]]
        ] = {}  # key -> uid -> (namespace, name, loop time)

    def wrote(self, key: str, answer: Object) -> None:
        """`answer` is what the create, update or patch came back with."""
        version = version_number(answer.get("metadata", {}).get("resourceVersion"))
        old, _ = self._written.get(key, (0, 0.0))
        self._written[key] = (max(version, old), asyncio.get_running_loop().time())

    def deleted(self, key: str, obj: Object) -> None:
        meta = obj["metadata"]
        gone = self._deleted.setdefault(key, {})
        gone[meta["uid"]] = (meta.get("namespace", ""), meta["name"], asyncio.get_running_loop().time())

    def satisfied(self, key: str, cache: Cache) -> bool:
        now = asyncio.get_running_loop().time()
        written = self._written.get(key)
        if written is not None:
            version, at = written
            if version_number(cache.resource_version) < version and now - at < TIMEOUT:
                return False
            del self._written[key]
        gone = self._deleted.get(key)
        if gone is not None:
            for uid, (namespace, name, at) in list(gone.items()):
                seen = cache.get(namespace, name)
                still = (
                    seen is not None
                    and seen["metadata"].get("uid") == uid
                    and not seen["metadata"].get("deletionTimestamp")
                )
                if not still or now - at >= TIMEOUT:
                    del gone[uid]
            if gone:
                return False
            del self._deleted[key]
        return True

    def forget(self, key: str) -> None:
        self._written.pop(key, None)
        self._deleted.pop(key, None)
