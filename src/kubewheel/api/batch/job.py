"""jobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, conditions, durations, fill, subresources, validation
from kubewheel.api.batch import job_spec
from kubewheel.api.columns import dig
from kubewheel.api.core import workload
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource
from kubewheel.lib import clock


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    job_spec.defaults(spec)
    meta, labels = obj.setdefault("metadata", {}), dig(spec, "template", "metadata", "labels")
    if labels and not meta.get("labels"):
        meta["labels"] = dict(labels)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    """The selector is the job's own uid, unless the user manages selectors."""
    obj["status"] = {}
    spec, meta = obj["spec"], obj["metadata"]
    if job_spec.manual_selector(spec):
        return
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    uid, name = meta.get("uid", ""), meta.get("name", "")
    labels.update({"controller-uid": uid, "job-name": name, "batch.kubernetes.io/controller-uid": uid,
                   "batch.kubernetes.io/job-name": name})
    selector = spec.get("selector") or {}
    selector.setdefault("matchLabels", {}).setdefault("batch.kubernetes.io/controller-uid", uid)
    spec["selector"] = selector


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return job_spec.validate(spec, "spec") + job_spec.selector_matches(spec)


def _scheduling_mutable(old: Object) -> bool:
    """A suspended job that never started may be placed otherwise."""
    return bool(dig(old, "spec", "suspend")) and not dig(old, "status", "startTime")


_PLACEMENT = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = job_spec.validate(new.get("spec") or {}, "spec")
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for field in ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
                  "successPolicy"):
        out += validation.immutable(spec.get(field), before.get(field), f"spec.{field}")
    if spec.get("completions") != before.get("completions"):
        elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
        if not elastic:
            out += validation.immutable(spec.get("completions"), before.get("completions"), "spec.completions")
    template, had = spec.get("template") or {}, before.get("template") or {}
    if _scheduling_mutable(old):
        template, had = _without_placement(template), _without_placement(had)
    out += validation.immutable(template, had, "spec.template")
    return out


def _without_placement(template: Object) -> Object:
    meta = {k: v for k, v in (template.get("metadata") or {}).items() if k not in ("labels", "annotations")}
    spec = {k: v for k, v in (template.get("spec") or {}).items() if k not in _PLACEMENT}
    return {**template, "metadata": meta, "spec": spec}


def _status(obj: Object, now: float) -> str:
    for type_, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if conditions.is_true(obj, type_):
            return word
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for type_ in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if conditions.is_true(obj, type_):
            return type_
    return "Running"


def _completions(obj: Object, now: float) -> str:
    done, spec = dig(obj, "status", "succeeded") or 0, obj.get("spec") or {}
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallel = spec.get("parallelism") or 0
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(obj: Object, now: float) -> str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    end = clock.parse_time(status["completionTime"]) if status.get("completionTime") else now
    return durations.human(end - clock.parse_time(status["startTime"]))


RESOURCE = Resource(
    group="batch",
    kind="Job",
    plural="jobs",
    categories=("all",),
    definition="io.k8s.api.batch.v1.Job",
    registry="jobs",
    subresources=(subresources.status("Job", validate=workload.status_rules("active", "succeeded", "failed",
                                                                              "ready")),),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        Column("Status", _status, description="Status of the job."),
        Column("Completions", _completions, description=".status.succeeded"),
        Column("Duration", _duration, description="Time required to complete the job."),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
    selectable={"status.successful": lambda obj: str(dig(obj, "status", "succeeded") or 0)},
)
