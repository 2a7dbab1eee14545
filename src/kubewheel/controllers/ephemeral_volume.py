"""Makes the claims of pods' generic ephemeral volumes (`<pod>-<volume>`, owned by the pod).

In: pods, claims. Out: claims. `claim_for` is pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, ownership
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

CLAIMS = "persistentvolumeclaims"


def claim_for(pod: Object, volume: Object) -> Object:
    template = volume["ephemeral"]["volumeClaimTemplate"]
    meta: Object = {"name": f"{pod['metadata']['name']}-{volume['name']}", "namespace": pod["metadata"]["namespace"],
                    "ownerReferences": [ownership.controller_ref(pod, "v1", "Pod")]}
    for part in ("labels", "annotations"):
        if given := (template.get("metadata") or {}).get(part):
            meta[part] = codec.copy(given)
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": codec.copy(template["spec"])}


def ephemeral(pod: Object) -> list[Object]:
    return [v for v in pod["spec"].get("volumes") or () if "ephemeral" in v]


async def reconcile(context: Context, key: str) -> None:
    pod = context.cache("pods").get(*split_key(key))
    if pod is None or objects.is_terminating(pod):
        return
    for volume in ephemeral(pod):
        wanted = claim_for(pod, volume)
        found = context.cache(CLAIMS).get(pod["metadata"]["namespace"], wanted["metadata"]["name"])
        if found is None:
            try:
                await context.client.create(CLAIMS, wanted)
            except errors.StatusError as e:
                if e.reason != "AlreadyExists":  # the cache will show whose it is
                    raise
        elif not ownership.is_controlled_by(found, pod):
            raise RuntimeError(f"PVC {key}-{volume['name']} was not created for pod {key} (pod is not owner)")


def _pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if old is None and new is not None and ephemeral(new):  # a pod's volumes never change
        yield from own_key(old, new, context)


def _claim(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    ref = ownership.controller_of(old) if new is None and old is not None else None
    if ref is not None and ref["kind"] == "Pod" and old is not None:
        yield f"{old['metadata']['namespace']}/{ref['name']}"


CONTROLLER = Controller(
    name="ephemeral-volume-controller", events_as="ephemeral_volume",
    reconcile=reconcile, watches=(Watch("pods", _pod), Watch(CLAIMS, _claim)),
    rules=(rule("", "pods", READ), rule("", "pods/finalizers", "update"),
           rule("", "persistentvolumeclaims", READ + " create"), events()))
