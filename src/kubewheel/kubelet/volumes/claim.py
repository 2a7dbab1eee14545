"""persistentVolumeClaim: a bound claim whose volume is a hostPath or a local one.

`ephemeral` is the claim made for one pod. In: Request. Out: a path of the node. Called by: volumes/manager.py.
"""

from __future__ import annotations

import asyncio
import types

from kubewheel.kubelet.volumes import host_path
from kubewheel.kubelet.volumes.volume import MountError, Object, Request

SOURCE = "persistentVolumeClaim"
DIRECTORY = ""
READ_ONLY = False
REFRESHED = False


async def mount(request: Request) -> str:
    return await _mount_claim(request, request.source["claimName"], owned=False)


async def _mount_ephemeral(request: Request) -> str:
    return await _mount_claim(request, f"{request.pod['metadata']['name']}-{request.volume['name']}", owned=True)


async def _mount_claim(request: Request, name: str, *, owned: bool) -> str:
    claim = await request.fetch("persistentvolumeclaims", name, request.namespace)
    if claim is None:
        raise MountError(f'persistentvolumeclaim "{name}" not found')
    uid = request.pod["metadata"]["uid"]
    if owned and not any(r.get("uid") == uid for r in claim["metadata"].get("ownerReferences") or ()):
        raise MountError(f"PVC {request.namespace}/{name} was not created for pod "
                         f"{request.namespace}/{request.pod['metadata']['name']} (pod is not owner)")
    volume_name = claim["spec"].get("volumeName")
    if not volume_name or (claim.get("status") or {}).get("phase") != "Bound":
        raise MountError(f"PVC is not bound: {request.namespace}/{name}")
    volume = await request.fetch("persistentvolumes", volume_name, None)
    if volume is None:
        raise MountError(f'persistentvolume "{volume_name}" not found')
    bound_to = (volume["spec"].get("claimRef") or {}).get("uid")
    if bound_to != claim["metadata"]["uid"]:
        raise MountError(f'PVC {request.namespace}/{name} is not the claim volume "{volume_name}" is bound to')
    return await _mount_volume(volume)


async def _mount_volume(volume: Object) -> str:
    spec = volume["spec"]
    if spec.get("volumeMode") == "Block":
        raise MountError(f'volume "{volume["metadata"]["name"]}": volumeMode Block is not supported by this kubelet')
    if source := spec.get("hostPath"):
        await asyncio.to_thread(host_path.ensure, source["path"], source.get("type") or "DirectoryOrCreate")
        return source["path"]
    if source := spec.get("local"):
        await asyncio.to_thread(host_path.ensure, source["path"], "Directory")
        return source["path"]
    known = {"capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode",
             "nodeAffinity", "mountOptions", "volumeAttributesClassName"}
    kind = ", ".join(sorted(spec.keys() - known))
    raise MountError(f"no volume plugin matched: {kind} volumes are not supported by this kubelet")


ephemeral = types.ModuleType("kubewheel.kubelet.volumes.ephemeral", "ephemeral: a claim made for this pod.")
ephemeral.__dict__.update(SOURCE="ephemeral", DIRECTORY="", READ_ONLY=False, REFRESHED=False, mount=_mount_ephemeral)
