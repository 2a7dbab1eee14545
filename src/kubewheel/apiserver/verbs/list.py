"""LIST: entries out of the watch cache, or of the store where a revision is asked for.

Source of the rules: the API concepts page (resourceVersion semantics, limit and continue).
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from kubewheel.api import codec, errors, go_json, selectors
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import request_metrics, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.results import Listing
from kubewheel.apiserver.verbs import keys
from kubewheel.apiserver.watch_cache import Entry, Filter, ResourceCache, Trigger, selector_filter
from kubewheel.client.transport import Response
from kubewheel.storage import store as stores

EXPIRED = ("The provided continue parameter is too old to display a consistent list result. You can start a new list "
           "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
           "the results. Continuing with the provided token results in an inconsistent list - objects that were "
           "created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")


class Wanted(NamedTuple):
    prefix: str
    matches: Filter | None
    exact: str  # the one name a field selector allows, or ""
    late: bool = False  # `matches` asks about what a conversion webhook makes
    trigger: Trigger | None = None  # what the field selector asks to be equal, for the index of watchers


def wanted(call: Call) -> Wanted:
    """Prefix and predicate out of namespace and selectors. 400 on selectors that are none."""
    hub = call.server.registry.hub_of(call.resource)
    label = selectors.parse_label(call.request.first("labelSelector"))
    fields = selectors.parse_field(call.request.first("fieldSelector"))
    exact = ""
    for term in fields.terms:
        if term.path == "metadata.name" and term.op == "=":
            exact = term.value
    accessors = field_accessors(call.resource, fields, call.info.namespace)
    # Fields of a version that a webhook makes are there once it has been asked.
    late = getattr(call.resource.custom, "convert", None) is not None and any(
        t.path in call.resource.selectable for t in fields.terms)
    return Wanted(keys.prefix(hub, call.namespace),
                  selector_filter(label.matches if label.requirements else None, accessors), exact, late,
                  None if late else _trigger(call.resource, fields))


def _trigger(resource: Resource, fields: selectors.FieldSelector) -> Trigger | None:
    """The name if the selector tells it, or else the first field that must be equal. Only fields of what is stored."""
    equal = [term for term in fields.terms if term.op != "!="]
    for term in equal:
        if term.path == "metadata.name":
            return Trigger(term.path, None, term.value)
    if not results.as_stored(resource):
        return None
    return next((Trigger(t.path, resource.selectable[t.path], t.value) for t in equal if t.path in resource.selectable), None)


def field_accessors(resource: Resource, fields: selectors.FieldSelector, namespace: str):
    if not fields.terms:
        return None
    tests: list[tuple[Callable[[Object], str], bool, str]] = []
    for term in fields.terms:
        if term.path == "metadata.name":
            read: Callable[[Object], str] = _name
        elif term.path == "metadata.namespace" and (resource.namespaced or resource.knows_meta_labels_only):
            read = _namespace
        elif term.path in resource.selectable:
            read = resource.selectable[term.path]
        else:
            raise errors.bad_request(resource.unselectable(term.path))
        tests.append((read, term.op != "!=", term.value))

    def matches(obj) -> bool:
        return all((read(obj) == value) is equal for read, equal, value in tests)

    return matches


def _name(obj) -> str:
    return obj["metadata"]["name"]


def _namespace(obj) -> str:
    return obj["metadata"].get("namespace", "")


def number(text: str, *, code: int = 400) -> int:
    """A resource version. StatusError 400 for lists; gets and watches hand on the storage's plain error (500)."""
    problem = "invalid syntax"
    if text.isascii() and text.isdecimal():
        if (value := int(text)) < 1 << 64:
            return value
        problem = "value out of range"
    found = f'resourceVersion: Invalid value: {errors.quoted(text)}: strconv.ParseUint: parsing {errors.quoted(text)}: {problem}'
    if code == 400:
        raise errors.bad_request(f"invalid resource version: {found}")
    raise errors.status_error(code, "", found)


async def handle(call: Call) -> Response:
    query = call.request
    want = wanted(call)
    limit = max(query.integer("limit"), 0)
    query.integer("timeoutSeconds")
    return await _answer(await listed(call, want, limit))


