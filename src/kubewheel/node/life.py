"""The life of a simulated pod, as pure functions: what its containers do as time passes, and the status that says so.

In: the pod, its remembered Life, the time. Out: the Life moved on, the next moment to look again, the status.
Called by: simulated.py. Nothing here reads a clock or writes to a server.

Annotations steer a pod: `kubewheel.dev/run-seconds` (its containers exit after so long), `kubewheel.dev/exit-code`
(with that code, default 0), `kubewheel.dev/start-seconds` (before they start), `kubewheel.dev/ready-seconds`
(from start to ready).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.lib.clock import parse_time, rfc3339

PREFIX = "kubewheel.dev/"
FIRST_BACKOFF, MAX_BACKOFF = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that things take on a simulated node."""

    start: float = 0.1  # bound → containers running
    stop: float = 0.1  # deletion seen → containers gone (at most the grace period)
    run: float = 1.0  # how long a pod that is meant to end (restartPolicy not Always) runs


@dataclass(slots=True)
class Container:
    started: float | None = None
    finished: float | None = None  # with `exit_code`; None while running or not yet started
    exit_code: int = 0
    reason: str = ""
    restarts: int = 0
    restart_at: float | None = None  # in CrashLoopBackOff until then
    last: Object | None = None  # status.lastState
    generation: int = 0  # counts starts: makes the container ID


@dataclass(slots=True)
class Life:
    uid: str
    ip: str
    accepted: float
    containers: dict[str, Container] = field(default_factory=dict)
    failed: tuple[str, str] | None = None  # reason, message: the pod is over
    stopping: float | None = None  # the moment its containers are gone
    gone: bool = False  # all is stopped after a deletion: the object may go
    written: Object | None = None  # the status as last sent

    def is_over(self) -> bool:
        return self.failed is not None or self.gone


def annotation(pod: Object, name: str, default: float | None) -> float | None:
    text = (pod["metadata"].get("annotations") or {}).get(PREFIX + name)
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default


def begin(pod: Object, *, ip: str, now: float) -> Life:
    """A new Life, or one that carries on from the status an earlier process wrote."""
    status = pod.get("status") or {}
    accepted = parse_time(status["startTime"]) if status.get("startTime") else now
    life = Life(uid=pod["metadata"]["uid"], ip=status.get("podIP") or ip, accepted=accepted)
    known = {c["name"]: c for c in status.get("containerStatuses") or ()}
    for spec in pod["spec"].get("containers") or ():
        container = life.containers[spec["name"]] = Container()
        if (was := known.get(spec["name"])) is None:
            continue
        container.restarts = container.generation = was.get("restartCount", 0)
        state = was.get("state") or {}
        if "running" in state:
            container.started = parse_time(state["running"]["startedAt"])
        elif ended := state.get("terminated"):
            container.started = parse_time(ended.get("startedAt") or rfc3339(now))
            container.finished = parse_time(ended.get("finishedAt") or rfc3339(now))
            container.exit_code, container.reason = ended.get("exitCode", 0), ended.get("reason", "")
        elif "waiting" in state and container.restarts:
            container.restart_at = now
    if status.get("phase") == "Failed":
        life.failed = status.get("reason", ""), status.get("message", "")
    return life


