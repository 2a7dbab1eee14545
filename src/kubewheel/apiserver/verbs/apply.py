"""PATCH with application/apply-patch+yaml: server-side apply (KEP-555).

In: a Call. Out: the stored object, 201 where it was not there before; StatusError.
Called by: patch.py; scale.py takes the body and the merge from here.
"""

from __future__ import annotations

from kubewheel.api import codec, errors, go_json, schema
from kubewheel.api.merge import apply, merging, unstructured
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write, write_fields
from kubewheel.client.transport import Response

# Which keys a type has where no type is known: for the message only.
_GO_MAP = "map[string]interface {}"


async def handle(call: Call) -> Response:
    body = applied_body(call)
    check_applied(body, call.resource.kind, call.resource.api_version)
    resource, node, now = call.resource, call.resource.node(), call.server.clock.now()
    end = write_fields.endpoint(call)
    manager, force = call.request.first("fieldManager"), call.request.flag("force")

    def make(live: Object | None) -> Object:
        merged = apply.apply(end, live, body, manager=manager, force=force, now=now)
        merged = codec.copy(merging.without_nulls(node, merged) if resource.custom is not None else merged)
        try:
            unknown = write.fitted(call, merged)
        except schema.DecodeError as e:
            raise _misfit(call, body, e) from e
        if unknown and resource.custom is None:  # within what is owned as a whole
            raise apply.misfit(node, body)
        if not merged["metadata"].get("name"):
            raise errors.bad_request("the name of the object (based on URL) was undeterminable: name must be provided")
        write.check_address(call, merged)
        return merged

    stored, created = await write.update(call, make, tracked=True, may_create=call.sub is None)
    return call.answer(await results.seen(call.resource, stored), status=201 if created else 200)


def _misfit(call: Call, body: Object, problem: schema.DecodeError) -> errors.StatusError:
    """What the applied values are not: first by the looser rules of the merge, then by the kind's own."""
    error = apply.misfit(call.resource.node(), body)
    if not error.message.endswith(": "):
        return error
    text = unstructured.misfit(call.resource.node(), body, otherwise=str(problem))
    return errors.status_error(500, "", (
        f"failed to convert new object ({apply.described(body)}) to proper version: unable to convert unstructured object "
        f"to {apply.kind_text(body)}: {text}"))


def applied_body(call: Call) -> Object:
    """The applied configuration, JSON or YAML; keys set twice are told. Not to be changed."""
    raw = call.request.body
    if isinstance(raw, dict):
        return raw
    raw = raw or b""
    if len(raw) > bodies.MAX_BYTES:
        raise bodies.too_large()
    try:
        body = codec.loads(raw)  # most clients send JSON, which is YAML too
        twice = [f'line 1: key "{p.split(chr(34))[1].rpartition(".")[2]}" already set in map'
                 for p in schema.duplicates(raw, parsed=body)] if write.policy_of(call) != "Ignore" else []
    except ValueError:
        body = bodies.yaml_object(raw)
        twice = bodies.yaml_duplicates(raw)
    if not isinstance(body, dict):
        raise errors.bad_request("error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                                 f"unmarshal {go_json.kind(body)} into Go value of type {_GO_MAP}")
    bodies.check_depth(body, raw)
    if twice and write.policy_of(call) != "Ignore":
        text = "error converting YAML to JSON: yaml: unmarshal errors:\n  " + "\n  ".join(twice)
        if write.policy_of(call) == "Strict":
            raise errors.bad_request(f"error strict decoding YAML: {text}")
        call.warnings.append(text)
    return body


def check_applied(body: Object, kind: str, api_version: str) -> None:
    """The kind that the URL is of, and metadata that is some."""
    if body.get("apiVersion") != api_version or body.get("kind") != kind:
        raise errors.bad_request(f"invalid object type: {apply.kind_text(body)}")
    meta = body.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        raise errors.bad_request("error decoding YAML: metadata is not an object")
