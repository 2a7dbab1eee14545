"""horizontalpodautoscalers: v2 is the hub; v1 shows the CPU target alone and keeps the rest in annotations.

In: objects. Out: RESOURCE (v2), RESOURCE_V1. Called by: catalog.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, columns, subresources
from kubewheel.api.autoscaling import rules
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

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
    if status is not None:
        current = status.pop("currentMetrics", None)
        status.setdefault("currentReplicas", 0)
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
        if not status.get("currentReplicas"):
            status.pop("currentReplicas", None)  # v2 does not print zero
        status["currentMetrics"] = None
        if current:
            status["currentMetrics"] = current
        if conditions:
            status["conditions"] = conditions
    if "annotations" in (out.get("metadata") or {}) and not annotations:
        del out["metadata"]["annotations"]
    return out


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"currentMetrics": None, "desiredReplicas": 0}


_SCALE_UP = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
             "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15},
                          {"type": "Percent", "value": 100, "periodSeconds": 15}]}
_SCALE_DOWN = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if "status" in obj:
        obj["status"].setdefault("currentMetrics", None)  # printed though there are none
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


def _reference(obj: Object, now: float) -> str:
    target = dig(obj, "spec", "scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _one_target(metric: Object, current: Object | None) -> str:
    kind = metric.get("type", "")
    source = metric.get(rules.SOURCES.get(kind, ""), {}) or {}
    target = source.get("target") or {}
    now = ((current or {}).get(rules.SOURCES.get(kind, "")) or {}).get("current") or {}
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


def _least(obj: Object, now: float) -> str:
    least = dig(obj, "spec", "minReplicas")
    return columns.UNSET if least is None else str(least)


COLUMNS = (
    columns.NAME,
    Column("Reference", _reference, description=".spec.scaleTargetRef"),
    Column("Targets", _targets, description=".spec.metrics"),
    Column("MinPods", _least, description=".spec.minReplicas"),
    Column("MaxPods", columns.number("spec", "maxReplicas"), description=".spec.maxReplicas"),
    Column("Replicas", columns.number("status", "currentReplicas"), description=".status.currentReplicas"),
    columns.AGE,
)

RESOURCE = Resource(
    group="autoscaling", version="v2", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    short_names=("hpa",), categories=("all",),
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    registry="horizontalpodautoscalers",
    subresources=(subresources.status("HorizontalPodAutoscaler", validate=rules.validate_status),),
    has_generation=False,
    defaults=defaults,
    prepare_create=prepare_create,
    validate=rules.validate,
    validate_update=rules.validate,
    columns=COLUMNS,
)

def _on_hub(column: Column) -> Column:
    """Cells are written for v2."""
    return columns.adapted(column, from_v1)


RESOURCE_V1 = Resource(
    group="autoscaling", version="v1", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers",
    short_names=("hpa",), categories=("all",),
    definition="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    registry="horizontalpodautoscalers",
    hub=RESOURCE.gvr, to_hub=from_v1, from_hub=to_v1,
    subresources=(subresources.status("HorizontalPodAutoscaler", validate=rules.validate_status),),
    has_generation=False,
    defaults=defaults_v1,
    prepare_create=prepare_create,
    validate=rules.validate,
    validate_update=rules.validate,
    columns=tuple(_on_hub(c) for c in COLUMNS),
)
