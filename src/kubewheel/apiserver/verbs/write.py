"""What create, update, patch and apply share: decode and check, stamp metadata, admit, validate, store.

The order of a write, top-down (upstream's registry.Store and handlers):
    decode → schema check → defaults → managedFields → prepare → mutating admission → validation
    → validating admission → store
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from kubewheel.api import codec, errors, schema, validation
from kubewheel.api.merge import managed
from kubewheel.api.resource import Object, PrepareContext, Resource, new_context
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import get, keys
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.lib import clock as clocks
from kubewheel.storage import store as stores

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
MAX_GENERATED_BASE = 58
MAX_MANAGER = 128
MAX_ATTEMPTS = 8  # of an update nobody gave a resourceVersion for
# What the server alone writes; a client's change is put back silently.
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


# -- decoding -----------------------------------------------------------------------------------------------------
def decode(call: Call) -> Object:
    """The body as a private object of the request's version: kind checked, unknown fields handled, defaulted."""
    return checked(call, call.body(), found_twice(call))


def found_twice(call: Call) -> list[str]:
    """Fields that the body names more than once."""
    raw, kind = call.request.body, bodies.media_type(call.request)
    if not isinstance(raw, bytes) or policy_of(call) == "Ignore":
        return []
    if kind in bodies.YAML_TYPES:
        found = bodies.yaml_duplicates(raw)
        return ["yaml: unmarshal errors:\n  " + "\n  ".join(found)] if found else []
    return schema.duplicates(raw, call.resource.node()) if kind in bodies.JSON_TYPES else []


def policy_of(call: Call) -> str:
    return call.request.first("fieldValidation") or "Warn"


OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def check_options(call: Call) -> None:
    """dryRun, fieldManager, fieldValidation and force as they may be. 422"""
    request, findings = call.request, []
    applies = bodies.media_type(request) == "application/apply-patch+yaml"
    if call.info.verb == "patch":
        if applies and not request.first("fieldManager"):
            findings.append(errors.field_required("fieldManager", "is required for apply patch"))
        elif not applies and request.first("force"):
            findings.append(errors.field_forbidden("force", "may not be specified for non-apply patch"))
    manager = request.first("fieldManager")
    if len(manager) > MAX_MANAGER:
        findings.append(errors.field_too_long("fieldManager", MAX_MANAGER))
    elif not manager.isprintable():
        findings.append(errors.field_invalid("fieldManager", manager, "should only contain printable characters"))
    dry_run = request.query.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        findings.append(errors.field_not_supported("dryRun", dry_run, ("All",)))
    if policy_of(call) not in ("Strict", "Warn", "Ignore"):
        findings.append(errors.field_not_supported(
            "fieldValidation", policy_of(call), ("", "Ignore", "Strict", "Warn")))
    if findings:
        raise errors.invalid(OPTIONS.get(call.info.verb, "UpdateOptions"), "", findings, group="meta.k8s.io")


def checked(call: Call, obj: Object, problems: list[str]) -> Object:
    """Kind check, schema check and defaults, in place. `problems`: what is known to be wrong with the text."""
    resource = call.resource
    check_kind(obj, resource.kind, resource.api_version)
    report(call, resource.kind, resource.version, lambda: problems + fitted(call, obj))
    return obj


def report(call: Call, kind: str, version: str, check: Callable[[], list[str]]) -> None:
    """What a check finds: refused if it is no such kind, or if fields are unknown and that is asked for; else told."""
    try:
        problems = check()
    except schema.DecodeError as e:
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {e}') from e
    policy = policy_of(call)
    if problems and policy == "Strict":
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: '
                                 f"strict decoding error: {', '.join(problems)}")
    if policy == "Warn":
        call.warnings.extend(problems)


def fitted(call: Call, obj: Object) -> list[str]:
    """Makes the object fit its kind in place: known fields only, defaults. The unknown fields; DecodeError."""
    resource = call.resource
    if obj.setdefault("metadata", {}) is None:
        obj["metadata"] = {}
    problems = schema.check(resource.node(), obj)
    resource.defaults(obj)
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    return problems


