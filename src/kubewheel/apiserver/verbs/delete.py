"""DELETE of one object and of collections: preconditions, grace, propagation, finalizers.

Source of the rules: the API concepts page (deletion), garbage collection page, pod termination page.
"""

from __future__ import annotations

from kubewheel.api import codec, errors, schema
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import get, write
from kubewheel.apiserver.verbs import list as listing
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks
from kubewheel.storage import store as stores

MAX_ATTEMPTS = 8  # of a deletion that others write against
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
# Kinds that answer with the object even when it is gone at once (upstream's ReturnDeletedObject).
RETURNED = {"pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates",
            "resourcequotas"}


def options_of(call: Call) -> Object:
    """DeleteOptions out of body and query."""
    request = call.request
    body: Object = {}
    if isinstance(request.body, dict):
        body = dict(request.body)
    elif request.body:
        body = bodies.decode(request, "DeleteOptions", "v1")
    if body.get("kind") == call.resource.kind and body.get("kind") != "DeleteOptions":
        body = {}  # old clients sent the object itself
    try:
        schema.check(schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"), body)
    except schema.DecodeError as e:
        raise errors.bad_request(f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {e}') from e
    if request.first("gracePeriodSeconds"):
        body["gracePeriodSeconds"] = request.integer("gracePeriodSeconds")
    if "propagationPolicy" in request.query:
        body["propagationPolicy"] = request.first("propagationPolicy")
    if "orphanDependents" in request.query:
        body["orphanDependents"] = request.flag("orphanDependents")
    if request.query.get("dryRun"):
        body["dryRun"] = request.query["dryRun"]
    if body.get("dryRun"):
        request.query["dryRun"] = body["dryRun"]
    _check(body)
    return body


def _check(body: Object) -> None:
    findings = []
    policy = body.get("propagationPolicy")
    if policy is not None and body.get("orphanDependents") is not None:
        findings.append(errors.field_invalid(
            "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        findings.append(errors.field_not_supported("propagationPolicy", policy, ("Foreground", "Background", "Orphan", "nil")))
    if any(value != "All" for value in body.get("dryRun") or ()):
            findings.append(errors.field_not_supported("dryRun", body["dryRun"], ("All",)))
    if findings:
        raise errors.invalid("DeleteOptions", "", findings, group="meta.k8s.io")


async def handle(call: Call) -> Response:
    options = options_of(call)
    obj, done = await remove(call, call.name, options)
    if done and not (call.resource.group == "" and call.resource.plural in RETURNED):
        return Response(obj=success(call.resource, obj))
    return Response(obj=await results.seen(call.resource, obj))


def success(resource: Resource, obj: Object) -> Object:
    details = {"name": obj["metadata"]["name"], "group": resource.group, "kind": resource.plural,
               "uid": obj["metadata"].get("uid", "")}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {k: v for k, v in details.items() if v}}


async def collection(call: Call) -> Response:
    """DELETE of a collection: every match, one after the other; answers the list of what there was."""
    options = options_of(call)
    want = listing.wanted(call)
    await call.server.watch_cache.fresh()
    hub = call.server.registry.hub_of(call.resource)
    entries = call.server.watch_cache.resource(hub.registry).under(want.prefix)
    if want.late:
        entries = await results.converted(call.resource, entries)
    entries = [e for e in entries if want.matches is None or want.matches(e)]
    for entry in entries:
        meta = entry.obj["metadata"]
        call.info.namespace = meta.get("namespace", "")
        try:
            await remove(call, meta["name"], options)
        except errors.StatusError as e:
            if e.code != 404:
                raise
    entries = await results.converted(call.resource, entries)
    return Response(obj=results.Listing(call.resource, entries, call.server.watch_cache.revision))


async def remove(call: Call, name: str, options: Object, *, admit: bool = True) -> tuple[Object, bool]:
    """Deletes, or marks for deletion. (the object as it was left, gone?)"""
    server = call.server
    hub = server.registry.hub_of(call.resource)
    for _ in range(MAX_ATTEMPTS):
        current = await get.entry(call, name)
        _preconditions(call, name, current.obj, options)
        if admit:
            attributes = Attributes(user=call.user, operation="DELETE", resource=hub, subresource=call.info.subresource,
                                    namespace=call.namespace, name=name, obj=None, old=current.obj,
                                    options=options, dry_run=call.dry_run, requested=call.resource, warnings=call.warnings,
                                    annotations=call.request.attributes.setdefault("annotations", {}))
            await server.admission.mutate(attributes)
            await server.admission.validate(attributes)
        try:
            return await _remove_once(call, hub, current, options)
        except stores.Conflict:
            if (options.get("preconditions") or {}).get("resourceVersion"):
                raise errors.conflict(call.resource.plural, name, group=call.resource.group) from None
    raise errors.conflict(call.resource.plural, name, group=call.resource.group)


async def _remove_once(call: Call, hub: Resource, current: Entry, options: Object) -> tuple[Object, bool]:
    store = call.server.store
    new = mark(call, hub, current.obj, options)
    new["metadata"].pop("resourceVersion", None)
    if write.is_finished(hub, new):
        new["metadata"]["resourceVersion"] = str(current.revision)
        if not call.dry_run:
            revision = await store.delete(current.key, expected=current.revision)
            new["metadata"]["resourceVersion"] = str(revision)
            await call.server.hooks.after_delete(call, new)
        new["metadata"].pop("deletionTimestamp", None) if "deletionTimestamp" not in current.obj["metadata"] else None
        return new, True
    value = codec.to_stored(new)
    if codec.splice(value, current.revision) == current.data or call.dry_run:
        new["metadata"]["resourceVersion"] = str(current.revision)
        return new, False
    revision = await store.update(current.key, value, expected=current.revision)
    new["metadata"]["resourceVersion"] = str(revision)
    return new, False


def mark(call: Call, hub: Resource, old: Object, options: Object) -> Object:
    """The object with deletion begun: finalizers of the propagation policy, deletionTimestamp, grace."""
    new = codec.copy(old)
    meta = new["metadata"]
    finalizers = _finalizers(list(meta.get("finalizers") or ()), options)
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    grace = hub.grace_seconds(old, options) if hub.grace_seconds is not None else 0
    now = call.server.clock.now()
    if not meta.get("deletionTimestamp"):
        meta["deletionTimestamp"] = clocks.rfc3339(now + grace)
        meta["deletionGracePeriodSeconds"] = grace
        if "generation" in meta:
            meta["generation"] += 1
    elif grace < int(meta.get("deletionGracePeriodSeconds") or 0):  # only ever shortened
        began = clocks.parse_time(meta["deletionTimestamp"]) - int(meta["deletionGracePeriodSeconds"])
        meta["deletionTimestamp"] = clocks.rfc3339(max(began + grace, now if grace == 0 else began))
        meta["deletionGracePeriodSeconds"] = grace
    if hub.plural == "namespaces" and hub.group == "":
        new.setdefault("status", {})["phase"] = "Terminating"
    return new


def _finalizers(finalizers: list[str], options: Object) -> list[str]:
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents") is True:
        policy = "Orphan"
    elif options.get("orphanDependents") is False and policy is None:
        policy = "Background"
    if policy is None:
        return finalizers
    wanted = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
    kept = [f for f in finalizers if f not in (FOREGROUND, ORPHAN)]
    return [*kept, wanted] if wanted else kept


def _preconditions(call: Call, name: str, old: Object, options: Object) -> None:
    wanted = options.get("preconditions") or {}
    meta = old["metadata"]
    for field, title, have, why in (
            ("uid", "UID", meta.get("uid"), "deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", meta["resourceVersion"], "modified")):
        if wanted.get(field) and wanted[field] != have:
            raise errors.conflict(call.resource.plural, name, group=call.resource.group, message=(
                f"the {title} in the precondition ({wanted[field]}) does not match the {title} in record ({have}). "
                f"The object might have been {why}"))
