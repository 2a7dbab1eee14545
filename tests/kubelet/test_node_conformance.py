"""What the upstream conformance suite asks of a node, many checks to a pod."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
from aiohttp import web
from tests.kubelet.harness import IMAGE, Node, container, is_ready, needs_containerd, node, runtime, state
from tests.kubelet.registry import registry

from kubewheel.run.settings import Settings

__all__ = ["runtime"]  # a fixture
pytestmark = needs_containerd

Object = dict[str, Any]
LOOP = "trap 'exit 0' TERM; while sleep 0.1; do :; done"


def field(path: str) -> Object:
    return {"fieldRef": {"fieldPath": path}}


def resource(name: str, **more: Any) -> Object:
    return {"resourceFieldRef": {"resource": name, **more}}


async def make(n: Node, resource: str, name: str, **content: Any) -> None:
    await n.client.create(resource, {"metadata": {"name": name, "namespace": "default"}, **content})


async def output(n: Node, pod: str, name: str = "c") -> dict[str, str]:
    """The `key=value` lines a pod printed before it succeeded."""
    status = await n.status(pod, lambda s: s.get("phase") in ("Succeeded", "Failed"))
    _, out, err = await n.kubectl("logs", pod, "-c", name)
    assert state(status, name)["state"]["terminated"]["exitCode"] == 0, (out, err, status)
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


async def events(n: Node, pod: str) -> list[tuple[str, str]]:
    found = await n.client.list("events", namespace="default")
    return [(e["reason"], e["message"]) for e in found["items"] if e["involvedObject"]["name"] == pod]


async def told(n: Node, pod: str, reason: str, part: str = "") -> None:
    async def seen() -> bool:
        return any(r == reason and part in m for r, m in await events(n, pod))

    await n.cluster.wait_until(seen, what=f"event {reason} of {pod} saying {part!r}")


async def test_what_a_container_sees(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await make(n, "configmaps", "cm", data={"a": "1", "b": "2"}, binaryData={"bin": "/w=="})
        await make(n, "secrets", "sec", stringData={"user": "me", "pass": "word"})
        await make(n, "services", "red-is", spec={"ports": [{"port": 6379, "name": "db"}], "clusterIP": "10.96.0.77"})
        await n.cluster.wait_until(lambda: any(s["metadata"]["name"] == "red-is"
                                               for s in n.kubelet._services("default")))
        say = "\n".join(f"echo {key}=$({command})" for key, command in {
            "ab": "cat /cm/path/a /cm/b", "modes": "stat -Lc %a /cm/path/a /cm/b /all/user /proj/ca /proj/cpu",
            "secret": "cat /all/user /all2/pass", "ids": "id -u; id -g; id -G", "hosts": "grep foo /etc/hosts",
            "managed": "head -1 /etc/hosts", "proj": "cat /proj/ca /proj/name /proj/cpu",
            "tmpfs": "mount | grep -c 'tmpfs on /mem'", "memmode": "stat -c %a:%g /mem /disk",
            "sub": "touch /sub/f && ls /disk/inner /disk/pod-seen", "written": "cat /one/file",
            "opt": "ls /opt-cm | wc -l", "sysctl": "cat /proc/sys/kernel/shm_rmid_forced",
            "host": "hostname -f; hostname", "token": "stat -Lc %a:%u:%g /var/run/secrets/kubernetes.io/"
                                                      "serviceaccount/token", "dns": "cat /etc/resolv.conf",
        }.items())
        await n.run(
            "seen",
            {"name": "c", "image": IMAGE, "command": ["sh", "-c", say + "\necho args=\"$@\"; env | grep ^E_; "
                                                      "env | grep RED_IS", "$(E_A)"],
             "args": ["$(E_A)", "$$(E_A)", "$(NONE)", "$(E_NAME)"],
             "env": [{"name": "E_A", "value": "x"}, {"name": "E_B", "value": "$(E_A)-$(E_NAME)"},
                     {"name": "E_NAME", "valueFrom": field("metadata.name")},
                     {"name": "E_C", "value": "$(E_A)-$(E_NAME)"}, {"name": "E_UID", "valueFrom": field("metadata.uid")},
                     {"name": "E_HOST", "valueFrom": field("status.hostIPs")},
                     {"name": "E_NODE", "valueFrom": field("spec.nodeName")},
                     {"name": "E_LABEL", "valueFrom": field("metadata.labels['l']")},
                     {"name": "E_CPU", "valueFrom": resource("limits.cpu")},
                     {"name": "E_MCPU", "valueFrom": resource("requests.cpu", divisor="1m")},
                     {"name": "E_MEM", "valueFrom": resource("requests.memory", divisor="1Mi")},
                     {"name": "E_DEFMEM", "valueFrom": resource("limits.memory")},
                     {"name": "E_OPT", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": True}}}],
             "envFrom": [{"prefix": "E_CM_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "sec"}},
                         {"configMapRef": {"name": "none", "optional": True}}],
             "resources": {"requests": {"cpu": "125m", "memory": "16Mi"}, "limits": {"cpu": "1200m"}},
             "volumeMounts": [
                 {"name": "cm", "mountPath": "/cm"}, {"name": "s1", "mountPath": "/all"},
                 {"name": "s2", "mountPath": "/all2"}, {"name": "p", "mountPath": "/proj"},
                 {"name": "mem", "mountPath": "/mem"}, {"name": "disk", "mountPath": "/disk"},
                 {"name": "disk", "mountPath": "/sub", "subPath": "inner/deep"},
                 {"name": "disk", "mountPath": "/x", "subPathExpr": "pod-$(E_NAME)"},
                 {"name": "cm", "mountPath": "/one/file", "subPath": "b"}, {"name": "oc", "mountPath": "/opt-cm"}]},
            restartPolicy="Never", hostname="named", subdomain="sub", dnsPolicy="None",
            dnsConfig={"nameservers": ["10.1.1.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]},
            hostAliases=[{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}],
            securityContext={"runAsUser": 1001, "runAsGroup": 2002, "fsGroup": 3003, "supplementalGroups": [4004],
                             "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
            volumes=[
                {"name": "cm", "configMap": {"name": "cm", "defaultMode": 0o400, "items": [
                    {"key": "a", "path": "path/a", "mode": 0o440}, {"key": "b", "path": "b"}]}},
                {"name": "s1", "secret": {"secretName": "sec", "defaultMode": 0o444}},
                {"name": "s2", "secret": {"secretName": "sec"}}, {"name": "mem", "emptyDir": {"medium": "Memory"}},
                {"name": "disk", "emptyDir": {}}, {"name": "oc", "configMap": {"name": "none", "optional": True}},
                {"name": "p", "projected": {"defaultMode": 0o640, "sources": [
                    {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca"}]}},
                    {"downwardAPI": {"items": [
                        {"path": "name", **field("metadata.name")},
                        {"path": "cpu", "mode": 0o444, **resource("limits.cpu", containerName="c", divisor="1m")}]}}]}}])
        await n.client.patch("pods", "seen", {"metadata": {"labels": {"l": "v"}}}, namespace="default")
        seen = await output(n, "seen")
        pod = await n.client.get("pods", "seen", namespace="default")
        expected = {
            "ab": "12", "modes": "440 440 444 640 444", "secret": "meword", "ids": "1001 2002 2002 3003 4004",
            "hosts": "1.2.3.4 foo bar", "managed": "# Kubernetes-managed hosts file.", "proj": "1seen1200", "tmpfs": "1",
            "memmode": "2777:3003 2777:3003", "sub": "/disk/inner: deep /disk/pod-seen:", "written": "2", "opt": "0",
            "sysctl": "1", "host": "named.sub.default.svc.cluster.local named", "token": "640:1001:3003",
            "dns": "search a.b nameserver 10.1.1.1 options ndots:2", "args": "x $(E_A) $(NONE) seen",
            "E_A": "x", "E_B": "x-$(E_NAME)", "E_C": "x-seen", "E_UID": pod["metadata"]["uid"], "E_HOST": "127.0.0.1",
            "E_NODE": "n1", "E_CPU": "2", "E_MCPU": "125", "E_MEM": "16", "E_CM_a": "1", "E_CM_b": "2",
            "RED_IS_SERVICE_HOST": "10.96.0.77", "RED_IS_SERVICE_PORT_DB": "6379",
            "RED_IS_PORT": "tcp://10.96.0.77:6379", "RED_IS_PORT_6379_TCP_PROTO": "tcp"}
        assert {k: seen.get(k) for k in expected} == expected
        assert "E_OPT" not in seen
        have = n.kubelet.deps.node.allocatable["memory"]
        assert seen["E_DEFMEM"] == str(int(have.removesuffix("Ki")) * 1024)


async def test_sub_paths_that_must_fail(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        for name, value in (("dots", ".."), ("absolute", "/tmp"), ("later", None)):
            env = {"name": "P", "value": value} if value else {"name": "P", "valueFrom": field(
                "metadata.annotations['sub']")}
            await n.run(name, container("c", "ls /v", env=[env], volumeMounts=[
                {"name": "v", "mountPath": "/v", "subPathExpr": "$(P)"}]),
                        volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never")
        for name in ("dots", "absolute", "later"):
            status = await n.status(name, lambda s: state(s, "c")["state"].get("waiting", {}).get("message"))
            assert state(status, "c")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
        await n.client.patch("pods", "later", {"metadata": {"annotations": {"sub": "mine"}}}, namespace="default")
        await n.status("later", lambda s: s.get("phase") == "Succeeded")


async def test_security_settings_hold(runtime: Settings, tmp_path: Path) -> None:
    show = ("sed -n 's/^\\(CapEff\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*/\\1=/p' /proc/self/status; "
            "touch /x 2>/dev/null && echo root=rw || echo root=ro; echo procs=$(ps | grep -c '[/]pause'); "
            "echo uid=$(id -u); (: > /proc/sys/kernel/shm_rmid_forced) 2>/dev/null && echo sys=rw || echo sys=ro")
    contexts: dict[str, Object] = {
        "plain": {}, "bare": {"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
        "added": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
        "calm": {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 65534},
        "mighty": {"privileged": True}}
    async with node(runtime, tmp_path) as n:
        await n.run("contexts", *(container(name, show, securityContext=c) for name, c in contexts.items()),
                    restartPolicy="Never", shareProcessNamespace=True)
        await n.run("host", container("c", "echo managed=$(head -1 /etc/hosts); echo name=$(hostname); "
                                           "echo links=$(ip link | grep -c kwtest0)"),
                    hostNetwork=True, restartPolicy="Never")
        await n.run("user0", container("c", "true", securityContext={"runAsUser": 0}),
                    securityContext={"runAsNonRoot": True})
        seen = {name: await output(n, "contexts", name) for name in contexts}
        assert seen["plain"]["Seccomp"] == "0" and seen["plain"]["NoNewPrivs"] == "0"
        assert seen["plain"]["CapEff"] == "00000000a80425fb" and seen["plain"]["root"] == "rw"
        assert seen["plain"]["procs"] == "1"
        assert (seen["bare"]["CapEff"], seen["bare"]["root"]) == ("0000000000000000", "ro")
        assert seen["added"]["CapEff"] == "0000000000001000"
        assert (seen["calm"]["NoNewPrivs"], seen["calm"]["Seccomp"], seen["calm"]["uid"]) == ("1", "2", "65534")
        assert seen["mighty"]["sys"] == "rw" and seen["plain"]["sys"] == "ro"
        host = await output(n, "host")
        assert host["managed"] == "# Kubernetes-managed hosts file (host network)." and host["links"] != "0"
        status = await n.status("user0", lambda s: state(s, "c")["state"].get("waiting", {}).get("message"))
        assert "container's runAsUser breaks non-root policy" in state(status, "c")["state"]["waiting"]["message"]


async def test_limits_hold(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path, housekeeping_interval=0.5) as n:
        await n.run("oom", container("c", "exec tail /dev/zero", resources={"limits": {"memory": "16Mi"}}),
                    restartPolicy="Never")
        await n.run("quota", container("c", LOOP, resources={"limits": {"cpu": "300m", "memory": "32Mi"}}))
        await n.run("full", container("c", "dd if=/dev/zero of=/e/f bs=1M count=8; sleep 100", volumeMounts=[
            {"name": "e", "mountPath": "/e"}]), volumes=[{"name": "e", "emptyDir": {"sizeLimit": "2Mi"}}])
        status = await n.status("oom", lambda s: s.get("phase") == "Failed")
        ended = state(status, "c")["state"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
        status = await n.status("quota", is_ready)
        assert status["qosClass"] == "Guaranteed"
        worker = n.kubelet.pod_named("default", "quota")
        assert worker is not None
        cgroups = n.kubelet.deps.cgroups
        for path in (cgroups.parent_of(worker.uid, "Guaranteed"),
                     f"{cgroups.parent_of(worker.uid, 'Guaranteed')}/{worker.observed.latest('c').id}"):  # type: ignore[union-attr]
            if not cgroups.is_v2:
                assert cgroups.read_number("cpu", path, "cpu.cfs_quota_us") == 30000
                assert cgroups.read_number("cpu", path, "cpu.shares") == 307
        status = await n.status("full", lambda s: s.get("phase") == "Failed")
        assert (status["reason"], status["message"]) == (
            "Evicted", 'Usage of EmptyDir volume "e" exceeds the limit "2Mi". ')
        assert any(c["type"] == "DisruptionTarget" for c in status["conditions"])


async def test_how_containers_end(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
        await n.run(
            "messages",
            container("user", "echo -n DONE > /dev/custom", terminationMessagePath="/dev/custom",
                      securityContext={"runAsUser": 1000}),
            container("log", "echo -n LOGGED; exit 1", **fallback), container("quiet", "echo -n LOGGED", **fallback),
            container("file", "echo -n FILE > /dev/termination-log", **fallback),
            container("long", "yes | head -c 9000 > /dev/termination-log"), restartPolicy="Never")
        await n.run("again", container("c", "test -e /v/f && exit 0; touch /v/f; exit 1",
                                       volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                    restartPolicy="OnFailure", volumes=[{"name": "v", "emptyDir": {}}])
        await n.run("inits", container("c", "true"), restartPolicy="Never", initContainers=[
            container("one", "true"), container("two", "exit 4"), container("three", "true")])
        await n.run("steps", container("c", LOOP), initContainers=[container("one", "true"), container("two", "true")])
        await n.run("late", container("c", "sleep 100"), activeDeadlineSeconds=1)
        await n.run("words", {"name": "c", "image": IMAGE, "command": ["/no/such"]})
        status = await n.status("messages", lambda s: s.get("phase") == "Failed")
        found = {c["name"]: c["state"]["terminated"].get("message", "") for c in status["containerStatuses"]}
        assert found["long"] == "y\n" * 2048
        del found["long"]
        assert found == {"user": "DONE", "log": "LOGGED", "quiet": "", "file": "FILE"}
        status = await n.status("again", lambda s: s.get("phase") == "Succeeded")
        assert state(status, "c")["restartCount"] == 1
        status = await n.status("inits", lambda s: s.get("phase") == "Failed"
                                and "terminated" in state(s, "two", "initContainerStatuses")["state"])
        shown = {c["name"]: c["state"] for c in [*status["initContainerStatuses"], *status["containerStatuses"]]}
        assert shown["two"].get("terminated", {}).get("exitCode") == 4, json.dumps(status)
        assert "waiting" in shown["three"], shown
        assert "waiting" in shown["c"], shown
        conditions = {c["type"]: c for c in status["conditions"]}
        assert conditions["Initialized"]["message"] == "containers with incomplete status: [two three]"
        status = await n.status("steps", is_ready)
        assert [c["ready"] for c in status["initContainerStatuses"]] == [True, True]
        status = await n.status("late", lambda s: s.get("phase") == "Failed")
        assert status["reason"] == "DeadlineExceeded"
        status = await n.status("words", lambda s: state(s, "c")["state"].get("waiting", {}).get("reason") in (
            "RunContainerError", "CrashLoopBackOff"))
        assert "no such file" in json.dumps(state(status, "c"))


class Web:
    """What a pod's hooks and probes reach on the host."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/away":
            raise web.HTTPFound("http://0.0.0.0:9/other")
        if request.path == "/near":
            raise web.HTTPFound("/fine")
        return web.Response(status=500 if request.path == "/bad" else 200)


