"""Updating: read, change, admit, validate, store; again with the newer object when another writer came between.

In: a Call and a function from the live object to the wanted one. Out: what is stored now. StatusError.
Called by: update.py, patch.py, apply.py, subresources/scale.py. See write.py for the order.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from kubewheel.api import codec, errors, validation
from kubewheel.api.merge import managed
from kubewheel.api.resource import Object, PrepareContext, Resource
from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import get, keys, write_admit, write_create, write_fields, write_meta, write_size
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.storage import store as stores

MAX_ATTEMPTS = 8  # of an update nobody gave a resourceVersion for

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
            if version := obj["metadata"].get("resourceVersion"):
                _check_version(str(version))
            if obj["metadata"].get("uid"):
                raise errors.conflict(call.resource.plural, call.name, group=call.resource.group, message=(
                    f"uid mismatch: the provided object specified uid {obj['metadata']['uid']}, "
                    "and no existing object was found"))
            return await write_create.create(call, obj, tracked=tracked), True
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
    _check_identity(call, old, new, tracked=tracked)
    given = dict(new["metadata"])
    write_meta.keep_server_fields(new["metadata"], old["metadata"])
    subresource = call.request.attributes.get("subresource") or (call.sub.name if call.sub is not None else "")
    write_meta.dedup_owners(call, new)
    write_meta.restrict(call, new, old_view)
    if not tracked:
        write_fields.track(call, old_view, new, subresource=subresource)
    stored_hub, stored_old = hub, old
    if resource.custom is None:
        new = await results.stored_form(resource, hub, new)
    else:
        hub, old = resource, old_view  # admitted and judged in the version of the request, stored in the hub's
    context = write_admit.context(call)
    _prepare(call, hub, new, old, context)
    try:
        await server.hooks.before_update(call, new, old)
        attributes = write_admit.attributes(call, "UPDATE", hub, new, old)
        await server.admission.mutate(attributes)
        new = attributes.obj or new
        if attributes.reinvoke:
            given = _again(call, hub, new, old, context)
        write_meta.dedup_owners(call, new, after_admission=True)
        if call.sub is None:
            hub.defaults(new)
        write_meta.bump_generation(hub, call, new, old)
        _validate_update(call, hub, new, old, given)
        call.warnings.extend(_warnings(call, hub, new, old))
        await server.admission.validate(attributes)
        if hub.custom is not None:
            new = await results.stored_form(resource, stored_hub, new)
        stored = await _replace(call, stored_hub, current, new, stored_old)
    except BaseException:
        await server.hooks.release(call, new)
        raise
    if call.dry_run or stored is stored_old:
        await server.hooks.release(call, new)
    else:
        call.request.attributes.pop("allocated", None)
    return stored


def _prepare(call: Call, hub: Resource, new: Object, old: Object, context: PrepareContext) -> None:
    if call.sub is None:
        hub.prepare_update(new, old, context)
    elif call.sub.prepare is not None:
        call.sub.prepare(new, old, context)


def _again(call: Call, hub: Resource, new: Object, old: Object, context: PrepareContext) -> Object:
    """After a webhook or a policy: what a client may not change here, they did not either. The metadata they gave."""
    meta, before = new["metadata"], old["metadata"]
    version = meta.get("resourceVersion")
    if version != before["resourceVersion"]:
        if not version and not call.resource.unconditional_update:
            raise _unpinned(call)
        if version:
            _check_version(str(version))
            raise errors.conflict(call.resource.plural, call.name, group=call.resource.group)
    write_meta.restrict(call, new, old)
    _prepare(call, hub, new, old, context)
    meta = new["metadata"]
    given = dict(meta)
    write_meta.keep_server_fields(meta, before)
    if not given.get("name"):
        meta["name"] = ""  # none is no name to keep
    return given


async def _replace(call: Call, hub: Resource, current: Entry, new: Object, old: Object) -> Object:
    server = call.server
    new["metadata"].pop("resourceVersion", None)
    if _is_same(new, old, custom=hub.custom is not None):
        return old  # nothing changed: no write, no new revision
    value = write_size.stored(hub, new)
    if codec.splice(value, current.revision) == current.data:
        return old  # written again as it would be today, an older version's bytes
    if call.dry_run:
        new["metadata"]["resourceVersion"] = str(current.revision)
        return new
    if is_finished(hub, new):  # clients expect the object that they wrote, at the version that it was
        await server.store.delete(current.key, expected=current.revision)
        await server.hooks.after_delete(call, new)
        revision = current.revision
    else:
        revision = await server.store.update(current.key, value, expected=current.revision)
        await server.hooks.after_update(call, new, old)
    new["metadata"]["resourceVersion"] = str(revision)
    return new


def _is_same(new: Object, old: Object, *, custom: bool) -> bool:
    """Nothing but the times of managedFields differs (upstream's IgnoreManagedFieldsTimestampsTransformer)."""
    if len(new) != len(old) or any(new[key] != old.get(key) for key in new if key != "metadata"):
        return False
    mine, theirs = new["metadata"], old["metadata"]
    if len(mine) != len(theirs) - ("resourceVersion" in theirs):
        return False
    if any(mine[key] != theirs.get(key) for key in mine if key != "managedFields"):
        return False
    entries, before = mine.get("managedFields"), theirs.get("managedFields")
    if entries != before and not managed.is_same_but_times(entries, before):
        return False
    return not custom or _sorted_bytes(new) == _sorted_bytes(old)  # Python takes true for 1; built-ins have types


_OF_NO_CONTENT = frozenset(("managedFields", "resourceVersion"))


def _is_same_content(new: Object, old: Object) -> bool:
    return (len(new) == len(old) and all(new[key] == old.get(key) for key in new if key != "metadata")
            and all(new["metadata"].get(key) == old["metadata"].get(key)
                    for key in new["metadata"].keys() | old["metadata"].keys() if key not in _OF_NO_CONTENT))


def _sorted_bytes(obj: Object) -> bytes:
    return orjson.dumps({key: value for key, value in obj.items() if key != "metadata"}, option=orjson.OPT_SORT_KEYS)


def is_finished(hub: Resource, obj: Object) -> bool:
    """Being deleted, with nothing left to wait for: no finalizers, no grace, no namespace finalizers."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if hub.plural == "namespaces" and hub.group == "":
        return not (obj.get("spec") or {}).get("finalizers")
    return not meta.get("deletionGracePeriodSeconds")


def _check_identity(call: Call, old: Object, new: Object, *, tracked: bool) -> None:
    resource, meta, is_update = call.resource, new["metadata"], call.info.verb == "update"
    wanted = meta.get("resourceVersion")
    pinned = bool(wanted and wanted != "0")
    if is_update and meta.get("uid") and meta["uid"] != old["metadata"].get("uid"):  # a patch names no uid beforehand
        hub = call.server.registry.hub_of(resource)
        raise errors.conflict(resource.plural, call.name, group=resource.group, message=(
            f"StorageError: invalid object, Code: 4, Key: {keys.key(hub, call.namespace, call.name)}, "
            f"ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {meta['uid']}, "
            f"UID in object meta: {old['metadata'].get('uid')}"))
    if pinned:
        _check_version(str(wanted))
    # A patched object names the version it was made from; it is made again from a newer one.
    call.request.attributes["pinned"] = (
        pinned and call.info.verb != "patch" and not call.request.attributes.get("floating"))
    if not pinned and not resource.unconditional_update and (not tracked or wanted is not None):
        raise _unpinned(call)
    if pinned and wanted != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.plural, call.name, group=resource.group)


def _unpinned(call: Call) -> errors.StatusError:
    return errors.invalid(call.resource.plural, call.name, [errors.field_invalid(  # upstream names the resource here
        "metadata.resourceVersion", 0, "must be specified for an update")], group=call.resource.group)


def _check_version(text: str) -> None:
    """A resource version is a number of 64 bits. StatusError 500: what upstream's storage says, as it is."""
    if not (text.isascii() and text.isdecimal()):
        raise errors.status_error(500, "", f"strconv.ParseUint: parsing {errors.quoted(text)}: invalid syntax")
    if int(text) >= 1 << 64:
        raise errors.status_error(500, "", f"strconv.ParseUint: parsing {errors.quoted(text)}: value out of range")


def _warnings(call: Call, hub: Resource, new: Object, old: Object) -> list[str]:
    if call.sub is not None:
        return []
    if hub.warnings_update is not None:
        return hub.warnings_update(new, old)
    if hub.has_generation and new["metadata"].get("generation") == old["metadata"].get("generation"):
        return []
    return hub.warnings(new)


def _of_deletion(given: Object, old: Object) -> list[errors.FieldError]:
    """What a client may not say: another uid, that the deletion began, where it did not, or another grace period.
    A deletion that has begun keeps its time, whatever is said; so does the creation (upstream's BeforeUpdate)."""
    findings = []
    stamp, grace = given.get("deletionTimestamp"), given.get("deletionGracePeriodSeconds")
    if given.get("uid") and given["uid"] != old.get("uid"):
        findings.append(errors.field_invalid("metadata.uid", given["uid"], validation.IMMUTABLE))
    if stamp is not None and not old.get("deletionTimestamp"):
        findings.append(errors.field_invalid("metadata.deletionTimestamp", stamp, validation.IMMUTABLE))
    if grace is not None and grace != old.get("deletionGracePeriodSeconds"):
        findings.append(errors.field_invalid("metadata.deletionGracePeriodSeconds", grace, validation.IMMUTABLE))
    return findings


def _validate_update(call: Call, hub: Resource, new: Object, old: Object, given: Object) -> None:
    findings = _of_deletion(given, old["metadata"])
    findings += validation.validate_meta_update(new["metadata"], old["metadata"])
    if hub.custom is None:
        findings += validation.finalizer_names(new["metadata"], hub.group)
    if call.sub is None:
        if hub.custom is not None or not _is_same_content(new, old):  # what is stored was found valid
            findings += (call.resource.validate_update_here or hub.validate_update)(new, old)
    elif call.sub.validate is not None:
        findings += call.sub.validate(new, old)
    call.warnings += [f"{f.field}: {f.body}" for f in findings if f.type == errors.RATCHETED]
    if findings := [f for f in findings if f.type != errors.RATCHETED]:
        raise errors.invalid(hub.kind, new["metadata"].get("name", ""), findings, group=hub.group)
