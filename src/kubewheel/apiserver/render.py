"""Results to what the client asked for: JSON, YAML, Table, PartialObjectMetadata, watch lines, or shared dicts.

In: a Response whose `obj` is a dict, Stored, Listing or Stream. Out: a Response with body, chunks or events.
Called by: chain.py, once, last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from kubewheel.api import codec, errors, table
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import results
from kubewheel.apiserver.results import Listing, Stored, Stream, data, view
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


def negotiate(request: Request) -> Form:
    accept = request.headers.get("accept", "")
    if not accept or accept == "application/json":
        return Form("json", "", pretty=_pretty(request))
    for part in accept.split(","):
        kind, *params = [p.strip() for p in part.split(";")]
        args = dict(p.partition("=")[::2] for p in params)
        if kind in ("*/*", "application/*", "application/json", "application/yaml"):
            shape = args.get("as", "")
            if shape and (args.get("g") != "meta.k8s.io" or args.get("v") not in ("v1", "v1beta1") or shape not in (
                    "Table", "PartialObjectMetadata", "PartialObjectMetadataList")):
                continue
            return Form("yaml" if kind == "application/yaml" else "json", shape, args.get("v", "v1"), _pretty(request))
    raise errors.status_error(406, "NotAcceptable", (
        "only the following media types are accepted: application/json, application/yaml, "
        "application/json;stream=watch, application/yaml;stream=watch"))


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
    form = negotiate(request)
    if isinstance(obj, Stream):
        response.chunks = _lines(server, obj, form, request)
        response.headers["content-type"] = form.content_type + (";stream=watch" if form.format == "yaml" else "")
    else:
        raw = _bytes(server, obj, form, request)
        response.body = reformat(raw, form)
        response.headers["content-type"] = form.content_type
    response.obj = None
    return response


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
        if form.shape == "Table":
            return codec.dumps(_table(server, obj.resource, [obj.entry.obj], {
                "resourceVersion": str(obj.entry.revision)}, request))
        if form.shape:
            return codec.dumps(partial(obj.entry.obj, form.version))
        return data(obj.resource, obj.entry)
    if isinstance(obj, Listing):
        return _list_bytes(server, obj, form, request)
    if form.shape == "Table" and obj.get("kind") != "Status":
        resource = _resource_of(server, obj)
        if resource is not None:
            return codec.dumps(_table(server, resource, [obj], {
                "resourceVersion": obj["metadata"].get("resourceVersion", "")}, request))
    if form.shape and obj.get("kind") != "Status" and "metadata" in obj:
        return codec.dumps(partial(obj, form.version))
    return codec.dumps(obj)


def _list_bytes(server: Server, listing: Listing, form: Form, request: Request) -> bytes:
    resource = listing.resource
    if form.shape == "Table":
        objs = [view(resource, e.obj) for e in listing.entries]
        return codec.dumps(_table(server, resource, objs, listing.meta(), request))
    if form.shape:
        api_version = f"meta.k8s.io/{form.version}"
        items = [partial(e.obj, form.version) for e in listing.entries]
        return codec.dumps({"kind": "PartialObjectMetadataList", "apiVersion": api_version,
                            "metadata": listing.meta(), "items": items})
    head = codec.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": listing.meta()})
    items = b",".join([data(resource, e) for e in listing.entries])
    return head[:-1] + b',"items":[' + items + b"]}"


def partial(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def _table(server: Server, resource: Resource, objs: list[Object], meta: Object, request: Request) -> Object:
    return table.render(resource, objs, server.clock.now(), include=request.first("includeObject") or "Metadata",
                        list_meta=meta)


def _resource_of(server: Server, obj: Object) -> Resource | None:
    group, _, version = obj.get("apiVersion", "").rpartition("/")
    return server.registry.by_kind(group, obj.get("kind", ""), version)


# -- watches ------------------------------------------------------------------------------------------------------
async def _follow(server: Server, stream: Stream) -> AsyncIterator[list[tuple[str, Entry, Any]]]:
    """Batches of (type, entry, event or None) until the deadline; a bookmark carries its revision as entry None."""
    loop = asyncio.get_running_loop()
    end = loop.time() + stream.deadline
    next_bookmark = loop.time() + BOOKMARK_EVERY
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
                yield [("BOOKMARK", None, server.watch_cache.revision)]  # type: ignore[list-item]
    finally:
        watcher.close()


async def _converted(resource: Resource, batch: list[tuple[str, Entry, Any]]) -> list[tuple[str, Entry, Any]]:
    """Events of custom resources that a webhook converts; an event's cached bytes are of the stored version."""
    entries = [entry for _, entry, _ in batch]
    made = await results.converted(resource, entries)
    if made is entries:
        return batch
    return [(kind, new, event if new is old else None) for (kind, old, event), new in zip(batch, made, strict=True)]


def _bookmark(resource: Resource, revision: int, *, marker: bool = False) -> Object:
    meta: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if marker:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}


async def _lines(server: Server, stream: Stream, form: Form, request: Request) -> AsyncIterator[bytes]:
    encode = _encoder(server, stream.resource, form, request)
    marker = stream.marker
    if marker and not stream.initial:
        yield _marker_line(stream)
        marker = False
    async for batch in _follow(server, stream):
        parts = [encode(kind, entry, event) for kind, entry, event in batch]
        yield b"".join(parts)
        if marker:
            yield _marker_line(stream)
            marker = False


def _marker_line(stream: Stream) -> bytes:
    return codec.dumps({"type": "BOOKMARK", "object": _bookmark(
        stream.resource, stream.initial_revision, marker=True)}) + b"\n"


def _encoder(server: Server, resource: Resource, form: Form, request: Request) -> Callable[[str, Any, Any], bytes]:
    plain = not form.shape and form.format == "json" and (resource.hub is None or resource.hub == resource.gvr)
    shown_columns = False

    def shape(obj: Object) -> Object:
        nonlocal shown_columns
        if form.shape == "Table":
            out = _table(server, resource, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}, request)
            if shown_columns:  # later events leave them out
                out["columnDefinitions"] = None
            shown_columns = True
            return out
        return partial(obj, form.version) if form.shape else obj

    def encode(kind: str, entry: Any, event: Any) -> bytes:
        if kind == "BOOKMARK":
            return codec.dumps({"type": kind, "object": _bookmark(resource, event)}) + b"\n"
        if plain:
            if event is not None:
                return event.wire(kind, entry)
            return b'{"type":"%s","object":%s}\n' % (kind.encode(), entry.data)
        line = codec.dumps({"type": kind, "object": shape(view(resource, entry.obj))})
        return reformat(line, form) + (b"---\n" if form.format == "yaml" else b"\n")

    return encode


# -- in-process ---------------------------------------------------------------------------------------------------
def _as_objects(server: Server, response: Response) -> Response:
    obj = response.obj
    if isinstance(obj, Stored):
        response.obj = view(obj.resource, obj.entry.obj)
    elif isinstance(obj, Listing):
        resource = obj.resource
        response.obj = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": obj.meta(),
                        "items": [view(resource, e.obj) for e in obj.entries]}
    elif isinstance(obj, Stream):
        response.events = _events(server, obj)
        response.obj = None
    return response


async def _events(server: Server, stream: Stream) -> AsyncIterator[tuple[str, Object]]:
    resource = stream.resource
    marker = stream.marker
    if marker and not stream.initial:
        yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
        marker = False
    async for batch in _follow(server, stream):
        for kind, entry, event in batch:
            if kind == "BOOKMARK":
                yield kind, _bookmark(resource, event)
            else:
                yield kind, view(resource, entry.obj)
        if marker:
            yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
            marker = False
