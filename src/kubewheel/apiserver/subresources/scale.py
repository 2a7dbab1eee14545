"""The scale subresource: autoscaling/v1 Scale over the replicas of workloads and custom resources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kubewheel.api import codec, errors, schema, selectors
from kubewheel.api.merge import apply, json_patch, merge_patch
from kubewheel.api.resource import Object, Resource, ScalePaths
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import apply as applying
from kubewheel.apiserver.verbs import get, write, write_fields
from kubewheel.apiserver.verbs import patch as patching
from kubewheel.client.transport import Response

SCALE = "autoscaling/v1"


def of(resource: Resource, obj: Object) -> Object:
    paths = resource.scale or ScalePaths()
    meta = obj["metadata"]
    kept = {f: meta[f] for f in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if f in meta}
    status: Object = {"replicas": _at(obj, paths.status_replicas) or 0}
    selector = _at(obj, paths.selector) if paths.selector else None
    if isinstance(selector, str):
        status["selector"] = selector
    elif isinstance(selector, dict):
        status["selector"] = selectors.to_text(selector)
    spec: Object = {}
    if replicas := _at(obj, paths.spec_replicas):  # 0 is left out, as upstream's type has it
        spec["replicas"] = replicas
    return {"kind": "Scale", "apiVersion": SCALE, "metadata": kept, "spec": spec, "status": status}


def put(resource: Resource, obj: Object, replicas: Any) -> bool:
    """Sets what a Scale says in the object. Was it another number?"""
    paths = resource.scale or ScalePaths()
    if replicas is None or _at(obj, paths.spec_replicas) == replicas:
        return False
    _set(obj, paths.spec_replicas, replicas)
    return True


def _set(obj: Object, path: tuple[str, ...], value: Any) -> None:
    """In place. StatusError 500 where the way there leads through what is no object."""
    target: Any = obj
    for at, part in enumerate(path[:-1]):
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise errors.status_error(
                500, "", f"value cannot be set because .{'.'.join(path[:at + 1])} is not a map[string]interface{{}}")
    target[path[-1]] = value


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


async def handle(call: Call) -> Response:
    if call.request.method not in ("GET", "PUT", "PATCH"):
        raise errors.not_allowed()
    if call.request.method == "GET":
        obj = await results.seen(call.resource, (await get.entry(call)).obj)
        paths = call.resource.scale
        if call.resource.custom is not None and paths is not None and _at(obj, paths.spec_replicas) is None:
            raise errors.internal(f'the spec replicas field ".{".".join(paths.spec_replicas)}" does not exist')
        return call.answer(of(call.resource, obj))
    write.check_options(call)
    make_scale = _replacement(call) if call.request.method == "PUT" else _patched(call)
    paths = call.resource.scale or ScalePaths()
    main = dataclasses.replace(call, sub=None)

    def make(live: Object | None) -> Object:
        assert live is not None
        scale = make_scale(of(call.resource, live))
        meta = scale.get("metadata") or {}
        if meta.get("name") not in (None, "", call.name):
            raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})")
        replicas = (scale.get("spec") or {}).get("replicas") or 0
        if replicas < 0 and call.resource.custom is None:  # a custom resource has its own words for it
            raise errors.invalid("Scale", call.name, [errors.field_invalid(
                "spec.replicas", replicas, "must be greater than or equal to 0")], group="autoscaling")
        new = codec.copy(live)
        _set(new, paths.spec_replicas, replicas)
        if meta.get("uid"):
            new["metadata"]["uid"] = meta["uid"]
        call.request.attributes["floating"] = not meta.get("resourceVersion")
        if meta.get("resourceVersion"):
            new["metadata"]["resourceVersion"] = meta["resourceVersion"]
        return new

    call.request.attributes["subresource"] = "scale"
    if bodies.media_type(call.request) == patching.APPLY:
        stored, _ = await write.update(main, _applying(main, make, paths), tracked=True)
    else:
        stored, _ = await write.update(main, make)
    return call.answer(of(call.resource, await results.seen(call.resource, stored)))


def _applying(call: Call, make: write.Make, paths: ScalePaths) -> write.Make:
    """Server-side apply of a Scale: what it says of replicas is applied to the resource behind it."""
    manager, now = call.request.first("fieldManager"), call.server.clock.now()
    end = write_fields.endpoint(call, "scale")

    def merging(live: Object | None) -> Object:
        assert live is not None
        wanted = make(live)
        replicas: Any = _at(wanted, paths.spec_replicas)
        for part in reversed(paths.spec_replicas):
            replicas = {part: replicas}
        applied = {"apiVersion": call.resource.api_version, "kind": call.resource.kind,
                   "metadata": {"name": call.name}, **replicas}
        merged = codec.copy(apply.apply(
            end, live, applied, manager=manager, force=call.request.flag("force"), now=now))
        merged["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"]
        return merged

    return merging


def _replacement(call: Call) -> Callable[[Object], Object]:
    body = _checked(call, call.body())
    meta, at = body.get("metadata") or {}, call.name
    if not meta.get("name"):
        raise errors.bad_request(f"the name of the object ({at} based on URL) was undeterminable: name must be provided")
    if meta["name"] != at:
        raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({at})")
    if meta.get("namespace") not in (None, "", call.namespace):
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return lambda current: body


def _patched(call: Call) -> Callable[[Object], Object]:
    kind = bodies.media_type(call.request)
    accepted = patching.accepted_of(call)
    if kind not in accepted:
        raise errors.status_error(415, "UnsupportedMediaType", (
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)))
    if kind == patching.APPLY:
        body, twice = applying.applied_body(call)
        applying.check_applied(body, "Scale", SCALE)
        wanted = _checked(call, codec.copy(body))
        applying.report(call, twice)
        return lambda current: merge_patch.apply(current, wanted)
    change = patching.patch_of(call, kind)
    if kind == patching.JSON:
        return lambda current: _checked_patch(call, patching.guarded(lambda: json_patch.apply(current, change)))
    return lambda current: _checked_patch(call, merge_patch.apply(current, change))


def _checked_patch(call: Call, scale: Any) -> Object:
    """A Scale that is one; else the patch is to blame. 422"""
    if not isinstance(scale, dict):
        raise errors.bad_request("the patched value is not an object")
    write.check_kind(scale, "Scale", SCALE)
    try:
        problems = schema.check(schema.definition("io.k8s.api.autoscaling.v1.Scale"), codec.copy(scale))
        text = f"strict decoding error: {', '.join(problems)}" if problems and write.policy_of(call) == "Strict" else ""
    except schema.DecodeError as e:
        text = str(e)
    if text:
        raise errors.invalid("", "", [errors.field_invalid("patch", codec.dumps(scale).decode(), text)])
    return _checked(call, scale)


def _checked(call: Call, scale: Any) -> Object:
    """A Scale that is one."""
    if not isinstance(scale, dict):
        raise errors.bad_request("the patched value is not an object")
    write.check_kind(scale, "Scale", SCALE)
    write.report(call, "Scale", "v1", lambda: schema.check(schema.definition("io.k8s.api.autoscaling.v1.Scale"), scale))
    return scale
