"""prioritylevelconfigurations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kubewheel.api import columns, errors, shape, subresources
from kubewheel.api.errors import FieldError
from kubewheel.api.flowcontrol import mandatory
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.struct(obj, "status")
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
    queuing = shape.struct(limited, "limitResponse").get("queuing")
    if queuing is not None:
        for key, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            if not queuing.get(key):
                queuing[key] = value


MAX_QUEUES = 10_000_000
MAX_ENTROPY = 60


def validate(obj: Object) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    out: list[FieldError] = []
    if (name == "exempt") != (kind == "Exempt"):
        out.append(errors.field_invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            out.append(errors.field_forbidden("spec.limited", "must be nil if the type is not Limited"))
        if exempt is not None:
            out += _shares(exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            out.append(errors.field_forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            out.append(errors.field_required("spec.limited", "must not be empty when type is Limited"))
        else:
            out += _limited(limited, "spec.limited")
    else:
        out.append(errors.field_not_supported("spec.type", kind, ("Exempt", "Limited")))
    fixed = mandatory.LEVELS.get(name)
    if fixed is not None and name != "exempt" and spec != fixed:
        out.append(errors.field_invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    return out + shape.condition_types(obj)


def _shares(part: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if (shares := part.get("nominalConcurrencyShares")) is not None and shares < 0:
        out.append(errors.field_invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if (lent := part.get("lendablePercent")) is not None and not 0 <= lent <= 100:
        out.append(errors.field_invalid(f"{path}.lendablePercent", lent, "must be between 0 and 100, inclusive"))
    return out


def _limited(limited: Object, path: str) -> list[FieldError]:
    out = [f for f in _shares(limited, path) if "Shares" in f.field]
    response = limited.get("limitResponse") or {}
    kind, queuing, where = response.get("type") or "", response.get("queuing"), f"{path}.limitResponse"
    if kind == "Reject":
        if queuing is not None:
            out.append(errors.field_forbidden(f"{where}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    elif kind == "Queue":
        if queuing is None:
            out.append(errors.field_required(f"{where}.queuing", (
                "must not be empty if limited.limitResponse.type is Limited")))
        else:
            out += _queues(queuing, f"{where}.queuing")
    else:
        out.append(errors.field_not_supported(f"{where}.type", kind, ("Queue", "Reject")))
    out += [f for f in _shares(limited, path) if "Shares" not in f.field]
    if (borrowed := limited.get("borrowingLimitPercent")) is not None and borrowed < 0:
        out.append(errors.field_invalid(f"{path}.borrowingLimitPercent", borrowed,
                                        "if specified, must be a non-negative integer"))
    return out


def _queues(queuing: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    limit, queues, hand = (queuing.get(f) or 0 for f in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        out.append(errors.field_invalid(f"{path}.queueLengthLimit", limit, "must be positive"))
    if queues <= 0:
        out.append(errors.field_invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > MAX_QUEUES:
        out.append(errors.field_invalid(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}"))
    if hand <= 0:
        out.append(errors.field_invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        out.append(errors.field_invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif sum(math.log2(queues - i) for i in range(hand)) > MAX_ENTROPY:
        # How many bits of a flow's hash dealing a hand takes.
        out.append(errors.field_invalid(f"{path}.handSize", hand, (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_ENTROPY}")))
    return out


def _queuing(field: str) -> Callable[[Object, float], Any]:
    return columns.at("spec", "limited", "limitResponse", "queuing", field, default=columns.NONE)


RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    definition="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    registry="prioritylevelconfigurations",
    subresources=(subresources.status("PriorityLevelConfiguration",
                                      validate=lambda new, old: shape.condition_types(new)),),
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Type", columns.at("spec", "type"), description=".spec.type"),
        Column("NominalConcurrencyShares", columns.at("spec", "limited", "nominalConcurrencyShares", default=columns.NONE),
               description=".spec.limited.nominalConcurrencyShares"),
        Column("Queues", _queuing("queues"), description=".spec.limited.limitResponse.queuing.queues"),
        Column("HandSize", _queuing("handSize"), description=".spec.limited.limitResponse.queuing.handSize"),
        Column("QueueLengthLimit", _queuing("queueLengthLimit"),
               description=".spec.limited.limitResponse.queuing.queueLengthLimit"),
        columns.AGE,
    ),
)
