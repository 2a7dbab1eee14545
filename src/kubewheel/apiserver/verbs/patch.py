"""PATCH: four ways to say what changes; the rest is an update.

json-patch (RFC 6902), merge-patch (RFC 7386), strategic-merge-patch (built-ins); apply-patch (KEP-555) is in apply.py.
In: a Call. Out: the stored object; StatusError 400/413/415/422. Source of texts and codes: upstream's patch handler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubewheel.api import codec, errors, go_json, schema
from kubewheel.api.merge import conform, json_patch, merge_patch, strategic, unstructured
from kubewheel.api.merge.patch_error import PatchError
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import apply, write
from kubewheel.client.transport import Response

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
MAX_OPERATIONS = 10_000


async def handle(call: Call) -> Response:
    kind = call.request.headers.get("content-type", "").partition(";")[0]  # as it is written
    accepted = accepted_of(call)
    if kind not in accepted:
        raise errors.status_error(415, "UnsupportedMediaType", (
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)))
    write.check_options(call)
    if kind == APPLY:
        return await apply.handle(call)
    if isinstance(call.request.body, bytes) and len(call.request.body) > bodies.MAX_BYTES:
        raise bodies.too_large()
    read: list[Any] = []

    def make(live: Object | None) -> Object:
        assert live is not None
        if not read:  # whether it is a patch at all is asked once there is something to patch
            change = patch_of(call, kind)
            read.extend((change, _patcher(call, kind, change), _problems_of(call, kind, change)))
        change, patch, told = read
        patched = patch(live)
        _check_kind(call, patched)
        _fit(call, patched, told, lambda: _shown(kind, change, patch, live), change if kind == STRATEGIC else None)
        write.check_address(call, patched)
        return patched

    stored, _ = await write.update(call, make)
    return call.answer(await results.seen(call.resource, stored))


def _check_kind(call: Call, patched: Any) -> None:
    """A patch may not make another kind of an object. 400, 422"""
    resource = call.resource
    if not isinstance(patched, dict):
        try:
            bodies.check_identity([] if patched is None else patched, "", b"")
        except errors.StatusError as e:
            shown = codec.dumps(patched).decode()
            raise errors.invalid("", "", [errors.field_invalid("patch", shown, e.message)]) from e
    if resource.custom is None:
        write.check_kind(patched, resource.kind, resource.api_version)
        return
    kind, version = patched.get("kind"), patched.get("apiVersion")
    if kind == resource.kind and version == resource.api_version:
        return
    text = codec.sorted_dumps(patched).decode()
    if not kind:
        raise errors.invalid("", "", [errors.field_invalid("patch", text, f"Object 'Kind' is missing in '{text}'")])
    if not version:
        raise errors.internal("Object 'apiVersion' is missing in 'object has no apiVersion field'")
    findings, group = [], str(version).rpartition("/")[0]
    if kind != resource.kind:
        findings.append(errors.field_invalid("kind", kind, f"must be {resource.kind}"))
    if version != resource.api_version:
        findings.append(errors.field_invalid("apiVersion", version, f"must be {resource.api_version}"))
    raise errors.invalid(str(kind), call.name, findings, group=group)


def accepted_of(call: Call) -> list[str]:
    return [JSON, MERGE, APPLY] if call.resource.custom is not None else [JSON, MERGE, STRATEGIC, APPLY]


def _problems_of(call: Call, kind: str, change: Any) -> list[str]:
    """What strict decoding says of the patch itself."""
    raw = call.request.body
    if write.policy_of(call) == "Ignore":
        return []
    if kind != JSON:
        return schema.duplicates(raw, call.resource.node(), parsed=change) if isinstance(raw, bytes) else []
    twice = schema.duplicates(raw, None, parsed=change) if isinstance(raw, bytes) else []
    return [f"json patch {problem}" for problem in twice] + [
        f'json patch unknown field "[{at}].{name}"' for at, op in enumerate(change) for name in op
            if name not in ("op", "path", "from", "value")]


def _fit(call: Call, patched: Object, told: list[str], shown: Callable[[], str], strategic_patch: Any) -> None:
    """The patched object fits its kind, or the patch is to blame. In place."""
    policy = write.policy_of(call)
    try:
        problems = told + write.fitted(call, patched)
    except schema.DecodeError as e:
        text = str(e)
        if strategic_patch is not None:
            text = unstructured.misfit(call.resource.node(), strategic_patch, otherwise=text)
        raise errors.invalid("", "", [errors.field_invalid("patch", shown(), text)]) from e
    if problems and policy == "Strict":
        text = f"strict decoding error: {', '.join(problems)}"
        raise errors.invalid("", "", [errors.field_invalid("patch", shown(), text)])
    if policy == "Warn":
        call.warnings.extend(p for p in problems if p not in call.warnings)


def _shown(kind: str, change: Any, patch: Callable[[Object], Object], live: Object) -> str:
    """The bad value: what came of the patch; of a strategic one the patch itself, as Go prints a map."""
    return conform.plain(change) if kind == STRATEGIC else codec.sorted_dumps(patch(live)).decode()


def patch_of(call: Call, kind: str) -> Any:
    """The patch as JSON of the right form: a list of operations or an object."""
    raw = call.request.body
    lenient = write.policy_of(call) == "Ignore"
    prefix = "" if kind == STRATEGIC or (kind == JSON and lenient) else "error decoding patch: "
    try:
        patch = raw if isinstance(raw, (dict, list)) else codec.loads(raw or b"")
    except ValueError:
        patch = _lenient(raw if isinstance(raw, bytes) else b"", prefix)
    if isinstance(patch, (dict, list)):
        bodies.check_depth(patch, raw)
        if call.resource.custom is not None and isinstance(raw, bytes):
            patch = go_json.numbers(patch, raw)
    if kind == JSON:
        patch = [] if patch is None else patch
        _check_operations(patch, "jsonpatch." if lenient else "handlers.", prefix)
    elif patch is None and kind == MERGE:
        raise errors.bad_request("Invalid JSON Patch")
    elif not isinstance(patch, dict):
        raise errors.bad_request(f"{prefix}json: cannot unmarshal {go_json.kind(patch)} into Go value of type "
                                 "map[string]interface {}")
    return patch


def _lenient(raw: bytes, prefix: str) -> Any:
    """What the fast decoder takes for none: text that is no Unicode is mended. 400 for the rest."""
    try:
        return go_json.lenient(raw)
    except (ValueError, RecursionError) as e:
        raise errors.bad_request(prefix + go_json.error(raw)) from e


def _check_operations(patch: Any, package: str, prefix: str) -> None:
    whole, one = ("jsonpatch.Patch", "jsonpatch.Operation") if package == "jsonpatch." else (
        "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
    if not isinstance(patch, list):
        raise errors.bad_request(f"{prefix}json: cannot unmarshal {go_json.kind(patch)} into Go value of type {whole}")
    for op in patch:
        if not isinstance(op, dict):
            raise errors.bad_request(f"{prefix}json: cannot unmarshal {go_json.kind(op)} into Go value of type {one}")
        for name in ("op", "path", "from"):
            if package == "handlers." and not isinstance(op.get(name) or "", str):
                raise errors.bad_request(f"{prefix}json: cannot unmarshal {go_json.kind(op[name])} into Go struct field "
                                         f"jsonPatchOp.{name} of type string")
    if len(patch) > MAX_OPERATIONS:
        raise errors.status_error(413, "RequestEntityTooLarge", (
            f"Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"))


def _patcher(call: Call, kind: str, change: Any) -> Callable[[Object], Object]:
    if kind == JSON:
        return lambda live: guarded(lambda: json_patch.apply(live, change))
    if kind == MERGE:
        return lambda live: codec.copy(merge_patch.apply(live, change))
    node = call.resource.node()
    return lambda live: guarded(lambda: codec.copy(strategic.apply(node, live, change)))


def guarded(work: Callable[[], Object]) -> Object:
    try:
        return work()
    except PatchError as e:
        if e.code == 400:
            raise errors.bad_request(str(e)) from e
        if e.code == 500:  # upstream's plain errors
            raise errors.status_error(500, "", str(e)) from e
        error = errors.status_error(422, "Invalid", "the server rejected our request due to an error in our request")
        error.status["details"] = {}
        raise error from e
