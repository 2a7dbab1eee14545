"""replicationcontrollers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, fill, subresources
from kubewheel.api.columns import dig
from kubewheel.api.core import pod_spec_validation, workload
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, replicas=1)
    labels = dig(spec, "template", "metadata", "labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        meta = obj.setdefault("metadata", {})
        if not meta.get("labels"):
            meta["labels"] = dict(labels)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"replicas": 0}


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector") or {}, spec.get("template")
    out = workload.numbers(spec, "minReadySeconds")
    if not selector:
        out.append(errors.field_required("spec.selector"))
    out += workload.numbers(spec, "replicas")
    if template is None:
        return [*out, errors.field_required("spec.template")]
    labels = dig(template, "metadata", "labels") or {}
    if any(labels.get(k) != v for k, v in selector.items()):
        out.append(errors.field_invalid("spec.template.metadata.labels", labels or None,
                                        "`selector` does not match template `labels`"))
    out += pod_spec_validation.pod_template(template, "spec.template")
    return out + workload.always_restarted(template, "ReplicationController")


RESOURCE = Resource(
    kind="ReplicationController",
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.ReplicationController",
    registry="controllers",
    subresources=(
        subresources.status("ReplicationController", validate=workload.status_rules(
            "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    warnings=workload.template_warnings,
    create_warnings=workload.name_warnings,
    columns=(
        *workload.REPLICA_COLUMNS,
        Column("Selector", lambda obj, now: columns.labels(dig(obj, "spec", "selector")), priority=1,
               description=".spec.selector"),
    ),
    selectable={"status.replicas": lambda obj: str(dig(obj, "status", "replicas") or 0)},
)
