"""csidrivers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    for key, value in (("attachRequired", True), ("podInfoOnMount", False), ("storageCapacity", False),
                       ("fsGroupPolicy", "ReadWriteOnceWithFSType"), ("requiresRepublish", False),
                       ("seLinuxMount", False)):
        if spec.get(key) is None:
            spec[key] = value
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def validate(obj: Object) -> list[errors.FieldError]:
    return validation.one_of(dig(obj, "spec", "fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"),
                             "spec.fsGroupPolicy", required=False)


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    for field in ("attachRequired", "volumeLifecycleModes"):
        out += validation.immutable(dig(new, "spec", field), dig(old, "spec", field), f"spec.{field}")
    return out


def _flag(name: str, field: str) -> Column:
    return Column(name, lambda obj, now: bool(dig(obj, "spec", field)), type="boolean", description=f".spec.{field}")


def _audiences(obj: Object, now: float) -> str:
    requests = dig(obj, "spec", "tokenRequests") or ()
    return ",".join(r.get("audience", "") for r in requests) or columns.UNSET


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSIDriver",
    registry="csidrivers",
    has_generation=False,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        _flag("AttachRequired", "attachRequired"),
        _flag("PodInfoOnMount", "podInfoOnMount"),
        _flag("StorageCapacity", "storageCapacity"),
        Column("TokenRequests", _audiences, description=".spec.tokenRequests"),
        _flag("RequiresRepublish", "requiresRepublish"),
        Column("Modes", lambda obj, now: ",".join(dig(obj, "spec", "volumeLifecycleModes") or ()) or columns.NONE,
               description=".spec.volumeLifecycleModes"),
        columns.AGE,
    ),
)
