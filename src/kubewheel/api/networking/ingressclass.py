"""ingressclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.networking import references
from kubewheel.api.resource import Column, Object, Resource

MAX_CONTROLLER = 250


def validate(obj: Object) -> list[FieldError]:
    controller = dig(obj, "spec", "controller") or ""
    out: list[FieldError] = []
    if len(controller) > MAX_CONTROLLER:
        out.append(errors.field_too_long("spec.controller", MAX_CONTROLLER))
    out += references.domain_prefixed_path(controller, "spec.controller")
    if parameters := dig(obj, "spec", "parameters"):
        out += _reference(parameters, "spec.parameters")
    return out


def _reference(ref: Object, path: str) -> list[FieldError]:
    out = references.typed_local(ref, path)
    scope, namespace = ref.get("scope"), ref.get("namespace")
    if scope not in ("Cluster", "Namespace"):
        out.append(errors.field_not_supported(f"{path}.scope", scope, ("Cluster", "Namespace")))
    elif scope == "Namespace" and namespace is None:
        out.append(errors.field_required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        out += validation.check(f"{path}.namespace", namespace, names.label(namespace or ""))
    elif namespace is not None:
        out.append(errors.field_forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validation.immutable(dig(new, "spec", "controller") or "", dig(old, "spec", "controller") or "",
                                "spec.controller") + validate(new)


def _parameters(obj: Object, now: float) -> str:
    p = dig(obj, "spec", "parameters")
    if not p:
        return columns.NONE
    group = f".{p['apiGroup']}" if p.get("apiGroup") else ""
    return f"{p.get('kind')}{group}/{p.get('name')}"


def defaults(obj: Object) -> None:
    parameters = shape.struct(obj, "spec").get("parameters")
    if parameters is not None and parameters.get("scope") is None:
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
