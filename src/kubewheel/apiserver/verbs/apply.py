"""PATCH with application/apply-patch+yaml: server-side apply (KEP-555).

In: a Call. Out: the stored object, 201 where it was not there before; StatusError.
Called by: patch.py; scale.py takes the body and the merge from here.
"""

from __future__ import annotations

from kubewheel.api import codec, errors, go_json, schema
from kubewheel.api.merge import apply, unstructured
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write, write_fields
from kubewheel.client.transport import Response

# Which keys a type has where no type is known: for the message only.
_GO_MAP = "map[string]interface {}"


async def handle(call: Call) -> Response:
    body, twice = applied_body(call)
    check_applied(body, call.resource.kind, call.resource.api_version)
    resource, node, now = call.resource, call.resource.node(), call.server.clock.now()
    end = write_fields.endpoint(call)
    manager, force = call.request.first("fieldManager"), call.request.flag("force")

    def make(live: Object | None) -> Object:
        merged = apply.apply(end, live, body, manager=manager, force=force, now=now)
        report(call, twice)
        merged = codec.copy(merged)
        if resource.custom is not None:  # of which nobody reads this here, whatever it is
            merged["metadata"].pop("creationTimestamp", None)
        try:
            unknown = write.fitted(call, merged, keeps_nulls=True)
        except schema.DecodeError as e:
            raise _misfit(call, body, e) from e
        if unknown and resource.custom is None:  # within what is owned as a whole
            raise apply.misfit(node, body)
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


def applied_body(call: Call) -> tuple[Object, list[str]]:
    """The applied configuration, JSON or YAML, not to be changed, and its keys that are set twice."""
    raw = call.request.body
    if isinstance(raw, dict):
        return raw, []
    raw = raw or b""
    if len(raw) > bodies.MAX_BYTES:
        raise bodies.too_large()
    try:
        body = codec.loads(raw)  # most clients send JSON, which is YAML too
        twice = [f'line 1: key "{p.split(chr(34))[1].rpartition(".")[2]}" already set in map'
                 for p in schema.duplicates(raw, parsed=body)] if write.policy_of(call) != "Ignore" else []
    except ValueError:
        try:
            body = bodies.yaml_value(raw)
        except bodies.YAMLProblem as e:
            raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {e}") from e
        twice = bodies.yaml_duplicates(raw) if write.policy_of(call) != "Ignore" else []
    if body is None:
        return {}, []
    body = go_json.numbers(body, raw) if call.resource.custom is not None else body
    if not isinstance(body, dict):
        raise errors.bad_request("error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot "
                                 f"unmarshal {go_json.kind(body)} into Go value of type {_GO_MAP}")
    bodies.check_depth(body, raw)
    return body, twice


def report(call: Call, twice: list[str]) -> None:
    """Keys set twice are refused or told, once all else is known to be right."""
    if twice and write.policy_of(call) == "Strict":
        raise errors.bad_request("error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
                                 + "\n  ".join(twice))
    call.warnings.extend(line for line in twice if line not in call.warnings)


def check_applied(body: Object, kind: str, api_version: str) -> None:
    """The kind that the URL is of."""
    if body.get("apiVersion") != api_version or body.get("kind") != kind:
        raise errors.bad_request(f"invalid object type: {apply.kind_text(body)}")
