"""Nodes, pods, deployments, what kubectl shows of them."""

import re

from tests.e2e.support import IMAGE, SLEEP, client_pod, pod, web


def test_node_is_ready(kubectl):
    lines = kubectl("get", "nodes", "-o", "wide").splitlines()
    assert lines[0].split()[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert re.search(r"\bReady\b.* v1\.37\.0 .*containerd://", lines[1]), lines[1]
    node = kubectl.json("get", "nodes")["items"][0]
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    assert conditions == {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
    assert int(node["status"]["capacity"]["cpu"]) >= 1 and node["status"]["allocatable"]["pods"] == "110"


def test_version(kubectl):
    assert "Server Version: v1.37.0" in kubectl("version")


def test_run_and_create(kubectl):
    kubectl("run", "one", f"--image={IMAGE}", "--", *SLEEP)
    kubectl("create", "deployment", "two", f"--image={IMAGE}", "--", *SLEEP)
    kubectl.ready("one")
    kubectl("rollout", "status", "deployment/two", "--timeout=60s")
    shown = kubectl("get", "pods", "-o", "wide").splitlines()
    assert shown[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert re.search(r"^one\s+1/1\s+Running\s+0\s+\d+s\s+10\.244\.", shown[1]), shown[1]
    everything = kubectl("get", "all")
    for word in ("pod/one", "deployment.apps/two", "replicaset.apps/two-"):
        assert word in everything


def test_apply_many_documents(kubectl):
    kubectl.apply(pod("a", *SLEEP), web("b"), {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}})
    kubectl.ready("a")
    kubectl("rollout", "status", "deployment/b", "--timeout=60s")
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data.k}") == "v"


def test_rollout(kubectl):
    kubectl.apply(web("web", 3))
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    kubectl("set", "env", "deployment/web", "X=1")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    history = kubectl("rollout", "history", "deployment/web")
    assert re.search(r"^1\s", history, re.M) and re.search(r"^2\s", history, re.M)
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    assert "env" not in kubectl.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    kubectl("rollout", "pause", "deployment/web")
    kubectl("set", "env", "deployment/web", "X=2")
    assert len(kubectl.json("get", "rs")["items"]) == 2
    kubectl("rollout", "resume", "deployment/web")
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    kubectl("scale", "deployment/web", "--replicas=1")
    kubectl.until(lambda: len(kubectl.json("get", "pods", "-l", "app=web")["items"]) == 1, what="one pod is left")


def test_config_in_pods(kubectl):
    kubectl("create", "configmap", "conf", "--from-literal=color=blue")
    kubectl("create", "secret", "generic", "hidden", "--from-literal=word=sesame")
    kubectl.apply(pod("conf", *SLEEP, container={
        "env": [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "envFrom": [{"configMapRef": {"name": "conf"}}],
        "volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in ("cm", "sec", "info", "empty")]},
        volumes=[{"name": "cm", "configMap": {"name": "conf"}}, {"name": "sec", "secret": {"secretName": "hidden"}},
                 {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                 {"name": "empty", "emptyDir": {}}]))
    kubectl.ready("conf")
    out = kubectl("exec", "conf", "--", "sh", "-c",
                  "echo $WORD $ME $color; cat /cm/color /sec/word /info/labels; touch /empty/x; ls /var/run/secrets/kubernetes.io/serviceaccount")
    for word in ("sesame conf blue", "bluesesame", 'app="conf"', "token", "ca.crt", "namespace"):
        assert word in out
    kubectl("patch", "configmap", "conf", "-p", '{"data":{"color":"green"}}')
    kubectl.until(lambda: "green" in kubectl("exec", "conf", "--", "cat", "/cm/color"), timeout=100, what="the volume follows")


def test_service_account_reaches_the_api(kubectl):
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:default")
    who = f"--as=system:serviceaccount:{kubectl.namespace}:default"
    assert kubectl("auth", "can-i", "list", "pods", who).strip() == "yes"
    assert kubectl.run("auth", "can-i", "list", "secrets", who).stdout.strip() == "no"
    assert "cannot list resource \"secrets\" in API group \"\"" in kubectl.fails("get", "secrets", who)


CALL_API = """
import json, ssl, urllib.error, urllib.request
home = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=home + "ca.crt")
token, namespace = open(home + "token").read(), open(home + "namespace").read()
for resource in ("pods", "secrets"):
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/api/v1/namespaces/{namespace}/{resource}", headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            print(resource, answer.status, json.load(answer)["kind"])
    except urllib.error.HTTPError as e:
        print(resource, e.code, json.load(e)["reason"])
"""


def test_a_pod_calls_the_api_with_its_token(kubectl):
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:default")
    kubectl.apply(client_pod())
    kubectl.ready("client")
    out = kubectl("exec", "client", "--", "/usr/local/bin/python3", "-c", CALL_API)
    assert out.splitlines() == ["pods 200 PodList", "secrets 403 Forbidden"]


def test_init_containers_jobs_and_restart_policy(kubectl):
    kubectl.apply(pod("init", *SLEEP, initContainers=[{"name": "first", "image": IMAGE, "command": ["sh", "-c", "echo hi > /d/x"],
                                                     "volumeMounts": [{"name": "d", "mountPath": "/d"}]}],
                      container={"volumeMounts": [{"name": "d", "mountPath": "/d"}]}, volumes=[{"name": "d", "emptyDir": {}}]))
    kubectl("create", "job", "sum", f"--image={IMAGE}", "--", "sh", "-c", "echo $((1+1))")
    kubectl.ready("init")
    assert kubectl("exec", "init", "--", "cat", "/d/x").strip() == "hi"
    kubectl.wait("job/sum", "condition=Complete")
    assert kubectl("logs", "job/sum").strip() == "2"


def test_probes_and_back_off(kubectl):
    kubectl.apply(
        pod("live", "sh", "-c", "touch /ok; sleep 3; rm /ok; sleep 100", container={"livenessProbe": {
            "exec": {"command": ["cat", "/ok"]}, "periodSeconds": 1, "failureThreshold": 1}}),
        pod("crash", "sh", "-c", "echo dying; exit 3"),
        pod("never", "sh", "-c", "exit 0", restartPolicy="Never"),
        pod("big", "sh", "-c", "tail /dev/zero", restartPolicy="Never",
            container={"resources": {"limits": {"memory": "16Mi"}}}))
    kubectl.until(lambda: kubectl.json("get", "pod", "live")["status"]["containerStatuses"][0]["restartCount"] >= 1, what="live restarts")
    kubectl.until(lambda: "CrashLoopBackOff" in kubectl("get", "pod", "crash"), what="crash backs off")
    assert "dying" in kubectl("logs", "crash", "--previous")
    kubectl.until(lambda: kubectl.json("get", "pod", "never")["status"]["phase"] == "Succeeded", what="never ends well")
    state = kubectl.until(lambda: kubectl.json("get", "pod", "big")["status"]["containerStatuses"][0]["state"]["terminated"], what="big ends")
    assert state["reason"] == "OOMKilled" and state["exitCode"] == 137
    assert "Liveness probe failed" in kubectl("get", "events")


def test_namespace_goes_with_all_in_it(kubectl):
    kubectl.apply(web("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert "kube-root-ca.crt" in kubectl("get", "configmaps")
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=60s", timeout=90)
    assert "NotFound" in kubectl.fails("get", "namespace", kubectl.namespace)


def test_image_pull_back_off_tells_why(kubectl):
    kubectl.apply(pod("missing", image="registry.invalid/none:1"))
    kubectl.until(lambda: kubectl.json("get", "pod", "missing")["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                  in ("ErrImagePull", "ImagePullBackOff"), what="the pull fails")
    assert "Failed to pull image" in kubectl("describe", "pod", "missing")