async def listed(call: Call, want: Wanted, limit: int) -> Listing:
    """What the request's selectors, versions and continue token ask for, not yet converted. 400, 410, 422, 504."""
    query = call.request
    token, version, match = query.first("continue"), query.first("resourceVersion"), query.first("resourceVersionMatch")
    _check_versions(token, version, match, initial="sendInitialEvents" in query.query)
    if token:
        return await _continued(call, want, limit, token, version)
    if match == "Exact" or (version not in ("", "0") and limit and match == ""):
        return await _page(call, want, limit, revision=number(version), start="")
    if version == "0":
        limit = 0  # whatever there is, all of it: the watch cache knows no limit
    cache = await cache_at(call, version)
    entries = cache.chosen(want.prefix, want.trigger)
    what, fetched = (call.resource.group, call.resource.plural), len(entries)
    if want.late:
        entries = await results.converted(call.resource, entries)
    if want.matches is not None:
        entries = [e for e in entries if want.matches(e)]
    request_metrics.CACHE_LISTS.inc(*what, "")
    request_metrics.CACHE_LISTED.inc(*what, "", by=fetched)
    request_metrics.CACHE_RETURNED.inc(*what, by=len(entries))
    listing = Listing(call.resource, entries, call.server.watch_cache.revision)
    if limit > 0 and len(entries) >= limit and _goes_on(want, cache, entries[limit - 1].key):
        listing.entries = entries[:limit]
        listing.continue_ = _token(listing.revision, entries[limit - 1].key, want.prefix)
        if want.matches is None:
            listing.remaining = len(entries) - limit
    return listing


def _goes_on(want: Wanted, cache: ResourceCache, last: str) -> bool:
    """Whether there is anything after a key, be it what the selectors want or not. One object's list has no next page."""
    if want.exact and want.prefix.count("/") > cache.prefix.count("/"):
        return False
    return cache.has_after(want.prefix, last)


async def _answer(listing: Listing) -> Response:
    listing.entries = await results.converted(listing.resource, listing.entries)
    return Response(obj=listing)


def _check_versions(token: str, version: str, match: str, *, initial: bool) -> None:
    field, found = "resourceVersionMatch", []
    if match and not version:
        found.append(errors.field_forbidden(field, f"{field} is forbidden unless resourceVersion is provided"))
    if match and token:
        found.append(errors.field_forbidden(field, f"{field} is forbidden when continue is provided"))
    if match and match not in ("Exact", "NotOlderThan"):
        found.append(errors.field_not_supported(field, match, ("Exact", "NotOlderThan", ""), ordered=True))
    if match == "Exact" and version == "0":
        found.append(errors.field_forbidden(field, f'{field} "exact" is forbidden for resourceVersion "0"'))
    if initial:
        found.append(errors.field_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if found:
        raise errors.invalid("ListOptions", "", found, group="meta.k8s.io")


async def cache_at(call: Call, version: str):
    """The resource's cache, at least as new as asked: "" is everything committed, "0" whatever is there."""
    server = call.server
    hub = server.registry.hub_of(call.resource)
    if version == "":
        await server.watch_cache.fresh()
    elif version != "0":
        await reach(call, version)
    return server.watch_cache.resource(hub.registry)


async def reach(call: Call, version: str, *, code: int = 400) -> None:
    """Waits until everything up to a revision is visible; 504 where it does not come. `code`: of what is no version."""
    wanted_revision, cache = number(version, code=code), call.server.watch_cache
    if not await cache.reach(wanted_revision, timeout=3.0):
        raise too_large(wanted_revision, cache.revision)


def too_large(wanted_revision: int, current: int) -> errors.StatusError:
    message = f"Timeout: Too large resource version: {wanted_revision}, current: {current}"
    return errors.status_error(504, "Timeout", message, retry_after=1,
                               causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}])


