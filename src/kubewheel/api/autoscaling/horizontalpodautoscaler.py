"""horizontalpodautoscalers: v2 is the hub; v1 shows the CPU target alone and keeps the rest in annotations.

In: objects. Out: RESOURCE (v2), RESOURCE_V1. Called by: catalog.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, columns, errors, subresources
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def _is_cpu(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and (
        (resource.get("target") or resource.get("current") or {}).get("averageUtilization") is not None)


def to_v1(obj: Object) -> Object:
    """autoscaling/v2 -> autoscaling/v1."""
    out = codec.copy(obj)
    out["apiVersion"] = "autoscaling/v1"
    spec, status = out.get("spec") or {}, out.get("status")
    notes: dict[str, str] = {}
    others: list[Object] = []
    for metric in spec.pop("metrics", None) or ():
        if _is_cpu(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric)
    if others:
        notes[_METRICS] = codec.dumps(others).decode()
    if behavior := spec.pop("behavior", None):
        notes[_BEHAVIOR] = codec.dumps(behavior).decode()
    if status:
        current = status.pop("currentMetrics", None)
        for metric in current or ():
            if _is_cpu(metric):
                status["currentCPUUtilizationPercentage"] = metric["resource"]["current"]["averageUtilization"]
        if current:
            notes[_CURRENT] = codec.dumps(current).decode()
        if conditions := status.pop("conditions", None):
            notes[_CONDITIONS] = codec.dumps(conditions).decode()
    if notes:
        out["metadata"].setdefault("annotations", {}).update(notes)
    return out


def from_v1(obj: Object) -> Object:
    """autoscaling/v1 -> autoscaling/v2. Annotations that do not decode are dropped, as upstream does."""
    out = codec.copy(obj)
    out["apiVersion"] = "autoscaling/v2"
    annotations = (out.get("metadata") or {}).get("annotations") or {}

    def noted(key: str) -> Any:
        text = annotations.pop(key, None)
        if text is None:
            return None
        try:
            return codec.loads(text)
        except ValueError:
            return None

    spec, status = out.setdefault("spec", {}), out.get("status")
    metrics = noted(_METRICS) or []
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    if cpu is not None:
        metrics = [*metrics, {"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": cpu}}}]
    if metrics:
        spec["metrics"] = metrics
    if behavior := noted(_BEHAVIOR):
        spec["behavior"] = behavior
    current, conditions = noted(_CURRENT), noted(_CONDITIONS)
    if status is not None:
        status.pop("currentCPUUtilizationPercentage", None)
        if current:
            status["currentMetrics"] = current
        if conditions:
            status["conditions"] = conditions
    if "annotations" in (out.get("metadata") or {}) and not annotations:
        del out["metadata"]["annotations"]
    return out


_SCALE_UP = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
             "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15},
                          {"type": "Percent", "value": 100, "periodSeconds": 15}]}
_SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
    behavior = spec.get("behavior")
    if behavior:
        for side, rules in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
            if side == "scaleUp" or behavior.get(side) is not None:
                have = behavior.setdefault(side, {})
                for key, value in rules.items():
                    if have.get(key) is None:
                        have[key] = codec.copy(value)
        if behavior.get("scaleDown") is None:
            behavior["scaleDown"] = codec.copy(_SCALE_DOWN)


def defaults_v1(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    spec = obj.get("spec") or {}
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        out.append(errors.field_invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        out.append(errors.field_invalid("spec.maxReplicas", high, "must be greater than 0"))
    if low is not None and high < low:
        out.append(errors.field_invalid("spec.maxReplicas", high,
                                        "must be greater than or equal to `minReplicas`"))
    target = spec.get("scaleTargetRef") or {}
    for key in ("kind", "name"):
        if not target.get(key):
            out.append(errors.field_required(f"spec.scaleTargetRef.{key}"))
    for i, metric in enumerate(spec.get("metrics") or ()):
        out += _metric(metric, f"spec.metrics[{i}]")
    return out


_SOURCES = {"Object": "object", "Pods": "pods", "Resource": "resource", "External": "external",
            "ContainerResource": "containerResource"}


def _metric(metric: Object, path: str) -> list[errors.FieldError]:
    kind = metric.get("type") or ""
    if not kind:
        return [errors.field_required(f"{path}.type", "must specify a metric source type")]
    if kind not in _SOURCES:
        return [errors.field_not_supported(f"{path}.type", kind, _SOURCES)]
    source = metric.get(_SOURCES[kind])
    if source is None:
        return [errors.field_required(f"{path}.{_SOURCES[kind]}",
                                      "must populate information for the given metric source")]
    out = []
    where = f"{path}.{_SOURCES[kind]}"
    target = source.get("target") or {}
    if not target.get("type"):
        out.append(errors.field_required(f"{where}.target.type", "must specify a metric target type"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        out.append(errors.field_invalid(f"{where}.target.averageUtilization", utilization, "must be greater than 0"))
    if kind in ("Resource", "ContainerResource"):
        if not source.get("name"):
            out.append(errors.field_required(f"{where}.name", "must specify a resource name"))
        if utilization is None and target.get("averageValue") is None:
            out.append(errors.field_required(f"{where}.target.averageUtilization",
                                             "must set either a target raw value or a target utilization"))
    return out


def _reference(obj: Object, now: float) -> str:
    target = dig(obj, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _one_target(metric: Object, current: Object | None) -> str:
    kind = metric.get("type", "")
    source = metric.get(_SOURCES.get(kind, ""), {}) or {}
    target = source.get("target") or {}
    now = ((current or {}).get(_SOURCES.get(kind, "")) or {}).get("current") or {}
    prefix = f"{source.get('name')}: " if kind in ("Resource", "ContainerResource") else ""
    if target.get("averageUtilization") is not None:
        have = now.get("averageUtilization")
        text = "<unknown>" if have is None else f"{have}%"
        return f"{prefix}{text}/{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        suffix = " (avg)" if kind in ("Object", "External") else ""
        return f"{prefix}{now.get('averageValue', '<unknown>')}/{target['averageValue']}{suffix}"
    return f"{prefix}{now.get('value', '<unknown>')}/{target.get('value', '<auto>')}"


def _targets(obj: Object, now: float) -> str:
    metrics = dig(obj, "spec", "metrics") or []
    if not metrics:
        return "<none>"
    current = dig(obj, "status", "currentMetrics") or []
    texts = [_one_target(m, current[i] if i < len(current) else None) for i, m in enumerate(metrics)]
    more = len(texts) - 2
    shown = ", ".join(texts[:2])
    return f"{shown} + {more} more..." if more > 0 else shown


COLUMNS = (
    columns.NAME,
    Column("Reference", _reference, description=".spec.scaleTargetRef"),
    Column("Targets", _targets, description=".spec.metrics"),
    Column("MinPods", columns.at("spec", "minReplicas", default="<unset>"), description=".spec.minReplicas"),
    Column("MaxPods", columns.number("spec", "maxReplicas"), description=".spec.maxReplicas"),
    Column("Replicas", columns.number("status", "currentReplicas"), description=".status.currentReplicas"),
    columns.AGE,
)

RESOURCE = Resource(
    group="autoscaling", version="v2", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    short_names=("hpa",), categories=("all",),
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    registry="horizontalpodautoscalers",
    subresources=(subresources.status("HorizontalPodAutoscaler"),),
    has_generation=False,
    defaults=defaults,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=COLUMNS,
)

RESOURCE_V1 = Resource(
    group="autoscaling", version="v1", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    short_names=("hpa",), categories=("all",),
    definition="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    registry="horizontalpodautoscalers",
    hub=RESOURCE.gvr, to_hub=from_v1, from_hub=to_v1,
    subresources=(subresources.status("HorizontalPodAutoscaler"),),
    has_generation=False,
    defaults=defaults_v1,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=COLUMNS,
)
