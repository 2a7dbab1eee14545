"""What the workloads share: selector and template rules, update strategies, status counts, columns.

In: specs and statuses. Out: FieldError lists, defaulted specs, columns, warnings.
Called by: apps/*.py, batch/*.py, core/replicationcontroller.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import columns, errors, fill, intstr, selectors, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import pod_defaults, pod_spec_validation, pod_warnings
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object

Validate = Any  # (new, old) -> list[FieldError], as Subresource.validate


# -- defaults -----------------------------------------------------------------------------------------------------------
def template_defaults(spec: Object) -> None:
    pod_defaults.pod_template(spec.get("template"))


def rolling_update(spec: Object, field: str, **values: Any) -> None:
    """The update strategy at `field`: RollingUpdate with these values, unless the user says otherwise."""
    fill.absent(spec, **{field: {}})
    strategy = spec[field]
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        fill.absent(strategy, rollingUpdate={})
        rolling = strategy["rollingUpdate"]
        fill.absent(rolling, **values)


# -- warnings -----------------------------------------------------------------------------------------------------------
def template_warnings(obj: Object) -> list[str]:
    return pod_warnings.of_template((obj.get("spec") or {}).get("template") or {}, "spec.template")


def name_warnings(obj: Object) -> list[str]:
    """Of new objects whose pods are called after them."""
    return pod_warnings.name_as_hostname(obj["metadata"], "Pod names and hostnames")


# -- selectors and templates ----------------------------------------------------------------------------------------------
def selector(spec: Object, what: str) -> list[FieldError]:
    """A selector that says something. `what` names the kind ("deployment")."""
    given = spec.get("selector")
    if given is None:
        return [errors.field_required("spec.selector")]
    return validation.validate_selector(given, "spec.selector") + not_empty(given, what)


def not_empty(given: Object, what: str) -> list[FieldError]:
    if given.get("matchLabels") or given.get("matchExpressions"):
        return []
    return [errors.field_invalid("spec.selector", given, f"empty selector is invalid for {what}")]


def selects_template(spec: Object, *, unreadable: str | None = None) -> list[FieldError]:
    """The selector matches the template's labels. `unreadable`: what is said of one that is no selector (None:
    nothing)."""
    given = spec.get("selector")
    labels = dig(spec, "template", "metadata", "labels") or {}
    if given is None:
        return []
    try:
        wanted = selectors.from_label_selector(given)
    except ValueError:
        return [] if unreadable is None else [errors.field_invalid("spec.selector", given, unreadable)]
    if wanted.matches(labels):
        return []
    return [errors.field_invalid("spec.template.metadata.labels", labels or None,
                                 "`selector` does not match template `labels`")]


def always_restarted(template: Object, kind: str) -> list[FieldError]:
    """restartPolicy Always, and no end. `kind` as upstream's message names it."""
    spec = template.get("spec") or {}
    out: list[FieldError] = []
    if spec.get("restartPolicy") != "Always":
        out.append(errors.field_not_supported("spec.template.spec.restartPolicy", spec.get("restartPolicy") or "",
                                              ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        out.append(errors.field_forbidden("spec.template.spec.activeDeadlineSeconds",
                                          f"activeDeadlineSeconds in {kind} is not Supported"))
    return out


def pod_template(spec: Object, before: Object | None) -> list[FieldError]:
    """`before`: the stored spec. Its template was found valid, which is most of the work of an update that keeps it."""
    if before is not None and spec.get("template") == before.get("template"):
        return []
    return pod_spec_validation.pod_template(spec.get("template") or {}, "spec.template")


def replica_template(spec: Object, before: Object | None) -> list[FieldError]:
    """Of Deployments and ReplicaSets, which upstream tells with the same words. `before`: the stored spec."""
    template = spec.get("template") or {}
    out = selector(spec, "deployment")
    matched = selects_template(spec, unreadable="invalid label selector")
    if any(f.field == "spec.selector" for f in matched):
        return out + matched
    out += matched
    return out + pod_template(spec, before) + always_restarted(template, "ReplicaSet")


def immutable_selector(new: Object, old: Object) -> list[FieldError]:
    return validation.immutable(dig(new, "spec", "selector"), dig(old, "spec", "selector"), "spec.selector")


# -- numbers --------------------------------------------------------------------------------------------------------------
def numbers(spec: Object, *fields: str) -> list[FieldError]:
    return [f for field in fields for f in validation.non_negative(spec.get(field), f"spec.{field}")]


def is_zero(value: Any) -> bool:
    part = intstr.percent(value)
    return (part == 0) if part is not None else intstr.number(value) == 0


# What may not be more than what there is: (field, upper bound, words).
_BOUNDS = (("updatedReplicas", "replicas"), ("fullyLabeledReplicas", "replicas"), ("readyReplicas", "replicas"),
           ("currentReplicas", "replicas"), ("availableReplicas", "replicas"), ("availableReplicas", "readyReplicas"))


def status_rules(*fields: str, order: tuple[str, ...] = (), available_text: str = "cannot be greater than readyReplicas",
                 bounded: bool = True) -> Validate:
    """validate of a status subresource: counts are not negative, and parts not more than the whole.
    `order`: the order in which upstream looks at the parts, where it is not that of _BOUNDS."""

    def check(new: Object, old: Object) -> list[FieldError]:
        status, before = new.get("status") or {}, old.get("status") or {}
        out = [f for field in fields for f in validation.non_negative(status.get(field), f"status.{field}")]
        rules = sorted((b for b in _BOUNDS if b[0] in fields), key=lambda b: order.index(b[0]) if order else 0)
        for field, bound in rules if bounded else ():
            if (status.get(field) or 0) > (status.get(bound) or 0):
                text = "cannot be greater than status.replicas" if bound == "replicas" else available_text
                out.append(errors.field_invalid(f"status.{field}", status[field], text))
        had, have = before.get("collisionCount"), status.get("collisionCount")
        if "collisionCount" in fields and had is not None and (have is None or have < had):
            out.append(errors.field_invalid("status.collisionCount", have or 0, "cannot be decremented"))
        return out

    return check


# -- columns --------------------------------------------------------------------------------------------------------------
def ready_of_wanted(obj: Object, now: float) -> str:
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{dig(obj, 'spec', 'replicas') or 0}"


READY = Column("Ready", ready_of_wanted, description="Number of the pod with ready state")


def count(name: str, *path: str) -> Column:
    return Column(name, columns.number(*path), type="integer", description="." + ".".join(path))


REPLICA_COLUMNS = (
    columns.NAME,
    count("Desired", "spec", "replicas"),
    count("Current", "status", "replicas"),
    count("Ready", "status", "readyReplicas"),
    columns.AGE,
    *columns.template("spec", "template", "spec"),
)
