"""What to do about one pod now: a pure decision.

In: the wanted pod, what the runtime holds (Observed), back-off waits, probe verdicts. Out: a Plan.
Called by: pod_worker.py. The rules are upstream's kuberuntime (computePodActions), sidecars (KEP-753) and
per-container restart rules (KEP-5307).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel.kubelet.observed import Container, Observed, container_hash

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    kind: str  # "init" | "container" | "ephemeral"
    spec: Object
    restart_count: int


@dataclass(frozen=True, slots=True)
class Kill:
    container: Container
    reason: str  # "LivenessProbe" | "StartupProbe" | "SpecChanged" | "Unknown"
    message: str


@dataclass(slots=True)
class Plan:
    kill_pod: bool = False  # stop every container and the sandboxes
    create_sandbox: bool = False  # after kill_pod, where both are set
    attempt: int = 0
    sandbox_id: str = ""  # where to start, unless create_sandbox
    start: list[Start] = field(default_factory=list)
    kill: list[Kill] = field(default_factory=list)
    # Containers whose restart is due but held back: name -> seconds left.
    waiting: dict[str, float] = field(default_factory=dict)

    def is_empty(self) -> bool:
        return not (self.kill_pod or self.create_sandbox or self.start or self.kill)


@dataclass(frozen=True, slots=True)
class Facts:
    """What plan cannot see in the pod or the runtime. Keys are container ids, but for `waits` (names)."""

    waits: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)  # id -> "liveness" | "startup"
    resized: frozenset[str] = frozenset()  # ids that take their new resources by a restart
    started: Mapping[str, bool] = field(default_factory=dict)  # id -> startup probe has succeeded


def is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Object, container: Object) -> str:
    return container.get("restartPolicy") or pod["spec"].get("restartPolicy") or "Always"


def wants_restart(pod: Object, container: Object, exit_code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = exit_code in (codes.get("values") or ())
        if codes and listed == (codes.get("operator", "In") == "In"):
            return True
    policy = restart_policy(pod, container)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def plan(pod: Object, observed: Observed, facts: Facts) -> Plan:
    spec = pod["spec"]
    out = Plan()
    changed, out.attempt, out.sandbox_id = _sandbox_changed(pod, observed)
    if changed:
        _plan_new_sandbox(pod, observed, facts, out)
        return out
    for container in spec.get("ephemeralContainers") or ():
        if observed.latest(container["name"]) is None:
            out.start.append(Start("ephemeral", container, 0))
    current = [c for c in observed.containers if c.sandbox_id == out.sandbox_id]
    here = Observed(observed.sandboxes, tuple(current))
    regular = {c["name"] for c in spec.get("containers") or ()}
    has_run = any(c.name in regular for c in current)
    if not _plan_init(pod, here, facts, out, has_run=has_run):
        return out
    _plan_regular(pod, observed, facts, out)
    return out


def _sandbox_changed(pod: Object, observed: Observed) -> tuple[bool, int, str]:
    sandbox = observed.sandbox
    if sandbox is None:
        return True, 0, ""
    ready = [s for s in observed.sandboxes if s.ready]
    host_network = bool(pod["spec"].get("hostNetwork"))
    if len(ready) > 1 or not sandbox.ready or sandbox.host_network != host_network or (
            not host_network and not sandbox.ips):
        return True, sandbox.attempt + 1, sandbox.id
    return False, 0, sandbox.id


def _plan_new_sandbox(pod: Object, observed: Observed, facts: Facts, out: Plan) -> None:
    """The sandbox is absent or unusable: stop what is left of it, and begin anew if anything shall still run."""
    out.kill_pod = bool(observed.sandboxes)
    due = []
    for container in pod["spec"].get("containers") or ():
        last = observed.latest(container["name"])
        if last is None or (last.state != "exited") or wants_restart(pod, container, last.exit_code):
            if last is not None and last.state != "exited" and restart_policy(pod, container) == "Never":
                continue  # it ran in the lost sandbox, and may not run twice
            due.append(container)
    if not due:
        return
    if out.attempt and (pod["spec"].get("restartPolicy") == "Never") and observed.containers and any(
            observed.latest(c["name"]) for c in pod["spec"]["containers"]):
        return
    out.create_sandbox = True
    inits = pod["spec"].get("initContainers") or ()
    if inits:
        _start_or_wait("init", inits[0], observed.latest(inits[0]["name"]), facts, out)
        return
    for container in due:
        _start_or_wait("container", container, observed.latest(container["name"]), facts, out)


def _start_or_wait(kind: str, container: Object, last: Container | None, facts: Facts, out: Plan) -> None:
    wait = facts.waits.get(container["name"], 0.0) if last is not None else 0.0
    if wait > 0:
        out.waiting[container["name"]] = wait
    else:
        out.start.append(Start(kind, container, last.restart_count + 1 if last else 0))


def _plan_init(pod: Object, here: Observed, facts: Facts, out: Plan, *, has_run: bool) -> bool:
    """True when the regular containers may run. `has_run`: one of them was created in this sandbox already, so
    finished init containers count as done even where the runtime's record of them is gone."""
    for container in pod["spec"].get("initContainers") or ():
        last = here.latest(container["name"])
        if is_sidecar(container):
            if not _plan_sidecar(container, last, facts, out) and not has_run:
                return False
        elif has_run:
            continue
        elif last is None:
            _start_or_wait("init", container, None, facts, out)
            return False
        elif last.state == "unknown":
            out.kill.append(Kill(last, "Unknown",
                                 f'Init container is in "{last.state}" state, try killing it before restart'))
            _start_or_wait("init", container, last, facts, out)
            return False
        elif last.state != "exited":
            return False
        elif last.exit_code != 0:
            if wants_restart(pod, container, last.exit_code):
                _start_or_wait("init", container, last, facts, out)
            else:
                out.kill_pod = True
                out.start.clear()
            return False
    return True


