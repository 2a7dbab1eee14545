"""PATCH: four ways to say what changes; the rest is an update.

json-patch (RFC 6902), merge-patch (RFC 7386), strategic-merge-patch (built-ins), apply-patch (KEP-555).
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import codec, errors
from kubewheel.api.merge import json_patch, merge_patch, strategic
from kubewheel.api.merge.interim import apply
from kubewheel.api.merge.patch_error import PatchError
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
MAX_OPERATIONS = 10_000


async def handle(call: Call) -> Response:
    kind = bodies.media_type(call.request)
    if kind == APPLY:
        return await _apply(call)
    patch = _patcher(call, kind)

    def make(live: Object | None) -> Object:
        assert live is not None
        patched = patch(live)
        if not isinstance(patched, dict):
            raise errors.bad_request("the patched value is not an object")
        new = write.checked(call, patched)
        write.check_address(call, new)
        return new

    stored, _ = await write.update(call, make)
    return call.answer(await results.shown(call.resource, stored))


def _patcher(call: Call, kind: str) -> Callable[[Object], Object]:
    raw = call.request.body
    if raw is not None and isinstance(raw, bytes) and len(raw) > bodies.MAX_BYTES:
        raise bodies.too_large()
    accepted = [JSON, MERGE, APPLY] if call.resource.custom is not None else [JSON, MERGE, STRATEGIC, APPLY]
    if kind not in accepted:
        raise errors.status_error(415, "UnsupportedMediaType", (
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)))
    try:
        patch = raw if isinstance(raw, (dict, list)) else codec.loads(raw or b"")
    except ValueError as e:
        raise errors.bad_request(f"error decoding patch: {e}") from e
    if kind == JSON:
        if not isinstance(patch, list):
            raise errors.bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        if len(patch) > MAX_OPERATIONS:
            raise errors.status_error(413, "RequestEntityTooLarge", (
                f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"))
        return lambda live: guarded(lambda: json_patch.apply(codec.copy(live), patch))
    if not isinstance(patch, dict):
        raise errors.bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    if kind == MERGE:
        return lambda live: merge_patch.apply(codec.copy(live), patch)
    node = call.resource.node()

    return lambda live: guarded(lambda: strategic.apply(node, codec.copy(live), patch))


def guarded(work: Callable[[], Object]) -> Object:
    try:
        return work()
    except PatchError as e:
        if e.malformed:
            raise errors.bad_request(str(e)) from e
        raise errors.status_error(422, "Invalid", (
            f"the server rejected our request due to an error in our request: {e}")) from e


async def _apply(call: Call) -> Response:
    raw = call.request.body
    body = raw if isinstance(raw, dict) else bodies.yaml_object(raw or b"") if not (raw or b"").lstrip().startswith(b"{") else bodies._json(raw or b"")
    manager = call.request.first("fieldManager")
    if not manager:
        raise errors.invalid("PatchOptions", "", [errors.field_required(
            "fieldManager", "is required for apply patch")], group="meta.k8s.io")
    _check_applied(call, body)
    force = call.request.first("force") in ("true", "1")
    node = call.resource.node()
    now = clocks.rfc3339(call.server.clock.now())

    def make(live: Object | None) -> Object:
        applied = codec.copy(body)
        write.check_address(call, applied)
        applied = _schema_checked(call, applied)
        merged = apply.apply(node, live, applied, manager=manager, force=force,
                             subresource=call.sub.name if call.sub else "",
                             api_version=call.resource.api_version, now=now)
        call.resource.defaults(merged)
        return merged

    stored, created = await write.update(call, make, tracked=True, may_create=call.sub is None)
    return call.answer(await results.shown(call.resource, stored), status=201 if created else 200)


def _check_applied(call: Call, body: Object) -> None:
    if not body.get("apiVersion") or not body.get("kind"):
        raise errors.bad_request("error decoding YAML: Object 'Kind' is missing" if not body.get("kind")
                                 else "error decoding YAML: Object 'apiVersion' is missing")
    write.check_kind(body, call.resource.kind, call.resource.api_version)
    meta = body.get("metadata") or {}
    if meta.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")


def _schema_checked(call: Call, obj: Object) -> Object:
    """Schema check without defaults: apply merges what was written, not what is implied."""
    from kubewheel.api import schema

    try:
        problems = schema.check(call.resource.node(), obj)
    except schema.DecodeError as e:
        raise errors.bad_request(f'{call.resource.kind} in version "{call.resource.version}" cannot be handled as a '
                                 f"{call.resource.kind}: {e}") from e
    write.report(call, problems, call.request.first("fieldValidation") or "Warn")
    return obj
