"""The scale subresource: autoscaling/v1 Scale over the replicas of workloads and custom resources."""

from __future__ import annotations

import dataclasses
from typing import Any

from kubewheel.api import codec, errors, selectors
from kubewheel.api.merge import json_patch, merge_patch
from kubewheel.api.resource import Object, Resource, ScalePaths
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import get, patch as patching, write
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
    if (replicas := _at(obj, paths.spec_replicas)) is not None:
        spec["replicas"] = replicas
    return {"kind": "Scale", "apiVersion": SCALE, "metadata": kept, "spec": spec, "status": status}


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


async def handle(call: Call) -> Response:
    if call.request.method == "GET":
        return call.answer(of(call.resource, await results.shown(call.resource, (await get.entry(call)).obj)))
    make_scale = _replacement(call) if call.request.method == "PUT" else _patched(call)
    paths = call.resource.scale or ScalePaths()
    main = dataclasses.replace(call, sub=None)

    def make(live: Object | None) -> Object:
        assert live is not None
        scale = make_scale(of(call.resource, live))
        meta = scale.get("metadata") or {}
        if meta.get("name") not in (None, "", call.name):
            raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})")
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            raise errors.invalid("Scale", call.name, [errors.field_invalid(
                "spec.replicas", replicas, "must be greater than or equal to 0")], group="autoscaling")
        new = codec.copy(live)
        target = new
        for part in paths.spec_replicas[:-1]:
            target = target.setdefault(part, {})
        target[paths.spec_replicas[-1]] = replicas
        if meta.get("resourceVersion"):
            new["metadata"]["resourceVersion"] = meta["resourceVersion"]
        else:
            new["metadata"].pop("resourceVersion", None)
        return new

    call.request.attributes["subresource"] = "scale"
    stored, _ = await write.update(main, make)
    return call.answer(of(call.resource, await results.shown(call.resource, stored)))


def _replacement(call: Call):
    body = call.body()
    write.check_kind(body, "Scale", SCALE)
    return lambda current: body


def _patched(call: Call):
    kind = bodies.media_type(call.request)
    raw = call.request.body
    try:
        change = bodies.yaml_object(raw) if kind == patching.APPLY and isinstance(raw, bytes) else (
            codec.loads(raw or b"") if isinstance(raw, bytes) or raw is None else raw)
    except ValueError as e:
        raise errors.bad_request(f"error decoding patch: {e}") from e
    if kind == patching.JSON:
        return lambda current: patching.guarded(lambda: json_patch.apply(current, change))
    return lambda current: merge_patch.apply(current, change)
