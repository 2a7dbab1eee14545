"""configMap: the keys of a ConfigMap as files."""

from __future__ import annotations

import asyncio

from kubewheel.kubelet.runtime.env import secret_bytes
from kubewheel.kubelet.volumes import atomic, keys
from kubewheel.kubelet.volumes.volume import MountError, Object, Request

SOURCE = "configMap"
DIRECTORY = "kubernetes.io~configmap"
READ_ONLY = True
REFRESHED = True


async def mount(request: Request) -> str:
    files = await payload(request, request.source, request.source.get("defaultMode", 0o644))
    await asyncio.to_thread(keys.write, request, files, in_memory=False)
    return request.directory


async def payload(request: Request, source: Object, mode: int) -> atomic.Payload:
    name = source.get("name", "")
    obj = await request.fetch("configmaps", name, request.namespace)
    if obj is None:
        if source.get("optional"):
            return {}
        raise MountError(f'configmap "{name}" not found')
    data = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
    data |= {k: secret_bytes(v) for k, v in (obj.get("binaryData") or {}).items()}
    return keys.select(data, source, mode, what="configmap references non-existent config key")
