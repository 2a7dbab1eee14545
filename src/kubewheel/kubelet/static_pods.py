"""Static pods: manifests in a directory become pods of this node, shown to the API server as mirror pods.

In: --pod-manifest-path. Out: `set_pod`/`remove_pod` on the kubelet; mirror pods. Called by: kubelet.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from typing import TYPE_CHECKING, Any

import yaml

from kubewheel.api import codec, errors
from kubewheel.lib.clock import rfc3339

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet

log = logging.getLogger(__name__)

Object = dict[str, Any]
SOURCE = "kubernetes.io/config.source"
SEEN = "kubernetes.io/config.seen"
HASH = "kubernetes.io/config.hash"
MIRROR = "kubernetes.io/config.mirror"


def static_pod(text: str, path: str, node_name: str, now: float) -> Object:
    """The pod of a manifest: name with the node's name behind it, uid from its content. ValueError if it is no Pod."""
    pod = yaml.safe_load(text)
    if not isinstance(pod, dict) or pod.get("kind") != "Pod" or not (pod.get("spec") or {}).get("containers"):
        raise ValueError(f"{path} holds no Pod")
    digest = hashlib.md5((text + path + node_name).encode(), usedforsecurity=False).hexdigest()
    meta = pod.setdefault("metadata", {})
    meta["name"] = f"{meta['name']}-{node_name}"
    meta.setdefault("namespace", "default")
    meta["uid"] = digest
    meta["annotations"] = {**(meta.get("annotations") or {}), SOURCE: "file", HASH: digest, SEEN: rfc3339(now)}
    spec = pod["spec"]
    spec["nodeName"] = node_name
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("enableServiceLinks", True)
    # A static pod ignores NoExecute taints, as upstream's do.
    spec["tolerations"] = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    return pod


class StaticPods:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._pods: dict[str, Object] = {}  # uid -> pod
        self._mirrors: dict[tuple[str, str], Object] = {}

    @staticmethod
    def is_mirror(pod: Object) -> bool:
        return MIRROR in (pod["metadata"].get("annotations") or {})

    def owns(self, uid: str) -> bool:
        return uid in self._pods

    def on_mirror(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        if pod is None:
            return
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if new is None:
            self._mirrors.pop(key, None)
        else:
            self._mirrors[key] = new

    async def run(self) -> None:
        path = self._kubelet.options.pod_manifest_path
        while True:
            if path:
                found = await asyncio.to_thread(self._read, path)
                self._apply(found)
                await self._write_mirrors()
            await asyncio.sleep(self._kubelet.options.file_check_frequency if path else 3600.0)

    def _read(self, path: str) -> dict[str, Object]:
        out: dict[str, Object] = {}
        if not os.path.exists(path):
            return out  # made later, or never
        files = [path] if os.path.isfile(path) else [
            os.path.join(path, n) for n in sorted(os.listdir(path)) if not n.startswith(".")]
        for file in files:
            try:
                with open(file) as source:
                    text = source.read()
                pod = static_pod(text, file, self._kubelet.options.node_name, self._kubelet.clock.now())
            except (OSError, ValueError, KeyError, yaml.YAMLError) as e:
                log.warning("manifest %s: %s", file, e)
                continue
            out[pod["metadata"]["uid"]] = pod
        return out

    def _apply(self, found: dict[str, Object]) -> None:
        for uid in self._pods.keys() - found.keys():
            self._kubelet.remove_pod(uid)
        for uid, pod in found.items():
            if uid not in self._pods:
                self._kubelet.set_pod(pod)
        self._pods = found

    async def _write_mirrors(self) -> None:
        client = self._kubelet.client
        wanted = {(p["metadata"]["namespace"], p["metadata"]["name"]): p for p in self._pods.values()}
        for key, mirror in list(self._mirrors.items()):
            pod = wanted.get(key)
            digest = (mirror["metadata"].get("annotations") or {}).get(MIRROR)
            if pod is None or digest != pod["metadata"]["uid"] or mirror["metadata"].get("deletionTimestamp"):
                await self._try(client.delete("pods", key[1], namespace=key[0], grace=0,
                                              uid=mirror["metadata"]["uid"]))
                self._mirrors.pop(key, None)
        for key, pod in wanted.items():
            if key not in self._mirrors:
                await self._create(pod)
            else:
                await self._write_status(self._mirrors[key], pod)

    async def _create(self, pod: Object) -> None:
        mirror = codec.copy(pod)
        meta = mirror["metadata"]
        meta["annotations"][MIRROR] = meta.pop("uid")
        node = await self._kubelet.client.find("nodes", self._kubelet.options.node_name)
        if node is not None:
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"],
                                        "uid": node["metadata"]["uid"], "controller": True}]
        await self._try(self._kubelet.client.create("pods", mirror))

    async def _write_status(self, mirror: Object, pod: Object) -> None:
        worker = self._kubelet.workers.get(pod["metadata"]["uid"])
        if worker is not None and worker.status:
            self._kubelet.deps.statuses.set({"metadata": mirror["metadata"]}, worker.status)

    @staticmethod
    async def _try(call: Any) -> None:
        try:
            await call
        except errors.StatusError as e:
            if e.code not in (404, 409):
                log.warning("mirror pod: %s", e)
