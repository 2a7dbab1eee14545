"""What verbs hand to render.py beside plain dicts: stored entries, listings and watch streams, still undecoded.

In: the watch cache. Out: values that become JSON, Tables, metadata or shared dicts only at the edge.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.protobuf import codec as protobuf
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
    error: Object | None = None  # a Status: the watch cannot begin, and says so as its only event
    opened: Any = None  # counts it as long-running until closed

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
        if self.watcher is not None:
            self.watcher.close()


def is_stored_version(resource: Resource) -> bool:
    return resource.hub is None or resource.hub == resource.gvr


def as_stored(resource: Resource) -> bool:
    """What is stored is what is shown: no conversion, and no defaults that came after."""
    return resource.custom is None and is_stored_version(resource)


def view(resource: Resource, obj: Object) -> Object:
    """The stored object in the version of `resource`; the same (shared) dict where nothing is to be done.

    A custom resource may have been stored in another version, or before its schema had a default."""
    if resource.custom is None and is_stored_version(resource):
        return obj
    here = obj.get("apiVersion") == resource.api_version
    if here and resource.custom is not None and not resource.custom.defaulting:
        return obj
    out = codec.copy(obj)
    if not here:
        if getattr(resource.custom, "convert", None) is not None:
            raise errors.internal(f"conversion webhook for {obj.get('apiVersion')}, Kind={resource.kind} failed: "
                                  "it cannot be called here")  # whoever may wait calls `seen`
        if resource.from_hub is not None:
            out = resource.from_hub(out)
        out["apiVersion"] = resource.api_version
        out["kind"] = resource.kind
    if resource.custom is not None:
        resource.defaults(out)
    return out


def shown(resource: Resource, entry: Entry) -> Entry:
    """The entry as `resource` shows it: itself for nearly all, else made once and kept beside it."""
    if as_stored(resource):
        return entry
    known = entry.shown
    if known is not None and known[0] is resource:
        return known[1]
    seen = view(resource, entry.obj)
    made = entry if seen is entry.obj else Entry(entry.key, entry.revision, codec.dumps(seen))
    entry.shown = (resource, made) if made is not entry else None
    return made


def to_hub(resource: Resource, hub: Resource, obj: Object) -> Object:
    if is_stored_version(resource):
        return obj
    out = resource.to_hub(obj) if resource.to_hub is not None else obj
    out["apiVersion"] = hub.api_version
    out["kind"] = hub.kind
    return out


# -- custom resources with a conversion webhook: what it converts is awaited ----------------------------------------
async def seen(resource: Resource, obj: Object) -> Object:
    """The object in the version of `resource`, whichever it is in; shared if it is there already."""
    convert = getattr(resource.custom, "convert", None)
    if convert is not None and obj.get("apiVersion") != resource.api_version:
        obj = (await convert([obj], resource.api_version))[0]
    return view(resource, obj)


async def stored_form(resource: Resource, hub: Resource, obj: Object) -> Object:
    """The (private) object in the hub's version."""
    if getattr(hub.custom, "convert", None) is None:
        return to_hub(resource, hub, obj)
    if obj.get("apiVersion") == hub.api_version:
        return obj
    return codec.copy((await hub.custom.convert([obj], hub.api_version))[0])


async def converted(resource: Resource, entries: list[Entry]) -> list[Entry]:
    """The entries in the version of `resource`; all the others' in one request."""
    convert = getattr(resource.custom, "convert", None)
    if convert is None:
        return entries
    others = [e for e in entries if e.obj.get("apiVersion") != resource.api_version]
    if not others:
        return entries
    made = await convert([e.obj for e in others], resource.api_version)
    new = {id(e): Entry(e.key, e.revision, codec.dumps(o)) for e, o in zip(others, made, strict=True)}
    return [new.get(id(e), e) for e in entries]


def data(resource: Resource, entry: Entry) -> bytes:
    """The entry's JSON in the version of `resource`."""
    return shown(resource, entry).data


# -- protobuf: made when it is first asked for, once a revision, and shared by all that read ---------------------------
AT_ONCE = 64  # objects encoded before others get their turn: a few milliseconds


def item(resource: Resource, entry: Entry) -> bytes:
    """The object as a protobuf item (see protobuf.codec), in the version of `resource`."""
    entry = shown(resource, entry)
    if entry.item is None:
        entry.item = protobuf.item(entry.peek(), resource.definition)
    return entry.item


def partial_item(resource: Resource, entry: Entry) -> bytes:
    """Its PartialObjectMetadata, of a custom resource too: metadata is the same in all versions."""
    if entry.partial_item is None:
        made = entry.item
        entry.partial_item = protobuf.partial_item(entry.peek()) if made is None else protobuf.metadata_item(made)
    return entry.partial_item


async def make_items(resource: Resource, entries: list[Entry], *, partial: bool) -> None:
    """Encodes what is not encoded yet; between portions the loop goes on."""
    make = partial_item if partial else item
    count = 0
    for entry in entries:
        seen = entry if partial else shown(resource, entry)
        if (seen.partial_item if partial else seen.item) is None:
            make(resource, entry)
            count += 1
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
