"""resourceslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    for field in ("driver", "nodeName"):
        out += validation.immutable(dig(new, "spec", field), dig(old, "spec", field), f"spec.{field}")
    return out


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    definition="io.k8s.api.resource.v1.ResourceSlice",
    registry="resourceslices",
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Node", columns.at("spec", "nodeName", default=columns.UNSET), description=".spec.nodeName"),
        Column("Driver", columns.at("spec", "driver"), description=".spec.driver"),
        Column("Pool", columns.at("spec", "pool", "name"), description=".spec.pool.name"),
        columns.AGE,
    ),
    selectable={"spec.nodeName": lambda obj: dig(obj, "spec", "nodeName") or "",
                "spec.driver": lambda obj: dig(obj, "spec", "driver") or ""},
)
