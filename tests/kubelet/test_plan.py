"""plan.py and status.py: what is to do about a pod, and what its status says, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from kubewheel.kubelet import plan, status
from kubewheel.kubelet.observed import Container, Observed, Sandbox, container_hash

Object = dict[str, Any]


def pod(*containers: Object, init: list[Object] | None = None, policy: str = "Always", **spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 3},
            "spec": {"restartPolicy": policy, "containers": list(containers), "initContainers": init or [], **spec},
            "status": {}}


def spec(name: str, **more: Any) -> Object:
    return {"name": name, "image": "i", **more}


def ran(name: str, state: str = "running", *, code: int = 0, count: int = 0, sandbox: str = "s0",
        created: float = 1.0, **more: Any) -> Container:
    return Container(id=f"{name}-{count}", name=name, sandbox_id=sandbox, state=state, exit_code=code,
                     restart_count=count, hash=more.pop("hash", container_hash(spec(name))), created_at=created,
                     started_at=created, finished_at=created + 1 if state == "exited" else 0, **more)


def observed(*containers: Container, ready: bool = True, sandboxes: bool = True) -> Observed:
    box = (Sandbox("s0", 0, ready, 0.5, ("10.0.0.1",)),) if sandboxes else ()
    return Observed(box, tuple(sorted(containers, key=lambda c: -c.created_at)))


def summary(made: plan.Plan) -> str:
    words = []
    if made.kill_pod:
        words.append("kill-pod")
    if made.create_sandbox:
        words.append(f"sandbox#{made.attempt}")
    words += [f"kill:{k.container.name}({k.reason})" for k in made.kill]
    words += [f"start:{s.spec['name']}#{s.restart_count}" for s in made.start]
    words += [f"wait:{n}" for n in made.waiting]
    return " ".join(words)


A, B = spec("a"), spec("b")
SIDECAR = spec("side", restartPolicy="Always")

CASES: list[tuple[str, Object, Observed, plan.Facts, str]] = [
    ("nothing yet", pod(A, B), observed(sandboxes=False), plan.Facts(), "sandbox#0 start:a#0 start:b#0"),
    ("init first", pod(A, init=[spec("i")]), observed(sandboxes=False), plan.Facts(), "sandbox#0 start:i#0"),
    ("init runs", pod(A, init=[spec("i")]), observed(ran("i")), plan.Facts(), ""),
    ("init done", pod(A, init=[spec("i")]), observed(ran("i", "exited")), plan.Facts(), "start:a#0"),
    ("second init", pod(A, init=[spec("i"), spec("j")]), observed(ran("i", "exited")), plan.Facts(), "start:j#0"),
    ("init failed", pod(A, init=[spec("i")]), observed(ran("i", "exited", code=1)), plan.Facts(), "start:i#1"),
    ("init failed, backing off", pod(A, init=[spec("i")]), observed(ran("i", "exited", code=1)),
     plan.Facts(waits={"i": 5}), "wait:i"),
    ("init failed for good", pod(A, init=[spec("i")], policy="Never"), observed(ran("i", "exited", code=1)),
     plan.Facts(), "kill-pod"),
    ("all well", pod(A), observed(ran("a")), plan.Facts(), ""),
    ("crashed", pod(A), observed(ran("a", "exited", code=1)), plan.Facts(), "start:a#1"),
    ("crashed, backing off", pod(A), observed(ran("a", "exited", code=1)), plan.Facts(waits={"a": 3}), "wait:a"),
    ("done, OnFailure", pod(A, policy="OnFailure"), observed(ran("a", "exited")), plan.Facts(), "kill-pod"),
    ("failed, OnFailure", pod(A, policy="OnFailure"), observed(ran("a", "exited", code=1)), plan.Facts(),
     "start:a#1"),
    ("failed, Never", pod(A, policy="Never"), observed(ran("a", "exited", code=1)), plan.Facts(), "kill-pod"),
    ("one of two done, Never", pod(A, B, policy="Never"), observed(ran("a", "exited"), ran("b")), plan.Facts(), ""),
    ("liveness failed", pod(A), observed(ran("a")), plan.Facts(failed={"a-0": "liveness"}),
     "kill:a(LivenessProbe) start:a#1"),
    ("liveness failed, Never", pod(A, policy="Never"), observed(ran("a")), plan.Facts(failed={"a-0": "liveness"}),
     "kill:a(LivenessProbe)"),
    ("image changed", pod(A), observed(ran("a", hash="old")), plan.Facts(), "kill:a(SpecChanged) start:a#1"),
    ("sandbox died", pod(A), observed(ran("a", "exited", code=137), ready=False), plan.Facts(),
     "kill-pod sandbox#1 start:a#1"),
    ("sandbox died, Never", pod(A, policy="Never"), observed(ran("a", "exited", code=137), ready=False),
     plan.Facts(), "kill-pod"),
    ("sidecar starts first", pod(A, init=[SIDECAR]), observed(), plan.Facts(), "start:side#0"),
    ("sidecar not started", pod(A, init=[SIDECAR]), observed(ran("side")), plan.Facts(started={"side-0": False}), ""),
    ("sidecar started", pod(A, init=[SIDECAR]), observed(ran("side")), plan.Facts(), "start:a#0"),
    ("sidecar crashed beside", pod(A, init=[SIDECAR]), observed(ran("side", "exited"), ran("a")), plan.Facts(),
     "start:side#1"),
    ("main done: sidecar goes", pod(A, init=[SIDECAR], policy="Never"), observed(ran("side"), ran("a", "exited")),
     plan.Facts(), "kill-pod"),
    ("own policy", pod(spec("a", restartPolicy="Never"), B), observed(ran("a", "exited", code=1), ran("b")),
     plan.Facts(), ""),
    ("rule by exit code", pod(spec("a", restartPolicy="Never", restartPolicyRules=[
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}])),
     observed(ran("a", "exited", code=42)), plan.Facts(), "start:a#1"),
    ("ephemeral", pod(A, ephemeralContainers=[spec("dbg")]), observed(ran("a")), plan.Facts(), "start:dbg#0"),
]


@pytest.mark.parametrize(("name", "wanted", "now", "facts", "expected"), CASES, ids=[c[0] for c in CASES])
def test_plan(name: str, wanted: Object, now: Observed, facts: plan.Facts, expected: str) -> None:
    assert summary(plan.plan(wanted, now, facts)) == expected


PHASES = [
    (pod(A), observed(sandboxes=False), {}, "Pending"),
    (pod(A), observed(ran("a")), {}, "Running"),
    (pod(A), observed(ran("a", "exited", code=1)), {"a": ("CrashLoopBackOff", "m")}, "Running"),
    (pod(A, policy="Never"), observed(ran("a", "exited", code=1)), {}, "Failed"),
    (pod(A, policy="Never"), observed(ran("a", "exited")), {}, "Succeeded"),
    (pod(A, policy="OnFailure"), observed(ran("a", "exited", code=1)), {}, "Running"),
    (pod(A, init=[spec("i")], policy="Never"), observed(ran("i", "exited", code=1)), {}, "Failed"),
    (pod(A, init=[spec("i")]), observed(ran("i", "exited", code=1)), {"i": ("CrashLoopBackOff", "m")}, "Pending"),
    (pod(A, B), observed(ran("a")), {"b": ("ImagePullBackOff", "m")}, "Pending"),
    (pod(A, init=[SIDECAR], policy="Never"), observed(ran("side"), ran("a", "exited")), {}, "Running"),
]


@pytest.mark.parametrize(("wanted", "now", "reasons", "phase"), PHASES)
def test_phase(wanted: Object, now: Observed, reasons: Any, phase: str) -> None:
    made = status.pod_status(wanted, now, status.Known(now=100.0, reasons=reasons, network_ready=True))
    assert made["phase"] == phase
    assert made["observedGeneration"] == 3


def conditions(made: Object) -> dict[str, tuple[str, str, str]]:
    return {c["type"]: (c["status"], c.get("reason", ""), c.get("message", "")) for c in made["conditions"]}


def test_conditions_of_a_pod_that_starts_and_is_ready() -> None:
    wanted = pod(A, B, init=[spec("i")], readinessGates=[{"conditionType": "x/y"}])
    first = status.pod_status(wanted, observed(), status.Known(now=100.0, network_ready=True))
    assert conditions(first)["Initialized"] == (
        "False", "ContainersNotInitialized", "containers with incomplete status: [i]")
    assert conditions(first)["Ready"] == (
        "False", "ContainersNotReady", "containers with unready status: [a b]")
    assert first["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    wanted["status"] = first
    now = observed(ran("i", "exited"), ran("a", created=2), ran("b", created=2))
    second = status.pod_status(wanted, now, status.Known(now=200.0, network_ready=True))
    assert conditions(second)["ContainersReady"] == ("True", "", "")
    assert conditions(second)["Ready"] == (
        "False", "ReadinessGatesNotReady",
        'corresponding condition of pod readiness gate "x/y" does not exist.')
    first_stamps = {c["type"]: c["lastTransitionTime"] for c in first["conditions"]}
    second_stamps = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert first_stamps["PodScheduled"] == second_stamps["PodScheduled"]
    assert first_stamps["Initialized"] != second_stamps["Initialized"]


def test_probe_verdicts_and_restarts_show() -> None:
    now = observed(ran("a", count=1, created=5), ran("a", "exited", code=3, created=1, reason="Error", message="bye"))
    made = status.pod_status(pod(A), now, status.Known(now=9.0, ready={"a-1": False}))
    shown = made["containerStatuses"][0]
    assert (shown["ready"], shown["started"], shown["restartCount"]) == (False, True, 1)
    assert shown["lastState"]["terminated"]["exitCode"] == 3
    assert shown["lastState"]["terminated"]["message"] == "bye"
    assert shown["containerID"] == "containerd://a-1"


def test_a_deleted_pod_ends_in_a_terminal_phase() -> None:
    known = status.Known(now=9.0, terminating=True, terminated=True)
    made = status.pod_status(pod(A), observed(ran("a", "exited", code=143)), known)
    assert made["phase"] == "Failed"
    never = status.pod_status(pod(A), observed(sandboxes=False), known)
    assert never["phase"] == "Failed"
    assert never["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


@pytest.mark.parametrize(("resources", "qos"), [
    ({}, "BestEffort"),
    ({"requests": {"cpu": "1"}}, "Burstable"),
    ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
])
def test_qos(resources: Object, qos: str) -> None:
    assert status.qos_class(pod(spec("a", resources=resources))) == qos
