"""A Job's spec: defaults and rules, shared by Jobs and CronJobs' job templates.

In: JobSpec dicts. Out: defaulted specs, FieldError lists. Called by: job.py, cronjob.py.
"""

from __future__ import annotations

from kubewheel.api import errors, fill, selectors, validation
from kubewheel.api.core import pod_spec_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_PARALLEL_INDEXED = 100_000


def defaults(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    fill.absent(spec, parallelism=1, completionMode="NonIndexed", suspend=False,
                     podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            fill.absent(pattern, status="True")


def manual_selector(spec: Object) -> bool:
    return bool(spec.get("manualSelector"))


def validate(spec: Object, path: str, *, template_only: bool = False) -> list[FieldError]:
    """`template_only`: inside a CronJob, where selectors are generated later."""
    out: list[FieldError] = []
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                  "backoffLimitPerIndex", "maxFailedIndexes"):
        out += validation.non_negative(spec.get(field), f"{path}.{field}")
    mode = spec.get("completionMode")
    out += validation.one_of(mode, ("Indexed", "NonIndexed"), f"{path}.completionMode", required=False)
    if mode == "Indexed":
        if spec.get("completions") is None:
            out.append(errors.field_required(f"{path}.completions", "when completion mode is Indexed"))
        if (spec.get("parallelism") or 0) > MAX_PARALLEL_INDEXED:
            out.append(errors.field_invalid(f"{path}.parallelism", spec["parallelism"], (
                f"must be less than or equal to {MAX_PARALLEL_INDEXED} when completion mode is Indexed")))
    elif spec.get("backoffLimitPerIndex") is not None:
        out.append(errors.field_invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"],
                                        "requires indexed completion mode"))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        out.append(errors.field_required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    out += validation.one_of(spec.get("podReplacementPolicy"), ("Failed", "TerminatingOrFailed"),
                             f"{path}.podReplacementPolicy", required=False)
    if template_only and manual_selector(spec):
        out.append(errors.field_not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    template = spec.get("template") or {}
    out += pod_spec_validation.pod_template(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        text = ", ".join(f'"{p}"' for p in ("OnFailure", "Never"))
        out.append(_unsupported(f"{path}.template.spec.restartPolicy", policy or "", text))
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        out.append(errors.field_invalid(f"{path}.template.spec.restartPolicy", policy or "",
                                        "only \"Never\" is supported when podFailurePolicy is specified"))
    return out


def _unsupported(path: str, value: str, allowed: str) -> FieldError:
    return FieldError("FieldValueNotSupported", path,
                      f"Unsupported value: {errors.render_value(value)}: supported values: {allowed}")


def selector_matches(spec: Object) -> list[FieldError]:
    selector = spec.get("selector")
    if selector is None:
        return [errors.field_required("spec.selector")]
    out = validation.validate_selector(selector, "spec.selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not out and not selectors.from_label_selector(selector).matches(labels):
        out.append(errors.field_invalid("spec.template.metadata.labels", labels,
                                        "`selector` does not match template `labels`"))
    return out
