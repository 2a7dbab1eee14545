"""A kubelet on a containerd of its own, under an API server in the process; kubectl to judge it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
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
from kubewheel.run import containerd, images, teardown
from kubewheel.run.settings import Settings
from kubewheel.testing.cluster import Cluster, cluster

needs_containerd = [pytest.mark.e2e, pytest.mark.usefixtures("host_packages")]

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
        teardown.stop_containers(settings)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        teardown.kill_shims(settings)
        teardown.unmount_all(settings)  # also the network namespaces that containerd forgot
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
async def node(settings: Settings, tmp_path: Path, **more: Any) -> AsyncIterator[Node]:
    clock = clocks.RealClock()
    # Equal seeds give equal UIDs, and the runtime, which outlives the cluster, knows pods by their UID.
    async with cluster(nodes=0, scheduler=False, controllers="", seed=secrets.randbits(32)) as made:
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
            client_ca_file=str(tmp_path / "ca.crt"), **more)
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