async def _continued(call: Call, want: Wanted, limit: int, token: str, version: str) -> Listing:
    revision, start = _decoded(token)
    if version not in ("", "0"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    if revision < 1:  # -1: go on from a key in what there is now
        revision = 0
    try:
        return await _page(call, want, limit, revision=revision, start=want.prefix + start)
    except stores.Compacted as e:
        fresh = _encode(-1, start)
        error = errors.gone(EXPIRED)
        error.status["metadata"] = {"continue": fresh}
        raise error from e


def _decoded(token: str) -> tuple[int, str]:
    """(revision, the last key there was) of a continue token, which is the client's word only. 400"""
    invalid = "invalid continue token: continue key is not valid"
    raw = _unbase64(token, invalid)
    try:
        found = codec.loads(raw)
    except ValueError as e:
        raise errors.bad_request(f"{invalid}: {go_json.error(raw)}") from e
    if not isinstance(found, dict):
        found = {} if found is None else _not_go(found, "value", "storage.continueToken", invalid)
    version, revision, start = found.get("v", ""), found.get("rv", 0), found.get("start", "")
    for name, value, kind, wants in (
            ("v", version, "string", str), ("rv", revision, "int64", int), ("start", start, "string", str)):
        if not isinstance(value, wants) or isinstance(value, bool):
            _not_go(value, f"struct field continueToken.{name}", kind, invalid)
    if version != "meta.k8s.io/v1":
        raise errors.bad_request(f"{invalid}: server does not recognize this encoded version {version}")
    if revision == 0:
        raise errors.bad_request(f"{invalid}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise errors.bad_request(f"{invalid}: encoded start key empty (version meta.k8s.io/v1)")
    if posixpath.normpath("/" + start.removeprefix("/")) != "/" + start.removeprefix("/"):
        raise errors.bad_request(f"{invalid}: {start}")  # a path that climbs out of what the client may list
    return revision, start.removeprefix("/").removesuffix("\0")


async def _page(call: Call, want: Wanted, limit: int, *, revision: int, start: str) -> Listing:
    """A consistent snapshot out of the store; with selectors, pages are read until `limit` match."""
    found: list[Entry] = []
    while True:
        try:
            page = await call.server.store.range(want.prefix, revision=revision, limit=limit, start_after=start)
        except stores.Compacted as e:
            if start:
                raise
            raise errors.gone("The resourceVersion for the provided list is too old.") from e
        except stores.FutureRevision as e:
            raise too_large(revision, e.current) from e
        revision = revision or page.revision
        entries = [Entry(i.key, i.revision, codec.splice(i.value, i.revision)) for i in page.items]
        if want.late:
            entries = await results.converted(call.resource, entries)
        if want.matches is not None:
            entries = [e for e in entries if want.matches(e)]
        for entry in entries:
            found.append(entry)
            if limit and len(found) == limit:
                break
        if not page.more or (limit and len(found) >= limit):
            break
        start = page.items[-1].key
    request_metrics.STORAGE_LISTS.inc(call.resource.group, call.resource.plural)
    request_metrics.STORAGE_RETURNED.inc(call.resource.group, call.resource.plural, by=len(found))
    listing = Listing(call.resource, found, revision)
    last = found[-1].key if found else ""
    if limit and len(found) >= limit and (page.more or last != page.items[-1].key):
        listing.continue_ = _token(revision, last, want.prefix)
        if want.matches is None:
            listing.remaining = page.remaining
    return listing


_NO_BASE64 = re.compile(r"[^A-Za-z0-9_-]")


def _unbase64(token: str, invalid: str) -> bytes:
    """Go's RawURLEncoding: without padding, and with words of its own."""
    token = token.replace("\r", "").replace("\n", "")
    at = found.start() if (found := _NO_BASE64.search(token)) else -1
    if at < 0 and len(token) % 4 == 1:
        at = len(token) - 1
    if at >= 0:
        raise errors.bad_request(f"{invalid}: illegal base64 data at input byte {len(token[:at].encode())}")
    return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_")


def _not_go(value: object, where: str, kind: str, invalid: str) -> NoReturn:
    raise errors.bad_request(f"{invalid}: json: cannot unmarshal {go_json.kind(value)} into Go {where} of type {kind}")


def _token(revision: int, key: str, prefix: str) -> str:
    return _encode(revision, "/" + key.removeprefix(prefix))


def _encode(revision: int, start: str) -> str:
    raw = codec.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": "/" + start.removeprefix("/") + "\0"})
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
