"""A namespace that is being deleted is emptied (pods first), then finalized.

In: namespaces, discovery. Out: deletions of everything inside, conditions, the finalizer `kubernetes`
taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubewheel.api import codec, errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.controllers.rules import READ, rule
from kubewheel.reconcile import discovery, objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

PODS = Gvr("", "v1", "pods")


@dataclass(slots=True)
class Emptied:
    """What is left, for the conditions and for how long to wait."""

    remaining: dict[Gvr, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    wait: float = 0.0

    def add(self, gvr: Gvr, items: list[Object], now: float) -> None:
        if not items:
            return
        self.remaining[gvr] = len(items)
        estimate = 15.0  # upstream's guess for what has finalizers
        if gvr == PODS:
            estimate = max(
                (max(objects.stamp_of(i, "deletionTimestamp") - now, 0.0) for i in items), default=0.0
            )
        for item in items:
            for finalizer in item["metadata"].get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1
        self.wait = max(self.wait, estimate)


async def reconcile(context: Context, key: str) -> float | None:
    cached = context.cache("namespaces").get(None, key)
    if cached is None or "deletionTimestamp" not in cached["metadata"]:
        return None
    namespace = await context.client.find("namespaces", key)
    if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
        return None
    if "kubernetes" not in (namespace["spec"].get("finalizers") or ()):
        return None
    found = await discovery.discover(context.client)
    emptied = await _empty(context, key, found)
    status = {
        "phase": "Terminating",
        "conditions": conditions(
            (namespace.get("status") or {}).get("conditions") or [],
            found.failed,
            emptied,
            context.clock.now(),
        ),
    }
    if namespace.get("status") != status:
        namespace = await context.client.update_status("namespaces", {**namespace, "status": status})
    if emptied.remaining or emptied.failures:
        return min(emptied.wait / 2 + 1, 10.0) if not emptied.failures else 5.0
    if found.failed:
        return 5.0
    new = codec.copy(namespace)
    new["spec"]["finalizers"] = [f for f in new["spec"]["finalizers"] if f != "kubernetes"]
    await context.client.update("namespaces", new, subresource="finalize")
    return None


async def _empty(context: Context, namespace: str, found: discovery.Discovered) -> Emptied:
    """Pods first, and nothing else while one is left: they may need what the namespace holds to end well."""
    kinds = [r for r in found.with_verbs("list") if r.namespaced and {"delete", "deletecollection"} & r.verbs]
    emptied = Emptied()
    first = [r for r in kinds if r.gvr == PODS]
    for resource in first:
        await _empty_one(context, namespace, resource, emptied)
    if emptied.remaining or emptied.failures:
        return emptied
    for resource in kinds:
        if resource.gvr != PODS:
            await _empty_one(context, namespace, resource, emptied)
    return emptied


async def _empty_one(
    context: Context, namespace: str, resource: discovery.ApiResource, emptied: Emptied
) -> None:
    try:
        items = (await context.client.list(resource.gvr, namespace=namespace))["items"]
        if not items:
            return
        if "deletecollection" in resource.verbs:
            await context.client.delete_collection(
                resource.gvr, namespace=namespace, propagation="Background"
            )
        else:
            for item in items:
                await _delete(context, resource.gvr, item)
        left = (await context.client.list(resource.gvr, namespace=namespace))["items"]
        emptied.add(resource.gvr, left, context.clock.now())
    except errors.StatusError as e:
        if e.code not in (404, 405):
            emptied.failures.append(e.message)


async def _delete(context: Context, gvr: Gvr, item: Object) -> None:
    try:
        await context.client.delete(
            gvr, item["metadata"]["name"], namespace=item["metadata"]["namespace"], propagation="Background"
        )
    except errors.StatusError as e:
        if e.code != 404:
            raise


def conditions(old: list[Object], undiscovered: dict[str, str], emptied: Emptied, now: float) -> list[Object]:
    """Upstream's five conditions; True means that something is in the way."""
    remaining = ", ".join(
        f"{g.plural}.{g.group} has {n} resource instances" for g, n in sorted(emptied.remaining.items())
    )
    finalizers = ", ".join(f"{f} in {n} resource instances" for f, n in sorted(emptied.finalizers.items()))
    failures = "; ".join(sorted(emptied.failures))
    groups = ", ".join(f"{g}: {m}" for g, m in sorted(undiscovered.items()))
    rows = (
        (
            "NamespaceDeletionDiscoveryFailure",
            undiscovered,
            "DiscoveryFailed",
            f"Discovery failed for some groups, {len(undiscovered)} failing: unable to retrieve the complete list of "
            f"server APIs: {groups}",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            emptied.failures,
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(emptied.failures)} remaining: {failures}",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            emptied.remaining,
            "SomeResourcesRemain",
            f"Some resources are remaining: {remaining}",
            "ContentRemoved",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            emptied.finalizers,
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {finalizers}",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    )
    out = list(old)
    for type_, bad, bad_reason, bad_message, reason, message in rows:
        out = objects.set_condition(
            out,
            {
                "type": type_,
                "status": "True" if bad else "False",
                "reason": bad_reason if bad else reason,
                "message": bad_message if bad else message,
            },
            now,
        )
    return out


CONTROLLER = Controller(
    name="namespace-controller",
    reconcile=reconcile,
    watches=(Watch("namespaces", own_key),),
    workers=10,
    rules=(
        rule("", "namespaces", READ + " delete"),
        rule("", "namespaces/finalize namespaces/status", "update"),
        rule("*", "*", "get list delete deletecollection"),
    ),
)
