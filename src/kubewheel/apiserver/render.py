"""Results to what the client asked for: JSON, YAML, protobuf, Table, PartialObjectMetadata, watches, or shared dicts.

In: a Response whose `obj` is a dict, Stored, Listing or Stream. Out: a Response with body, chunks or events.
Called by: chain.py, once, last.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from kubewheel.api import codec, errors, go_yaml, table
from kubewheel.api.autoscaling import scale
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.protobuf import kinds
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import media_types, request_metrics, results
from kubewheel.apiserver.media_types import Form, Offer
from kubewheel.apiserver.results import Listing, Stored, Stream, as_stored, shown
from kubewheel.apiserver.verbs import write_kind
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.client.transport import Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

BOOKMARK_EVERY = 60.0  # seconds


def negotiate(request: Request, offer: Offer) -> Form:
    pretty = media_types.is_pretty(request.query, request.headers.get("user-agent", ""))
    return media_types.negotiate(request.headers.get("accept", ""), offer, pretty=pretty)


def check(request: Request, resource: Resource, *, watch: bool = False) -> None:
    """Before anything is done: whether the answer can be given in a form that the client takes. StatusError 406."""
    request.attributes["form"] = negotiate(request, media_types.OFFERS[resource.custom is not None, watch])


def status(request: Request, error: Object) -> tuple[bytes, str]:
    """(body, content type) of a failure; JSON for those who take nothing that there is."""
    try:
        form = negotiate(request, media_types.PLAIN)
    except errors.StatusError:
        form = Form("json", pretty=True)
    body = _encoded(error, form)
    return body + b"\n" if form.format == "json" and not form.pretty else body, form.content_type


async def finish(server: Server, request: Request, response: Response) -> Response:
    """The response in the form asked for. In-process callers get dicts."""
    obj = response.obj
    if obj is None:
        return response
    if request.wants_objects:
        return _as_objects(server, response)
    form: Form = request.attributes.get("form") or negotiate(request, media_types.PLAIN)
    if form.shape.startswith("PartialObjectMetadata"):
        _check_shape(obj, form.shape)
    if isinstance(obj, Stream):
        if form.shape == "Table":
            check_include(request.first("includeObject"))
        response.chunks = Watching(_lines(server, obj, form, request), obj)
        response.headers["content-type"] = form.content_type + (";stream=watch" if form.format == "protobuf" else "")
    else:
        if form.format == "protobuf":
            response.body = await _protobuf(obj, form)
        else:
            body = _bytes(server, obj, form, request)
            if form.format == "json" and not form.pretty:
                response.body = body if body.endswith(b"\n") else b"%b\n" % body
            else:
                response.body = reformat(body, form)
        response.headers["content-type"] = form.content_type
    response.obj = None
    return response


def _check_shape(obj: Any, shape: str) -> None:
    """The metadata of one object is no list, nor the other way round. 406"""
    is_list = isinstance(obj, Listing)
    if is_list == shape.endswith("List") or not isinstance(obj, (Listing, Stored)):
        return
    resource = obj.resource
    if resource.custom is not None:
        if not is_list:
            raise errors.status_error(500, "", "content is not a list")  # upstream's object of no type passes for one at first
        kind = "unstructured.UnstructuredList"
    else:
        kind = f"{write_kind.package(resource.group)}.{resource.list_kind if is_list else resource.kind}"
    what = "a list" if is_list else "not a list"
    raise errors.status_error(406, "NotAcceptable", f"you requested {shape}, but the requested object is {what} (*{kind})")


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
        return go_yaml.dump(codec.loads(raw))
    if form.pretty:
        import orjson

        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2) + b"\n"
    return raw


def _encoded(obj: Object, form: Form) -> bytes:
    """An object that is no stored one: a Status, a Scale, a review."""
    if form.format != "protobuf":
        return reformat(codec.dumps(obj), form)
    definition = kinds.known(obj.get("apiVersion", ""), obj.get("kind", ""))
    if not definition:
        raise media_types.not_marshalable(obj.get("kind", ""))
    return protobuf.encode(obj, definition)


def reencoded(raw: bytes, form: Form) -> bytes:
    """A document that is kept as compact JSON (discovery) in the form asked for."""
    return _encoded(codec.loads(raw), form) if form.format == "protobuf" else reformat(raw, form)


# -- protobuf -----------------------------------------------------------------------------------------------------
async def _protobuf(obj: Any, form: Form) -> bytes:
    if isinstance(obj, Stored):
        return _object(obj.resource, obj.entry, form)
    if isinstance(obj, Listing):
        resource = obj.resource
        items = await results.items(resource, obj.entries, partial=bool(form.shape))
        if form.shape:
            return protobuf.listing(f"meta.k8s.io/{form.version}", "PartialObjectMetadataList", obj.meta(), items)
        return protobuf.listing(resource.api_version, resource.list_kind, obj.meta(), items)
    if form.shape and obj.get("kind") != "Status":
        return _partial_envelope(protobuf.partial_item(obj), form)
    return _encoded(obj, form)


def _object(resource: Resource, entry: Entry, form: Form) -> bytes:
    if form.shape:
        return _partial_envelope(results.partial_item(resource, entry), form)
    return protobuf.envelope(resource.api_version, resource.kind, results.item(resource, entry))


def _partial_envelope(item: bytes, form: Form) -> bytes:
    return protobuf.envelope(f"meta.k8s.io/{form.version}", "PartialObjectMetadata", item)


# -- JSON: single answers and lists -------------------------------------------------------------------------------
def _bytes(server: Server, obj: Any, form: Form, request: Request) -> bytes:
    if isinstance(obj, Stored):
        entry = shown(obj.resource, obj.entry)
        if form.shape == "Table":
            return _table(server, obj.resource, [entry], {"resourceVersion": str(entry.revision)}, request, form)
        if form.shape:
            return codec.dumps(partial(entry.obj, form.version))
        return entry.data
    if isinstance(obj, Listing):
        return _list_bytes(server, obj, form, request)
    if form.shape and obj.get("kind") != "Status":
        resource = _resource_of(server, obj)
        if resource is None or resource.not_stored:  # a review: nothing to make a row of
            raise media_types.not_acceptable()
        if form.shape.endswith("List"):
            raise errors.status_error(406, "NotAcceptable", (
                f"you requested {form.shape}, but the requested object is not a list (*{resource.version}.{resource.kind})"))
        if form.shape == "Table":
            return _table(server, resource, [_unstored(obj)], _meta(obj), request, form)
        return codec.dumps(partial(obj, form.version))
    return codec.dumps(obj)


def _list_bytes(server: Server, listing: Listing, form: Form, request: Request) -> bytes:
    resource = listing.resource
    if form.shape == "Table":
        entries = listing.entries if as_stored(resource) else [shown(resource, e) for e in listing.entries]
        return _table(server, resource, entries, listing.meta(), request, form)
    if form.shape:
        api_version = f"meta.k8s.io/{form.version}"
        metas = [partial(e.obj, form.version) for e in listing.entries]
        return codec.dumps({"kind": "PartialObjectMetadataList", "apiVersion": api_version,
                            "metadata": listing.meta(), "items": metas or None})
    meta = listing.meta()
    if resource.custom is not None:
        meta.setdefault("continue", "")  # upstream keeps the empty one where a list has no type
    head = codec.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": meta})
    entries = listing.entries
    if not as_stored(resource):
        entries = [shown(resource, e) for e in entries]
    if resource.custom is None:  # items of Go's typed lists do not say what they are
        mark = codec.kind_mark(resource.api_version, resource.kind)
        items = [e.without_kind(mark) for e in entries]
    else:
        items = [e.data for e in entries]
    if not items:
        return b'%b,"items":[]}\n' % head[:-1]
    items[0] = b'%b,"items":[%b' % (head[:-1], items[0])  # the large piece is put together once
    items[-1] = b"%b]}\n" % items[-1]
    return b",".join(items)


def partial(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def _unstored(obj: Object) -> Entry:
    """What is answered and not kept, to be shown as what is."""
    return Entry("", 0, codec.dumps(obj))


def _meta(obj: Object) -> Object:
    return {"resourceVersion": obj["metadata"].get("resourceVersion", "")}


def _table(server: Server, resource: Resource, entries: list[Entry], meta: Object, request: Request, form: Form, *,
           defined: bool = True) -> bytes:
    include = request.first("includeObject") or "Metadata"
    check_include(include)
    ages = table.Ages(server.clock.now())
    rows = [results.row(resource, e).json(ages, include, e.data, form.version) for e in entries]
    return table.joined(resource, rows, meta, version=form.version, defined=defined)


def check_include(include: str) -> None:
    """`includeObject` of a Table, "" where nothing is said. StatusError 400"""
    if include not in ("", "None", "Metadata", "Object"):
        raise errors.bad_request("Unable to convert to Table as requested: includeObject: Invalid value: "
                                 f"{errors.quoted(include)}: must be 'Metadata', 'Object', 'None', or empty")


def _resource_of(server: Server, obj: Object) -> Resource | None:
    group, _, version = obj.get("apiVersion", "").rpartition("/")
    if obj.get("kind") == "Scale" and group == "autoscaling":
        return scale.SHOWN
    return server.registry.by_kind(group, obj.get("kind", ""), version)


# -- watches ------------------------------------------------------------------------------------------------------
async def _follow(server: Server, stream: Stream) -> AsyncIterator[list[tuple[str, Entry, Any]]]:
    """Batches of (type, entry, event or None) until the deadline; a bookmark carries its revision as entry None."""
    loop = asyncio.get_running_loop()
    end = loop.time() + stream.deadline
    next_bookmark = loop.time() + BOOKMARK_EVERY
    if stream.deadline > 2:  # the last one comes just before the end
        next_bookmark = min(next_bookmark, end - 2)
    watcher = stream.watcher
    try:
        if stream.initial:
            first = await results.converted(stream.resource, stream.initial)
            yield [("ADDED", entry, None) for entry in first if stream.late is None or stream.late(entry)]
        stream.initial = []
        while not watcher.closed:
            now = loop.time()
            if now >= end:
                return
            batch = await watcher.batch(min(end, next_bookmark) - now if stream.bookmarks else end - now)
            if batch:
                yield await (_converted(stream.resource, batch) if stream.late is None
                             else _converted_then_chosen(stream.resource, batch, stream.late))
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


async def _converted_then_chosen(resource: Resource, batch: list[tuple[str, Entry, Any]], matches: Callable[[Entry], bool]
                                 ) -> list[tuple[str, Entry, Any]]:
    """Events of those objects that match once they are converted: an object may come to match, or cease to."""
    out: list[tuple[str, Entry, Any]] = []
    before = await results.converted(resource, [e.old or entry for _, entry, e in batch])
    after = await results.converted(resource, [entry for _, entry, _ in batch])
    for (kind, _, event), old, new in zip(batch, before, after, strict=True):
        was, now = event.old is not None and matches(old), kind != "DELETED" and matches(new)
        if now:
            out.append(("MODIFIED" if was else "ADDED", new, None))
        elif was:
            out.append(("DELETED", new, None))
    return out


def _bookmark(resource: Resource, revision: int, *, marker: bool = False) -> Object:
    meta: Object = {"resourceVersion": str(revision)}
    if marker:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}


async def _lines(server: Server, stream: Stream, form: Form, request: Request) -> AsyncIterator[bytes]:
    where = (stream.resource.group, stream.resource.plural, stream.resource.version)
    if form.format == "protobuf":
        encode = _framer(stream, form)
    else:
        encode = _encoder(server, stream, form, request)
    if stream.error is not None:
        stream.close()
        yield encode("ERROR", None, stream.error)
        return
    if form.shape == "PartialObjectMetadataList":  # no event is a list; upstream ends the watch over the first
        stream.close()
        return
    marker = stream.marker
    if marker and not stream.initial:
        yield encode("MARKER", None, stream.initial_revision)
        marker = False
    try:
        async for batch in _follow(server, stream):
            if form.format == "protobuf" and len(batch) > results.AT_ONCE:
                await results.items(stream.resource, [e for _, e, _ in batch], partial=bool(form.shape))
            parts = [encode(kind, entry, event) for kind, entry, event in batch]
            request_metrics.WATCH_EVENTS.inc(*where, by=len(parts))
            for part in parts:
                request_metrics.WATCH_EVENT_SIZES.observe(len(part), *where)
            yield b"".join(parts)
            if marker:
                yield encode("MARKER", None, stream.initial_revision)
                marker = False
    except errors.StatusError as e:  # a conversion webhook does not do its work
        yield encode("ERROR", None, e.status)


def _framer(stream: Stream, form: Form) -> Callable[[str, Any, Any], bytes]:
    """Watch events in protobuf; those of one write are made once for all who watch."""
    resource = stream.resource
    key = f"{resource.api_version} {form.shape and form.version} "

    def encode(kind: str, entry: Any, event: Any) -> bytes:
        if kind == "ERROR":
            return protobuf.event(kind, _encoded(event, form))
        if kind in ("BOOKMARK", "MARKER"):
            obj = _bookmark(resource, event, marker=kind == "MARKER")
            made = _partial_envelope(protobuf.partial_item(obj), form) if form.shape else _encoded(obj, form)
            return protobuf.event("BOOKMARK", made)
        if event is None:
            return protobuf.event(kind, _object(resource, entry, form))
        return event.once(key + kind, lambda: protobuf.event(kind, _object(resource, entry, form)))

    return encode


def _encoder(server: Server, stream: Stream, form: Form, request: Request) -> Callable[[str, Any, Any], bytes]:
    resource = stream.resource
    plain = not form.shape and as_stored(resource)
    shown_columns = False

    def shape(entry: Entry) -> bytes:
        nonlocal shown_columns
        if form.shape == "Table":
            defined, shown_columns = not shown_columns, True  # later events leave them out
            return _table(server, resource, [entry], _meta(entry.peek()), request, form, defined=defined)
        return codec.dumps(partial(entry.obj, form.version)) if form.shape else entry.data

    def encode(kind: str, entry: Any, event: Any) -> bytes:
        if kind in ("BOOKMARK", "MARKER"):
            kind, made = "BOOKMARK", shape(_unstored(_bookmark(resource, event, marker=kind == "MARKER")))
        elif kind == "ERROR":
            made = codec.dumps(event)
        elif plain and event is not None:
            return event.wire(kind, entry)
        else:
            made = shape(shown(resource, entry))
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), made)

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
    marker = stream.marker and not stream.implied
    stream.bookmarks = False  # they save a re-list after a lost connection; within a process none is lost
    if marker and not stream.initial:
        yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
        marker = False
    try:
        async for batch in _follow(server, stream):
            for kind, entry, event in batch:
                if kind == "BOOKMARK":
                    yield kind, _bookmark(resource, event)
                else:
                    yield kind, shown(resource, entry).obj
            if marker:
                yield "BOOKMARK", _bookmark(resource, stream.initial_revision, marker=True)
                marker = False
    except errors.StatusError as e:
        yield "ERROR", e.status
