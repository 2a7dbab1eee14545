"""Results to what the client asked for: JSON, YAML, Table, PartialObjectMetadata, watch lines, or shared dicts.

In: a Response whose `obj` is a dict, Stored, Listing or Stream. Out: a Response with body, chunks or events.
Called by: chain.py, once, last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from kubewheel.api import codec, errors, table
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import request_metrics, results
from kubewheel.apiserver.results import Listing, Stored, Stream, as_stored, data, shown
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.client.transport import Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

BOOKMARK_EVERY = 60.0  # seconds


class Form(NamedTuple):
    """What the Accept header asks for."""

    format: str  # json | yaml
    shape: str  # "" | Table | PartialObjectMetadata | PartialObjectMetadataList
    version: str = "v1"
    pretty: bool = False

    @property
    def content_type(self) -> str:
        return "application/yaml" if self.format == "yaml" else "application/json"


_MEDIA = ("*/*", "application/*", "application/json", "application/yaml")
_SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


def negotiate(request: Request) -> Form:
    accept = request.headers.get("accept", "")
    if not accept or accept == "application/json":
        return Form("json", "", pretty=_pretty(request))
    for kind, args in accepted(accept):
        if kind in _MEDIA:
            shape = args.get("as", "")
            if shape and (args.get("g") != "meta.k8s.io" or args.get("v") not in ("v1", "v1beta1") or shape not in _SHAPES):
                continue
            return Form("yaml" if kind == "application/yaml" else "json", shape, args.get("v", "v1"), _pretty(request))
    raise not_acceptable()


def accepted(header: str) -> list[tuple[str, dict[str, str]]]:
    """(media type, parameters) of an Accept header, the preferred first."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for part in header.split(","):
        kind, *params = [p.strip() for p in part.split(";")]
        args = {k.strip(): v.strip() for k, _, v in (p.partition("=") for p in params)}
        try:
            quality = float(args.get("q", "1"))
        except ValueError:
            quality = 1.0
        found.append((quality, kind, args))
    return [(kind, args) for quality, kind, args in sorted(found, key=lambda f: -f[0])]