@contextlib.asynccontextmanager
async def servers() -> AsyncIterator[tuple[Web, int]]:
    made = Web()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]

    async def check(request: bytes, context: Any) -> bytes:
        return b"\x08\x01" if request != b"\x0a\x03bad" else b"\x08\x02"

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(check)}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield made, port
    finally:
        await server.stop(0)
        await runner.cleanup()


async def test_probes_and_hooks(runtime: Settings, tmp_path: Path) -> None:
    async with servers() as (site, grpc_port), node(runtime, tmp_path) as n:
        def http(path: str, **more: Any) -> Object:
            return {"httpGet": {"path": path, "port": site.port, "host": "127.0.0.1"}, "periodSeconds": 1, **more}

        hasty = {"periodSeconds": 1, "failureThreshold": 1}
        await n.run(
            "probed", container("away", LOOP, livenessProbe=http("/away")),
            container("near", LOOP, livenessProbe=http("/near"), readinessProbe=http("/fine")),
            # these succeed, also on a host that is busy
            container("grpc", LOOP, livenessProbe={"grpc": {"port": grpc_port}, "periodSeconds": 1, "timeoutSeconds": 9}),
            container("tcp", LOOP, livenessProbe={"tcpSocket": {"port": site.port}, "periodSeconds": 1, "timeoutSeconds": 9}),
            container("gated", LOOP, startupProbe={"exec": {"command": ["test", "-e", "/go"]}, "periodSeconds": 1,
                                                   "failureThreshold": 100}, readinessProbe=http("/gated")),
            hostNetwork=True)
        await n.run("sick-grpc", container("c", LOOP, livenessProbe={
            "grpc": {"port": grpc_port, "service": "bad"}, **hasty}), hostNetwork=True)
        await n.run("slow", container("c", LOOP, livenessProbe={"exec": {"command": ["sleep", "9"]}, **hasty,
                                                                "timeoutSeconds": 1}))
        await n.run("never", container("c", LOOP, readinessProbe=http("/bad")))
        await n.run("gate", container("c", LOOP), readinessGates=[{"conditionType": "my/gate"}])
        await n.run("hooked", container("c", LOOP, lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo up > /started"]}},
            "preStop": {"httpGet": {"path": "/bye", "port": site.port, "host": "127.0.0.1"}}}))
        await n.run("badhook", container("c", LOOP, lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo why; exit 3"]}}}))
        await n.run("rest", container("c", LOOP, lifecycle={"preStop": {"sleep": {"seconds": 2}}}),
                    terminationGracePeriodSeconds=20)
        await told(n, "probed", "ProbeWarning", "Liveness probe warning: Probe terminated redirects")
        status = await n.status("probed", lambda s: state(s, "near").get("ready"))
        assert not state(status, "gated")["started"] and not state(status, "gated")["ready"]
        assert "/gated" not in site.asked
        assert (await n.kubectl("exec", "probed", "-c", "gated", "--", "touch", "/go"))[0] == 0
        status = await n.status("probed", is_ready)
        assert all(c["restartCount"] == 0 for c in status["containerStatuses"])
        await n.status("sick-grpc", lambda s: state(s, "c")["restartCount"] > 0)
        await n.status("slow", lambda s: state(s, "c")["restartCount"] > 0)
        await told(n, "slow", "Unhealthy", "Liveness probe failed: command timed out")
        await n.cluster.wait_until(lambda: "/bad" in site.asked)
        assert not is_ready((await n.client.get("pods", "never", namespace="default"))["status"])
        status = await n.status("gate", lambda s: state(s, "c").get("ready"))
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        assert ready["reason"] == "ReadinessGatesNotReady"
        await n.client.patch("pods", "gate", {"status": {"conditions": [{"type": "my/gate", "status": "True"}]}},
                             namespace="default", subresource="status",
                             type="application/strategic-merge-patch+json")
        await n.status("gate", is_ready)
        assert (await n.kubectl("exec", "hooked", "--", "cat", "/started"))[1] == "up\n"
        assert (await n.kubectl("delete", "pod", "hooked"))[0] == 0
        assert "/bye" in site.asked
        await told(n, "badhook", "FailedPostStartHook", "PostStartHook failed")
        await n.status("rest", is_ready)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await n.kubectl("delete", "pod", "rest", "--timeout=25s"))[0] == 0, "the grace would be 30 s"
        assert loop.time() - began >= 2


def waiting(status: Object, name: str = "c") -> Object:
    return state(status, name)["state"].get("waiting") or {}


async def test_images_from_a_registry(runtime: Settings, tmp_path: Path) -> None:
    tar = next(runtime.data_dir.parent.glob("busybox.tar"))
    async with registry(tar) as reg, node(runtime, tmp_path) as n:
        await make(n, "secrets", "reg", type="kubernetes.io/dockerconfigjson",
                   data={".dockerconfigjson": reg.docker_config()})
        account = {"metadata": {"name": "puller", "namespace": "default"}, "imagePullSecrets": [{"name": "reg"}]}
        await n.client.create("serviceaccounts", account)
        image = f"{reg.address}/team/box"

        def box(tag: str, **more: Any) -> Object:
            return {"name": "c", "image": f"{image}:{tag}", "command": ["sh", "-c", LOOP], **more}

        await n.run("never", box("1", imagePullPolicy="Never"))
        await n.run("without", box("1"))
        status = await n.status("without", lambda s: waiting(s).get("reason") == "ImagePullBackOff")
        assert waiting(status)["message"].startswith(f'Back-off pulling image "{image}:1": ErrImagePull: ')
        assert "401 Unauthorized" in waiting(status)["message"]
        await told(n, "without", "Failed", "Error: ErrImagePull")
        status = await n.status("never", lambda s: waiting(s).get("reason") == "ErrImageNeverPull")
        assert waiting(status) == {"reason": "ErrImageNeverPull", "message":
                                   f'Container image "{image}:1" is not present with pull policy of Never'}
        await n.run("with", box("1"), imagePullSecrets=[{"name": "reg"}])
        status = await n.status("with", is_ready)
        assert state(status, "c")["image"] == f"{image}:1"
        await told(n, "with", "Pulled", "Successfully pulled image")
        await n.run("account", box("2", imagePullPolicy="Always"), serviceAccountName="puller")
        await n.status("account", is_ready)
        pulls = reg.pulls
        await n.run("present", box("2", imagePullPolicy="IfNotPresent"), serviceAccountName="puller")
        await n.status("present", is_ready)
        assert reg.pulls == pulls
        await n.run("absent", box("none"), imagePullSecrets=[{"name": "reg"}])
        status = await n.status("absent", lambda s: waiting(s).get("reason") == "ImagePullBackOff")
        assert "not found" in waiting(status)["message"]


async def test_a_pod_ends_while_its_image_comes(runtime: Settings, tmp_path: Path) -> None:
    tar = next(runtime.data_dir.parent.glob("busybox.tar"))
    async with registry(tar) as reg, node(runtime, tmp_path) as n:
        await make(n, "secrets", "reg", type="kubernetes.io/dockerconfigjson",
                   data={".dockerconfigjson": reg.docker_config()})
        reg.hold.clear()
        await n.run("stuck", {"name": "c", "image": f"{reg.address}/other:9"}, imagePullSecrets=[{"name": "reg"}])
        await told(n, "stuck", "Pulling")
        code, _, err = await n.kubectl("delete", "pod", "stuck", "--timeout=10s")
        assert code == 0, err


async def test_sources_that_change_are_seen_at_once(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await make(n, "configmaps", "cm", data={"k": "old", "gone": "x"})
        volumes = [{"name": "cm", "configMap": {"name": "cm"}},
                   {"name": "p", "projected": {"sources": [{"secret": {"name": "late", "optional": True}}]}}]
        await n.run("reader", container("c", LOOP, volumeMounts=[
            {"name": "cm", "mountPath": "/cm"}, {"name": "p", "mountPath": "/p"}]), volumes=volumes)
        await n.run("waiter", container("c", LOOP), volumes=[{"name": "s", "secret": {"secretName": "late"}}])
        await n.run("asker", container("c", "echo v=$V", env=[{"name": "V", "valueFrom": {"secretKeyRef": {
            "name": "late", "key": "k"}}}]), restartPolicy="Never")
        await n.status("reader", is_ready)
        await told(n, "waiter", "FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "late" not found')
        worker = n.kubelet.pod_named("default", "reader")
        assert worker is not None
        directory = Path(n.kubelet.options.volume_dir(worker.uid, "kubernetes.io~configmap", "cm"))
        await n.client.patch("configmaps", "cm", {"data": {"k": "new", "gone": None, "more": "y"}}, namespace="default")
        await make(n, "secrets", "late", stringData={"k": "v"})

        def shown() -> dict[str, str]:
            return {p.name: p.read_text() for p in directory.iterdir() if p.name[0] != "." and p.exists()}

        await n.cluster.wait_until(lambda: shown() == {"k": "new", "more": "y"}, timeout=20)  # a resync takes a minute
        await n.status("waiter", is_ready)
        assert (await output(n, "asker"))["v"] == "v"
        assert (await n.kubectl("exec", "reader", "--", "cat", "/p/k"))[1] == "v"


async def test_resizes(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        def sized(cpu: str, memory: str = "32Mi") -> Object:
            return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}

        def resizing(**names: Object) -> list[str]:
            return ["--subresource=resize", "-p", json.dumps({"spec": {"containers": [
                {"name": k, "resources": v} for k, v in names.items()]}})]

        policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
        await n.run("two", container("a", LOOP, resources=sized("100m"), resizePolicy=policy),
                    container("b", LOOP, resources=sized("100m")))
        await n.run("other", container("c", LOOP, resources={"requests": {"cpu": "1"}}))
        await n.status("other", is_ready)
        before = await n.status("two", is_ready)
        capacity = n.kubelet.deps.node.allocatable["cpu"]
        code, _, err = await n.kubectl("patch", "pod", "two", *resizing(a=sized("100m", "64Mi"), b=sized("200m")))
        assert code == 0, err
        status = await n.status("two", lambda s: state(s, "a")["restartCount"] == 1 and is_ready(s) and (
            state(s, "b")["resources"]["limits"]["cpu"] == "200m") and (
            state(s, "a")["resources"] == sized("100m", "64Mi")))
        assert state(status, "b")["containerID"] == state(before, "b")["containerID"]
        for cpu, reason in (("1000", "Infeasible"), (f"{int(capacity) * 1000 - 500}m", "Deferred")):
            code, _, err = await n.kubectl("patch", "pod", "two", *resizing(b=sized(cpu)))
            assert code == 0, err
            status = await n.status("two", lambda s, want=reason: any(
                c["type"] == "PodResizePending" and c["reason"] == want for c in s["conditions"]))
            assert state(status, "b")["resources"]["limits"]["cpu"] == "200m"
        assert (await n.kubectl("delete", "pod", "other"))[0] == 0
        await n.status("two", lambda s: state(s, "b")["allocatedResources"]["cpu"] == cpu and not any(
            c["type"].startswith("PodResize") for c in s["conditions"]))


async def test_claims_and_classes(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        kept = tmp_path / "kept"
        modes = {"accessModes": ["ReadWriteOnce"]}
        await n.client.create("persistentvolumes", {"metadata": {"name": "pv"}, "spec": {
            **modes, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(kept)}, "storageClassName": "none"}})
        await make(n, "persistentvolumeclaims", "pvc", spec={
            **modes, "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none", "volumeName": "pv"})
        await n.run("claims", container("c", "echo x > /v/f", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                    restartPolicy="Never", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "pvc"}}])
        await told(n, "claims", "FailedMount", "PVC is not bound")
        claim = await n.client.get("persistentvolumeclaims", "pvc", namespace="default")
        await n.client.patch("persistentvolumes", "pv", {"spec": {"claimRef": {
            "name": "pvc", "namespace": "default", "uid": claim["metadata"]["uid"]}}})
        await n.client.patch("persistentvolumeclaims", "pvc", {"status": {"phase": "Bound"}}, namespace="default",
                             subresource="status")
        await n.status("claims", lambda s: s.get("phase") == "Succeeded")
        assert (kept / "f").read_text() == "x\n"
        await n.client.create("runtimeclasses.node.k8s.io", {"metadata": {"name": "odd"}, "handler": "odd"})
        await n.run("odd", container("c", "true"), runtimeClassName="odd")
        await told(n, "odd", "FailedCreatePodSandBox",
                   'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: '
                   'no runtime for "odd" is configured')


async def test_restarts_are_kept_over_the_kubelets(runtime: Settings, tmp_path: Path) -> None:
    async with node(runtime, tmp_path) as n:
        await n.run("counted", container("c", "test -e /v/f && exec sleep 1000; touch /v/f", readinessProbe={
            "exec": {"command": ["true"]}, "periodSeconds": 60}, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                    volumes=[{"name": "v", "emptyDir": {}}])
        before = await n.status("counted", lambda s: is_ready(s) and state(s, "c")["restartCount"] == 1)
        await n.stop()
        n.kubelet = n.restart()  # type: ignore[attr-defined]
        n.task = asyncio.create_task(n.kubelet.run())
        await n.cluster.wait_until(lambda: any(w.status and w.observed.containers for w in n.kubelet.workers.values()))
        worker = n.kubelet.pod_named("default", "counted")
        assert worker is not None
        assert is_ready(worker.status)
        after = (await n.client.get("pods", "counted", namespace="default"))["status"]
        assert state(after, "c") == state(before, "c")
        assert [c for c in after["conditions"] if c["type"] == "Ready"] == [
            c for c in before["conditions"] if c["type"] == "Ready"]


async def test_many_pods_come_and_go(runtime: Settings, tmp_path: Path) -> None:
    """How fast is shown by the benchmark."""
    async with node(runtime, tmp_path) as n:
        await n.run("inits", container("c", "true"), restartPolicy="Never",
                    initContainers=[container(f"i{i}", "true") for i in range(4)])
        for i in range(30):
            await n.run(f"many-{i}", container("c", LOOP))
        for i in range(30):
            await n.status(f"many-{i}", is_ready)
        await n.status("inits", lambda s: s.get("phase") == "Succeeded")
        for i in range(30):
            await n.client.delete("pods", f"many-{i}", namespace="default", grace=0)
        await n.cluster.wait_until(lambda: [w for w in n.kubelet.workers.values() if w.observed.containers
                                            and w is not n.kubelet.pod_named("default", "inits")] == [])