def advance(pod: Object, life: Life, now: float, latency: Latency) -> float | None:
    """Moves the life on to `now`, in place. Returns the next moment at which something happens, if any."""
    moments: list[float] = []
    if pod["metadata"].get("deletionTimestamp"):
        return _stop(pod, life, now, latency)
    if life.is_over():
        return None
    deadline = pod["spec"].get("activeDeadlineSeconds")
    if deadline is not None:
        if now >= life.accepted + deadline and phase_of(pod, life) in ("Pending", "Running"):
            fail(life, now, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline", 137)
            return None
        moments.append(life.accepted + deadline)
    start = life.accepted + (annotation(pod, "start-seconds", latency.start) or 0.0)
    if now < start:
        return min([start, *moments])
    forever = (pod["spec"].get("restartPolicy") or "Always") == "Always"
    run = annotation(pod, "run-seconds", None if forever else latency.run)
    code = int(annotation(pod, "exit-code", 0) or 0)
    ready_after = _ready_after(pod)
    for container in life.containers.values():
        _advance_container(pod, container, now, run, code, moments)
        if ready_after and container.started is not None and container.finished is None:
            moments.append(container.started + ready_after)
    ahead = [m for m in moments if m > now]
    return min(ahead) if ahead else None


def _advance_container(
    pod: Object, container: Container, now: float, run: float | None, code: int, moments: list[float]
) -> None:
    if container.started is None and (container.restart_at is None or now >= container.restart_at):
        container.started, container.restart_at = now, None
        container.generation += 1
    if container.restart_at is not None:
        moments.append(container.restart_at)
    if container.started is None or container.finished is not None:
        return
    if run is None:
        return
    if now < container.started + run:
        moments.append(container.started + run)
        return
    end(pod, container, now, code)
    if container.restart_at is not None:
        moments.append(container.restart_at)
    elif container.started is None or container.finished is None:
        moments.append((container.started or now) + run)


def end(pod: Object, container: Container, now: float, code: int, reason: str = "") -> None:
    """The container exits; by the restart policy it starts again at once (first time) or after a back-off."""
    policy = pod["spec"].get("restartPolicy") or "Always"
    container.finished, container.exit_code = now, code
    container.reason = reason or ("Completed" if code == 0 else "Error")
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        return
    container.last = {"terminated": _terminated(container, pod["metadata"]["uid"], now)}
    container.started = container.finished = None
    if container.restarts == 0:
        container.started = now
        container.generation += 1
    else:
        container.restart_at = now + min(FIRST_BACKOFF * 2 ** (container.restarts - 1), MAX_BACKOFF)
    container.restarts += 1


def fail(life: Life, now: float, reason: str, message: str, code: int) -> None:
    """Everything stops and the pod is Failed for good."""
    life.failed = reason, message
    _kill(life, now, code)


def _kill(life: Life, now: float, code: int) -> None:
    for container in life.containers.values():
        if container.finished is None:
            container.started = container.started if container.started is not None else now
            container.finished, container.exit_code = now, code
            container.reason, container.restart_at = ("Completed" if code == 0 else "Error"), None


def _stop(pod: Object, life: Life, now: float, latency: Latency) -> float | None:
    if life.stopping is None:
        grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
        over = life.failed is not None or phase_of(pod, life) in ("Succeeded", "Failed")
        life.stopping = now if over else now + min(latency.stop, float(grace))
    if now < life.stopping:
        return life.stopping
    _kill(life, now, 0)
    life.gone = True
    return None


def phase_of(pod: Object, life: Life) -> str:
    containers = life.containers.values()
    if life.failed is not None:
        return "Failed"
    if all(c.finished is not None for c in containers):
        return "Succeeded" if all(c.exit_code == 0 for c in containers) else "Failed"
    if any(c.started is not None or c.restarts for c in containers):
        return "Running"
    return "Pending"


def _ready_after(pod: Object) -> float:
    """When a started container counts as ready: the longest initial delay of its readiness probes."""
    delays = [(c.get("readinessProbe") or {}).get("initialDelaySeconds", 0) for c in pod["spec"]["containers"]]
    return annotation(pod, "ready-seconds", float(max(delays, default=0))) or 0.0


def _terminated(container: Container, uid: str, now: float) -> Object:
    return {"exitCode": container.exit_code, "reason": container.reason,
            "startedAt": rfc3339(container.started or now), "finishedAt": rfc3339(container.finished or now),
            "containerID": f"simulated://{uid}-{container.generation}"}


def _container_status(pod: Object, life: Life, spec: Object, now: float) -> Object:
    container = life.containers[spec["name"]]
    running = container.started is not None and container.finished is None
    ready = running and now >= (container.started or 0.0) + _ready_after(pod)
    state: Object
    if running:
        state = {"running": {"startedAt": rfc3339(container.started or now)}}
    elif container.finished is not None:
        state = {"terminated": _terminated(container, life.uid, now)}
    elif container.restart_at is not None:
        delay = min(FIRST_BACKOFF * 2 ** (container.restarts - 2), MAX_BACKOFF)
        wait = f"back-off {delay:.0f}s restarting failed container={spec['name']}"
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": wait}}
    else:
        state = {"waiting": {"reason": "ContainerCreating"}}
    out: Object = {
        "name": spec["name"], "image": spec.get("image", ""), "ready": ready, "started": running,
        "restartCount": container.restarts, "state": state, "lastState": container.last or {},
        "imageID": f"simulated://{spec.get('image', '')}" if container.generation else "",
    }
    if container.generation:
        out["containerID"] = f"simulated://{life.uid}-{container.generation}"
    return out


def _init_status(pod: Object, life: Life, spec: Object, now: float) -> Object:
    """Init containers are over in no time; sidecars (restartPolicy Always) run beside the others."""
    begun = any(c.started is not None or c.restarts for c in life.containers.values())
    stamp = rfc3339(life.accepted)
    sidecar = spec.get("restartPolicy") == "Always"
    over = life.is_over() or phase_of(pod, life) in ("Succeeded", "Failed")
    state: Object
    if not begun:
        state = {"waiting": {"reason": "PodInitializing"}}
    elif sidecar and not over:
        state = {"running": {"startedAt": stamp}}
    else:
        state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": stamp, "finishedAt": stamp}}
    return {"name": spec["name"], "image": spec.get("image", ""), "imageID": "", "restartCount": 0, "lastState": {},
            "ready": begun, "started": sidecar and begun and not over, "state": state}


def status_of(pod: Object, life: Life, now: float, *, host_ip: str) -> Object:
    """The pod's status as a kubelet would report it (without conditions of other owners)."""
    phase = phase_of(pod, life)
    statuses = [_container_status(pod, life, spec, now) for spec in pod["spec"].get("containers") or ()]
    status: Object = {
        "phase": phase, "hostIP": host_ip, "hostIPs": [{"ip": host_ip}], "startTime": rfc3339(life.accepted),
        "containerStatuses": statuses,
    }
    if inits := pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [_init_status(pod, life, spec, now) for spec in inits]
    if any(s["state"].keys() != {"waiting"} or s["restartCount"] for s in statuses):
        status["podIP"], status["podIPs"] = life.ip, [{"ip": life.ip}]
    if life.failed is not None:
        status["reason"], status["message"] = life.failed
    if generation := pod["metadata"].get("generation"):
        status["observedGeneration"] = generation
    status["conditions"] = _conditions(pod, status, now)
    return status


def _conditions(pod: Object, status: Object, now: float) -> list[Any]:
    phase = status["phase"]
    before = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    sandbox = "podIP" in status and phase in ("Pending", "Running")
    why: tuple[str, str] = ("", "")
    unready = [s["name"] for s in status["containerStatuses"] if not s["ready"]]
    if phase in ("Succeeded", "Failed"):
        why = ("PodCompleted", "") if phase == "Succeeded" else ("PodFailed", "")
    elif unready:
        why = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    ready, ready_why = not why[0], why
    gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or ()]
    closed = [g for g in gates if before.get(g, {}).get("status") != "True"]
    if ready and closed:
        ready, ready_why = False, ("ReadinessGatesNotReady", _gates_message(closed, before))
    wanted = [
        ("PodReadyToStartContainers", sandbox, ("", "")),
        ("Initialized", "podIP" in status or phase != "Pending",
         ("PodCompleted", "") if phase == "Succeeded" else ("", "")),
        ("Ready", ready, ready_why),
        ("ContainersReady", not why[0], why),
        ("PodScheduled", True, ("", "")),
    ]
    out = []
    for type_, is_true, (reason, message) in wanted:
        value = "True" if is_true else "False"
        was = before.get(type_)
        changed = was is None or was.get("status") != value
        condition: Object = {"type": type_, "status": value, "lastProbeTime": None,
                             "lastTransitionTime": rfc3339(now) if changed or was is None
                             else was.get("lastTransitionTime") or rfc3339(now)}
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if "observedGeneration" in status:
            condition["observedGeneration"] = status["observedGeneration"]
        out.append(condition)
    return out


def _gates_message(closed: list[str], before: dict[str, Any]) -> str:
    parts = [f'corresponding condition of pod readiness gate "{g}" does not exist.' if g not in before
             else f'the status of pod readiness gate "{g}" is not "True", but {before[g].get("status")}'
             for g in closed]
    return ", ".join(parts)
