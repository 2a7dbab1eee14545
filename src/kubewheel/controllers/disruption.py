"""PodDisruptionBudget status: how many pods may be evicted now (the eviction subresource counts it down).

In: poddisruptionbudgets, pods, their controllers' scales. Out: status. `status_of` is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import discovery, objects, ownership
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

PDBS = "poddisruptionbudgets.policy"
STALE = 120.0  # a pod that was meant to be disrupted and still runs was spared
TIMEOUT = 120.0  # an eviction that did not delete its pod is forgotten
SETS = {
    "ReplicaSet": "replicasets.apps",
    "ReplicationController": "replicationcontrollers",
    "StatefulSet": "statefulsets.apps",
}


class NoScale(Exception):
    """The pods have no controller whose size is known; the message is upstream's."""


def status_of(
    pdb: Object, pods: Sequence[Object], expected: int, desired: int, now: float
) -> tuple[Object, float | None]:
    """The status, and when the first remembered eviction times out."""
    old = pdb.get("status") or {}
    disrupted, again = {}, None
    by_name = {p["metadata"]["name"]: p for p in pods}
    for name, stamp in (old.get("disruptedPods") or {}).items():
        pod = by_name.get(name)
        left = clocks.parse_time(stamp) + TIMEOUT - now
        if pod is not None and not objects.is_terminating(pod) and left > 0:
            disrupted[name] = stamp
            again = left if again is None else min(again, left)
    healthy = sum(
        1
        for p in pods
        if not objects.is_terminating(p) and p["metadata"]["name"] not in disrupted and objects.is_ready(p)
    )
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status: Object = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": pdb["metadata"].get("generation", 0),
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    status["conditions"] = _condition(
        pdb, "True" if allowed else "False", "SufficientPods" if allowed else "InsufficientPods", "", now
    )
    return status, again


def _condition(pdb: Object, status: str, reason: str, message: str, now: float) -> list[Object]:
    return objects.set_condition(
        (pdb.get("status") or {}).get("conditions") or [],
        {
            "type": "DisruptionAllowed",
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": pdb["metadata"].get("generation", 0),
        },
        now,
    )


def stale_in(pod: Object, now: float) -> float | None:
    """Seconds until a DisruptionTarget condition counts as forgotten: the pod was to be deleted, and was not."""
    found = objects.condition(pod, "DisruptionTarget")
    if found is None or found["status"] != "True" or objects.is_terminating(pod) or objects.is_finished(pod):
        return None
    since = found.get("lastTransitionTime")
    return (clocks.parse_time(since) if since else now) + STALE - now


async def _sync_pod(context: Context, namespace: str, name: str) -> float | None:
    pod, now = context.cache("pods").get(namespace, name), context.clock.now()
    left = stale_in(pod, now) if pod is not None else None
    if pod is None or left is None or left > 0:
        return left
    status = pod["status"]
    conditions = objects.set_condition(status["conditions"], {"type": "DisruptionTarget", "status": "False"}, now)
    await context.client.update_status("pods", {**pod, "status": {**status, "conditions": conditions}})
    return None


async def reconcile(context: Context, key: str) -> float | None:
    """Keys are "ns/name" of budgets and "pod:ns/name" of pods with a DisruptionTarget condition."""
    if key.startswith("pod:"):
        return await _sync_pod(context, *split_key(key.removeprefix("pod:")))
    namespace, name = split_key(key)
    pdb = context.cache(PDBS).get(namespace, name)
    if pdb is None:
        return None
    now = context.clock.now()
    event_object = objects.with_kind(pdb, "policy/v1", "PodDisruptionBudget")
    pods = [
        p
        for p in context.cache("pods").list(namespace)
        if objects.matches(pdb["spec"].get("selector"), objects.labels_of(p)) and not objects.is_finished(p)
    ]
    if not pods:
        context.events.event(event_object, "Normal", "NoPods", "No matching pods found")
    try:
        expected, desired = await _expected(context, pdb, pods)
    except NoScale as e:
        context.events.event(
            event_object,
            "Warning",
            "CalculateExpectedPodCountFailed",
            f"Failed to calculate the number of expected pods: {e}",
        )
        status = {
            **(pdb.get("status") or {}),
            "disruptionsAllowed": 0,
            "conditions": _condition(pdb, "False", "SyncFailed", str(e), now),
        }
        for field in ("currentHealthy", "desiredHealthy", "expectedPods"):
            status.setdefault(field, 0)
        await _write(context, pdb, status)
        return None
    status, again = status_of(pdb, pods, expected, desired, now)
    await _write(context, pdb, status)
    return again


