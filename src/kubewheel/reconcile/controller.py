"""A controller as one declaration: name, what it watches, the function that brings one key right, its RBAC.

In: caches. Out: calls of `reconcile` with keys, never events. runner.py carries it out (queue, workers,
retries).
Called by: controllers/*, cloud providers, users' own controllers.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api.resource import Gvr, Object
from kubewheel.client.cache import Cache, Caches
from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.lib.clock import Clock


@dataclass(slots=True)
class Context:
    """What a controller holds. One per controller: `client` carries its own identity."""

    client: Client
    caches: Caches
    clock: Clock
    random: random.Random
    events: Recorder
    options: Mapping[str, Any] = field(default_factory=dict)  # upstream's flags, by name without dashes
    state: Any = None  # the controller's own memory, made by `setup`; lost on restart by design
    enqueue: Callable[[str], None] = lambda key: None
    enqueue_after: Callable[[str, float], None] = lambda key, seconds: None

    def cache(self, resource: str | Gvr) -> Cache:
        return self.caches.get(resource)


# (old, new, context) -> keys to reconcile. Keys are "namespace/name" or "name".
KeysOf = Callable[[Object | None, Object | None, Context], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Watch:
    resource: str | Gvr
    keys: KeysOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """`reconcile(context, key)` returns None, or seconds after which to look again. It raises to be
    retried with
    back-off (5 ms doubling to 1000 s, upstream's default); StatusError conflicts are retried quietly."""

    name: str  # upstream's, e.g. "deployment-controller"
    events_as: str = ""  # the component its events come from, where upstream's is not `name`
    reconcile: Callable[[Context, str], Awaitable[float | None]] | None = None
    watches: tuple[Watch, ...] = ()
    reads: tuple[str | Gvr, ...] = ()  # caches needed in sync that trigger nothing
    rules: tuple[Mapping[str, Any], ...] = ()  # rbac PolicyRules of system:controller:<name>
    workers: int = 5
    setup: Callable[[Context], Any] | None = None  # before the caches fill; its result becomes context.state
    run: Callable[[Context], Awaitable[None]] | None = None  # a loop beside the workers (periodic work)
    default_on: bool = True  # started by --controllers=*


def own_key(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """The changed object's own key."""
    meta = (new or old or {})["metadata"]
    namespace = meta.get("namespace")
    yield f"{namespace}/{meta['name']}" if namespace else meta["name"]


def owner_key(kind: str) -> KeysOf:
    """Keys of the controlling owners of that kind, both before and after the change."""

    def keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
        for obj in (old, new):
            if obj is None:
                continue
            for ref in obj["metadata"].get("ownerReferences") or ():
                if ref.get("controller") and ref["kind"] == kind:
                    yield f"{obj['metadata']['namespace']}/{ref['name']}"

    return keys


def split_key(key: str) -> tuple[str, str]:
    """("ns", "name") of "ns/name"; ("", "name") of "name"."""
    namespace, _, name = key.rpartition("/")
    return namespace, name
