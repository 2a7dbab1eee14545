"""ResourceQuota status: what a namespace uses, counted anew when things go (admission counts when they come).

In: resourcequotas, whatever they limit. Out: status.hard, status.used. `resource_of` and `used_by` are pure.
Objects are listed from the server when counted, so that a slow cache never gives back what is in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubewheel.api import amounts, codec, quota
from kubewheel.api.resource import Gvr, Object
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import discovery, objects
from kubewheel.reconcile.controller import Context, Controller, KeysOf, Watch, own_key, split_key

CORE = {"pods": Gvr("", "v1", "pods"), "services": Gvr("", "v1", "services"),
        "persistentvolumeclaims": Gvr("", "v1", "persistentvolumeclaims")}
COUNTED = ("secrets", "configmaps", "replicationcontrollers", "resourcequotas")


@dataclass(slots=True)
class State:
    watched: set[Gvr] = field(default_factory=lambda: set(CORE.values()))
    found: discovery.Discovered | None = None
    found_at: float = 0.0


def resource_of(name: str) -> tuple[str, str]:
    """(plural, group) of the objects that a name in spec.hard counts."""
    if name.startswith("count/"):
        plural, _, group = name.removeprefix("count/").partition(".")
        return plural, group
    if name in COUNTED:
        return name, ""
    if name.split(".")[0] == "services":
        return "services", ""
    if name in ("persistentvolumeclaims", "requests.storage") or quota.STORAGE_CLASS in name:
        return "persistentvolumeclaims", ""
    return "pods", ""


def used_by(quota_object: Object, items: Mapping[tuple[str, str], Sequence[Object]]) -> dict[str, str]:
    """status.used: for each name in spec.hard whose objects were listed, their sum."""
    hard = (quota_object.get("spec") or {}).get("hard") or {}
    total = {name: amounts.ZERO for name in hard if resource_of(name) in items}
    for (plural, group), listed in items.items():
        names = [n for n in total if resource_of(n) == (plural, group)]
        for obj in listed:
            if not quota.matches_scopes(quota_object, plural, group, obj):
                continue
            uses = quota.of_object(plural, group, obj)
            for name in names:
                if name in uses:
                    total[name] = total[name] + uses[name]
    return {name: str(amount) for name, amount in total.items()}


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    live = context.cache("resourcequotas").get(namespace, name)
    if live is None or objects.is_terminating(live):
        return None
    hard = (live.get("spec") or {}).get("hard") or {}
    items: dict[tuple[str, str], Sequence[Object]] = {}
    for wanted in sorted({resource_of(n) for n in hard}):
        gvr = await _gvr(context, *wanted)
        if gvr is not None:
            _watch(context, gvr)
            items[wanted] = (await context.client.list(gvr, namespace=namespace))["items"]
    status = live.get("status") or {}
    # What nobody can count now (its API is away) keeps its last number.
    used = {n: v for n, v in (status.get("used") or {}).items() if n in hard} | used_by(live, items)
    wanted_status = {"hard": hard, "used": used} if hard else {}
    if status != wanted_status:
        await context.client.update_status("resourcequotas", {**codec.copy(live), "status": wanted_status})
    return settings.seconds(context, "resource-quota-sync-period", 300.0)


async def _gvr(context: Context, plural: str, group: str) -> Gvr | None:
    if not group and plural in CORE:
        return CORE[plural]
    state: State = context.state
    now = asyncio.get_running_loop().time()
    for _ in range(2):
        if state.found is not None:
            for one in state.found.resources:
                if one.gvr.plural == plural and one.gvr.group == group and one.namespaced and "list" in one.verbs:
                    return one.gvr
            if now - state.found_at < 30:
                return None
        state.found, state.found_at = await discovery.discover(context.client), now
        await _forget_gone(context, state, state.found)
    return None


async def _forget_gone(context: Context, state: State, found: discovery.Discovered) -> None:
    """Kinds that are served no more (their CRD was deleted) are not watched any longer."""
    served = {r.gvr for r in found.resources}
    for gvr in list(state.watched - served - set(CORE.values())):
        if f"{gvr.group}/{gvr.version}" not in found.failed:
            state.watched.discard(gvr)
            await context.caches.stop(gvr)


def _watch(context: Context, gvr: Gvr) -> None:
    """From now on a deleted object of this kind has its namespace's quotas counted."""
    state: State = context.state
    if gvr in state.watched:
        return
    state.watched.add(gvr)

    def gone(old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            for key in _quotas_of(old, context):
                context.enqueue(key)

    context.cache(gvr).subscribe(gone)


def _quotas_of(obj: Object, context: Context) -> Iterable[str]:
    for one in context.cache("resourcequotas").list(obj["metadata"].get("namespace")):
        yield objects.key_of(one)


def _given_back(plural: str) -> KeysOf:
    """Keys where an object went or uses something else than before (a pod ended, a claim grew)."""

    def keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
        if old is None:
            return ()
        if new is not None and quota.of_object(plural, "", old) == quota.of_object(plural, "", new):
            return ()
        return _quotas_of(old, context)

    return keys


def _changed(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """A new quota, or new limits; a status alone (admission writes it often) is no reason to count."""
    if new is not None and (old is None or old.get("spec") != new.get("spec")
                            or (new.get("status") or {}).get("hard") != (new.get("spec") or {}).get("hard")):
        yield from own_key(old, new, context)


CONTROLLER = Controller(
    name="resourcequota-controller", reconcile=reconcile, setup=lambda context: State(),
    watches=(Watch("resourcequotas", _changed), *(Watch(name, _given_back(name)) for name in CORE)),
    rules=(rule("*", "*", "list watch"), rule("", "resourcequotas/status", "update"),
           rule("", "resourcequotas", READ), events()))
