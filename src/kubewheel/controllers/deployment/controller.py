"""Deployments: roll ReplicaSets from one template to the next.

In: deployments, replicasets, pods. Out: replicasets, deployment status and conditions. Decisions are in
plan.py,
revisions.py and status.py; here they are carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers.deployment import plan, revisions, status
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, ownership, pods
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations

DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    cached = context.cache(DEPLOYMENTS).get(namespace, name)
    seen: Expectations = context.state
    if cached is None:
        seen.forget(key)
        return None
    if not seen.satisfied(key, context.cache(SETS)):
        return 1.0
    d = objects.with_kind(cached, "apps/v1", "Deployment")
    if objects.is_empty(d["spec"].get("selector")):
        context.events.event(
            d,
            "Warning",
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
        )
        return None
    sets = await ownership.claim(
        context.client,
        context.cache(SETS),
        d,
        owner_resource=DEPLOYMENTS,
        api_version="apps/v1",
        kind="Deployment",
        resource=SETS,
        selects=lambda rs: objects.matches(d["spec"]["selector"], objects.labels_of(rs)),
    )
    return await _Sync(context, key, d, sets).run()


class _Sync:
    """One pass over one Deployment."""

    def __init__(self, context: Context, key: str, d: Object, sets: Sequence[Object]) -> None:
        self.context, self.key, self.d = context, key, d
        self.now = context.clock.now()
        self.conditions: list[Object] = list((d.get("status") or {}).get("conditions") or [])
        self.new, self.old = revisions.split(d, sets)

    @property
    def every(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    async def run(self) -> float | None:
        if objects.is_terminating(self.d):
            await self._write_counts()
            return None
        paused = status.paused_condition(self.d, self.now)
        if paused is not None:
            self.conditions = paused
            self.d = await self._write({**(self.d.get("status") or {}), "conditions": paused})
        if self.d["spec"].get("paused"):
            await self._sync_revision(create=False)
            await self._apply(plan.scale(self.d, self.new, self.old))
            await self._clean_up()
            await self._write_counts()
            return None
        if plan.is_scaling(self.d, self.every):
            await self._sync_revision(create=False)
            await self._apply(plan.scale(self.d, self.new, self.old))
            await self._write_counts()
            return None
        if plan.is_rolling(self.d):
            return await self._roll()
        return await self._recreate()

    async def _roll(self) -> float | None:
        await self._sync_revision(create=True)
        assert self.new is not None
        if not await self._apply(plan.rolling(self.d, self.new, self.old)):
            await self._clean_up_if_complete()
        return await self._write_rollout()

    async def _recreate(self) -> float | None:
        await self._sync_revision(create=False)
        if await self._apply({plan.name_of(rs): 0 for rs in self.old if plan.size(rs) > 0}):
            return await self._write_rollout()
        if self._old_pods_running():
            return await self._write_rollout()
        await self._sync_revision(create=True)
        assert self.new is not None
        if plan.size(self.new) != plan.size(self.d):
            await self._apply({plan.name_of(self.new): plan.size(self.d)})
        else:
            await self._clean_up_if_complete()
        return await self._write_rollout()

    def _old_pods_running(self) -> bool:
        if any((rs.get("status") or {}).get("replicas", 0) for rs in self.old):
            return True
        cache = self.context.cache("pods")
        return any(not objects.is_finished(pod) for rs in self.old for pod in ownership.owned(cache, rs))

    async def _sync_revision(self, *, create: bool) -> None:
        """The new ReplicaSet exists (when asked for), carries the right revision, and the Deployment knows
        it."""
        revision = revisions.next_revision(self.old)
        if self.new is None:
            if not create:
                return
            await self._create_set(revision)
        else:
            rs = codec.copy(self.new)
            changed = revisions.annotate(rs, self.d, revision, exists=True)
            min_ready = self.d["spec"].get("minReadySeconds", 0)
            if rs["spec"].get("minReadySeconds", 0) != min_ready:
                rs["spec"]["minReadySeconds"] = min_ready
                changed = True
            if changed:
                self.new = await self.context.client.update(SETS, rs)
                self.context.state.wrote(self.key, self.new)
            if status.deadline(self.d) is not None and status.find(self.conditions, "Progressing") is None:
                self._note("FoundNewReplicaSet", f'Found new replica set "{plan.name_of(rs)}"')
        await self._mark_deployment(plan.revision(self.new or {"metadata": {}}))

    async def _mark_deployment(self, revision: int) -> None:
        if plan.revision(self.d) == revision:
            return
        d = codec.copy(self.d)
        d["metadata"].setdefault("annotations", {})[plan.REVISION] = str(revision)
        self.d = await self.context.client.update(DEPLOYMENTS, d)

    def _note(self, reason: str, message: str, state: str = "True") -> None:
        self.conditions = status.with_condition(
            self.conditions, status.condition("Progressing", state, reason, message), self.now
        )

    async def _create_set(self, revision: int) -> None:
        rs = revisions.build(self.d, self.old, revision)
        has_deadline = status.deadline(self.d) is not None
        try:
            made = await self.context.client.create(SETS, rs)
        except errors.StatusError as e:
            if e.reason == "AlreadyExists":
                made = await self._resolve_collision(rs)
            else:
                message = f'Failed to create new replica set "{plan.name_of(rs)}": {e.message}'
                if has_deadline:
                    self._note("ReplicaSetCreateError", message, "False")
                    await self._write({**(self.d.get("status") or {}), "conditions": self.conditions})
                self.context.events.event(self.d, "Warning", "ReplicaSetCreateError", message)
                raise
        else:
            if plan.size(made) > 0:
                self.context.events.event(
                    self.d,
                    "Normal",
                    "ScalingReplicaSet",
                    f"Scaled up replica set {plan.name_of(made)} from 0 to {plan.size(made)}",
                )
            if has_deadline:
                self._note("NewReplicaSetCreated", f'Created new replica set "{plan.name_of(made)}"')
        self.context.state.wrote(self.key, made)
        self.new = made

    async def _resolve_collision(self, rs: Object) -> Object:
        """The name is taken: by ourselves (the cache was slow), or by another template with the same hash."""
        there = await self.context.client.get(SETS, plan.name_of(rs), namespace=rs["metadata"]["namespace"])
        same = revisions.template_text(there["spec"]["template"]) == revisions.template_text(
            rs["spec"]["template"]
        )
        if ownership.is_controlled_by(there, self.d) and same:
            return there
        old = self.d.get("status") or {}
        await self._write({**old, "collisionCount": old.get("collisionCount", 0) + 1})
        raise errors.already_exists("replicasets", plan.name_of(rs), group="apps")

    async def _apply(self, sizes: plan.Sizes) -> bool:
        """Resizes; the local picture follows. True where a size changed."""
        changed = False
        for rs in self.every:
            wanted = sizes.get(plan.name_of(rs))
            if wanted is None:
                continue
            changed = await self._resize(rs, wanted) or changed
        return changed

    async def _resize(self, rs: Object, wanted: int) -> bool:
        copy = codec.copy(rs)
        was = plan.size(rs)
        revisions.set_sizes(copy["metadata"].setdefault("annotations", {}), self.d)
        copy["spec"]["replicas"] = wanted
        if was == wanted and copy["metadata"]["annotations"] == rs["metadata"].get("annotations"):
            return False
        answer = await self.context.client.update(SETS, copy)
        self.context.state.wrote(self.key, answer)
        if rs is self.new:
            self.new = answer
        else:
            self.old[self.old.index(rs)] = answer
        if was != wanted:
            word = "up" if wanted > was else "down"
            self.context.events.event(
                self.d,
                "Normal",
                "ScalingReplicaSet",
                f"Scaled {word} replica set {plan.name_of(rs)} from {was} to {wanted}",
            )
        return was != wanted

    async def _clean_up_if_complete(self) -> None:
        if status.is_complete(self.d, status.counts(self.d, self.new, self.every, self.conditions, self.now)):
            await self._clean_up()

    async def _clean_up(self) -> None:
        for rs in plan.to_clean_up(self.d, self.old):
            try:
                await self.context.client.delete(
                    SETS, plan.name_of(rs), namespace=rs["metadata"]["namespace"], uid=rs["metadata"]["uid"]
                )
            except errors.StatusError as e:
                if e.code != 404:
                    raise

    async def _write_counts(self) -> None:
        await self._write(status.counts(self.d, self.new, self.every, self.conditions, self.now))

    async def _write_rollout(self) -> float | None:
        value, again = status.rollout(self.d, self.new, self.every, self.conditions, self.now)
        await self._write(value)
        return again

    async def _write(self, value: Object) -> Object:
        return await pods.update_status(self.context, DEPLOYMENTS, self.d, value)


def _deployments_of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """A Recreate rollout waits for the last old pod to be gone."""
    pod = new or old
    if pod is None or (new is not None and not objects.is_finished(new)):
        return
    ref = ownership.controller_of(pod)
    if ref is None or ref["kind"] != "ReplicaSet":
        return
    rs = context.cache(SETS).get(pod["metadata"]["namespace"], ref["name"])
    owner = ownership.controller_of(rs) if rs is not None else None
    if owner is not None and owner["kind"] == "Deployment":
        d = context.cache(DEPLOYMENTS).get(pod["metadata"]["namespace"], owner["name"])
        if d is not None and not plan.is_rolling(d):
            yield f"{pod['metadata']['namespace']}/{owner['name']}"


def _selects(d: Object, rs: Object) -> bool:
    selector = d["spec"].get("selector")
    return not objects.is_empty(selector) and objects.matches(selector, objects.labels_of(rs))


def setup(context: Context) -> Expectations:
    ownership.index_by_controller(context.cache("pods"))
    ownership.index_by_controller(context.cache(SETS))
    return Expectations()


CONTROLLER = Controller(
    name="deployment-controller",
    reconcile=reconcile,
    setup=setup,
    watches=(
        Watch(DEPLOYMENTS, own_key),
        Watch(SETS, pods.keys_of_owner_or_orphan(DEPLOYMENTS, "Deployment", _selects)),
        Watch("pods", _deployments_of_pod),
    ),
    rules=(
        rule("apps", "deployments", READ + " update"),
        rule("apps", "deployments/status", "update"),
        rule("apps", "deployments/finalizers", "update"),
        rule("apps", "replicasets", READ + " create update patch delete"),
        rule("", "pods", READ + " update"),
        events(),
    ),
)
