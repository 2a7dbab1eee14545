"""jobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, conditions, durations, fill, names, selectors, subresources, validation
from kubewheel.api.batch import job_spec, job_status
from kubewheel.api.columns import dig
from kubewheel.api.core import workload
from kubewheel.api.errors import FieldError, field_invalid, field_required
from kubewheel.api.resource import Age, Column, Object, PrepareContext, Resource
from kubewheel.lib import clock


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    job_spec.defaults(spec)
    meta, labels = obj.setdefault("metadata", {}), dig(spec, "template", "metadata", "labels")
    if labels and not meta.get("labels"):
        meta["labels"] = dict(labels)
    workload.template_defaults(spec)


_PREFIX = "batch.kubernetes.io/"


def prepare_create(obj: Object, context: PrepareContext) -> None:
    """The selector is the job's own uid, unless the user manages selectors."""
    obj["status"] = {}
    spec, meta = obj["spec"], obj["metadata"]
    if job_spec.manual_selector(spec):
        return
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    uid, name = meta.get("uid", ""), meta.get("name", "")
    for key, value in (("job-name", name), ("controller-uid", uid)):  # others of the user's are refused below
        labels.setdefault(key, value)
        labels.setdefault(_PREFIX + key, value)
    selector = spec.get("selector") or {}
    selector.setdefault("matchLabels", {}).setdefault(f"{_PREFIX}controller-uid", uid)
    spec["selector"] = selector


def validate(obj: Object) -> list[FieldError]:
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    return _generated_selector(spec, meta, prefixed=True) + _spec(spec) + _pod_names(spec, meta)


def _pod_names(spec: Object, meta: Object) -> list[FieldError]:
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        host = f"{meta.get('name', '')}-{spec['completions'] - 1}"
        if names.label(host):
            return [field_invalid("metadata.name", meta.get("name", ""),
                                  f"will not able to create pod with invalid DNS label: {host}")]
    return []


def _spec(spec: Object) -> list[FieldError]:
    out = job_spec.validate(spec, "spec")
    if spec.get("selector") is None:
        out.append(field_required("spec.selector"))
    else:
        out += validation.validate_selector(spec["selector"], "spec.selector")
    return out + workload.selects_template(spec)


def _generated_selector(spec: Object, meta: Object, *, prefixed: bool) -> list[FieldError]:
    """Nobody else's selector: what the server generated is still there. `prefixed`: also in the newer labels."""
    if job_spec.manual_selector(spec) or spec.get("selector") is None:
        return []
    labels = dig(spec, "template", "metadata", "labels") or {}
    wanted = {"controller-uid": meta.get("uid", ""), "job-name": meta.get("name", "")}
    if prefixed:
        wanted |= {_PREFIX + key: value for key, value in wanted.items()}
    out: list[FieldError] = []
    for key, value in wanted.items():
        if key not in labels:
            out.append(field_required(f"spec.template.metadata.labels[{key}]", f"must be '{value}'"))
        elif labels[key] != value:
            out.append(field_invalid(f"spec.template.metadata.labels[{key}]", labels, f"must be '{value}'"))
    try:
        good = selectors.from_label_selector(spec["selector"]).matches(wanted)
    except ValueError:
        good = True  # said below
    if not good:
        out.append(field_invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    return out


def _scheduling_mutable(old: Object) -> bool:
    """A suspended job that never started, or has stopped, may be placed otherwise, with other resources."""
    return bool(dig(old, "spec", "suspend")) and (not dig(old, "status", "startTime") or (
        conditions.is_true(old, "Suspended") and not dig(old, "status", "active")))


_PLACEMENT = ("nodeSelector", "tolerations", "schedulingGates")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """Upstream looks at the spec as at a new one, then once more."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    had = dig(before, "template", "metadata", "labels") or {}
    found = _spec(spec)
    out = _generated_selector(spec, new["metadata"], prefixed=f"{_PREFIX}job-name" in had
                              and f"{_PREFIX}controller-uid" in had)
    out += found + _pod_names(spec, new["metadata"]) + found
    if spec.get("completionMode") != "Indexed":
        out += validation.immutable(spec.get("completions"), before.get("completions"), "spec.completions")
    elif spec.get("completions") not in (None, before.get("completions"), spec.get("parallelism")):
        out.append(field_invalid("spec.completions", spec["completions"],
                                 "can only be modified in tandem with spec.parallelism"))
    out += validation.immutable(spec.get("selector"), before.get("selector"), "spec.selector")
    template, was = spec.get("template") or {}, before.get("template") or {}
    if not _scheduling_mutable(old):
        out += validation.immutable(template, was, "spec.template")
    elif _without_placement(template) != _without_placement(was):
        out.append(field_invalid("spec.template.spec", template.get("spec") or {}, validation.IMMUTABLE))
    for field in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        out += validation.immutable(spec.get(field), before.get(field), f"spec.{field}")
    return out


def _without_placement(template: Object) -> Object:
    """The pod's spec without what may differ of a job that is not running: also resources, which may be resized then."""
    spec = {k: v for k, v in (template.get("spec") or {}).items() if k not in _PLACEMENT}
    affinity = {k: v for k, v in (spec.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [{k: v for k, v in c.items() if k != "resources"} for c in spec[key]]
    return {**spec, "affinity": affinity}


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


def _duration(obj: Object) -> Age | str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    began = clock.parse_time(status["startTime"])
    if status.get("completionTime"):
        return durations.human(clock.parse_time(status["completionTime"]) - began)
    return Age(began)


RESOURCE = Resource(
    group="batch",
    kind="Job",
    plural="jobs",
    categories=("all",),
    definition="io.k8s.api.batch.v1.Job",
    registry="jobs",
    subresources=(subresources.status("Job", validate=job_status.validate),),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=lambda obj: job_spec.warnings(obj.get("spec") or {}, "spec"),
    create_warnings=workload.name_warnings,
    columns=(
        columns.NAME,
        Column("Status", _status, description="Status of the job."),
        Column("Completions", _completions, description=".status.succeeded"),
        columns.aging("Duration", _duration, description="Time required to complete the job."),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
    selectable={"status.successful": lambda obj: str(dig(obj, "status", "succeeded") or 0)},
    selector_refusal='field label "{label}" not supported for batchv1.Job',
)
