"""DELETE of one object and of collections: preconditions, grace, propagation, finalizers.

Source of the rules: the API concepts page (deletion), garbage collection page, pod termination page.
"""

from __future__ import annotations

import dataclasses

from kubewheel.api import codec, errors, schema
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import get, keys, write_size
from kubewheel.apiserver.verbs import list as listing
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.client.transport import Request, Response
from kubewheel.lib import clock as clocks
from kubewheel.storage import store as stores

SCHEME = "pkg/apis/meta/internalversion/scheme/register.go:27"  # where upstream's types of options are registered
MAX_ATTEMPTS = 8  # of a deletion that others write against
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
UNSAFE, GATE = "ignoreStoreReadErrorWithClusterBreakingPotential", "AllowUnsafeMalformedObjectDeletion"
# Kinds that answer with the object even when it is gone at once (upstream's ReturnDeletedObject).
RETURNED = {"pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates",
            "resourcequotas"}


def options_of(call: Call) -> Object:
    """DeleteOptions out of body and query."""
    request = call.request
    if isinstance(request.body, dict):
        body = dict(request.body)
    elif request.body:
        body = bodies.decode(request, "", "v1") or {}
    else:
        body = _of_query(request)
    kind, version = body.get("kind") or "DeleteOptions", body.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise errors.bad_request(f'no kind "{kind}" is registered for version "{version}" in scheme "{SCHEME}"')
    try:
        schema.check(schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"), body)
    except schema.DecodeError as e:
        raise errors.bad_request(str(e)) from e
    request.query["dryRun"] = body.get("dryRun") or []  # the body speaks for itself
    _check(body, collection=call.info.verb == "deletecollection")
    return body


def _of_query(request: Request) -> Object:
    """The query speaks where there is no body."""
    body: Object = {}
    if "gracePeriodSeconds" in request.query:
        body["gracePeriodSeconds"] = request.integer("gracePeriodSeconds")
    if "propagationPolicy" in request.query:
        body["propagationPolicy"] = request.first("propagationPolicy")
    for name in ("orphanDependents", UNSAFE):
        if name in request.query:
            body[name] = request.flag(name)
    if wanted := {name: request.first(name) for name in ("uid", "resourceVersion") if request.first(name)}:
        body["preconditions"] = wanted
    if request.query.get("dryRun"):
        body["dryRun"] = request.query["dryRun"]
    return body


async def _unread(call: Call) -> Response:
    """Deletes what cannot be read, without a look at finalizers, and nothing else (KEP-3926). It takes a permission of
    its own. 403, 422"""
    verb = "unsafe-delete-ignore-read-errors"
    decision = await call.server.authorizer.authorize(call.user, dataclasses.replace(call.info, verb=verb))
    if decision.verdict != "allow":
        raise errors.forbidden(call.resource.plural, call.name, f'not permitted to do "{verb}", reason: {decision.reason}',
                               group=call.resource.group)
    hub, store = call.server.registry.hub_of(call.resource), call.server.store
    key = keys.key(hub, call.namespace, call.name)
    found = await store.get(key)
    if found is None or _is_readable(found.value):
        raise errors.invalid(hub.plural, call.name, [errors.field_invalid(
            UNSAFE, True, "is exclusively used to delete corrupt object(s), try again by removing this option")], group=hub.group)
    await store.delete(key, expected=found.revision)
    return Response(obj=success(call.resource, {"metadata": {"name": call.name}}))


def _is_readable(value: bytes) -> bool:
    try:
        return isinstance(codec.loads(value), dict)
    except ValueError:
        return False


def _check(body: Object, *, collection: bool) -> None:
    findings = []
    policy = body.get("propagationPolicy")
    if policy is not None and body.get("orphanDependents") is not None:
        findings.append(errors.field_invalid(
            "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        findings.append(errors.field_not_supported(
            "propagationPolicy", policy, ("Foreground", "Background", "Orphan", "nil"), ordered=True))
    if any(value != "All" for value in body.get("dryRun") or ()):
        findings.append(errors.field_not_supported("dryRun", body["dryRun"], ("All",)))
    if body.get(UNSAFE):
        findings += [errors.field_invalid(UNSAFE, True, f"cannot be set together with .{other}")
                     for other in ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions")
                     if body.get(other) not in (None, [])]
        if collection:
            findings.append(errors.field_invalid(
                UNSAFE, True, "is not allowed with DELETECOLLECTION, try again after removing the option"))
    if findings:
        raise errors.invalid("DeleteOptions", "", findings, group="meta.k8s.io")


async def handle(call: Call) -> Response:
    options = options_of(call)
    if options.get(UNSAFE) and call.server.options.feature_gates.get(GATE, True):
        return await _unread(call)
    _warn(call, options)
    obj, done = await remove(call, call.name, options)
    if done and not (call.resource.group == "" and call.resource.plural in RETURNED):
        return Response(obj=success(call.resource, obj))
    accepted = not done and options.get("orphanDependents") is False
    return Response(status=202 if accepted else 200, obj=await results.seen(call.resource, obj))


def _warn(call: Call, options: Object) -> None:
    """Jobs keep their pods unless told otherwise; whoever does not know is told."""
    if call.resource.qualified == "jobs.batch" and _policy(options) is None:
        call.warnings.append("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
                             "to remove them or set propagationPolicy=Orphan to suppress this warning")


def success(resource: Resource, obj: Object) -> Object:
    details = {"name": obj["metadata"]["name"], "group": resource.group, "kind": resource.plural,
               "uid": obj["metadata"].get("uid", "")}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {k: v for k, v in details.items() if v}}


