"""Sizes what it targets (any kind with a scale) by metrics, every 15 s.

In: horizontalpodautoscalers, pods, scales, metrics APIs. Out: scales, status, events. Numbers are found in
hpa_replicas.py, bounded in hpa_limits.py, both pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kubewheel.api import errors, quantity, selectors
from kubewheel.api.resource import Gvr, Object
from kubewheel.controllers import hpa_limits, hpa_metrics, hpa_replicas, settings
from kubewheel.controllers.hpa_replicas import NoMetric
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import discovery, objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

HPAS = "horizontalpodautoscalers.autoscaling"
SOURCES = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object",
           "External": "external"}


@dataclass(slots=True)
class State:
    memories: dict[str, hpa_limits.Memory] = field(default_factory=dict)
    found: discovery.Discovered | None = None
    found_at: float = 0.0  # loop time


@dataclass(slots=True)
class Status:
    """What one look finds out; becomes the object's status."""

    current: int
    desired: int
    conditions: list[Object]
    metrics: list[Object]
    now: float
    scaled: bool = False

    def say(self, type_: str, status: str, reason: str, message: str) -> None:
        self.conditions = objects.set_condition(self.conditions, {
            "type": type_, "status": status, "reason": reason, "message": message}, self.now)


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    hpa = context.cache(HPAS).get(namespace, name)
    if hpa is None:
        context.state.memories.pop(key, None)
        return None
    period = settings.seconds(context, "horizontal-pod-autoscaler-sync-period", 15.0)
    old = hpa.get("status") or {}
    status = Status(old.get("currentReplicas", 0), old.get("desiredReplicas", 0), list(old.get("conditions") or ()), [],
                    context.clock.now())
    try:
        gvr, scale = await _scale(context, hpa)
    except (errors.StatusError, NoMetric) as e:
        message = e.message if isinstance(e, errors.StatusError) else str(e)
        _tell(context, hpa, "Warning", "FailedGetScale", message)
        status.say("AbleToScale", "False", "FailedGetScale",
                   f"the HPA controller was unable to get the target's current scale: {message}")
        await _write(context, hpa, status)
        return period
    status.say("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    status.current = (scale.get("spec") or {}).get("replicas", 0)
    memory = context.state.memories.setdefault(key, hpa_limits.Memory())
    why = await _decide(context, hpa, scale, status, memory)
    if why is not None and status.desired != status.current:
        await _resize(context, hpa, gvr, scale, status, memory, why)
    await _write(context, hpa, status)
    return period


async def _kind(context: Context, ref: Object) -> discovery.ApiResource | None:
    """Of a reference. What the server serves is asked every 30 s at most, for a kind not known then too."""
    state: State = context.state
    now, key = asyncio.get_running_loop().time(), (ref.get("apiVersion", "v1"), ref["kind"])
    if state.found is None or (key not in state.found.kinds and now - state.found_at >= 30):
        state.found, state.found_at = await discovery.discover(context.client), now
    return state.found.kinds.get(key)


async def _scale(context: Context, hpa: Object) -> tuple[Gvr, Object]:
    ref = hpa["spec"]["scaleTargetRef"]
    found = await _kind(context, ref)
    if found is None:
        raise NoMetric(f'no matches for kind "{ref["kind"]}" in version "{ref.get("apiVersion", "v1")}"')
    return found.gvr, await context.client.get(found.gvr, ref["name"], namespace=hpa["metadata"]["namespace"],
                                               subresource="scale")


async def _decide(context: Context, hpa: Object, scale: Object, status: Status, memory: hpa_limits.Memory) -> str | None:
    """Sets status.desired; the reason of a change, or None where nothing may be changed."""
    spec, current = hpa["spec"], status.current
    least = spec.get("minReplicas", 1)
    status.desired = current
    if current == 0 and least != 0:
        status.say("ScalingActive", "False", "ScalingDisabled",
                   "scaling is disabled since the replica count of the target is zero")
        status.desired = 0
        return None
    if current > spec["maxReplicas"]:
        status.desired = spec["maxReplicas"]
        return "Current number of replicas above Spec.MaxReplicas"
    if current < least:
        status.desired = least
        return "Current number of replicas below Spec.MinReplicas"
    wanted, name = await _by_metrics(context, hpa, scale, status)
    if wanted is None:
        return None
    window = settings.seconds(context, "horizontal-pod-autoscaler-downscale-stabilization", 300.0)
    result = hpa_limits.limit(spec, memory, current, wanted, down_window=window,
                              now=asyncio.get_running_loop().time())
    status.say("AbleToScale", "True", *result.able)
    status.say("ScalingLimited", *result.limited)
    status.desired = result.replicas
    return f"{name} above target" if result.replicas > current else "All metrics below target"


async def _by_metrics(context: Context, hpa: Object, scale: Object, status: Status) -> tuple[int | None, str]:
    """The largest proposal. A metric that cannot be had stops scaling down, and everything if none can."""
    selector = (scale.get("status") or {}).get("selector")
    if not selector:
        message = "selector is required"
        _tell(context, hpa, "Warning", "SelectorRequired", message)
        status.say("ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector")
        return None, ""
    matching = selectors.parse_label(selector)
    pods = [p for p in context.cache("pods").list(hpa["metadata"]["namespace"]) if matching.matches(objects.labels_of(p))]
    metrics = hpa["spec"].get("metrics") or []
    best, best_name, problems = None, "", []
    for metric in metrics:
        try:
            wanted, name, shown = await _one(context, hpa, metric, pods, selector, status)
        except NoMetric as e:
            problems.append((metric, str(e)))
            continue
        status.metrics.append(shown)
        if best is None or wanted > best:
            best, best_name = wanted, name
    if problems and (best is None or best < status.current):
        _invalid(context, hpa, status, problems, len(metrics))
        return None, ""
    if best is None:
        return None, ""
    status.say("ScalingActive", "True", "ValidMetricFound",
               f"the HPA was able to successfully calculate a replica count from {best_name}")
    return best, best_name


def _invalid(context: Context, hpa: Object, status: Status, problems: list[tuple[Object, str]], total: int) -> None:
    metric, message = problems[0]
    reason = f"FailedGet{metric['type']}Metric"
    for one, text in problems:
        _tell(context, hpa, "Warning", f"FailedGet{one['type']}Metric", text)
    _tell(context, hpa, "Warning", "FailedComputeMetricsReplicas",
          f"invalid metrics ({len(problems)} invalid out of {total}), first error is: {message}")
    status.say("ScalingActive", "False", reason, f"the HPA was unable to compute the replica count: {message}")


async def _one(context: Context, hpa: Object, metric: Object, pods: list[Object], selector: str,
               status: Status) -> tuple[int, str, Object]:
    """(replicas, the metric's name in words, its entry of status.currentMetrics)."""
    source = metric[SOURCES[metric["type"]]]
    target, namespace = source["target"], hpa["metadata"]["namespace"]
    tuned = _settings(context, hpa)
    if metric["type"] in ("Resource", "ContainerResource"):
        name, container = source["name"], source.get("container", "")
        try:
            samples = await hpa_metrics.resource(context.client, namespace, selector, name, container)
            in_percent = target.get("averageUtilization") is not None
            requests = hpa_replicas.requests_of(pods, name, container) if in_percent else None
            wanted, shown, average = hpa_replicas.by_pods(
                pods, samples, current=status.current, requests=requests, cpu=name == "cpu", settings=tuned, now=status.now,
                target=target["averageUtilization"] if in_percent else quantity.milli(target["averageValue"]))
        except NoMetric as e:
            raise NoMetric(f"failed to get {name} {'utilization' if 'averageUtilization' in target else 'usage'}: "
                           f"unable to get metrics for resource {name}: {e}") from e
        value: Object = {"averageValue": quantity.from_milli(average)} | ({"averageUtilization": shown} if in_percent else {})
        words = f"{name} {'container ' if container else ''}resource" + (
            " utilization (percentage of request)" if in_percent else "")
        entry = {"name": name, "current": value} | ({"container": container} if container else {})
        return wanted, words, {"type": metric["type"], SOURCES[metric["type"]]: entry}
    if metric["type"] == "Pods":
        samples = await hpa_metrics.of_pods(context.client, namespace, selector, source["metric"])
        wanted, _, average = hpa_replicas.by_pods(
            pods, samples, current=status.current, requests=None, cpu=False, settings=tuned, now=status.now,
            target=quantity.milli(target["averageValue"]))
        return wanted, f"pods metric {source['metric']['name']}", {"type": "Pods", "pods": {
            "metric": source["metric"], "current": {"averageValue": quantity.from_milli(average)}}}
    return await _by_value(context, metric, source, pods, status, tuned, namespace)


async def _by_value(context: Context, metric: Object, source: Object, pods: list[Object], status: Status,
                    tuned: hpa_replicas.Settings, namespace: str) -> tuple[int, str, Object]:
    target, entry = source["target"], {"metric": source["metric"]}
    if metric["type"] == "Object":
        ref = source["describedObject"]
        found = await _kind(context, ref)
        plural = errors.qualified(found.gvr.plural, found.gvr.group) if found else ref["kind"].lower() + "s"
        value = await hpa_metrics.of_object(context.client, namespace, plural, ref["name"], source["metric"])
        entry["describedObject"] = ref
        words = f"{ref['kind']} metric {source['metric']['name']}"
    else:
        value = await hpa_metrics.external(context.client, namespace, source["metric"])
        words = f"external metric {source['metric']['name']}"
    average = target.get("averageValue") is not None
    wanted = hpa_replicas.by_value(
        value, current=status.current, ready=sum(1 for p in pods if objects.is_ready(p)), average=average, settings=tuned,
        target=quantity.milli(target["averageValue"] if average else target["value"]))
    shown = -(-value // status.current) if average and status.current else value
    entry["current"] = {"averageValue" if average else "value": quantity.from_milli(shown)}
    return wanted, words, {"type": metric["type"], SOURCES[metric["type"]]: entry}


def _settings(context: Context, hpa: Object) -> hpa_replicas.Settings:
    tolerance = float(settings.get(context, "horizontal-pod-autoscaler-tolerance", 0.1))
    out = hpa_replicas.Settings(
        tolerance, tolerance, settings.seconds(context, "horizontal-pod-autoscaler-cpu-initialization-period", 300.0),
        settings.seconds(context, "horizontal-pod-autoscaler-initial-readiness-delay", 30.0))
    behavior = hpa["spec"].get("behavior") or {}
    for direction, name in (("scaleUp", "tolerance_up"), ("scaleDown", "tolerance_down")):
        own = (behavior.get(direction) or {}).get("tolerance")
        if own is not None:
            out = replace(out, **{name: quantity.nano(own) / quantity.NANO})
    return out


async def _resize(context: Context, hpa: Object, gvr: Gvr, scale: Object, status: Status, memory: hpa_limits.Memory,
                  why: str) -> None:
    try:
        await context.client.update(gvr, {**scale, "spec": {**(scale.get("spec") or {}), "replicas": status.desired}},
                                    subresource="scale")
    except errors.StatusError as e:
        _tell(context, hpa, "Warning", "FailedRescale", f"New size: {status.desired}; reason: {why}; error: {e.message}")
        status.say("AbleToScale", "False", "FailedUpdateScale",
                   f"the HPA controller was unable to update the target scale: {e.message}")
        status.desired = status.current
        return
    status.say("AbleToScale", "True", "SucceededRescale",
               f"the HPA controller was able to update the target scale to {status.desired}")
    _tell(context, hpa, "Normal", "SuccessfulRescale", f"New size: {status.desired}; reason: {why}")
    memory.scaled(asyncio.get_running_loop().time(), status.desired - status.current)
    status.scaled = True


async def _write(context: Context, hpa: Object, status: Status) -> None:
    old = hpa.get("status") or {}
    new: Object = {"currentReplicas": status.current, "desiredReplicas": status.desired,
                   "observedGeneration": hpa["metadata"].get("generation", 0), "conditions": status.conditions}
    if status.metrics or old.get("currentMetrics"):
        new["currentMetrics"] = status.metrics or old["currentMetrics"]
    if status.scaled:
        new["lastScaleTime"] = clocks.rfc3339(status.now)
    elif old.get("lastScaleTime"):
        new["lastScaleTime"] = old["lastScaleTime"]
    if new != old:
        await context.client.update_status(HPAS, {**hpa, "status": new})


def _tell(context: Context, hpa: Object, type_: str, reason: str, message: str) -> None:
    context.events.event(objects.with_kind(hpa, "autoscaling/v2", "HorizontalPodAutoscaler"), type_, reason, message)


def _changed(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """Its own status writes are no reason to look before the period is over."""
    if old is None or new is None or old["spec"] != new["spec"]:
        yield from own_key(old, new, context)


CONTROLLER = Controller(
    name="horizontal-pod-autoscaler-controller", events_as="horizontal-pod-autoscaler",
    reconcile=reconcile, setup=lambda context: State(),
    watches=(Watch(HPAS, _changed),), reads=("pods",),
    rules=(rule("autoscaling", "horizontalpodautoscalers", READ), rule("*", "*/scale", "get update"),
           rule("autoscaling", "horizontalpodautoscalers/status", "update"), rule("", "pods", "list watch"),
           rule("metrics.k8s.io", "pods", "list watch"), rule("custom.metrics.k8s.io", "*", READ),
           rule("external.metrics.k8s.io", "*", READ), events()))
