"""Creating: a checked object of the request's version is admitted, validated and stored. See write.py for the order.

In: a Call and a private object. Out: what was stored, in the hub version. StatusError.
Called by: create.py, write_update.py (of what is not there).
"""

from __future__ import annotations

from kubewheel.api import codec, errors, validation
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import keys, write_admit, write_fields, write_meta
from kubewheel.storage import store as stores

MAX_ATTEMPTS = 8  # of a generated name


async def create(call: Call, obj: Object, *, tracked: bool = False) -> Object:
    """Stores a checked object of the request's version; what was stored, in the hub version, with its revision.
    `tracked`: managedFields are there already (apply)."""
    server, resource = call.server, call.resource
    hub = server.registry.hub_of(resource)
    _refuse_terminating(call)
    meta = obj["metadata"]
    if meta.get("resourceVersion") not in (None, "", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    base = "" if meta.get("name") else meta.get("generateName", "")
    if base:
        meta["name"] = write_meta.generated(call, base)
    write_meta.once_owned(call, obj)
    if not tracked:
        write_meta.stamp(call, obj)
        write_fields.track(call, None, obj)
    else:
        write_meta.stamp(call, obj)
    obj = await results.stored_form(resource, hub, obj)
    context = write_admit.context(call)
    await server.hooks.before_create(call, obj)
    try:
        hub.prepare_create(obj, context)
        attributes = write_admit.attributes(call, "CREATE", hub, obj, None)
        await server.admission.mutate(attributes)
        obj = attributes.obj or obj
        write_meta.once_owned(call, obj, mutated=True)
        hub.defaults(obj)
        await server.hooks.after_mutate(call, obj, None)
        findings = validation.validate_meta(obj["metadata"], namespaced=hub.namespaced, name_rule=hub.name_rule)
        findings += (resource.validate_create_here or hub.validate)(obj)
        if findings:
            raise errors.invalid(hub.kind, obj["metadata"].get("name", ""), findings, group=hub.group)
        call.warnings.extend(hub.warnings(obj) + hub.create_warnings(obj))
        await server.admission.validate(attributes)
        if call.dry_run:
            await _refuse_if_there(call, hub, obj)
            await server.hooks.release(call, obj)
            return obj
        return await _insert(call, hub, obj, base)
    except BaseException:
        await server.hooks.release(call, obj)
        raise


def _refuse_terminating(call: Call) -> None:
    """A definition on its way out takes no new objects, or it would never be gone."""
    custom = call.resource.custom
    if custom is None:
        return
    definitions = call.server.watch_cache.resource("apiextensions.k8s.io/customresourcedefinitions")
    entry = definitions.entries.get(f"{definitions.prefix}{custom.crd}")
    conditions = (entry.obj.get("status") or {}).get("conditions") or () if entry is not None else ()
    if any(c["type"] == "Terminating" and c["status"] == "True" for c in conditions):
        error = errors.method_not_supported(call.resource.plural, "create", group=call.resource.group)
        error.status["message"] = "create not allowed while custom resource definition is terminating"
        raise error


async def _insert(call: Call, hub: Resource, obj: Object, base: str) -> Object:
    meta = obj["metadata"]
    for attempt in range(MAX_ATTEMPTS):
        key = keys.key(hub, meta.get("namespace", ""), meta["name"])
        try:
            revision = await call.server.store.create(key, codec.to_stored(obj))
        except stores.KeyExists as e:
            if base and attempt < MAX_ATTEMPTS - 1:
                meta["name"] = write_meta.generated(call, base)
                continue
            raise errors.already_exists(call.resource.plural, meta["name"], group=call.resource.group) from e
        meta["resourceVersion"] = str(revision)
        return obj
    raise AssertionError("unreachable")


async def _refuse_if_there(call: Call, hub: Resource, obj: Object) -> None:
    meta = obj["metadata"]
    if await call.server.store.get(keys.key(hub, meta.get("namespace", ""), meta["name"])) is not None:
        raise errors.already_exists(call.resource.plural, meta["name"], group=call.resource.group)