def check_kind(obj: Object, kind: str, api_version: str) -> None:
    got_version, got_kind = obj.get("apiVersion", ""), obj.get("kind", "")
    if got_version and got_version != api_version:
        raise errors.bad_request(f"the API version in the data ({got_version}) does not match the expected API "
                                 f"version ({api_version})")
    if got_kind and got_kind != kind:
        raise errors.bad_request(f'{got_kind} in version "{got_version or api_version}" cannot be handled as a {kind}: '
                                 f"no kind match")


def check_address(call: Call, obj: Object) -> None:
    """The object's name and namespace against the URL's; fills what is absent."""
    meta = obj["metadata"]
    if not call.resource.namespaced:
        meta.pop("namespace", "")  # upstream drops it too
    elif not meta.get("namespace"):
        meta["namespace"] = call.namespace
    elif meta["namespace"] != call.namespace:
        if call.info.verb == "create":
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        raise errors.bad_request(f"the namespace of the object ({meta['namespace']}) does not match the namespace on the "
                                 f"request ({call.namespace})")
    if call.name:
        if not meta.get("name"):
            meta["name"] = call.name
        elif meta["name"] != call.name:
            raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL "
                                     f"({call.name})")


def manager_of(call: Call) -> str:
    """fieldManager, or the user agent up to the first slash (upstream's managerOrUserAgent)."""
    named = call.request.first("fieldManager")
    if named:
        return named
    agent = call.request.headers.get("user-agent", "")
    return agent.partition("/")[0][:MAX_MANAGER] or "unknown"


def reset_paths(call: Call) -> tuple[tuple[str, ...], ...]:
    """What a write to this endpoint never sets, and so nobody comes to own by it (upstream's ResetFields)."""
    if call.sub is None:
        return tuple(path for sub in call.resource.subresources if sub.name == "status" for path in sub.owns)
    owned = {path[0] for path in call.sub.owns}
    return tuple((name,) for name in call.resource.node().fields
                 if name not in owned and name not in ("apiVersion", "kind", "metadata"))


def track(call: Call, old: Object | None, new: Object, *, subresource: str = "") -> None:
    """managedFields of a plain write, in place."""
    if old is None:
        written, new = new, dict(new)
        for path in reset_paths(call):
            new.pop(path[0], None)
        track_into(call, old, new, written, subresource)
    else:
        track_into(call, old, new, new, subresource)


def track_into(call: Call, old: Object | None, new: Object, written: Object, subresource: str) -> None:
    written["metadata"]["managedFields"] = managed.updated(
        call.resource.node(), old, new, manager=manager_of(call), subresource=subresource,
        api_version=call.resource.api_version, now=call.server.clock.now())


# -- creating -----------------------------------------------------------------------------------------------------
def new_uid(call: Call) -> str:
    return str(uuid.UUID(int=call.server.random.getrandbits(128), version=4))


def generated(call: Call, base: str) -> str:
    return base[:MAX_GENERATED_BASE] + "".join(call.server.random.choices(SUFFIX_ALPHABET, k=5))


