"""replicasets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, fill, subresources
from kubewheel.api.columns import dig
from kubewheel.api.core import workload
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, PrepareContext, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, replicas=1)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"replicas": 0}


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return workload.numbers(spec, "replicas", "minReadySeconds") + workload.replica_template(spec, old and old.get("spec"))


RESOURCE = Resource(
    group="apps",
    kind="ReplicaSet",
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.ReplicaSet",
    registry="replicasets",
    subresources=(
        subresources.status("ReplicaSet", validate=workload.status_rules(
            "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=lambda new, old: validate(new, old) + workload.immutable_selector(new, old),
    warnings=workload.template_warnings,
    create_warnings=workload.name_warnings,
    columns=(*workload.REPLICA_COLUMNS, columns.selector("spec", "selector")),
    selectable={"status.replicas": lambda obj: str(dig(obj, "status", "replicas") or 0)},
)