async def collection(call: Call) -> Response:
    """DELETE of a collection: every match, one after the other; answers the list of what there was."""
    options = options_of(call)
    _warn(call, options)
    limit = max(call.request.integer("limit"), 0)
    call.request.integer("timeoutSeconds")
    found = await listing.listed(call, listing.wanted(call), limit)
    for entry in found.entries:
        meta = entry.obj["metadata"]
        call.info.namespace = meta.get("namespace", "")
        try:
            await remove(call, meta["name"], dict(options))
        except errors.StatusError as e:
            if e.code != 404:
                raise
    found.entries = await results.converted(call.resource, found.entries)
    return Response(obj=found)


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
                                    is_name_generated=not call.name,  # of a collection: webhooks are not told names
                                    annotations=call.request.attributes.setdefault("annotations", {}))
            await server.admission.mutate(attributes)
            await server.admission.validate(attributes)
        try:
            return await _remove_once(call, hub, current, options)
        except stores.Conflict:
            continue  # the preconditions are held against what is there now
    raise errors.conflict(call.resource.plural, name, group=call.resource.group)


async def _remove_once(call: Call, hub: Resource, current: Entry, options: Object) -> tuple[Object, bool]:
    store = call.server.store
    new, done = mark(hub, current.obj, options, now=call.server.clock.now())
    new["metadata"].pop("resourceVersion", None)
    revision, value = current.revision, write_size.stored(hub, new)
    if not call.dry_run:
        if codec.splice(value, revision) != current.data:
            revision = await store.update(current.key, value, expected=revision)
        if done:
            revision = await store.delete(current.key, expected=revision)
            await call.server.hooks.after_delete(call, new)
    new["metadata"]["resourceVersion"] = str(revision)
    return new, done


