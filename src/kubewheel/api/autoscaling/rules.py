"""Rules of HorizontalPodAutoscalers.

In: autoscaling/v2 objects after defaulting. Out: FieldError lists. Called by: horizontalpodautoscaler.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.core import resource_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

# A metric's type and the field that says more of it, in the order upstream looks at them.
SOURCES = {"Object": "object", "External": "external", "Pods": "pods", "Resource": "resource",
           "ContainerResource": "containerResource"}
_TARGETS = ("Utilization", "Value", "AverageValue")
_MAX_WINDOW, _MAX_PERIOD = 3600, 1800


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    """No replicas at all are allowed only where they were before the feature was turned off."""
    out: list[FieldError] = []
    least = 0 if ((old or {}).get("spec") or {}).get("minReplicas") == 0 else 1
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < least:
        out.append(errors.field_invalid("spec.minReplicas", low, f"must be greater than or equal to {least}"))
    if high < 1:
        out.append(errors.field_invalid("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        out.append(errors.field_invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    out += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for i, metric in enumerate(spec.get("metrics") or ()):
        out += _metric(metric, f"spec.metrics[{i}]")
    if low == 0 and not {m.get("type") for m in spec.get("metrics") or ()} & {"Object", "External"}:
        out.append(errors.field_forbidden("spec.metrics", (
            "must specify at least one Object or External metric to support scaling to zero replicas")))
    for side in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(side)
        if rules is not None:
            out += _scaling_rules(rules, f"spec.behavior.{side}")
    return out


def validate_status(new: Object, old: Object) -> list[FieldError]:
    status = new.get("status") or {}
    return [f for field in ("currentReplicas", "desiredReplicas")
            for f in validation.non_negative(status.get(field), f"status.{field}")]


def _reference(ref: Object, path: str) -> list[FieldError]:
    return [f for field in ("kind", "name") for f in _segment(ref.get(field) or "", f"{path}.{field}")]


def _segment(text: str, path: str, missing: str = "") -> list[FieldError]:
    if not text:
        return [errors.field_required(path, missing)]
    return validation.check(path, text, names.path_segment(text))


def _metric(metric: Object, path: str) -> list[FieldError]:
    kind = metric.get("type") or ""
    out: list[FieldError] = []
    if not kind:
        out.append(errors.field_required(f"{path}.type", "must specify a metric source type"))
    if kind not in SOURCES:
        out.append(errors.field_not_supported(f"{path}.type", kind, SOURCES))
    have = [field for field in SOURCES.values() if metric.get(field) is not None]
    if have:
        out += _source(have[0], metric[have[0]], f"{path}.{have[0]}")
    wanted = SOURCES.get(kind, "")
    if not wanted:  # upstream says so once more
        out.append(errors.field_not_supported(f"{path}.type", kind, SOURCES))
    elif wanted not in have:
        out.append(errors.field_required(f"{path}.{wanted}",
                                         "must populate information for the given metric source"))
    if len(have) != 1:
        out += [errors.field_forbidden(f"{path}.{field}", "must populate the given metric source only")
                for field in have if field != wanted]
    return out


def _source(field: str, source: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    target, where = source.get("target") or {}, f"{path}.target"
    if field == "object":
        out += _reference(source.get("describedObject") or {}, f"{path}.describedObject")
    if field in ("resource", "containerResource"):
        if not source.get("name"):
            out.append(errors.field_required(f"{path}.name", "must specify a resource name"))
        elif field == "containerResource":
            out += resource_validation.container_resource_name(source["name"], f"{path}.name")
        if field == "containerResource":
            container = source.get("container") or ""
            out += (validation.check(f"{path}.container", container, names.label(container)) if container
                    else [errors.field_required(f"{path}.container", "must specify a container")])
    else:
        metric = source.get("metric") or {}
        out += _segment(metric.get("name") or "", f"{path}.metric.name", "must specify a metric name")
    out += _target(target, where)
    value, average, utilization = (target.get(k) for k in ("value", "averageValue", "averageUtilization"))
    if field in ("resource", "containerResource"):
        if utilization is None and average is None:
            out.append(errors.field_required(f"{where}.averageUtilization",
                                             "must set either a target raw value or a target utilization"))
        if utilization is not None and average is not None:
            out.append(errors.field_forbidden(f"{where}.averageValue",
                                              "may not set both a target raw value and a target utilization"))
    elif field == "pods":
        if average is None:
            out.append(errors.field_required(f"{where}.averageValue", "must specify a positive target averageValue"))
    elif value is None and average is None:
        text = ("must set either a target value or averageValue" if field == "object" else
                "must set either a target value for metric or a per-pod target")
        out.append(errors.field_required(f"{where}.averageValue", text))
    elif field == "external" and value is not None and average is not None:
        out.append(errors.field_forbidden(f"{where}.value",
                                          "may not set both a target value for metric and a per-pod target"))
    return out


def _target(target: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    kind = target.get("type") or ""
    if not kind:
        out.append(errors.field_required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        out.append(errors.field_invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        amount = target.get(field)
        if amount is not None and quantity.is_valid(amount) and quantity.nano(amount) <= 0:
            out.append(errors.field_invalid(f"{path}.{field}", quantity.canonical(amount), "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        out.append(errors.field_invalid(f"{path}.averageUtilization", utilization, "must be greater than 0"))
    return out


def _scaling_rules(rules: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    window, select = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    if window is not None and window < 0:
        out.append(errors.field_invalid(f"{path}.stabilizationWindowSeconds", window,
                                        "must be greater than or equal to zero"))
    if window is not None and window > _MAX_WINDOW:
        out.append(errors.field_invalid(f"{path}.stabilizationWindowSeconds", window,
                                        f"must be less than or equal to {_MAX_WINDOW}"))
    if select is not None and select not in ("Max", "Min", "Disabled"):
        out.append(errors.field_not_supported(f"{path}.selectPolicy", select, ("Max", "Min", "Disabled")))
    policies = rules.get("policies") or ()
    if not policies:
        out.append(errors.field_required(f"{path}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(policies):
        out += _policy(policy, f"{path}.policies[{i}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None:
        out += validation.validate_quantity(tolerance, f"{path}.tolerance")
    return out


def _policy(policy: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    kind, value, period = policy.get("type") or "", policy.get("value") or 0, policy.get("periodSeconds") or 0
    if kind not in ("Pods", "Percent"):
        out.append(errors.field_not_supported(f"{path}.type", kind, ("Pods", "Percent")))
    if value <= 0:
        out.append(errors.field_invalid(f"{path}.value", value, "must be greater than zero"))
    if period <= 0:
        out.append(errors.field_invalid(f"{path}.periodSeconds", period, "must be greater than zero"))
    if period > _MAX_PERIOD:
        out.append(errors.field_invalid(f"{path}.periodSeconds", period,
                                        f"must be less than or equal to {_MAX_PERIOD}"))
    return out
