"""componentstatuses (deprecated): probed when asked for, never stored.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import columns
from kubewheel.api.resource import Column, Object, Resource


def _healthy(part: str, default: str) -> Callable[[Object, float], str]:
    def cell(obj: Object, now: float) -> str:
        for condition in obj.get("conditions") or ():
            if condition.get("type") == "Healthy":
                if part == "status":
                    return {"True": "Healthy", "False": "Unhealthy"}.get(condition.get("status"), "Unknown")
                return condition.get(part, "")
        return default

    return cell


RESOURCE = Resource(
    kind="ComponentStatus",
    plural="componentstatuses",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    definition="io.k8s.api.core.v1.ComponentStatus",
    has_generation=False,
    columns=(
        columns.NAME,
        Column("Status", _healthy("status", "Unknown"), description="Status of the component conditions"),
        Column("Message", _healthy("message", ""), description="Message of the component conditions"),
        Column("Error", _healthy("error", ""), description="Error of the component conditions"),
    ),
    not_stored=True,
    deprecated="v1 ComponentStatus is deprecated in v1.19+",
)
