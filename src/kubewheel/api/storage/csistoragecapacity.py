"""csistoragecapacities.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, names, validation
from kubewheel.api.core.node_warnings import DEPRECATED_NODE_LABELS
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[FieldError]:
    name = obj.get("storageClassName") or ""
    out = validation.validate_selector(obj.get("nodeTopology"), "nodeTopology")
    out += validation.check("storageClassName", name, names.subdomain(name))
    for field in ("capacity", "maximumVolumeSize"):
        if (amount := obj.get(field)) is not None:
            out += validation.validate_quantity(amount, field)
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    for field in ("nodeTopology", "storageClassName"):
        out += validation.immutable(new.get(field), old.get(field), field)
    return out


def warnings(obj: Object) -> list[str]:
    topology = obj.get("nodeTopology") or {}
    return [f"nodeTopology.matchExpressions[{i}].key: {DEPRECATED_NODE_LABELS[e['key']]}"
            for i, e in enumerate(topology.get("matchExpressions") or ()) if e.get("key") in DEPRECATED_NODE_LABELS] + [
            f"nodeTopology.matchLabels.{key}: {DEPRECATED_NODE_LABELS[key]}"
            for key in topology.get("matchLabels") or () if key in DEPRECATED_NODE_LABELS]


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
    registry="csistoragecapacities",
    has_generation=False,
    unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("StorageClassName", columns.at("storageClassName"), description=".storageClassName"),
        Column("Capacity", columns.at("capacity", default=columns.UNSET), description=".capacity"),
    ),
)
