"""serviceaccounts.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.resource import Object, PrepareContext, Resource, Subresource


def prepare_create(obj: Object, context: PrepareContext) -> None:
    for ref in obj.get("secrets") or ():  # only the name counts
        for field in list(ref):
            if field != "name":
                del ref[field]


_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


def warnings(obj: Object) -> list[str]:
    if _MOUNTABLE not in (obj["metadata"].get("annotations") or {}):
        return []
    return [f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
            "mounted secrets"]


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
    prepare_update=lambda new, old, context: prepare_create(new, context),
    warnings=warnings,
    columns=(
        columns.NAME,
        columns.AGE,
    ),
)
