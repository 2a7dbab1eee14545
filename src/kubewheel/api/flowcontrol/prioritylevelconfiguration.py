"""prioritylevelconfigurations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = obj.get("spec") or {}
    if (exempt := spec.get("exempt")) is not None:
        for key in ("nominalConcurrencyShares", "lendablePercent"):
            if exempt.get(key) is None:
                exempt[key] = 0
    limited = spec.get("limited")
    if limited is None:
        return
    if limited.get("nominalConcurrencyShares") is None:
        limited["nominalConcurrencyShares"] = 30
    if limited.get("lendablePercent") is None:
        limited["lendablePercent"] = 0
    queuing = dig(limited, "limitResponse", "queuing")
    if queuing is not None:
        for key, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            if not queuing.get(key):
                queuing[key] = value


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out = validation.one_of(spec.get("type"), ("Exempt", "Limited"), "spec.type")
    if spec.get("type") == "Limited" and spec.get("limited") is None:
        out.append(errors.field_required("spec.limited", "must not be empty when type is Limited"))
    if spec.get("type") == "Exempt" and spec.get("limited") is not None:
        out.append(errors.field_forbidden("spec.limited", "must be nil if the type is not Limited"))
    return out


def _queuing(field: str):
    return columns.at("spec", "limited", "limitResponse", "queuing", field, default=columns.NONE)


def _shares(obj: Object, now: float) -> str:
    for part in ("limited", "exempt"):
        if (shares := dig(obj, "spec", part, "nominalConcurrencyShares")) is not None:
            return str(shares)
    return columns.NONE


RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    definition="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    registry="prioritylevelconfigurations",
    subresources=(subresources.status("PriorityLevelConfiguration"),),
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Type", columns.at("spec", "type"), description=".spec.type"),
        Column("NominalConcurrencyShares", _shares, description=".spec.limited.nominalConcurrencyShares"),
        Column("Queues", _queuing("queues"), description=".spec.limited.limitResponse.queuing.queues"),
        Column("HandSize", _queuing("handSize"), description=".spec.limited.limitResponse.queuing.handSize"),
        Column("QueueLengthLimit", _queuing("queueLengthLimit"),
               description=".spec.limited.limitResponse.queuing.queueLengthLimit"),
        columns.AGE,
    ),
)
