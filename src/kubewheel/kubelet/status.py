"""The pod's status as the API shows it: a pure function of the pod, what the runtime holds, and what is known besides.

In: pod, Observed, Known. Out: the status dict (upstream's field names, reasons and messages).
Called by: pod_worker.py. status_manager.py writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel.kubelet import plan
from kubewheel.kubelet.observed import Container, Observed
from kubewheel.lib.clock import rfc3339

Object = dict[str, Any]

RUNTIME = "containerd"
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
         "PodResizePending", "PodResizeInProgress")
DEFAULT_REQUESTED = ("cpu", "memory")


@dataclass(slots=True)
class Known:
    """What the worker knows beside pod and runtime."""

    now: float
    host_ips: tuple[str, ...] = ()
    start_time: float = 0.0
    ready: Mapping[str, bool] = field(default_factory=dict)  # container id -> readiness probe verdict (absent: ready)
    started: Mapping[str, bool] = field(default_factory=dict)  # container id -> startup probe verdict
    reasons: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name -> why it is not (re)started
    failed: tuple[str, str] | None = None  # (reason, message): the pod was ended by the kubelet (Evicted, …)
    network_ready: bool = False
    terminating: bool = False  # nothing is started any more
    terminated: bool = False  # and nothing runs any more: the phase becomes terminal
    allocated: Mapping[str, Object] = field(default_factory=dict)  # container name -> resources granted to it
    in_force: Mapping[str, Object] = field(default_factory=dict)  # as its cgroup has them
    resize: tuple[str, str, str] | None = None  # (condition type, reason, message)
    disruption: tuple[str, str] | None = None  # DisruptionTarget (reason, message)


def pod_status(pod: Object, observed: Observed, known: Known) -> Object:
    spec, old = pod["spec"], pod.get("status") or {}
    inits = [_container_status(pod, c, observed, known, old, "initContainerStatuses")
             for c in spec.get("initContainers") or ()]
    regular = [_container_status(pod, c, observed, known, old, "containerStatuses")
               for c in spec.get("containers") or ()]
    ephemeral = [_container_status(pod, c, observed, known, old, "ephemeralContainerStatuses")
                 for c in spec.get("ephemeralContainers") or ()]
    phase = plan.phase(pod, regular, inits)
    if known.terminated:
        phase = _final_phase(regular, inits, phase)
    if old.get("phase") in ("Succeeded", "Failed"):
        phase = old["phase"]  # a terminal phase is never left
    elif known.failed:
        phase = "Failed"
    out: Object = {"phase": phase, "qosClass": old.get("qosClass") or qos_class(pod)}
    generation = pod["metadata"].get("generation")
    if generation:
        out["observedGeneration"] = generation
    if known.failed:
        out["reason"], out["message"] = known.failed
    elif old.get("phase") in ("Succeeded", "Failed"):
        out |= {k: old[k] for k in ("reason", "message") if old.get(k)}
    out["conditions"] = _conditions(pod, out, regular, inits, known)
    if known.host_ips:
        out["hostIP"] = known.host_ips[0]
        out["hostIPs"] = [{"ip": ip} for ip in known.host_ips]
    ips = _pod_ips(pod, observed, known)
    if ips:
        out["podIP"] = ips[0]
        out["podIPs"] = [{"ip": ip} for ip in ips]
    if known.start_time:
        out["startTime"] = rfc3339(known.start_time)
    if inits:
        out["initContainerStatuses"] = inits
    out["containerStatuses"] = regular
    if ephemeral:
        out["ephemeralContainerStatuses"] = ephemeral
    for key in ("nominatedNodeName", "resourceClaimStatuses"):
        if key in old:
            out[key] = old[key]
    return out


def rejected(pod: Object, failed: tuple[str, str], *, started: str) -> Object:
    """A pod this node never took on: no containers, no conditions of ours. `started`: when it was seen (RFC 3339)."""
    old = {"startTime": started, **(pod.get("status") or {})}
    out = {k: old[k] for k in ("conditions", "startTime", "qosClass") if k in old}
    return {"phase": "Failed", "reason": failed[0], "message": failed[1], "qosClass": qos_class(pod),
            **({"observedGeneration": pod["metadata"]["generation"]} if pod["metadata"].get("generation") else {}),
            **out}


def _final_phase(regular: list[Object], inits: list[Object], phase: str) -> str:
    """Every container has ended for good: those the runtime never had, or lost, count as failed."""
    lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None,
            "message": "The container could not be located when the pod was terminated"}
    if phase == "Failed" and any(_has_failed(s) for s in inits) and not any(
            "terminated" in s["state"] for s in regular):
        return phase  # it never came to them: they stay waiting
    for status in regular:
        if "terminated" not in status["state"]:
            status["state"] = {"terminated": dict(lost)}
    if phase in ("Succeeded", "Failed"):
        return phase
    codes = [s["state"]["terminated"].get("exitCode", 0) for s in regular]
    return "Failed" if any(codes) else "Succeeded"


def _has_failed(status: Object) -> bool:
    return bool((status["state"].get("terminated") or {}).get("exitCode"))


def qos_class(pod: Object) -> str:
    requests: set[str] = set()
    guaranteed = True
    spec = pod["spec"]
    holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    if spec.get("resources"):
        holders = [spec]  # pod-level resources decide alone
    for holder in holders:
        resources = holder.get("resources") or {}
        limits, wanted = resources.get("limits") or {}, resources.get("requests") or {}
        for name in DEFAULT_REQUESTED:
            if _is_zero(limits.get(name)) and _is_zero(wanted.get(name)):
                guaranteed = False
                continue
            requests.add(name)
            if _is_zero(limits.get(name)) or (wanted.get(name, limits[name]) != limits[name]):
                guaranteed = False
    if not requests:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _is_zero(text: Any) -> bool:
    return text is None or str(text).rstrip("numkKMGTPEi") in ("", "0")


def _pod_ips(pod: Object, observed: Observed, known: Known) -> list[str]:
    if pod["spec"].get("hostNetwork"):
        return list(known.host_ips) if observed.sandboxes else []
    sandbox = observed.sandbox
    if sandbox is not None and sandbox.ips:
        return list(sandbox.ips)
    return [p["ip"] for p in (pod.get("status") or {}).get("podIPs") or ()]


# -- containers ----------------------------------------------------------------------------------------------
def _container_status(pod: Object, spec: Object, observed: Observed, known: Known, old: Object, key: str) -> Object:
    name = spec["name"]
    previous = next((s for s in old.get(key) or () if s["name"] == name), None)
    records = [c for c in observed.all_of(name) if c.state != "created"]
    if not records:
        out = _status_without_record(pod, spec, observed, known, previous, key)
    else:
        out = _status_of_records(pod, spec, records, known)
    running = records[0] if records and records[0].state == "running" else None
    out["started"] = bool(running and known.started.get(running.id, True))
    if key == "initContainerStatuses" and not plan.is_sidecar(spec):
        ended = out["state"].get("terminated") or {}
        out["ready"] = bool(ended) and ended.get("exitCode", 0) == 0
    elif key == "ephemeralContainerStatuses":
        out["ready"] = False
        out["started"] = False
    else:
        out["ready"] = bool(running and out["started"] and known.ready.get(running.id, True))
    if running and key != "ephemeralContainerStatuses":
        _add_resources(out, spec, known)
    mounts = _mounts(spec)
    if mounts:
        out["volumeMounts"] = mounts
    return out


def _status_without_record(pod: Object, spec: Object, observed: Observed, known: Known, previous: Object | None,
                           key: str) -> Object:
    out: Object = {"name": spec["name"], "state": {}, "lastState": {}, "ready": False, "restartCount": 0,
                   "image": spec.get("image", ""), "imageID": ""}
    if previous is not None:
        out["restartCount"] = previous.get("restartCount", 0)
        out["lastState"] = previous.get("lastState") or {}
        state = previous.get("state") or {}
        if "terminated" in state:
            return out | {"state": state, "imageID": previous.get("imageID", ""),
                          "containerID": previous.get("containerID", "")}
        if "running" in state and (observed.sandboxes or known.terminating):
            lost = {"exitCode": 137, "reason": "ContainerStatusUnknown",
                    "message": "The container could not be located when the pod was terminated",
                    "startedAt": None, "finishedAt": None}
            if known.terminating or plan.restart_policy(pod, spec) == "Never":
                return out | {"state": {"terminated": lost}}
            out["lastState"] = {"terminated": lost}
            out["restartCount"] += 1
    if known.terminating and key == "containerStatuses" and previous is not None and previous.get("state"):
        return out | {"state": previous["state"]}
    reason, message = known.reasons.get(spec["name"], ("", ""))
    if not reason:
        has_init = bool(pod["spec"].get("initContainers"))
        reason = "PodInitializing" if has_init else "ContainerCreating"
    out["state"] = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    return out


def _status_of_records(pod: Object, spec: Object, records: list[Container], known: Known) -> Object:
    latest = records[0]
    out: Object = {"name": spec["name"], "state": _state(latest), "lastState": {}, "ready": False,
                   "restartCount": latest.restart_count, "image": latest.image or spec.get("image", ""),
                   "imageID": latest.image_ref or latest.image_id, "containerID": f"{RUNTIME}://{latest.id}"}
    if len(records) > 1 and records[1].state == "exited":
        out["lastState"] = _state(records[1])
    if latest.state == "unknown":
        out["state"] = {"waiting": {"reason": "ContainerStatusUnknown"}}
    reason = known.reasons.get(spec["name"])
    if latest.state == "exited" and reason and not known.terminating:
        out["lastState"] = out["state"]
        out["state"] = {"waiting": {"reason": reason[0]} | ({"message": reason[1]} if reason[1] else {})}
    if latest.user:
        out["user"] = {"linux": {"uid": latest.user["uid"], "gid": latest.user["gid"],
                                 "supplementalGroups": latest.user["supplemental_groups"]}}
    return out


def _state(container: Container) -> Object:
    if container.state == "running":
        return {"running": {"startedAt": rfc3339(container.started_at)}}
    if container.state != "exited":
        return {}
    # A container that never started has no start: the runtime's creation time stands in for it.
    body: Object = {"exitCode": container.exit_code,
                    "reason": container.reason or ("Completed" if container.exit_code == 0 else "Error")}
    if container.message:
        body["message"] = container.message
    body["startedAt"] = rfc3339(container.started_at) if container.started_at > 0 else None
    body["finishedAt"] = rfc3339(container.finished_at) if container.finished_at > 0 else None
    body["containerID"] = f"{RUNTIME}://{container.id}"
    return {"terminated": body}


def _add_resources(out: Object, spec: Object, known: Known) -> None:
    granted = known.allocated.get(spec["name"], spec.get("resources") or {})
    shown = known.in_force.get(spec["name"], granted)
    if granted.get("requests"):
        out["allocatedResources"] = dict(granted["requests"])
    out["resources"] = {k: dict(shown[k]) for k in ("limits", "requests") if shown.get(k)}


def _mounts(spec: Object) -> list[Object]:
    out = []
    for mount in spec.get("volumeMounts") or ():
        item = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            item |= {"readOnly": True, "recursiveReadOnly": "Enabled" if mount.get("recursiveReadOnly") == "Enabled"
                     else "Disabled"}
        out.append(item)
    return out


# -- conditions ----------------------------------------------------------------------------------------------
def _conditions(pod: Object, status: Object, regular: list[Object], inits: list[Object], known: Known) -> list[Object]:
    old = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    out = []
    containers = _containers_ready(pod, status["phase"], regular, inits)
    wanted = [
        ("PodReadyToStartContainers", "True" if known.network_ready else "False", "", ""),
        ("Initialized", *_initialized(pod, status["phase"], regular, inits)),
        ("Ready", *_ready(pod, containers, old)),
        ("ContainersReady", *containers),
        ("PodScheduled", "True", "", ""),
    ]
    if known.resize:
        wanted.append((known.resize[0], "True", known.resize[1], known.resize[2]))
    if known.disruption:
        wanted.append(("DisruptionTarget", "True", *known.disruption))
    for type_, verdict, reason, message in wanted:
        out.append(_condition(type_, verdict, reason, message, old.get(type_), known.now,
                              pod["metadata"].get("generation")))
    written = {c["type"] for c in out}
    out += [c for t, c in old.items() if t not in OWNED and t not in written]
    return out


def _condition(type_: str, verdict: str, reason: str, message: str, old: Object | None, now: float,
               generation: int | None) -> Object:
    out: Object = {"type": type_, "status": verdict, "lastProbeTime": None}
    if old is not None and old.get("status") == verdict and old.get("lastTransitionTime"):
        out["lastTransitionTime"] = old["lastTransitionTime"]
    else:
        out["lastTransitionTime"] = rfc3339(now)
    if reason:
        out["reason"] = reason
    if message:
        out["message"] = message
    if generation:
        out["observedGeneration"] = generation
    return out


def _initialized(pod: Object, phase: str, regular: list[Object], inits: list[Object]) -> tuple[str, str, str]:
    wanted = pod["spec"].get("initContainers") or ()
    if not wanted:
        return "True", "", ""
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any(s["state"].get("running") or s["state"].get("terminated") or s["lastState"] for s in regular):
        return "True", "", ""
    by_name = {s["name"]: s for s in inits}
    incomplete = [c["name"] for c in wanted if not _is_initialized(c, by_name[c["name"]])]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
    return "True", "", ""


def _is_initialized(container: Object, status: Object) -> bool:
    return bool(status["started"]) if plan.is_sidecar(container) else bool(status["ready"])


def _containers_ready(pod: Object, phase: str, regular: list[Object], inits: list[Object]) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if plan.is_sidecar(c)}
    unready = [s["name"] for s in [*(i for i in inits if i["name"] in sidecars), *regular] if not s["ready"]]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _ready(pod: Object, containers: tuple[str, str, str], old: Mapping[str, Object]) -> tuple[str, str, str]:
    if containers[0] != "True":
        return containers
    missing = []
    for gate in pod["spec"].get("readinessGates") or ():
        type_ = gate["conditionType"]
        condition = old.get(type_)
        if condition is None:
            missing.append(f'corresponding condition of pod readiness gate "{type_}" does not exist.')
        elif condition["status"] != "True":
            missing.append(f'the status of pod readiness gate "{type_}" is not "True", but {condition["status"]}')
    if missing:
        return "False", "ReadinessGatesNotReady", ", ".join(missing)
    return "True", "", ""
