"""Every living namespace has its ServiceAccount `default`.

In: namespaces, serviceaccounts. Out: service accounts.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

NAMES = ("default",)


async def reconcile(context: Context, key: str) -> None:
    namespace = context.cache("namespaces").get(None, key)
    if namespace is None or (namespace.get("status") or {}).get("phase", "Active") != "Active":
        return
    if "deletionTimestamp" in namespace["metadata"]:
        return
    for name in NAMES:
        if context.cache("serviceaccounts").get(key, name) is not None:
            continue
        try:
            await context.client.create(
                "serviceaccounts",
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": key}},
            )
        except errors.StatusError as e:
            if e.reason != "AlreadyExists" and not runner.is_terminating(e):
                raise


def _deleted(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is None and old is not None and old["metadata"]["name"] in NAMES:
        yield old["metadata"]["namespace"]


CONTROLLER = Controller(
    name="serviceaccount-controller",
    reconcile=reconcile,
    watches=(Watch("namespaces", own_key), Watch("serviceaccounts", _deleted)),
    rules=(rule("", "serviceaccounts", "create"), rule("", "namespaces serviceaccounts", READ), events()),
)
