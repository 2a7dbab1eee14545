"""ClusterRoles with an aggregationRule get the rules of the roles that it selects.

In: clusterroles. Out: their rules, applied as the field manager clusterrole-aggregation-controller.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch

ROLES = "clusterroles.rbac.authorization.k8s.io"


def aggregated(role: Object, every: Iterable[Object]) -> list[Object]:
    """Rules of all selected roles, by role name, each once."""
    selectors = role["aggregationRule"].get("clusterRoleSelectors") or ()
    out: list[Object] = []
    for other in sorted(every, key=lambda r: r["metadata"]["name"]):
        if other["metadata"]["name"] == role["metadata"]["name"]:
            continue
        if any(objects.matches(s, objects.labels_of(other)) for s in selectors):
            out += [r for r in other.get("rules") or () if r not in out]
    return out


async def reconcile(context: Context, key: str) -> None:
    role = context.cache(ROLES).get(None, key)
    if role is None or not role.get("aggregationRule"):
        return
    wanted = aggregated(role, context.cache(ROLES).list())
    if wanted != (role.get("rules") or []):
        await context.client.update(ROLES, {**codec.copy(role), "rules": wanted})


def _keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """Any role's change may touch every aggregated role; there are few."""
    return [r["metadata"]["name"] for r in context.cache(ROLES).list() if r.get("aggregationRule")]


CONTROLLER = Controller(
    name="clusterrole-aggregation-controller",
    reconcile=reconcile,
    watches=(Watch(ROLES, _keys),),
    rules=(rule("rbac.authorization.k8s.io", "clusterroles", READ + " update patch escalate"),),
)
