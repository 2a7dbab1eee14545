"""node.alpha.kubernetes.io/ttl: how long kubelets may cache secrets, by the size of the cluster.

In: nodes. Out: the annotation.
"""

from __future__ import annotations

from kubewheel.controllers.rules import READ, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

ANNOTATION = "node.alpha.kubernetes.io/ttl"
STEPS = ((100, 0), (500, 15), (1000, 30), (5000, 60))


def ttl_for(nodes: int) -> int:
    return next((ttl for limit, ttl in STEPS if nodes <= limit), 300)


async def reconcile(context: Context, key: str) -> None:
    node = context.cache("nodes").get(None, key)
    wanted = str(ttl_for(len(context.cache("nodes"))))
    if node is not None and objects.annotations_of(node).get(ANNOTATION) != wanted:
        await context.client.patch("nodes", key, {"metadata": {"annotations": {ANNOTATION: wanted}}})


CONTROLLER = Controller(
    name="ttl-controller",
    reconcile=reconcile,
    watches=(Watch("nodes", own_key),),
    rules=(rule("", "nodes", READ + " update patch"),),
)
