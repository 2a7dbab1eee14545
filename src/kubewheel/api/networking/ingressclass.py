"""ingressclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    controller = dig(obj, "spec", "controller") or ""
    if controller and "/" not in controller:
        return [errors.field_invalid("spec.controller", controller,
                                     "must be a domain-prefixed path (such as \"acme.io/foo\")")]
    return []


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validation.immutable(dig(new, "spec", "controller"), dig(old, "spec", "controller"), "spec.controller")


def _parameters(obj: Object, now: float) -> str:
    p = dig(obj, "spec", "parameters")
    if not p:
        return columns.NONE
    group = f".{p['apiGroup']}" if p.get("apiGroup") else ""
    return f"{p.get('kind')}{group}/{p.get('name')}"


def defaults(obj: Object) -> None:
    parameters = dig(obj, "spec", "parameters")
    if parameters and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    definition="io.k8s.api.networking.v1.IngressClass",
    registry="ingressclasses",
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Controller", columns.at("spec", "controller"),
               description="Controller that is responsible for handling this class"),
        Column("Parameters", _parameters, description="A reference to a resource with additional parameters"),
        columns.AGE,
    ),
)
