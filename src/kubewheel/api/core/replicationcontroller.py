"""replicationcontrollers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.core import pod_spec_validation
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    workload.default(spec, replicas=1)
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
    out = workload.numbers(spec, "minReadySeconds", "replicas")
    selector = spec.get("selector") or {}
    if not selector:
        out.append(errors.field_required("spec.selector"))
    template = spec.get("template")
    if template is None:
        return [*out, errors.field_required("spec.template")]
    labels = dig(template, "metadata", "labels") or {}
    if selector and any(labels.get(k) != v for k, v in selector.items()):
        out.append(errors.field_invalid("spec.template.metadata.labels", labels,
                                        "`selector` does not match template `labels`"))
    out += pod_spec_validation.pod_template(template, "spec.template")
    policy = dig(template, "spec", "restartPolicy")
    if policy != "Always":
        out.append(errors.field_not_supported("spec.template.spec.restartPolicy", policy or "", ("Always",)))
    return out


RESOURCE = Resource(
    kind="ReplicationController",
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.ReplicationController",
    registry="controllers",
    subresources=(
        subresources.status("ReplicationController", validate=workload.status_numbers(
            "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        Column("Desired", columns.number("spec", "replicas"), type="integer", description=".spec.replicas"),
        Column("Current", columns.number("status", "replicas"), type="integer", description=".status.replicas"),
        Column("Ready", columns.number("status", "readyReplicas"), type="integer",
               description=".status.readyReplicas"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        Column("Selector", lambda obj, now: columns.labels(dig(obj, "spec", "selector")), priority=1,
               description=".spec.selector"),
    ),
    selectable={"status.replicas": lambda obj: str(dig(obj, "status", "replicas") or 0)},
)