def _plan_sidecar(container: Object, last: Container | None, facts: Facts, out: Plan) -> bool:
    """True when the sidecar has started (and so the next one may)."""
    if last is None or last.state == "exited":
        _start_or_wait("init", container, last, facts, out)
        return False
    if last.state == "created":
        return False
    verdict = facts.failed.get(last.id)
    if verdict or last.state == "unknown" or last.hash != container_hash(container):
        out.kill.append(_kill_of(container, last, verdict))
        _start_or_wait("init", container, last, facts, out)
        return False
    return facts.started.get(last.id, True)


def _kill_of(container: Object, last: Container, verdict: str | None, *, resized: bool = False) -> Kill:
    name = container["name"]
    if verdict == "liveness":
        return Kill(last, "LivenessProbe", f"Container {name} failed liveness probe, will be restarted")
    if verdict == "startup":
        return Kill(last, "StartupProbe", f"Container {name} failed startup probe, will be restarted")
    if last.state == "unknown":
        return Kill(last, "Unknown", f'Container is in "{last.state}" state, try killing it before restart')
    if resized:
        return Kill(last, "Resize", f"Container {name} resize requires restart")
    return Kill(last, "SpecChanged", f"Container {name} definition changed, will be restarted")


def _plan_regular(pod: Object, observed: Observed, facts: Facts, out: Plan) -> None:
    keep = 0
    for container in pod["spec"].get("containers") or ():
        last = observed.latest(container["name"])
        if last is None:
            _start_or_wait("container", container, None, facts, out)
        elif last.state == "exited":
            if wants_restart(pod, container, last.exit_code):
                _start_or_wait("container", container, last, facts, out)
        elif last.state == "created":
            # A kubelet that died between create and start leaves one: it is started anew.
            out.kill.append(Kill(last, "Unknown", "Container was created but never started"))
            _start_or_wait("container", container, last, facts, out)
        else:
            verdict = facts.failed.get(last.id)
            changed = last.hash != container_hash(container)
            resized = last.id in facts.resized
            if not (verdict or changed or resized or last.state == "unknown"):
                keep += 1
                continue
            out.kill.append(_kill_of(container, last, verdict, resized=resized))
            # A changed spec is a wish to run the new one, whatever the policy; a killed one ends like a failure.
            if changed or resized or wants_restart(pod, container, 137):
                out.start.append(Start("container", container, last.restart_count + 1))
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)}
    to_come = [s for s in out.start if s.kind == "container"]
    if keep == 0 and not to_come and not (set(out.waiting) - sidecars) and not out.kill:
        out.kill_pod = True
        out.start.clear()
        out.waiting.clear()


def phase(pod: Object, observed_statuses: list[Object], init_statuses: list[Object]) -> str:
    """status.phase from the container statuses as they will be written (upstream's getPhase)."""
    spec = pod["spec"]
    by_name = {s["name"]: s for s in observed_statuses}
    init_by_name = {s["name"]: s for s in init_statuses}
    pending_init = failed_init = live_sidecars = 0
    for container in spec.get("initContainers") or ():
        state, last = _states(init_by_name.get(container["name"]))
        if is_sidecar(container):
            if "running" in state:
                live_sidecars += 1
                if not init_by_name[container["name"]].get("started"):
                    pending_init += 1
            elif not state or ("waiting" in state and not last):
                pending_init += 1
        elif "running" in state:
            pending_init += 1
        elif "terminated" in state:
            if state["terminated"].get("exitCode", 0) != 0:
                failed_init += not wants_restart(pod, container, state["terminated"]["exitCode"])
                pending_init += wants_restart(pod, container, state["terminated"]["exitCode"])
        elif last.get("terminated"):
            if last["terminated"].get("exitCode", 0) != 0:
                pending_init += 1
        else:
            pending_init += 1
    if failed_init:
        return "Failed"
    running = waiting = stopped = succeeded = unknown = restarting = 0
    for container in spec.get("containers") or ():
        state, last = _states(by_name.get(container["name"]))
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            code = state["terminated"].get("exitCode", 0)
            succeeded += code == 0
            restarting += wants_restart(pod, container, code)
        elif "waiting" in state:
            if last.get("terminated"):
                stopped += 1
                restarting += wants_restart(pod, container, last["terminated"].get("exitCode", 0))
            else:
                waiting += 1
        else:
            unknown += 1
    if pending_init and not (running or stopped):
        return "Pending"
    if waiting:
        return "Pending"
    if unknown:
        return "Pending"
    if running:
        return "Running"
    if stopped:
        if restarting or live_sidecars:
            return "Running"
        return "Succeeded" if stopped == succeeded else "Failed"
    return "Pending"


def _states(status: Object | None) -> tuple[Object, Object]:
    if status is None:
        return {}, {}
    return status.get("state") or {}, status.get("lastState") or {}
