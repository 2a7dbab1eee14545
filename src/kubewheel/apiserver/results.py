"""What verbs hand to render.py beside plain dicts: stored entries, listings and watch streams, still undecoded.

In: the watch cache. Out: values that become JSON, Tables, metadata or shared dicts only at the edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import codec, errors, schema, table
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
    implied: bool = False  # the marker was not asked for by name, and is not shown within the process
    bookmarks: bool = False
    deadline: float = 0.0  # seconds the watch may last
    late: Callable[[Entry], bool] | None = None  # what is asked of objects once they are converted
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

    A custom resource may have been stored in another version, or under another schema."""
    if resource.custom is not None:
        return _custom_view(resource, obj)
    if is_stored_version(resource):
        return obj
    out = codec.copy(obj)
    if obj.get("apiVersion") != resource.api_version:
        if resource.from_hub is not None:
            out = resource.from_hub(out)
        out["apiVersion"] = resource.api_version
        out["kind"] = resource.kind
    return out


def _custom_view(resource: Resource, obj: Object) -> Object:
    """As its own version's schema has it by now, then in the version of `resource`."""
    custom = resource.custom
    out = custom.read(obj)
    if out.get("apiVersion") == resource.api_version:
        return out
    if custom.convert is not None:
        raise errors.internal(f"conversion webhook for {obj.get('apiVersion')}, Kind={resource.kind} failed: "
                              "it cannot be called here")  # whoever may wait calls `seen`
    out = codec.copy(obj) if out is obj else out
    out["apiVersion"] = resource.api_version
    custom.prune(out)
    return out


def shown(resource: Resource, entry: Entry) -> Entry:
    """The entry as `resource` shows it: itself for nearly all, else made once and kept beside it."""
    if as_stored(resource):
        return entry
    known = entry.shown
    if known is not None and known[0] is resource:
        return known[1] or entry
    seen = view(resource, entry.obj)
    made = None if seen is entry.obj else Entry(entry.key, entry.revision, codec.dumps(seen))
    entry.shown = (resource, made)
    return made or entry


def to_hub(resource: Resource, hub: Resource, obj: Object) -> Object:
    if is_stored_version(resource):
        return obj
    out = resource.to_hub(obj) if resource.to_hub is not None else obj
    out["apiVersion"] = hub.api_version
    out["kind"] = hub.kind
    if hub.custom is not None:  # what is stored is what the stored version's schema has
        hub.custom.prune(out)
        schema.apply_defaults(hub.node(), out)
    return out


# -- custom resources with a conversion webhook: what it converts is awaited ----------------------------------------
async def seen(resource: Resource, obj: Object) -> Object:
    """The object in the version of `resource`, whichever it is in; shared if it is there already."""
    convert = getattr(resource.custom, "convert", None)
    if convert is not None and obj.get("apiVersion") != resource.api_version:
        return (await _through_webhook(resource, [obj]))[0]
    return view(resource, obj)


async def _through_webhook(resource: Resource, objs: list[Object]) -> list[Object]:
    custom = resource.custom
    made: list[Object] = await custom.convert([custom.read(o) for o in objs], resource.api_version)
    for obj in made:
        custom.prune(obj)
    return made


async def stored_form(resource: Resource, hub: Resource, obj: Object) -> Object:
    """The (private) object in the hub's version."""
    if getattr(hub.custom, "convert", None) is None:
        return to_hub(resource, hub, obj)
    if obj.get("apiVersion") == hub.api_version:
        return obj
    out: Object = codec.copy((await _through_webhook(hub, [obj]))[0])
    hub.defaults(out)
    return out


async def converted(resource: Resource, entries: list[Entry]) -> list[Entry]:
    """The entries in the version of `resource`; all the others' in one request."""
    convert = getattr(resource.custom, "convert", None)
    if convert is None:
        return entries
    known = {id(e): e.shown[1] for e in entries if e.shown is not None and e.shown[0] is resource and e.shown[1]}
    others = [e for e in entries if id(e) not in known and e.obj.get("apiVersion") != resource.api_version]
    if not others and not known:
        return entries
    made = await _through_webhook(resource, [e.obj for e in others]) if others else []
    for entry, obj in zip(others, made, strict=True):
        known[id(entry)] = new = Entry(entry.key, entry.revision, codec.dumps(obj))
        entry.shown = (resource, new)
    return [known.get(id(e), e) for e in entries]


def data(resource: Resource, entry: Entry) -> bytes:
    """The entry's JSON in the version of `resource`."""
    return shown(resource, entry).data


def row(resource: Resource, entry: Entry) -> table.Row:
    """The entry's row in a Table of `resource`, made when a Table of it is first asked for, once a revision."""
    known: table.Row | None = entry.row
    if known is None or known.resource is not resource:
        known = entry.row = table.Row(resource, entry.peek(), entry.data)
    return known


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


async def items(resource: Resource, entries: list[Entry], *, partial: bool) -> list[bytes]:
    """Those of all the entries. What is not there yet is encoded in portions, between which the loop goes on; entries
    that are superseded meanwhile forget theirs, which is why they are taken here and not asked for again."""
    make = partial_item if partial else item
    out, count, plain = [], 0, as_stored(resource)
    for entry in entries:
        made = entry.partial_item if partial else entry.item if plain else None
        if made is None:
            made = make(resource, entry)
            count += 1
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        out.append(made)
    return out