async def _write(context: Context, pdb: Object, status: Object) -> None:
    if status != pdb.get("status"):
        await context.client.update_status(PDBS, {**pdb, "status": status})


async def _expected(context: Context, pdb: Object, pods: Sequence[Object]) -> tuple[int, int]:
    """(expected, desired healthy). Percentages and maxUnavailable are of the controllers' sizes, not of
    the pods'."""
    spec = pdb["spec"]
    if spec.get("maxUnavailable") is not None:
        expected = await _scales(context, pods)
        return expected, max(expected - objects.scaled(spec["maxUnavailable"], expected, round_up=True), 0)
    least = spec.get("minAvailable", 0)
    if isinstance(least, int):
        return len(pods), least
    expected = await _scales(context, pods)
    return expected, objects.scaled(least, expected, round_up=True)


async def _scales(context: Context, pods: Sequence[Object]) -> int:
    sizes: dict[str, int] = {}
    for pod in pods:
        ref = ownership.controller_of(pod)
        if ref is None:
            continue  # upstream counts unmanaged pods as nothing here
        if ref["uid"] not in sizes:
            uid, size = await _scale_of(context, pod["metadata"]["namespace"], ref)
            sizes[uid] = size
            sizes.setdefault(ref["uid"], 0 if uid != ref["uid"] else size)
    return sum(sizes.values())


async def _scale_of(context: Context, namespace: str, ref: Object) -> tuple[str, int]:
    resource = SETS.get(ref["kind"])
    if resource is not None:
        owner = context.cache(resource).get(namespace, ref["name"])
        if owner is None or owner["metadata"]["uid"] != ref["uid"]:
            return ref["uid"], 0
        above = ownership.controller_of(owner)
        if above is not None and above["kind"] == "Deployment":
            d = context.cache("deployments.apps").get(namespace, above["name"])
            if d is not None and d["metadata"]["uid"] == above["uid"]:
                return above["uid"], d["spec"].get("replicas", 1)
        return ref["uid"], owner["spec"].get("replicas", 1)
    found = (await discovery.discover(context.client)).kinds.get((ref["apiVersion"], ref["kind"]))
    if found is not None:
        gvr: Gvr = found.gvr
        try:
            scale = await context.client.get(gvr, ref["name"], namespace=namespace, subresource="scale")
            return ref["uid"], (scale.get("spec") or {}).get("replicas", 0)
        except errors.StatusError as e:
            if e.code not in (404, 405):
                raise
    group = ref["apiVersion"].rpartition("/")[0]
    what = f"{ref['kind'].lower()}s.{group}" if group else f"{ref['kind'].lower()}s"
    raise NoScale(f"{what} does not implement the scale subresource")


def _of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    namespace = ((new or old) or {})["metadata"]["namespace"]
    for pdb in context.cache(PDBS).list(namespace):
        if any(
            o is not None and objects.matches(pdb["spec"].get("selector"), objects.labels_of(o))
            for o in (old, new)
        ):
            yield objects.key_of(pdb)


def _disrupted(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is not None and objects.condition_status(new, "DisruptionTarget") == "True":
        yield f"pod:{objects.key_of(new)}"


def _of_set(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """A controller was resized."""
    if old is not None and new is not None and old["spec"].get("replicas") == new["spec"].get("replicas"):
        return
    for pdb in context.cache(PDBS).list(((new or old) or {})["metadata"]["namespace"]):
        yield objects.key_of(pdb)


CONTROLLER = Controller(
    name="disruption-controller", events_as="controllermanager",
    reconcile=reconcile,
    watches=(
        Watch(PDBS, own_key),
        Watch("pods", _of_pod),
        Watch("pods", _disrupted),
        *(Watch(r, _of_set) for r in ("deployments.apps", *SETS.values())),
    ),
    rules=(
        rule("apps", "deployments replicasets statefulsets", READ),
        rule("", "replicationcontrollers pods", READ),
        rule("policy", "poddisruptionbudgets", READ),
        rule("policy", "poddisruptionbudgets/status", "update"),
        rule("", "pods/status", "patch update"),
        rule("*", "*/scale", "get"),
        events(),
    ),
)
