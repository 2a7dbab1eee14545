"""PATCH: four ways to say what changes; the rest is an update.

json-patch (RFC 6902), merge-patch (RFC 7386), strategic-merge-patch (built-ins), apply-patch (KEP-555).
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import codec, errors, schema
from kubewheel.api.merge import apply, json_patch, merge_patch, strategic
from kubewheel.api.merge.patch_error import PatchError
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write
from kubewheel.client.transport import Response

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
MAX_OPERATIONS = 10_000


async def handle(call: Call) -> Response:
    kind = bodies.media_type(call.request)
    accepted = accepted_of(call)
    if kind not in accepted:
        raise errors.status_error(415, "UnsupportedMediaType", (
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)))
    write.check_options(call)
    if kind == APPLY:
        return await _apply(call)
    patch = _patcher(call, kind)
    raw = call.request.body
    twice = []
    if kind != JSON and isinstance(raw, bytes) and write.policy_of(call) != "Ignore":
        twice = schema.duplicates(raw, call.resource.node())

    def make(live: Object | None) -> Object:
        assert live is not None
        patched = patch(live)
        if not isinstance(patched, dict):
            raise errors.bad_request("the patched value is not an object")
        write.check_kind(patched, call.resource.kind, call.resource.api_version)
        _fit(call, patched, twice)
        write.check_address(call, patched)
        return patched

    stored, _ = await write.update(call, make)
    return call.answer(await results.seen(call.resource, stored))


def accepted_of(call: Call) -> list[str]:
    return [JSON, MERGE, APPLY] if call.resource.custom is not None else [JSON, MERGE, STRATEGIC, APPLY]


def _fit(call: Call, patched: Object, twice: list[str]) -> None:
    """The patched object fits its kind, or the patch is to blame. In place."""
    before = codec.dumps(patched)
    try:
        problems = twice + write.fitted(call, patched)
        text = f"strict decoding error: {', '.join(problems)}"
    except schema.DecodeError as e:
        problems, text = [], str(e)
        raise errors.invalid("", "", [errors.field_invalid("patch", before.decode(), text)]) from e
    policy = write.policy_of(call)
    if problems and policy == "Strict":
        raise errors.invalid("", "", [errors.field_invalid("patch", before.decode(), text)])
    if policy == "Warn":
        call.warnings.extend(p for p in problems if p not in call.warnings)


def _patcher(call: Call, kind: str) -> Callable[[Object], Object]:
    raw = call.request.body
    if raw is not None and isinstance(raw, bytes) and len(raw) > bodies.MAX_BYTES:
        raise bodies.too_large()
    try:
        patch = raw if isinstance(raw, (dict, list)) else codec.loads(raw or b"")
    except ValueError as e:
        raise errors.bad_request(f"error decoding patch: {bodies.json_error(raw if isinstance(raw, bytes) else b'')}") from e
    if isinstance(patch, (dict, list)):
        bodies.check_depth(patch)
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
        error = errors.status_error(422, "Invalid", "the server rejected our request due to an error in our request")
        error.status["details"] = {}
        raise error from e


async def _apply(call: Call) -> Response:
    body = applied_body(call)
    manager = call.request.first("fieldManager")
    _check_applied(call, body)
    force = call.request.flag("force")
    resource, node, now = call.resource, call.resource.node(), call.server.clock.now()

    def make(live: Object | None) -> Object:
        applied = codec.copy(body)
        write.check_address(call, applied)
        merged = codec.copy(apply.apply(
            node, live, applied, manager=manager, force=force, subresource=call.sub.name if call.sub else "",
            api_version=resource.api_version, now=now, reset=write.reset_paths(call)))
        try:
            write.fitted(call, merged)
        except schema.DecodeError as e:
            raise errors.bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a '
                                     f"{resource.kind}: {e}") from e
        return merged

    stored, created = await write.update(call, make, tracked=True, may_create=call.sub is None)
    return call.answer(await results.seen(call.resource, stored), status=201 if created else 200)


def applied_body(call: Call) -> Object:
    """The applied configuration, JSON or YAML; keys set twice are told."""
    raw = call.request.body
    if isinstance(raw, dict):
        return raw
    raw = raw or b""
    if len(raw) > bodies.MAX_BYTES:
        raise bodies.too_large()
    try:
        body = codec.loads(raw)  # most clients send JSON, which is YAML too
        twice = [f'line 1: key "{p.split(chr(34))[1].rpartition(".")[2]}" already set in map'
                 for p in schema.duplicates(raw)]
    except ValueError:
        body = bodies.yaml_object(raw)
        twice = bodies.yaml_duplicates(raw)
    if not isinstance(body, dict):
        raise errors.bad_request("error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                                 "unmarshal into Go value of type map[string]interface {}")
    bodies.check_depth(body)
    if twice and write.policy_of(call) != "Ignore":
        text = "error converting YAML to JSON: yaml: unmarshal errors:\n  " + "\n  ".join(twice)
        if write.policy_of(call) == "Strict":
            raise errors.bad_request(f"error strict decoding YAML: {text}")
        call.warnings.append(text)
    return body


def _check_applied(call: Call, body: Object) -> None:
    if not body.get("apiVersion") or not body.get("kind"):
        raise errors.bad_request("error decoding YAML: Object 'Kind' is missing" if not body.get("kind")
                                 else "error decoding YAML: Object 'apiVersion' is missing")
    write.check_kind(body, call.resource.kind, call.resource.api_version)
    meta = body.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise errors.bad_request("error decoding YAML: metadata is not an object")
    if meta.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
