"""A bound claim that asks for more than it has: its volume's driver is told to grow it.

In: claims, volumes. Out: events; drivers outside do the work (no volume kind of ours grows by itself).
"""

from __future__ import annotations

from kubewheel.api import quantity
from kubewheel.api.resource import Object
from kubewheel.controllers.persistentvolume import match
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"


def wants_more(claim: Object) -> bool:
    status = claim.get("status") or {}
    have = (status.get("capacity") or {}).get("storage")
    return status.get("phase") == "Bound" and have is not None and match.wanted_size(claim) > quantity.nano(have)


async def reconcile(context: Context, key: str) -> None:
    claim = context.cache(CLAIMS).get(*split_key(key))
    if claim is None or not wants_more(claim):
        return
    volume = context.cache(VOLUMES).get(None, claim["spec"].get("volumeName", ""))
    if volume is None or not match.refers_to(volume, claim):
        return
    context.events.event(objects.with_kind(claim, "v1", "PersistentVolumeClaim"), "Normal", "ExternalExpanding",
                         "waiting for an external controller to expand this PVC")


CONTROLLER = Controller(
    name="persistentvolume-expander-controller", events_as="volume_expand",
    reconcile=reconcile, watches=(Watch(CLAIMS, own_key),), reads=(VOLUMES,),
    rules=(rule("", "persistentvolumes", READ + " patch update"), rule("", "persistentvolumeclaims", READ),
           rule("", "persistentvolumeclaims/status", "patch update"), events()))
