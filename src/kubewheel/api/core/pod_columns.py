"""What `kubectl get pods` shows.

In: pods, now. Out: COLUMNS. Called by: pod.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubewheel.api import columns
from kubewheel.api.resource import Age, Column, Object
from kubewheel.lib import clock


class Summary(NamedTuple):
    ready: int
    total: int
    reason: str
    restarts: int
    last_restart: str  # time of the last one, "" if none


def _is_sidecar(container: Object | None) -> bool:
    return bool(container) and container.get("restartPolicy") == "Always"  # type: ignore[union-attr]


def _later(a: str, b: str) -> str:
    if not a or not b:
        return a or b
    return a if clock.parse_time(a) >= clock.parse_time(b) else b


def _finished(state: Object) -> str:
    return (state.get("terminated") or {}).get("finishedAt") or ""


def summary(pod: Object) -> Summary:
    """Readiness, the word under STATUS, and restarts."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    total = len(spec.get("containers") or ())
    reason = status.get("reason") or status.get("phase") or ""
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    starting, word, ready, restarts, sidecar_restarts, last, sidecar_last, sidecars = _init(spec, status)
    total += sidecars
    if starting:
        reason = word
    if not starting or (conditions.get("Initialized") or {}).get("status") == "True":
        restarts, last = sidecar_restarts, sidecar_last
        running, failure = False, ""
        for c in reversed(status.get("containerStatuses") or ()):
            restarts += c.get("restartCount") or 0
            last = _later(last, _finished(c.get("lastState") or {}))
            state = c.get("state") or {}
            if (waiting := state.get("waiting")) is not None and waiting.get("reason"):
                reason = waiting["reason"]
            elif (ended := state.get("terminated")) is not None:
                reason = ended.get("reason") or _exit_word(ended)
                if ended.get("exitCode"):
                    failure = reason
            elif c.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed":
            if running and (conditions.get("Ready") or {}).get("status") == "True":
                reason = "Running"
            else:
                reason = failure or ("NotReady" if running else reason)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return Summary(ready, total, reason, restarts, last)


def _exit_word(ended: Object) -> str:
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _init(spec: Object, status: Object) -> tuple[bool, str, int, int, int, str, str, int]:
    """(still initializing, its word, ready sidecars, restarts, sidecar restarts, last, sidecars' last, sidecars)."""
    specs = {c.get("name"): c for c in spec.get("initContainers") or ()}
    sidecars = sum(_is_sidecar(c) for c in specs.values())
    ready = restarts = sidecar_restarts = 0
    last = sidecar_last = word = ""
    starting = False
    for i, c in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = _is_sidecar(specs.get(c.get("name")))
        restarts += c.get("restartCount") or 0
        ended_before = _finished(c.get("lastState") or {})
        last = _later(last, ended_before)
        if sidecar:
            sidecar_restarts += c.get("restartCount") or 0
            sidecar_last = _later(sidecar_last, ended_before)
        state = c.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended is not None and not ended.get("exitCode"):
            continue
        if sidecar and c.get("started"):
            ready += bool(c.get("ready"))
            continue
        if ended is not None:
            word = "Init:" + (ended.get("reason") or _exit_word(ended))
        elif waiting is not None and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            word = "Init:" + waiting["reason"]
        else:
            word = f"Init:{i}/{len(specs)}"
        starting = True
        break
    return starting, word, ready, restarts, sidecar_restarts, last, sidecar_last, sidecars


class _Remembered:
    """The summary of the pod last asked about: three cells of one row want it, one after the other."""

    pod: Object | None = None
    value: Summary

    def __call__(self, pod: Object) -> Summary:
        if self.pod is not pod:
            self.value = summary(pod)
            self.pod = pod
        return self.value

    def forget(self) -> None:
        self.pod = None


_summary = _Remembered()


def _restarts(pod: Object) -> Age | str:
    s = _summary(pod)
    _summary.forget()  # the last of the three: a pod changed in place is looked at anew
    if s.restarts and s.last_restart:
        return Age(clock.parse_time(s.last_restart), f"{s.restarts} (", " ago)")
    return str(s.restarts)


def _ready(pod: Object, now: float) -> str:
    s = _summary(pod)
    return f"{s.ready}/{s.total}"


def _ip(pod: Object, now: float) -> str:
    status = pod.get("status") or {}
    for entry in status.get("podIPs") or ():
        return entry.get("ip") or columns.NONE
    return status.get("podIP") or columns.NONE


def _gates(pod: Object, now: float) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    if not gates:
        return columns.NONE
    true: set[Any] = {c.get("type") for c in (pod.get("status") or {}).get("conditions") or ()
                      if c.get("status") == "True"}
    return f"{sum(g.get('conditionType') in true for g in gates)}/{len(gates)}"


def _or_none(*path: str) -> Any:
    return lambda pod, now: columns.dig(pod, *path) or columns.NONE


COLUMNS = (
    columns.NAME,
    Column("Ready", _ready, description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", lambda pod, now: _summary(pod).reason,
           description="The aggregate status of the containers in this pod."),
    columns.aging("Restarts", _restarts,
                  description="The number of times the containers in this pod have been restarted and when the last "
                              "container in this pod has restarted."),
    columns.AGE,
    Column("IP", _ip, priority=1, description=".status.podIP"),
    Column("Node", _or_none("spec", "nodeName"), priority=1, description=".spec.nodeName"),
    Column("Nominated Node", _or_none("status", "nominatedNodeName"), priority=1,
           description=".status.nominatedNodeName"),
    Column("Readiness Gates", _gates, priority=1, description=".spec.readinessGates"),
)
