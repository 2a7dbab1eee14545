"""flowschemas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.flowcontrol import mandatory, subjects
from kubewheel.api.resource import Column, Object, Resource

MAX_PRECEDENCE = 10000
_METHODS = ("ByNamespace", "ByUser")


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.struct(spec, "priorityLevelConfiguration").setdefault("name", "")
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000
    shape.struct(obj, "status")


def validate(obj: Object) -> list[FieldError]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    precedence, path = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    out: list[FieldError] = []
    if precedence <= 0:
        out.append(errors.field_invalid(path, precedence, "must be a positive value"))
    if precedence > MAX_PRECEDENCE:
        out.append(errors.field_invalid(path, precedence, f"must not be greater than {MAX_PRECEDENCE}"))
    if precedence == 1 and name != "exempt":
        out.append(errors.field_invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        out.append(errors.field_not_supported("spec.distinguisherMethod", {"Type": method.get("type") or ""}, _METHODS))
    level = dig(spec, "priorityLevelConfiguration", "name") or ""
    if level:
        out += validation.check("spec.priorityLevelConfiguration.name", level, names.subdomain(level))
    else:
        out.append(errors.field_required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
    for i, rule in enumerate(spec.get("rules") or ()):
        out += subjects.rule(rule, f"spec.rules[{i}]")
    if name in mandatory.SCHEMAS and spec != mandatory.SCHEMAS[name]:
        out.append(errors.field_invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    return out + shape.condition_types(obj)


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
    subresources=(subresources.status("FlowSchema", validate=lambda new, old: shape.condition_types(new)),),
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("PriorityLevel", columns.at("spec", "priorityLevelConfiguration", "name"),
               description=".spec.priorityLevelConfiguration.name"),
        Column("MatchingPrecedence", columns.number("spec", "matchingPrecedence"),
               description=".spec.matchingPrecedence"),
        Column("DistinguisherMethod", columns.at("spec", "distinguisherMethod", "type", default=columns.NONE),
               description=".spec.distinguisherMethod"),
        columns.AGE,
        Column("MissingPL", _missing, description="references a broken or non-existent PriorityLevelConfiguration"),
    ),
)
