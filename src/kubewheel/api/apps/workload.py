"""What the workloads share: selector and template rules, revision history, int-or-percent fields.

In: specs. Out: FieldError lists, defaulted specs. Called by: apps/*.py, batch/*.py, core/replicationcontroller.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, intstr, selectors, validation
from kubewheel.api.core import pod_defaults, pod_spec_validation, pod_warnings
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object


def spec_of(obj: Object) -> Object:
    spec = obj.get("spec")
    if spec is None:
        spec = obj["spec"] = {}
    return spec


def default(spec: Object, **values: Any) -> None:
    for key, value in values.items():
        if spec.get(key) is None:
            spec[key] = value


def template_defaults(spec: Object) -> None:
    pod_defaults.pod_template(spec.get("template"))


def template_warnings(obj: Object) -> list[str]:
    return pod_warnings.of_template((obj.get("spec") or {}).get("template") or {}, "spec.template")


def warnings(obj: Object) -> list[str]:
    """Of kinds whose pods are called after them."""
    return pod_warnings.name_as_hostname(obj["metadata"], "Pod names and hostnames") + template_warnings(obj)


def selector_and_template(spec: Object, *, what: str = "Deployment") -> list[FieldError]:
    """A selector that says something and matches the template's labels; a good template. `what` names the kind in
    messages (upstream speaks of deployments for replicasets, too)."""
    restart = ("Always",)
    out: list[FieldError] = []
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        out.append(errors.field_required("spec.selector"))
    else:
        out += validation.validate_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            out.append(errors.field_invalid("spec.selector", selector,
                                            f"empty selector is invalid for {what.lower()}"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None and not out and not selectors.from_label_selector(selector).matches(labels):
        out.append(errors.field_invalid("spec.template.metadata.labels", labels,
                                        "`selector` does not match template `labels`"))
    out += pod_spec_validation.pod_template(template, "spec.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in restart:
        out.append(errors.field_not_supported("spec.template.spec.restartPolicy", policy or "", restart))
    if (template.get("spec") or {}).get("activeDeadlineSeconds") is not None:
        kind = "ReplicaSet" if what == "Deployment" else what
        out.append(errors.field_forbidden("spec.template.spec.activeDeadlineSeconds",
                                          f"activeDeadlineSeconds in {kind} is not Supported"))
    return out


def numbers(spec: Object, *fields: str) -> list[FieldError]:
    return [f for field in fields for f in validation.non_negative(spec.get(field), f"spec.{field}")]


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    out = validation.non_negative_or_percent(value, path)
    return out + validation.at_most_100_percent(value, path)


def rolling_zero(unavailable: Any, surge: Any, path: str) -> list[FieldError]:
    """Neither may stand still: one of the two must be above 0."""
    if _is_zero(unavailable) and _is_zero(surge):
        return [errors.field_invalid(path, unavailable, "may not be 0 when `maxSurge` is 0")]
    return []


def _is_zero(value: Any) -> bool:
    part = intstr.percent(value)
    return (part == 0) if part is not None else value == 0


def status_numbers(*fields: str):
    """validate of a status subresource: counts are not negative."""

    def check(new: Object, old: Object) -> list[FieldError]:
        status = new.get("status") or {}
        return [f for field in fields for f in validation.non_negative(status.get(field), f"status.{field}")]

    return check