def mark(hub: Resource, old: Object, options: Object, *, now: float) -> tuple[Object, bool]:
    """(the object as it is to be written, whether it can go at once): finalizers of the propagation policy,
    deletionTimestamp, grace. Kinds that have a grace period are marked even where it is 0; of the others, only those
    that finalizers keep. Pure. Source: upstream's BeforeDelete and markAsDeleting."""
    new = codec.copy(old)
    meta = new["metadata"]
    if hub.plural == "namespaces" and hub.group == "" and (
            not meta.get("deletionTimestamp") or (new.get("spec") or {}).get("finalizers")):
        return _mark_namespace(new, options, now), False
    if hub.qualified == "customresourcedefinitions.apiextensions.k8s.io" and not meta.get("deletionTimestamp"):
        definitions.mark_terminating(new, clocks.rfc3339(now))
        return new, False
    has_grace = hub.grace_seconds is not None and _begin(hub, new, options, now)
    if has_grace is None:
        return new, False
    _put_finalizers(hub, meta, options)
    if has_grace:
        return new, not meta.get("finalizers") and not meta["deletionGracePeriodSeconds"]
    if not meta.get("finalizers"):
        return new, True
    if not meta.get("deletionTimestamp"):
        if meta.get("generation"):
            meta["generation"] += 1
        meta["deletionTimestamp"] = clocks.rfc3339(now)
    elif clocks.parse_time(meta["deletionTimestamp"]) > now:
        meta["deletionTimestamp"] = clocks.rfc3339(now)
    meta["deletionGracePeriodSeconds"] = 0
    return new, False


def _mark_namespace(new: Object, options: Object, now: float) -> Object:
    """Its contents go first: spec.finalizers keep it until then."""
    if not new["metadata"].get("deletionTimestamp"):
        new["metadata"]["deletionTimestamp"] = clocks.rfc3339(now)
        new.setdefault("status", {})["phase"] = "Terminating"
        _put_finalizers(None, new["metadata"], options)
    return new


def _begin(hub: Resource, new: Object, options: Object, now: float) -> bool | None:
    """Graceful deletion begins, or its time gets shorter, in place. False: the time is over; None: it runs already, and
    nothing of the object may change."""
    meta, asked = new["metadata"], options.get("gracePeriodSeconds")
    if asked is not None and asked < 0:
        asked = 1
    assert hub.grace_seconds is not None
    if not meta.get("deletionTimestamp"):
        grace = hub.grace_seconds(new, options)
        meta["deletionTimestamp"] = clocks.rfc3339(now + grace)
        if meta.get("generation"):
            meta["generation"] += 1
    else:
        left = int(meta.get("deletionGracePeriodSeconds") or 0)
        if not left:
            return False
        if asked is None or asked >= left:
            return None
        grace = asked
        meta["deletionTimestamp"] = clocks.rfc3339(clocks.parse_time(meta["deletionTimestamp"]) - left + grace)
    meta["deletionGracePeriodSeconds"] = grace
    return True


def _policy(options: Object) -> str | None:
    if (orphan := options.get("orphanDependents")) is not None:
        return "Orphan" if orphan else "Background"
    return options.get("propagationPolicy")


# Kinds whose dependents stay where nobody says what is to become of them ("for back compatibility"), and those that
# have none.
ORPHANING, UNSUPPORTED = {"replicationcontrollers", "jobs.batch"}, {"events", "events.events.k8s.io"}


def _put_finalizers(hub: Resource | None, meta: Object, options: Object) -> None:
    """The finalizer of the policy: of the options, else the one that is there, else the kind's own. In place."""
    before, policy = list(meta.get("finalizers") or ()), _policy(options)
    kept = [f for f in before if f not in (FOREGROUND, ORPHAN)]
    qualified = hub.qualified if hub is not None else ""
    if qualified not in UNSUPPORTED:
        if policy is None:
            decided = kept != before
            kept = list(before) if decided or qualified not in ORPHANING else [*before, ORPHAN]
        elif policy != "Background":
            kept.append({"Foreground": FOREGROUND, "Orphan": ORPHAN}[policy])
    if set(kept) == set(before):
        return
    if kept:
        meta["finalizers"] = kept
    else:
        meta.pop("finalizers")


def _preconditions(call: Call, name: str, old: Object, options: Object) -> None:
    wanted = options.get("preconditions") or {}
    meta = old["metadata"]
    for field, title, have, why in (
            ("uid", "UID", meta.get("uid"), "deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", meta["resourceVersion"], "modified")):
        if wanted.get(field) is not None and wanted[field] != have:
            raise errors.conflict(call.resource.kind, name, group=call.resource.group, message=(
                f"the {title} in the precondition ({wanted[field]}) does not match the {title} in record ({have}). "
                f"The object might have been {why}"))
