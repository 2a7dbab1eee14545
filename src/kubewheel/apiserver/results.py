"""What verbs hand to render.py beside plain dicts: stored entries, listings and watch streams, still undecoded.

In: the watch cache. Out: values that become JSON, Tables, metadata or shared dicts only at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubewheel.api import codec
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver.watch_cache import Entry, ResourceCache, Watcher


@dataclass(slots=True)
class Stored:
    """One entry, to be shown in the version of `resource`."""

    resource: Resource
    entry: Entry


@dataclass(slots=True)
class Listing:
    resource: Resource
    entries: list[Entry]
    revision: int
    continue_: str = ""
    remaining: int = 0

    def meta(self) -> Object:
        meta: Object = {"resourceVersion": str(self.revision)}
        if self.continue_:
            meta["continue"] = self.continue_
        if self.remaining:
            meta["remainingItemCount"] = self.remaining
        return meta


@dataclass(slots=True)
class Stream:
    """A watch. `initial` is shown as ADDED first; `marker`: end the initial events with the annotated bookmark."""

    resource: Resource
    cache: ResourceCache
    watcher: Watcher
    initial: list[Entry] = field(default_factory=list)
    initial_revision: int = 0
    marker: bool = False
    bookmarks: bool = False
    deadline: float = 0.0  # seconds the watch may last


def is_stored_version(resource: Resource) -> bool:
    return resource.hub is None or resource.hub == resource.gvr


def view(resource: Resource, obj: Object) -> Object:
    """The hub object in the version of `resource`; the same (shared) dict where that is the hub."""
    if is_stored_version(resource):
        return obj
    if resource.from_hub is not None:
        out = resource.from_hub(codec.copy(obj))
    else:
        out = dict(obj)
    out["apiVersion"] = resource.api_version
    out["kind"] = resource.kind
    return out


def to_hub(resource: Resource, hub: Resource, obj: Object) -> Object:
    if is_stored_version(resource):
        return obj
    out = resource.to_hub(obj) if resource.to_hub is not None else obj
    out["apiVersion"] = hub.api_version
    out["kind"] = hub.kind
    return out


def data(resource: Resource, entry: Entry) -> bytes:
    """The entry's JSON in the version of `resource`."""
    if is_stored_version(resource):
        return entry.data
    return codec.dumps(view(resource, entry.obj))
