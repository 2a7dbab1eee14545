"""What the containers of a simulated pod do as time passes."""

from kubewheel.node import life as lives
from kubewheel.node.life import Latency

LATENCY = Latency(start=1, stop=1, run=5)


def pod(policy: str = "Always", **annotations: str):
    return {"metadata": {"name": "p", "namespace": "d", "uid": "u", "generation": 1,
                         "annotations": {"kubewheel.dev/" + k.replace("_", "-"): v for k, v in annotations.items()}},
            "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}], "nodeName": "n"}}


def at(the_pod, life, now):
    then = lives.advance(the_pod, life, now, LATENCY)
    return then, lives.status_of(the_pod, life, now, host_ip="1.1.1.1")


def conditions(status):
    return {c["type"]: c["status"] for c in status["conditions"]}


def test_starts_then_runs_for_ever():
    p = pod()
    life = lives.begin(p, ip="10.128.0.1", now=0)
    then, status = at(p, life, 0)
    assert then == 1 and status["phase"] == "Pending" and "podIP" not in status
    then, status = at(p, life, 1)
    assert then is None and status["phase"] == "Running" and status["podIP"] == "10.128.0.1"
    assert conditions(status) == dict.fromkeys(
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"], "True")
    assert status["observedGeneration"] == 1


def test_a_job_pod_succeeds():
    p = pod("Never")
    life = lives.begin(p, ip="x", now=0)
    assert at(p, life, 1)[0] == 6
    status = at(p, life, 6)[1]
    assert status["phase"] == "Succeeded"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert conditions(status)["Ready"] == "False"


def test_exit_code_and_restart_policy():
    p = pod("Never", run_seconds="3", exit_code="2")
    life = lives.begin(p, ip="x", now=0)
    at(p, life, 1)
    status = at(p, life, 4)[1]
    assert status["phase"] == "Failed" and status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 2

    p = pod("OnFailure", run_seconds="3", exit_code="2")
    life = lives.begin(p, ip="x", now=0)
    at(p, life, 1)
    then, status = at(p, life, 4)
    assert status["containerStatuses"][0]["restartCount"] == 1 and then == 7  # restarted at once
    then, status = at(p, life, 7)
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff" and then == 17
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 2
    then, status = at(p, life, 17)
    assert "running" in status["containerStatuses"][0]["state"] and then == 20


def test_deletion_is_graceful():
    p = pod()
    life = lives.begin(p, ip="x", now=0)
    at(p, life, 1)
    p["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
    assert at(p, life, 10)[0] == 11
    at(p, life, 11)
    assert life.gone


def test_deadline_and_readiness_gate():
    p = pod()
    p["spec"]["activeDeadlineSeconds"] = 10
    p["spec"]["readinessGates"] = [{"conditionType": "example.com/ok"}]
    life = lives.begin(p, ip="x", now=0)
    then, status = at(p, life, 1)
    assert then == 10 and conditions(status)["Ready"] == "False" and conditions(status)["ContainersReady"] == "True"
    status = at(p, life, 10)[1]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_life_is_taken_up_from_the_status():
    p = pod()
    life = lives.begin(p, ip="10.128.0.9", now=100)
    status = at(p, life, 102)[1]
    p["status"] = status
    again = lives.begin(p, ip="10.128.0.200", now=500)
    assert again.ip == "10.128.0.9"
    assert at(p, again, 500)[1]["containerStatuses"][0]["state"] == status["containerStatuses"][0]["state"]
