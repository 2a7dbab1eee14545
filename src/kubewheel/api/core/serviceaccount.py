"""serviceaccounts.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource


def prepare_create(obj: Object, context: PrepareContext) -> None:
    for ref in obj.get("secrets") or ():  # only the name counts
        for field in list(ref):
            if field != "name":
                del ref[field]


RESOURCE = Resource(
    kind="ServiceAccount",
    plural="serviceaccounts",
    short_names=("sa",),
    definition="io.k8s.api.core.v1.ServiceAccount",
    registry="serviceaccounts",
    subresources=(
        Subresource("token", "TokenRequest", group="authentication.k8s.io", version="v1", verbs=("create",)),
    ),
    has_generation=False,
    prepare_create=prepare_create,
    columns=(
        columns.NAME,
        Column("Secrets", lambda obj, now: str(len(obj.get("secrets") or ())), description=".secrets"),
        columns.AGE,
    ),
)
