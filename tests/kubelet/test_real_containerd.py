"""The kubelet on a containerd of its own, under an API server in the process, judged by kubectl."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kubewheel.client.cache import Caches
from kubewheel.client.events import Recorder
from kubewheel.kubelet.kubelet import Kubelet
from kubewheel.kubelet.options import Options
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.run import containerd, images
from kubewheel.run.settings import Settings
from kubewheel.testing.cluster import Cluster, cluster

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("containerd") is None, reason="needs root and containerd")]

Object = dict[str, Any]
IMAGE = images.BUSYBOX_NAMES[0]
BRIDGE = "kwtest0"
CNI = {"cniVersion": "1.0.0", "name": "kwtest", "plugins": [{
    "type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False,
    "ipam": {"type": "host-local", "dataDir": "", "ranges": [[{"subnet": "10.222.9.0/24"}]],
             "routes": [{"dst": "0.0.0.0/0"}]}}]}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("node")
    settings = Settings(data_dir=base / "data", run_dir=base / "run", log_dir=base / "log")
    settings.log_dir.mkdir(parents=True)
    containerd.prepare(settings)
    CNI["plugins"][0]["ipam"]["dataDir"] = str(base / "ipam")  # type: ignore[index]
    (containerd.cni_conf_dir(settings) / "10-test.conflist").write_text(json.dumps(CNI))
    with open(settings.log_dir / "containerd.log", "wb") as log:
        process = subprocess.Popen(containerd.argv(settings), stdout=log, stderr=log, start_new_session=True)
    try:
        containerd.wait_ready(settings)
        images.directory(settings).mkdir(parents=True, exist_ok=True)
        images.load(settings, images.pause_image(settings))
        images.load(settings, images.busybox_image(base / "busybox.tar"))
        yield settings
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)


class Node:
    def __init__(self, made: Cluster, kubelet: Kubelet, kubeconfig: Path) -> None:
        self.cluster, self.client, self.kubelet = made, made.client, kubelet
        self.kubeconfig = kubeconfig
        self.task = asyncio.create_task(kubelet.run())

    async def kubectl(self, *args: str, stdin: bytes = b"") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            "kubectl", "--kubeconfig", str(self.kubeconfig), *args, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin)
        return process.returncode or 0, out.decode(), err.decode()

    async def run(self, name: str, *containers: Object, **spec: Any) -> None:
        await self.client.create("pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}})

    async def status(self, name: str, condition: Any) -> Object:
        return (await self.cluster.wait_for("pods", name, lambda p: condition(p.get("status") or {})))["status"]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def container(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **more}


def state(status: Object, name: str, key: str = "containerStatuses") -> Object:
    return next((c for c in status.get(key) or () if c["name"] == name), {"state": {}, "restartCount": 0})


def is_ready(status: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())


@contextlib.asynccontextmanager
async def node(settings: Settings, tmp_path: Path) -> AsyncIterator[Node]:
    clock = clocks.RealClock()
    async with cluster(nodes=0, scheduler=False, controllers="") as made:
        ca = made.authority()
        (tmp_path / "ca.crt").write_bytes(ca.cert)
        pair = tls.issue(ca, "kube-apiserver-kubelet-client", organizations=("system:masters",), now=clock.now(),
                         client=True)
        (tmp_path / "client.crt").write_bytes(pair.cert)
        tls.write_private(tmp_path / "client.key", pair.key)
        made.server.options.kubelet_client_certificate = str(tmp_path / "client.crt")
        made.server.options.kubelet_client_key = str(tmp_path / "client.key")
        options = Options(
            node_name="n1", root_dir=str(settings.data_dir / "kubelet"), pod_logs_dir=str(tmp_path / "pods"),
            container_logs_dir=str(tmp_path / "containers"), port=21250, healthz_port=21248, node_ip="127.0.0.1",
            container_runtime_endpoint=str(settings.containerd_socket), cgroup_root="/kwtest",
            client_ca_file=str(tmp_path / "ca.crt"))
        await ensure_account(made)

        def kubelet() -> Kubelet:
            client = made.client_as("system:node:n1", "system:nodes", "system:authenticated")
            return Kubelet(client, Caches(client), clock, random.Random(1),
                           Recorder(client, clock, component="kubelet", host="n1"), options)

        started = Node(made, kubelet(), await made.kubeconfig())
        started.restart = kubelet  # type: ignore[attr-defined]
        try:
            await made.wait_for("nodes", "n1", lambda n: (n.get("status") or {}).get("conditions"), namespace=None)
            yield started
        finally:
            for pod in (await made.client.list("pods", namespace="default"))["items"]:
                await made.client.delete("pods", pod["metadata"]["name"], namespace="default", grace=1)
            for pod in (await made.client.list("pods", namespace="default"))["items"]:
                await made.wait_gone("pods", pod["metadata"]["name"])
            await started.stop()
            started.kubelet.deps.cgroups.remove_all()


async def ensure_account(made: Cluster) -> None:
    if await made.client.find("serviceaccounts", "default", namespace="default") is None:
        await made.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    if await made.client.find("configmaps", "kube-root-ca.crt", namespace="default") is None:
        await made.client.create("configmaps", {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"},
                                                "data": {"ca.crt": "pem"}})


async def test_a_pod_lives_and_goes(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.client.create("configmaps", {"metadata": {"name": "cm", "namespace": "default"}, "data": {"k": "v1"}})
        await n.run(
            "full",
            container("c", "cat /etc/cm/k; echo; echo $KEY $IP; cat /e/from-init; ls -A /var/run/secrets/"
                           "kubernetes.io/serviceaccount; id -u; mkdir /tmp/w; echo page > /tmp/w/index.html; "
                           "httpd -p 8080 -h /tmp/w; while sleep 0.2; do date; done",
                      env=[{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
                           {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                      readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
                      securityContext={"runAsUser": 1234},
                      volumeMounts=[{"name": "cm", "mountPath": "/etc/cm"}, {"name": "e", "mountPath": "/e"}]),
            initContainers=[container("init", "echo made > /e/from-init; echo note > /dev/termination-log",
                                      volumeMounts=[{"name": "e", "mountPath": "/e"}])],
            volumes=[{"name": "cm", "configMap": {"name": "cm"}}, {"name": "e", "emptyDir": {"medium": "Memory"}}])
        status = await n.status("full", is_ready)
        assert status["phase"] == "Running"
        ended = state(status, "init", "initContainerStatuses")["state"]["terminated"]
        assert (ended["reason"], ended["message"]) == ("Completed", "note\n")
        code, out, err = await n.kubectl("logs", "full", "-c", "c")
        assert code == 0, err
        assert out.splitlines()[:3] == ["v1", f"v1 {status['podIP']}", "made"]
        assert "token" in out and "1234" in out
        code, out, err = await n.kubectl("exec", "-i", "full", "--", "sh", "-c", "cat; echo bad >&2; exit 5",
                                         stdin=b"hello\n")
        assert (code, out) == (5, "hello\n"), err
        assert "bad\n" in err
        await forward_and_fetch(n)
        uid = (await n.client.get("pods", "full", namespace="default"))["metadata"]["uid"]
        assert (await n.kubectl("delete", "pod", "full", "--timeout=20s"))[0] == 0
        assert not Path(n.kubelet.options.pod_dir(uid)).exists()
        assert uid not in Path("/proc/self/mountinfo").read_text()
        assert uid not in n.kubelet.deps.cgroups.pod_uids()


async def forward_and_fetch(n: Node) -> None:
    process = await asyncio.create_subprocess_exec(
        "kubectl", "--kubeconfig", str(n.kubeconfig), "port-forward", "pod/full", ":8080",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(15):
            line = (await process.stdout.readline()).decode()
            assert line.startswith("Forwarding from 127.0.0.1:"), line
            reader, writer = await asyncio.open_connection("127.0.0.1", int(line.split(":")[1].split()[0]))
            writer.write(b"GET /index.html HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"page\n")
            writer.close()
    finally:
        process.terminate()
        await process.wait()


async def test_failures_are_told_in_upstreams_words(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("crash", container("c", "echo last words; exit 7",
                                       terminationMessagePolicy="FallbackToLogsOnError"))
        await n.run("nowhere", {"name": "c", "image": "127.0.0.1:1/none:1"})
        await n.run("config", container("c", "true", env=[
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]))
        await n.run("root", container("c", "true"), securityContext={"runAsNonRoot": True})
        await n.run("once", container("c", "exit 3"), restartPolicy="Never")
        await n.run("done", container("c", "true"), restartPolicy="OnFailure")
        await n.run("hung", container("c", "trap 'exit 0' TERM; while sleep 0.1; do :; done", livenessProbe={
            "exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}))
        status = await n.status("crash", lambda s: state(s, "c")["state"].get("waiting", {}).get(
            "reason") == "CrashLoopBackOff")
        uid = (await n.client.get("pods", "crash", namespace="default"))["metadata"]["uid"]
        shown = state(status, "c")
        assert shown["state"]["waiting"]["message"] == (
            f"back-off 10s restarting failed container=c pod=crash_default({uid})")
        assert shown["lastState"]["terminated"]["exitCode"] == 7
        assert shown["lastState"]["terminated"]["message"] == "last words\n"
        await n.status("nowhere", lambda s: state(s, "c")["state"].get("waiting", {}).get(
            "reason") == "ImagePullBackOff")
        status = await n.status("config", lambda s: state(s, "c")["state"].get("waiting", {}).get("message"))
        assert state(status, "c")["state"]["waiting"] == {
            "reason": "CreateContainerConfigError", "message": 'secret "none" not found'}
        status = await n.status("root", lambda s: state(s, "c")["state"].get("waiting", {}).get("message"))
        message = state(status, "c")["state"]["waiting"]["message"]
        assert "container has runAsNonRoot and image will run as root" in message
        assert (await n.status("once", lambda s: s.get("phase") == "Failed"))["containerStatuses"][0]["state"][
            "terminated"]["exitCode"] == 3
        assert await n.status("done", lambda s: s.get("phase") == "Succeeded")
        assert await n.status("hung", lambda s: state(s, "c")["restartCount"] >= 1)


async def test_containers_outlive_the_kubelet(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("stay", container("c", "trap 'exit 0' TERM; while sleep 0.1; do :; done"))
        before = state(await n.status("stay", is_ready), "c")
        await n.stop()
        n.kubelet = n.restart()  # type: ignore[attr-defined]
        n.task = asyncio.create_task(n.kubelet.run())
        await n.cluster.wait_until(lambda: any(w.observed.containers for w in n.kubelet.workers.values()))
        code, out, err = await n.kubectl("exec", "stay", "--", "echo", "still here")
        assert (code, out) == (0, "still here\n"), err
        after = state((await n.client.get("pods", "stay", namespace="default"))["status"], "c")
        assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)


async def test_a_sidecar_outlives_the_main_container(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        loop = "trap 'exit 0' TERM; while sleep 0.1; do :; done"
        await n.run("job", container("main", "sleep 1"), restartPolicy="Never",
                    initContainers=[container("side", loop, restartPolicy="Always")])
        status = await n.status("job", lambda s: s.get("phase") == "Succeeded")
        assert "terminated" in state(status, "side", "initContainerStatuses")["state"]


async def test_what_changes_while_a_pod_runs(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        loop = "trap 'exit 0' TERM; while read -t 1 line; do echo got $line; done; while sleep 0.1; do :; done"
        await n.run("live", container("c", loop, stdin=True, resources={
            "requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}))
        await n.status("live", is_ready)
        worker = n.kubelet.pod_named("default", "live")
        assert worker is not None
        parent = n.kubelet.deps.cgroups.parent_of(worker.uid, worker.qos)
        cgroups = n.kubelet.deps.cgroups
        memory_file = "memory.max" if cgroups.is_v2 else "memory.limit_in_bytes"
        assert cgroups.read_number("memory", parent, memory_file) == 64 << 20
        code, _, err = await n.kubectl("patch", "pod", "live", "--subresource=resize", "-p", json.dumps(
            {"spec": {"containers": [{"name": "c", "resources": {
                "requests": {"cpu": "150m"}, "limits": {"cpu": "300m", "memory": "128Mi"}}}]}}))
        assert code == 0, err
        await n.status("live", lambda s: (state(s, "c").get("resources") or {}).get("limits") == {
            "cpu": "300m", "memory": "128Mi"})
        child = f"{parent}/{worker.observed.latest('c').id}"  # type: ignore[union-attr]
        assert cgroups.read_number("memory", child, memory_file) == 128 << 20
        code, _, err = await n.kubectl("debug", "live", f"--image={IMAGE}", "-c", "dbg", "--target=c",
                                       "--image-pull-policy=IfNotPresent", "--", "sh", "-c", "ps; sleep 100")
        assert code == 0, err
        await n.status("live", lambda s: state(s, "dbg", "ephemeralContainerStatuses")["state"].get("running"))

        async def sees_the_target() -> bool:
            return "read -t 1" in (await n.kubectl("logs", "live", "-c", "dbg"))[1]

        await n.cluster.wait_until(sees_the_target, what="the debug container lists the target's processes")
        assert (await n.kubectl("delete", "pod", "live", "--grace-period=0", "--force"))[0] == 0
        await n.cluster.wait_until(lambda: worker.uid not in n.kubelet.workers, what="a forced pod goes")


async def test_static_pods_have_mirrors(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        manifests = tmp_path / "manifests"
        manifests.mkdir()
        await n.stop()
        n.kubelet = n.restart()  # type: ignore[attr-defined]
        n.kubelet.options.pod_manifest_path = str(manifests)
        n.kubelet.options.file_check_frequency = 0.3
        (manifests / "web.json").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [
                container("c", "trap 'exit 0' TERM; while sleep 0.1; do :; done")]}}))
        n.task = asyncio.create_task(n.kubelet.run())
        mirror = await n.cluster.wait_for("pods", "web-n1", lambda p: (p.get("status") or {}).get("phase") == "Running")
        assert mirror["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
        (manifests / "web.json").unlink()
        await n.cluster.wait_gone("pods", "web-n1")
        await n.cluster.wait_until(lambda: not n.kubelet.workers, what="the static pod ends")


async def test_pods_this_node_refuses(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("picky", container("c", "true"), nodeSelector={"no": "such"})
        await n.run("huge", container("c", "true", resources={"requests": {"cpu": "1000"}}))
        await n.run("sysctl", container("c", "true"), securityContext={
            "sysctls": [{"name": "kernel.msgmax", "value": "1"}]})
        for name, reason in (("picky", "NodeAffinity"), ("huge", "OutOfcpu"), ("sysctl", "SysctlForbidden")):
            status = await n.status(name, lambda s: s.get("phase") == "Failed")
            assert status["reason"] == reason
            assert status["message"].startswith("Pod was rejected: ")


async def test_volumes_follow_their_objects(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("labels", container("c", "while sleep 0.2; do cat /info/labels; echo; done", volumeMounts=[
            {"name": "info", "mountPath": "/info"}]), volumes=[{"name": "info", "downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}])
        await n.status("labels", is_ready)
        assert (await n.kubectl("label", "pod", "labels", "color=blue"))[0] == 0

        async def shows() -> bool:
            return 'color="blue"' in (await n.kubectl("logs", "labels", "--tail=3"))[1]

        await n.cluster.wait_until(shows, what="the file shows the label")


async def test_attach_and_terminals(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("talk", container("c", "while read line; do echo got $line; done; echo over", stdin=True,
                                      stdinOnce=True), restartPolicy="Never")
        await n.status("talk", is_ready)
        code, out, err = await n.kubectl("attach", "-i", "talk", stdin=b"hi\n")
        assert (code, out) == (0, "got hi\nover\n"), err
        await n.status("talk", lambda s: s.get("phase") == "Succeeded")
        await n.run("tty", container("c", "trap 'exit 0' TERM; while sleep 0.1; do :; done"))
        await n.status("tty", is_ready)
        script = (f"stty rows 33 cols 99; kubectl --kubeconfig {n.kubeconfig} exec -it tty -- "
                  "sh -c 'sleep 0.3; stty size'")
        process = await asyncio.create_subprocess_exec(
            "script", "-qec", script, "/dev/null", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(20):
            shown, _ = await process.communicate()
        assert b"33 99" in shown
