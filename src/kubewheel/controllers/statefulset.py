"""StatefulSets: pods with ordinals, stable names and claims of their own.

In: statefulsets, pods, persistentvolumeclaims, controllerrevisions. Out: pods, claims, revisions, status.
What to do next is decided in stateful_plan.py, one pass at a time; here it is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import stateful_plan as plan
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import history, objects, ownership, pods, runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations

SETS, REVISIONS, CLAIMS = "statefulsets.apps", history.REVISIONS, "persistentvolumeclaims"


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    expectations: Expectations = context.state
    cached = context.cache(SETS).get(namespace, name)
    if cached is None:
        expectations.forget(key)
        return None
    if not expectations.satisfied(key, context.cache("pods")):
        return 1.0
    s = objects.with_kind(cached, "apps/v1", "StatefulSet")
    current, update, revisions = await _revisions(context, s)
    owned = await ownership.claim(
        context.client,
        context.cache("pods"),
        s,
        owner_resource=SETS,
        api_version="apps/v1",
        kind="StatefulSet",
        resource="pods",
        selects=lambda p: (
            objects.matches(s["spec"]["selector"], objects.labels_of(p))
            and plan.ordinal_of(p) is not None
            and plan.parent_of(p) == name
        ),
    )
    now = context.clock.now()
    status = plan.status_of(s, owned, _hash(current), _hash(update), now)
    try:
        if not objects.is_terminating(s):
            await _act(context, s, key, owned, current, update, now)
    finally:
        s = await pods.update_status(context, SETS, s, status)
    live = {objects.labels_of(p).get(plan.HASH) for p in owned} | {_hash(current), _hash(update)}
    await history.truncate(
        context,
        revisions,
        {r["metadata"]["name"] for r in revisions if r["metadata"]["name"] in live},
        s["spec"].get("revisionHistoryLimit", 10),
    )
    waits = [w for p in owned if (w := objects.available_in(p, s["spec"].get("minReadySeconds", 0), now))]
    return min(waits) + 0.001 if waits else None


def _hash(revision: Object) -> str:
    """The label value pods carry: the revision's whole name."""
    return revision["metadata"]["name"]