def stamp(call: Call, obj: Object) -> None:
    """Metadata that the server gives a new object."""
    meta = obj["metadata"]
    for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        meta.pop(field, None)
    meta["uid"] = new_uid(call)
    meta["creationTimestamp"] = clocks.rfc3339(call.server.clock.now())
    if call.resource.has_generation:
        meta["generation"] = 1


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
        meta["name"] = generated(call, base)
    if not tracked:
        stamp(call, obj)
        track(call, None, obj)
    else:
        entries = meta.get("managedFields")
        stamp(call, obj)
        meta["managedFields"] = entries
    obj = await results.stored_form(resource, hub, obj)
    context = _context(call)
    await server.hooks.before_create(call, obj)
    try:
        hub.prepare_create(obj, context)
        attributes = _attributes(call, "CREATE", hub, obj, None)
        await server.admission.mutate(attributes)
        obj = attributes.obj or obj
        hub.defaults(obj)
        await server.hooks.after_mutate(call, obj, None)
        findings = validation.validate_meta(obj["metadata"], namespaced=hub.namespaced, name_rule=hub.name_rule)
        findings += hub.validate(obj)
        if findings:
            raise errors.invalid(hub.kind, obj["metadata"].get("name", ""), findings, group=hub.group)
        call.warnings.extend(hub.warnings(obj) + hub.create_warnings(obj))
        await server.admission.validate(attributes)
        call.warnings.extend(attributes.warnings)
        call.request.attributes.setdefault("annotations", {}).update(attributes.annotations)
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
                meta["name"] = generated(call, base)
                continue
            raise errors.already_exists(hub.plural, meta["name"], group=hub.group) from e
        meta["resourceVersion"] = str(revision)
        return obj
    raise AssertionError("unreachable")


async def _refuse_if_there(call: Call, hub: Resource, obj: Object) -> None:
    meta = obj["metadata"]
    if await call.server.store.get(keys.key(hub, meta.get("namespace", ""), meta["name"])) is not None:
        raise errors.already_exists(hub.plural, meta["name"], group=hub.group)


# -- updating -----------------------------------------------------------------------------------------------------
Make = Callable[[Object | None], Object]  # the live object in the request's version (shared) -> the new one (private)


async def update(call: Call, make: Make, *, tracked: bool = False, may_create: bool = False,
                 uid: str = "", retry: bool = True) -> tuple[Object, bool]:
    """Reads, makes, checks and stores until no other writer came between. (object in the hub version, created?)

    `make` is called again with the newer object after a lost race, unless it names a resourceVersion of its own."""
    for attempt in range(MAX_ATTEMPTS):
        current = await get.find(call)
        if current is None:
            if not may_create:
                raise errors.not_found(call.resource.plural, call.name, group=call.resource.group)
            obj = make(None)
            if obj["metadata"].get("uid"):
                raise errors.conflict(call.resource.plural, call.name, group=call.resource.group, message=(
                    f"uid mismatch: the provided object specified uid {obj['metadata']['uid']}, "
                    "and no existing object was found"))
            return await create(call, obj, tracked=tracked), True
        try:
            return await _update_once(call, current, make, tracked=tracked), False
        except stores.Conflict as e:
            if not retry or call.request.attributes.get("pinned") or attempt == MAX_ATTEMPTS - 1:
                if e.current is None:
                    raise errors.not_found(call.resource.plural, call.name, group=call.resource.group) from e
                raise errors.conflict(call.resource.plural, call.name, group=call.resource.group) from e
    raise AssertionError("unreachable")


async def _update_once(call: Call, current: Entry, make: Make, *, tracked: bool) -> Object:
    server, resource = call.server, call.resource
    hub = server.registry.hub_of(resource)
    old = await results.seen(hub, current.obj)
    old_view = await results.seen(resource, old)
    new = make(old_view)
    _check_identity(call, old, new)
    given = dict(new["metadata"])
    keep_server_fields(new["metadata"], old["metadata"])
    subresource = call.request.attributes.get("subresource") or (call.sub.name if call.sub is not None else "")
    restrict(call, new, old_view)
    if not tracked:
        track(call, old_view, new, subresource=subresource)
    new = await results.stored_form(resource, hub, new)
    context = _context(call)
    if call.sub is not None:
        if call.sub.prepare is not None:
            call.sub.prepare(new, old, context)
    else:
        hub.prepare_update(new, old, context)
    try:
        await server.hooks.before_update(call, new, old)
        bump_generation(hub, call, new, old)
        attributes = _attributes(call, "UPDATE", hub, new, old)
        await server.admission.mutate(attributes)
        new = attributes.obj or new
        if call.sub is None:
            hub.defaults(new)
        _validate_update(call, hub, new, old, given)
        call.warnings.extend(_update_warnings(call, hub, new, old))
        await server.admission.validate(attributes)
        call.warnings.extend(attributes.warnings)
        call.request.attributes.setdefault("annotations", {}).update(attributes.annotations)
        stored = await _replace(call, hub, current, new, old)
    except BaseException:
        await server.hooks.release(call, new)
        raise
    if call.dry_run or stored is old:
        await server.hooks.release(call, new)
    else:
        call.request.attributes.pop("allocated", None)
    return stored


