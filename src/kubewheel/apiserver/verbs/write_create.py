"""Creating: a checked object of the request's version is admitted, validated and stored. See write.py for the order.

In: a Call and a private object. Out: what was stored, in the hub version. StatusError.
Called by: create.py, write_update.py (of what is not there).
"""

from __future__ import annotations

from kubewheel.api import codec, errors, validation
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import results
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import keys, write_admit, write_fields, write_meta, write_size
from kubewheel.storage import store as stores

MAX_ATTEMPTS = 8  # of a generated name


async def create(call: Call, obj: Object, *, tracked: bool = False) -> Object:
    """Stores a checked object of the request's version; what was stored, in the hub version, with its revision.
    `tracked`: managedFields are there already (apply)."""
    server, resource = call.server, call.resource
    hub = server.registry.hub_of(resource)
    _refuse_terminating(call, obj["metadata"].get("name", ""))
    versioned = call.info.verb not in ("update", "patch") and _is_version(obj["metadata"].pop("resourceVersion", None))
    for field in write_meta.SERVER_OWNED:  # said in vain, and nobody's; but upstream's apply may make what is being deleted
        if not (tracked and field in write_meta.DELETION):
            obj["metadata"].pop(field, None)
    base = "" if obj["metadata"].get("name") else obj["metadata"].get("generateName", "")
    write_meta.dedup_owners(call, obj)
    if not tracked:
        write_fields.track(call, None, obj)
    if resource.custom is None:
        obj = await results.stored_form(resource, hub, obj)
    else:
        hub = resource  # admitted and judged in the version it came in; it becomes the stored one's when it is stored
    await server.hooks.before_create(call, obj)
    attributes = write_admit.attributes(call, "CREATE", hub, obj, None)
    if base:  # the name is made once all have had their say about what it is of
        attributes.name, attributes.is_name_generated = base, True
    said = obj["metadata"].get("resourceVersion")
    await server.admission.mutate(attributes)
    obj = attributes.obj or obj
    if obj["metadata"].get("resourceVersion") != said:  # a webhook says one
        versioned = _is_version(obj["metadata"].pop("resourceVersion", None))
    write_meta.dedup_owners(call, obj, after_admission=True)
    if not base:
        return await _create_once(call, hub, obj, attributes, versioned=versioned)
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return await _create_once(call, hub, codec.copy(obj), attributes, base=base, versioned=versioned)
        except errors.StatusError as e:
            if e.reason != "AlreadyExists":
                raise
    return await _create_once(call, hub, obj, attributes, base=base, versioned=versioned)


def _is_version(given: object) -> bool:
    """A resource version as the server gives them; what is no number, upstream drops without a word."""
    return isinstance(given, str) and given.isascii() and given.isdecimal() and int(given) > 0


async def _create_once(call: Call, hub: Resource, obj: Object, attributes: Attributes, *, base: str = "",
                       versioned: bool) -> Object:
    server = call.server
    write_meta.stamp(call, obj)
    meta = obj["metadata"]
    if base:
        meta["name"] = attributes.name = write_meta.generated(call, base)
    attributes.obj = obj
    warned = len(call.warnings)
    try:
        hub.prepare_create(obj, write_admit.context(call))
        hub.defaults(obj)
        await server.hooks.after_mutate(call, obj, None)
        findings = validation.validate_meta(meta, namespaced=hub.namespaced, name_rule=hub.name_rule)
        if hub.custom is None:
            findings += validation.finalizer_names(meta, hub.group)
        findings += (call.resource.validate_create_here or hub.validate)(obj)
        if findings:
            raise errors.invalid(hub.kind, meta.get("name", ""), findings, group=hub.group)
        call.warnings.extend(hub.warnings(obj) + hub.create_warnings(obj))
        await server.admission.validate(attributes)
        if hub.custom is not None:
            hub = server.registry.hub_of(call.resource)
            obj = await results.stored_form(call.resource, hub, obj)
        if call.dry_run:
            await _refuse_if_there(call, hub, obj)
            await server.hooks.release(call, obj)
            return obj
        if versioned:  # upstream's storage says so, whose plain errors are told as they are
            raise errors.status_error(500, "", "resourceVersion should not be set on objects to be created")
        return await _insert(call, hub, obj)
    except BaseException as e:
        if isinstance(e, errors.StatusError) and e.reason == "AlreadyExists":
            del call.warnings[warned:]
        await server.hooks.release(call, obj)
        raise


def _refuse_terminating(call: Call, name: str) -> None:
    """A definition on its way out takes no new objects, or it would never be gone."""
    custom = call.resource.custom
    if custom is None:
        return
    definitions = call.server.watch_cache.resource("apiextensions.k8s.io/customresourcedefinitions")
    entry = definitions.entries.get(f"{definitions.prefix}{custom.crd}")
    conditions = (entry.obj.get("status") or {}).get("conditions") or () if entry is not None else ()
    if any(c["type"] == "Terminating" and c["status"] == "True" for c in conditions):
        raise errors.forbidden(call.resource.plural, name, "create not allowed while custom resource definition is "
                               "terminating", group=call.resource.group)


async def _insert(call: Call, hub: Resource, obj: Object) -> Object:
    meta = obj["metadata"]
    key = keys.key(hub, meta.get("namespace", ""), meta["name"])
    try:
        revision = await call.server.store.create(key, write_size.stored(hub, obj))
    except stores.KeyExists as e:
        raise _already_exists(call.resource, obj, e.current) from e
    meta["resourceVersion"] = str(revision)
    return obj


async def _refuse_if_there(call: Call, hub: Resource, obj: Object) -> None:
    meta = obj["metadata"]
    there = await call.server.store.get(keys.key(hub, meta.get("namespace", ""), meta["name"]))
    if there is not None:
        raise _already_exists(call.resource, obj, there)


def _already_exists(resource: Resource, obj: Object, there: stores.KeyValue) -> errors.StatusError:
    name = obj["metadata"]["name"]
    if obj["metadata"].get("generateName"):
        error = errors.status_error(409, "AlreadyExists", (
            f'{resource.qualified} "{name}" already exists, the server was not able to generate a unique name for the object'),
            name=name, group=resource.group, kind=resource.plural, retry_after=1)
    else:
        error = errors.already_exists(resource.plural, name, group=resource.group)
    if codec.loads(there.value)["metadata"].get("deletionTimestamp"):
        error.status["message"] = f"object is being deleted: {error.message}"
    return error