async def _revisions(context: Context, s: Object) -> tuple[Object, Object, list[Object]]:
    """(the revision pods come from, the one they go to, all)."""
    revisions = await ownership.claim(
        context.client,
        context.cache(REVISIONS),
        s,
        owner_resource=SETS,
        api_version="apps/v1",
        kind="StatefulSet",
        resource=REVISIONS,
        selects=lambda r: objects.matches(s["spec"]["selector"], objects.labels_of(r)),
    )
    status = s.get("status") or {}
    labels = dict(s["spec"]["selector"].get("matchLabels") or {})
    new = history.build(
        s,
        "apps/v1",
        "StatefulSet",
        history.template_patch(s),
        0,
        labels,
        status.get("collisionCount"),
        "controller.kubernetes.io/hash",
    )
    update, collided = await history.ensure(context, new, revisions)
    if collided:
        await pods.update_status(
            context, SETS, s, {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        )
        raise RuntimeError(f"found a hash collision for StatefulSet {objects.key_of(s)}")
    known = {r["metadata"]["name"]: r for r in revisions}
    current = known.get(status.get("currentRevision", ""), update)
    known.setdefault(update["metadata"]["name"], update)
    return current, update, list(known.values())


async def _act(
    context: Context,
    s: Object,
    key: str,
    owned: Sequence[Object],
    current: Object,
    update: Object,
    now: float,
) -> None:
    todo = plan.plan(s, owned, _hash(current), _hash(update), now)
    for pod in todo.fix:
        await _fix_identity(context, s, pod)
    for ordinal, revision in todo.create:
        data = current if revision == _hash(current) else update
        await _create(context, s, key, ordinal, revision, data["data"]["spec"]["template"])
    if plan.has_retention(s):  # before deletions: a claim must be owned by its pod when the pod goes
        await _own_claims(context, s, owned)
    for pod in todo.delete:
        await _delete(context, s, key, pod)


async def _create(
    context: Context, s: Object, key: str, ordinal: int, revision: str, template: Object
) -> None:
    pod = plan.pod_for(s, ordinal, revision, {k: v for k, v in template.items() if k != "$patch"})
    name = pod["metadata"]["name"]
    for claim in plan.claims_for(s, ordinal):
        await _ensure_claim(context, s, pod, claim)
    try:
        made = await context.client.create("pods", pod)
    except errors.StatusError as e:
        if runner.is_terminating(e):
            return
        if e.reason != "AlreadyExists":
            context.events.event(
                s,
                "Warning",
                "FailedCreate",
                f"create Pod {name} in StatefulSet {s['metadata']['name']} failed error: {e.message}",
            )
        raise
    context.state.wrote(key, made)
    context.events.event(
        s,
        "Normal",
        "SuccessfulCreate",
        f"create Pod {name} in StatefulSet {s['metadata']['name']} successful",
    )


async def _ensure_claim(context: Context, s: Object, pod: Object, claim: Object) -> None:
    meta = claim["metadata"]
    there = context.cache(CLAIMS).get(meta["namespace"], meta["name"])
    if there is not None:
        if objects.is_terminating(there):
            raise RuntimeError(f"pvc {meta['name']} is being deleted")
        return
    what = f"Claim {meta['name']} Pod {pod['metadata']['name']} in StatefulSet {s['metadata']['name']}"
    try:
        await context.client.create(CLAIMS, claim)
    except errors.StatusError as e:
        if e.reason == "AlreadyExists":
            return
        context.events.event(s, "Warning", "FailedCreate", f"create {what} failed error: {e.message}")
        raise
    context.events.event(s, "Normal", "SuccessfulCreate", f"create {what} success")


async def _delete(context: Context, s: Object, key: str, pod: Object) -> None:
    meta, set_name = pod["metadata"], s["metadata"]["name"]
    try:
        await context.client.delete("pods", meta["name"], namespace=meta["namespace"], uid=meta["uid"])
    except errors.StatusError as e:
        if e.code in (404, 409):
            return
        context.events.event(
            s,
            "Warning",
            "FailedDelete",
            f"delete Pod {meta['name']} in StatefulSet {set_name} failed error: {e.message}",
        )
        raise
    context.state.deleted(key, pod)
    context.events.event(
        s, "Normal", "SuccessfulDelete", f"delete Pod {meta['name']} in StatefulSet {set_name} successful"
    )


async def _fix_identity(context: Context, s: Object, pod: Object) -> None:
    """An adopted pod gets the labels that its name promises."""
    new = codec.copy(pod)
    new["metadata"].setdefault("labels", {}).update(
        plan.identity_labels(pod["metadata"]["name"], plan.ordinal_of(pod) or 0)
    )
    await context.client.update("pods", new)


async def _own_claims(context: Context, s: Object, owned: Sequence[Object]) -> None:
    """persistentVolumeClaimRetentionPolicy: claims are owned by the set (whenDeleted) or by the pod that goes
    (whenScaled), and garbage collection does the rest."""
    for pod in owned:
        ordinal = plan.ordinal_of(pod)
        if ordinal is None or objects.is_terminating(pod):
            continue
        for wanted in plan.claims_for(s, ordinal):
            claim = context.cache(CLAIMS).get(wanted["metadata"]["namespace"], wanted["metadata"]["name"])
            if claim is None:
                continue
            refs = plan.claim_owners(s, pod, ordinal, claim["metadata"].get("ownerReferences") or [])
            if refs is not None:
                new = codec.copy(claim)
                new["metadata"]["ownerReferences"] = refs
                await context.client.update(CLAIMS, new)


def _selects(s: Object, obj: Object) -> bool:
    selector = s["spec"].get("selector")
    return not objects.is_empty(selector) and objects.matches(selector, objects.labels_of(obj))


def setup(context: Context) -> Expectations:
    ownership.index_by_controller(context.cache("pods"))
    ownership.index_by_controller(context.cache(REVISIONS))
    return Expectations()


CONTROLLER = Controller(
    name="statefulset-controller",
    reconcile=reconcile,
    setup=setup,
    reads=(CLAIMS,),
    watches=(
        Watch(SETS, own_key),
        Watch("pods", pods.keys_of_owner_or_orphan(SETS, "StatefulSet", _selects)),
        Watch(REVISIONS, pods.keys_of_owner_or_orphan(SETS, "StatefulSet", _selects)),
    ),
    rules=(
        rule("", "pods", "list watch"),
        rule("apps", "statefulsets", READ),
        rule("apps", "statefulsets/status", "update"),
        rule("apps", "statefulsets/finalizers", "update"),
        rule("", "pods", "get create delete update patch"),
        rule("apps", "controllerrevisions", "get create delete update patch list watch"),
        rule("", "persistentvolumeclaims", "get create list watch update delete"),
        events(),
    ),
)