async def _replace(call: Call, hub: Resource, current: Entry, new: Object, old: Object) -> Object:
    server = call.server
    new["metadata"].pop("resourceVersion", None)
    value = codec.to_stored(new)
    if codec.splice(value, current.revision) == current.data or _same(new, old):
        return old  # nothing changed: no write, no new revision
    if call.dry_run:
        new["metadata"]["resourceVersion"] = str(current.revision)
        return new
    if is_finished(hub, new):
        revision = await server.store.delete(current.key, expected=current.revision)
        await server.hooks.after_delete(call, new)
    else:
        revision = await server.store.update(current.key, value, expected=current.revision)
        await server.hooks.after_update(call, new, old)
    new["metadata"]["resourceVersion"] = str(revision)
    return new


def _same(new: Object, old: Object) -> bool:
    if {k: v for k, v in new.items() if k != "metadata"} != {k: v for k, v in old.items() if k != "metadata"}:
        return False
    return ({k: v for k, v in new["metadata"].items() if k != "resourceVersion"}
            == {k: v for k, v in old["metadata"].items() if k != "resourceVersion"})


def is_finished(hub: Resource, obj: Object) -> bool:
    """Being deleted, with nothing left to wait for: no finalizers, no grace, no namespace finalizers."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if hub.plural == "namespaces" and hub.group == "":
        return not (obj.get("spec") or {}).get("finalizers")
    return not meta.get("deletionGracePeriodSeconds")


def _check_identity(call: Call, old: Object, new: Object) -> None:
    resource, meta = call.resource, new["metadata"]
    wanted = meta.get("resourceVersion")
    pinned = bool(wanted and wanted != "0")
    # A patched object names the version it was made from; it is made again from a newer one.
    call.request.attributes["pinned"] = (
        pinned and call.info.verb != "patch" and not call.request.attributes.get("floating"))
    if not pinned and not resource.unconditional_update and call.info.verb == "update":
        raise errors.invalid(resource.kind, call.name, [errors.FieldError(
            "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0x0: must be specified for an update")],
            group=resource.group)
    if meta.get("uid") and meta["uid"] != old["metadata"].get("uid"):
        hub = call.server.registry.hub_of(resource)
        raise errors.conflict(resource.plural, call.name, group=resource.group, message=(
            f"StorageError: invalid object, Code: 4, Key: {keys.key(hub, call.namespace, call.name)}, "
            f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {meta['uid']}, "
            f"UID in object meta: {old['metadata'].get('uid')}"))
    if pinned and wanted != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.plural, call.name, group=resource.group)


def keep_server_fields(new: Object, old: Object) -> None:
    for field in SERVER_OWNED:
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)
    new["resourceVersion"] = old["resourceVersion"]
    if "generation" in old:
        new["generation"] = old["generation"]
    else:
        new.pop("generation", None)
    for field in ("name", "namespace"):
        if field in old and not new.get(field):
            new[field] = old[field]


def restrict(call: Call, new: Object, old: Object) -> None:
    """A subresource changes what it owns; the main resource leaves that as it was."""
    resource, sub = call.resource, call.sub
    if sub is None:
        for other in resource.subresources:
            if other.name == "status":
                for path in other.owns:
                    _put(new, path, _at(old, path))
        return
    kept = codec.copy(old)
    for path in sub.owns:
        _put(kept, path, _at(new, path))
    meta = kept["metadata"] if resource.custom is not None else new["metadata"]
    meta["managedFields"] = new["metadata"].get("managedFields") or []
    if sub.name == "status" and resource.custom is None:
        # Of metadata, upstream's status strategies put back these; the rest may be written here too.
        for field in {"pods": ("ownerReferences",), "deployments.apps": ("labels",)}.get(resource.qualified, ()):
            if field in old["metadata"]:
                meta[field] = codec.copy(old["metadata"][field])
            else:
                meta.pop(field, None)
    kept["metadata"] = meta
    meta["resourceVersion"] = old["metadata"]["resourceVersion"]
    new.clear()
    new.update(kept)


def _at(obj: Object, path: tuple[str, ...]) -> object:
    value: object = obj
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _put(obj: Object, path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        obj = obj.setdefault(part, {})
    if value is None:
        obj.pop(path[-1], None)
    else:
        obj[path[-1]] = codec.copy(value)


def bump_generation(hub: Resource, call: Call, new: Object, old: Object) -> None:
    if call.sub is not None and call.sub.name == "status":
        return
    if hub.raises_generation is not None:
        if hub.raises_generation(new, old):
            new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1
        return
    if not hub.has_generation:
        return
    ignored = {"metadata", "apiVersion", "kind"}
    if hub.custom is None or hub.subresource("status") is not None:
        ignored.add("status")
    if {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}:
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


def _update_warnings(call: Call, hub: Resource, new: Object, old: Object) -> list[str]:
    if call.sub is not None:
        return []
    if hub.warnings_update is not None:
        return hub.warnings_update(new, old)
    if hub.has_generation and new["metadata"].get("generation") == old["metadata"].get("generation"):
        return []
    return hub.warnings(new)


# Nobody but the server sets these; a client may repeat them or leave them out.
FIXED = ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def _validate_update(call: Call, hub: Resource, new: Object, old: Object, given: Object) -> None:
    findings = [errors.field_invalid(f"metadata.{field}", given[field], "field is immutable") for field in FIXED
                if given.get(field) is not None and given[field] != old["metadata"].get(field)]
    findings += validation.validate_meta_update(new["metadata"], old["metadata"])
    if call.sub is None:
        findings += hub.validate_update(new, old)
    elif call.sub.validate is not None:
        findings += call.sub.validate(new, old)
    if findings:
        raise errors.invalid(hub.kind, new["metadata"].get("name", ""), findings, group=hub.group)


def _context(call: Call) -> PrepareContext:
    return new_context(call.server.clock, call.server.random, user=call.user.name)


def _attributes(call: Call, operation: str, hub: Resource, obj: Object | None, old: Object | None) -> Attributes:
    name = call.name or (obj or old or {"metadata": {}})["metadata"].get("name", "")
    return Attributes(
        user=call.user, operation=operation, resource=hub, subresource=call.info.subresource,
        namespace=call.namespace, name=name, obj=obj, old=old, dry_run=call.dry_run,
        options={k: v for k, v in (("fieldManager", call.request.first("fieldManager")),
                                   ("dryRun", call.request.query.get("dryRun"))) if v})


async def mutate(call: Call, plural: str, change: Callable[[Object], None]) -> Object:
    """The server's own change of a stored object (binding, scale …): no admission, no validation, retried on races."""
    hub = call.server.registry.hub_of(call.resource if call.resource.plural == plural else _core(call, plural))
    key = keys.key(hub, call.namespace, call.name)
    for _ in range(MAX_ATTEMPTS):
        stored = await call.server.store.get(key)
        if stored is None:
            raise errors.not_found(hub.plural, call.name, group=hub.group)
        obj = codec.loads(codec.splice(stored.value, stored.revision))
        change(obj)
        if call.dry_run:
            return obj
        try:
            revision = await call.server.store.update(key, codec.to_stored(obj), expected=stored.revision)
        except stores.Conflict:
            continue
        obj["metadata"]["resourceVersion"] = str(revision)
        return obj
    raise errors.conflict(hub.plural, call.name, group=hub.group)


def _core(call: Call, plural: str) -> Resource:
    from kubewheel.api.resource import Gvr

    resource = call.server.registry.lookup(Gvr("", "v1", plural))
    assert resource is not None
    return resource
