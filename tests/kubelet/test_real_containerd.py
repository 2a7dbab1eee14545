"""The kubelet on a containerd of its own, under an API server in the process, judged by kubectl."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.kubelet.harness import IMAGE, Node, container, is_ready, needs_containerd, node, runtime, state

from kubewheel.run.settings import Settings

__all__ = ["runtime"]  # a fixture
pytestmark = needs_containerd


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
        await n.cluster.wait_until(lambda: cgroups.read_number("memory", parent, memory_file) == 64 << 20, what="the pod's limit")
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
        # A pod that is deleted without grace gives its place away at once, as the scheduler counts on: here to the
        # pod it was preempted for.
        whole = {"requests": {"cpu": f"{n.kubelet.deps.node.allocatable['cpu']}"}}
        await n.run("victim", container("c", "sleep 1000", resources=whole))
        await n.status("victim", is_ready)
        assert (await n.kubectl("delete", "pod", "victim", "--grace-period=0", "--force", "--wait=false"))[0] == 0
        await n.run("preemptor", container("c", "sleep 1000", resources=whole))
        await n.status("preemptor", is_ready)


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
