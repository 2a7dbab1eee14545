"""The store's contract: a revisioned key-value log. Bytes only; it knows no Kubernetes.

In: keys (`/registry/pods/ns/name`) and values (bytes). Out: revisions, pages, event batches.
Called by: apiserver (watch cache, verbs), run, testing. Implementations: memory.py, sqlite.py, etcd.py;
all pass tests/storage/test_contract.py.

Invariants:
- One revision counter for the whole store; every successful write makes exactly one new revision,
  greater than all before. It starts at 1 for an empty store, so the first write gets 2 (etcd).
- A write is durable when its call returns.
- A watch sees every write after its start revision exactly once, in revision order.
- After `compact(r)`, reads and watches below r raise Compacted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """Root of the tree: KeyExists | Conflict | Compacted | FutureRevision."""


class KeyExists(StoreError):
    """`create` found the key; `current` is what is there."""

    def __init__(self, current: KeyValue) -> None:
        super().__init__(current.key)
        self.current = current


class Conflict(StoreError):
    """`update`/`delete` expected another revision; `current` is what is there, None if nothing."""

    def __init__(self, key: str, current: KeyValue | None) -> None:
        super().__init__(key)
        self.current = current


class Compacted(StoreError):
    """The revision asked for is gone; `oldest` is the first one still readable."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"revision compacted, oldest is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    """The revision asked for has not happened yet."""

    def __init__(self, current: int) -> None:
        super().__init__(f"revision is in the future, current is {current}")
        self.current = current


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: str
    value: bytes
    revision: int  # of the last write to this key (etcd mod_revision)


@dataclass(frozen=True, slots=True)
class Page:
    items: list[KeyValue]  # sorted by key
    revision: int  # the store revision the page is a snapshot of
    more: bool
    remaining: int  # how many follow after this page


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """`value` None means deleted. `previous` is the value before the write, None on creation."""

    key: str
    revision: int
    value: bytes | None
    previous: bytes | None
    previous_revision: int = 0


class Store(Protocol):
    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    def revision(self) -> int:
        """The latest committed revision."""

    async def create(self, key: str, value: bytes) -> int:
        """New key; its revision. KeyExists."""

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        """Replace a key whose revision is `expected`; the new revision. Conflict."""

    async def delete(self, key: str, *, expected: int) -> int:
        """Remove a key whose revision is `expected`; the revision of the removal. Conflict."""

    async def get(self, key: str) -> KeyValue | None: ...

    async def range(self, prefix: str, *, revision: int = 0, limit: int = 0, start_after: str = "") -> Page:
        """Keys beginning with `prefix`, sorted, after `start_after`, as of `revision` (0: now).
        Compacted, FutureRevision."""

    def watch(self, prefix: str, *, after: int) -> AsyncGenerator[list[StoreEvent], None]:
        """Batches of writes under `prefix` with revision > `after`: history first, then live.
        Raises Compacted from the first `anext` where `after` is older than what is kept."""

    async def compact(self, revision: int) -> None:
        """Drop history below `revision`; current values stay."""

    async def failure(self) -> BaseException:
        """Waits until the store can take no more writes (a full disk, say), and gives why; for ever while it is well.
        Its owner ends then, and is started again on what is on disk."""
