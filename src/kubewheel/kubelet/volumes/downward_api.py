"""downwardAPI: fields of the pod and resources of its containers as files."""

from __future__ import annotations

import asyncio

from kubewheel.kubelet.runtime import env
from kubewheel.kubelet.volumes import atomic, keys
from kubewheel.kubelet.volumes.volume import MountError, Object, Request

SOURCE = "downwardAPI"
DIRECTORY = "kubernetes.io~downward-api"
READ_ONLY = True
REFRESHED = True


async def mount(request: Request) -> str:
    files = payload(request, request.source, request.source.get("defaultMode", 0o644))
    await asyncio.to_thread(keys.write, request, files, in_memory=True)
    return request.directory


def payload(request: Request, source: Object, mode: int) -> atomic.Payload:
    out: atomic.Payload = {}
    for item in source.get("items") or ():
        try:
            if item.get("fieldRef"):
                text = env.field_value(request.pod, item["fieldRef"]["fieldPath"])
            else:
                text = env.resource_value(request.pod, "", item["resourceFieldRef"], request.allocatable)
        except env.ConfigError as e:
            raise MountError(str(e)) from e
        out[keys.safe_path(item["path"])] = (text.encode(), mode if item.get("mode") is None else item["mode"])
    return out
