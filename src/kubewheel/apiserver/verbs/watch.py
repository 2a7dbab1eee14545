"""WATCH: from a revision, or the present state first; render.py turns the stream into bytes or dicts.

Source of the rules: the API concepts page (watch, bookmarks, sendInitialEvents), KEP-3157.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.apiserver import watch_cache
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.results import Stream
from kubewheel.apiserver.verbs import list as listing
from kubewheel.client.transport import Response
from kubewheel.storage import store as stores


async def handle(call: Call) -> Response:
    request = call.request
    want = _of_one(call, listing.wanted(call))
    matches = want.matches if not want.late else None
    request.integer("limit")
    version, match = request.first("resourceVersion"), request.first("resourceVersionMatch")
    initial = "sendInitialEvents" in request.query
    if not initial and not match and version in ("", "0"):  # what these always meant has a name by now (KEP-3157)
        wants_initial, match = True, "NotOlderThan"
    else:
        wants_initial = request.flag("sendInitialEvents")
    _check(match, initial=initial or wants_initial, token=request.first("continue"))
    after = listing.number(version, code=500) if version not in ("", "0") else 0
    stream = Stream(call.resource, None, None, deadline=_deadline(call))  # type: ignore[arg-type]
    stream.late = want.matches if want.late else None
    stream.bookmarks = request.flag("allowWatchBookmarks")
    try:
        # Only a snapshot must be as new as asked; events later than a revision to come may be awaited.
        stream.cache = cache = await listing.cache_at(call, version if wants_initial or not after else "0")
    except errors.StatusError as e:
        return _failed(stream, e)
    if wants_initial:
        # Nothing suspends from here on: the snapshot and the subscription are one moment.
        stream.initial_revision = after = call.server.watch_cache.revision
        entries = cache.chosen(want.prefix, want.trigger)
        stream.initial = [e for e in entries if matches(e)] if matches is not None else entries
        stream.marker, stream.implied = stream.bookmarks, not initial
    elif not after:
        after = call.server.watch_cache.revision
    try:
        stream.watcher = await cache.watch(call.server.store, want.prefix, after=after, matches=matches,
                                            trigger=want.trigger)
    except stores.Compacted as e:
        return _failed(stream, errors.gone(f"too old resource version: {after} ({e.oldest})"))
    return Response(obj=stream)


def _failed(stream: Stream, error: errors.StatusError) -> Response:
    """Once a watch is understood, what goes wrong is told as an event (upstream's errWatcher)."""
    stream.error = error.status
    return Response(obj=stream)


def _of_one(call: Call, want: listing.Wanted) -> listing.Wanted:
    """The path of a single object (of old: /watch/…/name) asks for that name; a field selector may but repeat it."""
    parts = call.info.parts
    if len(parts) < 2:
        return want
    if want.exact and want.exact != parts[1] or call.request.first("fieldSelector") and not want.exact:
        raise errors.bad_request("fieldSelector metadata.name doesn't match requested name")
    suffix, also = "/" + parts[1], want.matches
    return want._replace(exact=parts[1], trigger=watch_cache.Trigger("metadata.name", None, parts[1]),
                         matches=lambda entry: entry.key.endswith(suffix) and (also is None or also(entry)))


def _check(match: str, *, initial: bool, token: str) -> None:
    field, findings = "resourceVersionMatch", []
    if initial and match != "NotOlderThan":
        findings.append(errors.field_forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match and not initial:
        findings.append(errors.field_forbidden(
            field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
    if match and match != "NotOlderThan":
        findings.append(errors.field_not_supported(field, match, ("NotOlderThan",)))
    if match and token:
        findings.append(errors.field_forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
    if findings:
        raise errors.invalid("ListOptions", "", findings, group="meta.k8s.io")


def _deadline(call: Call) -> float:
    seconds = call.request.integer("timeoutSeconds")
    if seconds > 0:
        return float(seconds)
    return call.server.options.min_request_timeout * (1 + call.server.random.random())
