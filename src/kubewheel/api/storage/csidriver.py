"""csidrivers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import columns, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
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


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = validation.one_of(spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"),
                            "spec.fsGroupPolicy", required=False)
    out += _tokens(spec.get("tokenRequests") or ())
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _LIFECYCLES:
            out.append(errors.field_not_supported("spec.volumeLifecycleModes", mode, _LIFECYCLES, ordered=True))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < 10:
        out.append(errors.field_invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds,
                                        "must be greater than or equal to 10 seconds"))
    return out


_LIFECYCLES = ["Persistent", "Ephemeral"]


def _tokens(requests: Sequence[Object]) -> list[FieldError]:
    out: list[FieldError] = []
    audiences: set[str] = set()
    for i, request in enumerate(requests):
        path, audience = f"spec.tokenRequests[{i}]", request.get("audience") or ""
        if audience in audiences:
            out.append(errors.field_duplicate(f"{path}.audience", audience))
            continue
        audiences.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            out.append(errors.field_invalid(f"{path}.expirationSeconds", seconds,
                                            "may not specify a duration less than 10 minutes"))
        if seconds is not None and seconds > 1 << 32:
            out.append(errors.field_invalid(f"{path}.expirationSeconds", seconds,
                                            "may not specify a duration larger than 2^32 seconds"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    now, was = new.get("spec") or {}, old.get("spec") or {}
    out = validate(new)
    out += validation.immutable(now.get("attachRequired"), was.get("attachRequired"), "spec.attachedRequired")
    return out + validation.immutable(now.get("volumeLifecycleModes"), was.get("volumeLifecycleModes"),
                                      "spec.volumeLifecycleModes")


# A CSIDriver has no generation until one of these changes.
_COUNTED = ("tokenRequests", "requiresRepublish", "seLinuxMount", "nodeAllocatableUpdatePeriodSeconds")


def raises_generation(new: Object, old: Object) -> bool:
    return any(dig(new, "spec", field) != dig(old, "spec", field) for field in _COUNTED)


def _flag(name: str, field: str, *, default: bool = False) -> Column:
    return Column(name, columns.at("spec", field, default=default), type="boolean", description=f".spec.{field}")


def _audiences(obj: Object, now: float) -> str:
    requests = dig(obj, "spec", "tokenRequests")
    return ",".join(r.get("audience", "") for r in requests) if requests else columns.UNSET


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSIDriver",
    registry="csidrivers",
    has_generation=False,
    raises_generation=raises_generation,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        _flag("AttachRequired", "attachRequired", default=True),
        _flag("PodInfoOnMount", "podInfoOnMount"),
        _flag("StorageCapacity", "storageCapacity"),
        Column("TokenRequests", _audiences, description=".spec.tokenRequests"),
        _flag("RequiresRepublish", "requiresRepublish"),
        Column("Modes", lambda obj, now: ",".join(dig(obj, "spec", "volumeLifecycleModes") or ()) or columns.NONE,
               description=".spec.volumeLifecycleModes"),
        columns.AGE,
    ),
)