def not_acceptable() -> errors.StatusError:
    return errors.status_error(406, "NotAcceptable", (
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf"))


def _pretty(request: Request) -> bool:
    pretty = request.first("pretty")
    if pretty:
        return pretty in ("true", "1")
    agent = request.headers.get("user-agent", "")
    return agent.startswith(("curl", "Wget", "Mozilla/5.0"))


def finish(server: Server, request: Request, response: Response) -> Response:
    """The response in the form asked for. In-process callers get dicts."""
    obj = response.obj
    if obj is None:
        return response
    if request.wants_objects:
        return _as_objects(server, response)
    try:
        form = negotiate(request)
    except errors.StatusError:
        if isinstance(obj, Stream):
            obj.close()
        raise
    if isinstance(obj, Stream):
        response.chunks = Watching(_lines(server, obj, form, request), obj)
        response.headers["content-type"] = form.content_type + (";stream=watch" if form.format == "yaml" else "")
    else:
        raw = _bytes(server, obj, form, request)
        response.body = reformat(raw, form)
        response.headers["content-type"] = form.content_type
    response.obj = None
    return response


class Watching:
    """The iterator of a watch. Closing it ends the watch, even one that nobody began to read."""

    def __init__(self, items: Any, stream: Stream) -> None:
        self._items = items
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._items

    def __anext__(self) -> Awaitable[Any]:
        return self._items.__anext__()

    async def aclose(self) -> None:
        self._stream.close()
        await self._items.aclose()


def reformat(raw: bytes, form: Form) -> bytes:
    if form.format == "yaml":
        return yaml.dump(codec.loads(raw), Dumper=yaml.CSafeDumper, allow_unicode=True).encode()
    if form.pretty:
        import orjson

        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2) + b"\n"
    return raw


# -- single answers and lists -------------------------------------------------------------------------------------
def _bytes(server: Server, obj: Any, form: Form, request: Request) -> bytes:
    if isinstance(obj, Stored):
        entry = shown(obj.resource, obj.entry)
        if form.shape == "Table":
            return codec.dumps(_table(server, obj.resource, [entry.obj], {
                "resourceVersion": str(entry.revision)}, request, form))
        if form.shape:
            return codec.dumps(partial(entry.obj, form.version))
        return entry.data
    if isinstance(obj, Listing):
        return _list_bytes(server, obj, form, request)
    if form.shape and obj.get("kind") != "Status":
        resource = _resource_of(server, obj)
        if resource is None or resource.not_stored:  # a Scale, a review: nothing to make a row of
            raise not_acceptable()
        if form.shape == "Table":
            return codec.dumps(_table(server, resource, [obj], {
                "resourceVersion": obj["metadata"].get("resourceVersion", "")}, request, form))
        return codec.dumps(partial(obj, form.version))
    return codec.dumps(obj)


def _list_bytes(server: Server, listing: Listing, form: Form, request: Request) -> bytes:
    resource = listing.resource
    if form.shape == "Table":
        objs = [shown(resource, e).obj for e in listing.entries]
        return codec.dumps(_table(server, resource, objs, listing.meta(), request, form))
    if form.shape:
        api_version = f"meta.k8s.io/{form.version}"
        metas = [partial(e.obj, form.version) for e in listing.entries]
        return codec.dumps({"kind": "PartialObjectMetadataList", "apiVersion": api_version,
                            "metadata": listing.meta(), "items": metas})
    head = codec.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": listing.meta()})
    entries = listing.entries
    items = b",".join([e.data for e in entries] if as_stored(resource) else [data(resource, e) for e in entries])
    return head[:-1] + b',"items":[' + items + b"]}"


def partial(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def _table(server: Server, resource: Resource, objs: list[Object], meta: Object, request: Request, form: Form) -> Object:
    include = request.first("includeObject") or "Metadata"
    if include not in ("None", "Metadata", "Object"):
        raise errors.bad_request(f'unrecognized includeObject value: "{include}"')
    made = table.render(resource, objs, server.clock.now(), include=include, list_meta=meta)
    if form.version != "v1":
        made["apiVersion"] = f"meta.k8s.io/{form.version}"
    return made


def _resource_of(server: Server, obj: Object) -> Resource | None:
    group, _, version = obj.get("apiVersion", "").rpartition("/")
    return server.registry.by_kind(group, obj.get("kind", ""), version)


# -- watches ------------------------------------------------------------------------------------------------------
async def _follow(server: Server, stream: Stream) -> AsyncIterator[list[tuple[str, Entry, Any]]]:
    """Batches of (type, entry, event or None) until the deadline; a bookmark carries its revision as entry None."""
    loop = asyncio.get_running_loop()
    end = loop.time() + stream.deadline
    next_bookmark = min(loop.time() + BOOKMARK_EVERY, max(end - 2, loop.time()))
    watcher = stream.watcher
    try:
        if stream.initial:
            yield [("ADDED", entry, None) for entry in await results.converted(stream.resource, stream.initial)]
        stream.initial = []
        while not watcher.closed:
            now = loop.time()
            if now >= end:
                return
            batch = await watcher.batch(min(end, next_bookmark) - now if stream.bookmarks else end - now)
            if batch:
                yield await _converted(stream.resource, batch)
            if stream.bookmarks and loop.time() >= next_bookmark:
                next_bookmark = loop.time() + BOOKMARK_EVERY
                if loop.time() < end - 2:  # the last one comes just before the end
                    next_bookmark = min(next_bookmark, end - 2)
                yield [("BOOKMARK", None, server.watch_cache.revision)]  # type: ignore[list-item]
    finally:
        stream.close()


async def _converted(resource: Resource, batch: list[tuple[str, Entry, Any]]) -> list[tuple[str, Entry, Any]]:
    """Events of custom resources that a webhook converts; an event's cached bytes are of the stored version."""
    entries = [entry for _, entry, _ in batch]
    made = await results.converted(resource, entries)
    if made is entries:
        return batch
    return [(kind, new, event if new is old else None) for (kind, old, event), new in zip(batch, made, strict=True)]


def _bookmark(resource: Resource, revision: int, *, marker: bool = False) -> Object:
    meta: Object = {"resourceVersion": str(revision)}
    if marker:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}


async def _lines(server: Server, stream: Stream, form: Form, request: Request) -> AsyncIterator[bytes]:
    encode = _encoder(server, stream, form, request)
    where = (stream.resource.group, stream.resource.plural, stream.resource.version)
    if stream.error is not None:
        stream.close()
        yield reformat(codec.dumps({"type": "ERROR", "object": stream.error}), form) + b"\n"
        return
    marker = stream.marker
    if marker and not stream.initial:
        yield encode("MARKER", None, stream.initial_revision)
        marker = False
    async for batch in _follow(server, stream):
        parts = [encode(kind, entry, event) for kind, entry, event in batch]
        request_metrics.WATCH_EVENTS.inc(*where, by=len(parts))
        yield b"".join(parts)
        if marker:
            yield encode("MARKER", None, stream.initial_revision)
            marker = False


def _encoder(server: Server, stream: Stream, form: Form, request: Request) -> Callable[[str, Any, Any], bytes]:
    resource = stream.resource
    plain = not form.shape and form.format == "json" and as_stored(resource)
    shown_columns = False

    def shape(obj: Object) -> Object:
        nonlocal shown_columns
        if form.shape == "Table":
            out = _table(server, resource, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")},
                         request, form)
            if shown_columns:  # later events leave them out
                out["columnDefinitions"] = None
            shown_columns = True
            return out
        return partial(obj, form.version) if form.shape else obj

    def encode(kind: str, entry: Any, event: Any) -> bytes:
        if kind in ("BOOKMARK", "MARKER"):
            kind, obj = "BOOKMARK", shape(_bookmark(resource, event, marker=kind == "MARKER"))
        elif plain:
            if event is not None:
                return event.wire(kind, entry)
            return b'{"type":"%s","object":%s}\n' % (kind.encode(), entry.data)
        else:
            obj = shape(shown(resource, entry).obj)
        line = codec.dumps({"type": kind, "object": obj})
        return reformat(line, form) + (b"---\n" if form.format == "yaml" else b"\n")

    return encode


# -- in-process ---------------------------------------------------------------------------------------------------
def _as_objects(server: Server, response: Response) -> Response:
    obj = response.obj
    if isinstance(obj, Stored):
        response.obj = shown(obj.resource, obj.entry).obj
    elif isinstance(obj, Listing):
        resource = obj.resource
        response.obj = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": obj.meta(),
                        "items": [shown(resource, e).obj for e in obj.entries]}
    elif isinstance(obj, Stream):
        response.events = Watching(_events(server, obj), obj)
        response.obj = None
    return response


async def _events(server: Server, stream: Stream) -> AsyncIterator[tuple[str, Object]]:
    resource = stream.resource
    if stream.error is not None:
        stream.close()
        yield "ERROR", stream.error
        return
    marker = stream.marker
    stream.bookmarks = False  # they save a re-list after a lost connection; within a process none is lost
    if marker and not stream.initial:
        yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
        marker = False
    async for batch in _follow(server, stream):
        for kind, entry, event in batch:
            if kind == "BOOKMARK":
                yield kind, _bookmark(resource, event)
            else:
                yield kind, shown(resource, entry).obj
        if marker:
            yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
            marker = False
