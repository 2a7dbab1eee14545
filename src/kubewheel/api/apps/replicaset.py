"""replicasets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    workload.default(spec, replicas=1)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"replicas": 0}


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return workload.numbers(spec, "replicas", "minReadySeconds") + workload.selector_and_template(spec)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new) + validation.immutable(
        dig(new, "spec", "selector"), dig(old, "spec", "selector"), "spec.selector")


RESOURCE = Resource(
    group="apps",
    kind="ReplicaSet",
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.ReplicaSet",
    registry="replicasets",
    subresources=(
        subresources.status("ReplicaSet", validate=workload.status_numbers(
            "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        Column("Desired", columns.number("spec", "replicas"), type="integer", description=".spec.replicas"),
        Column("Current", columns.number("status", "replicas"), type="integer", description=".status.replicas"),
        Column("Ready", columns.number("status", "readyReplicas"), type="integer",
               description=".status.readyReplicas"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
    selectable={"status.replicas": lambda obj: str(dig(obj, "status", "replicas") or 0)},
)
