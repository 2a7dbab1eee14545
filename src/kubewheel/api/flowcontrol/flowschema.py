"""flowschemas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if not 1 <= (spec.get("matchingPrecedence") or 0) <= 10000:
        out.append(errors.field_invalid("spec.matchingPrecedence", spec.get("matchingPrecedence"),
                                        "must be between 1 and 10000"))
    if not dig(spec, "priorityLevelConfiguration", "name"):
        out.append(errors.field_required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    return out


def _missing(obj: Object, now: float) -> str:
    for c in dig(obj, "status", "conditions") or ():
        if c.get("type") == "Dangling":
            return c.get("status", "?")
    return "?"


RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    definition="io.k8s.api.flowcontrol.v1.FlowSchema",
    registry="flowschemas",
    subresources=(subresources.status("FlowSchema"),),
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("PriorityLevel", columns.at("spec", "priorityLevelConfiguration", "name"),
               description=".spec.priorityLevelConfiguration"),
        Column("MatchingPrecedence", columns.number("spec", "matchingPrecedence"), type="integer",
               description=".spec.matchingPrecedence"),
        Column("DistinguisherMethod", columns.at("spec", "distinguisherMethod", "type", default=columns.NONE),
               description=".spec.distinguisherMethod"),
        columns.AGE,
        Column("MissingPL", _missing, description="references a broken or non-existent PriorityLevelConfiguration"),
    ),
)
