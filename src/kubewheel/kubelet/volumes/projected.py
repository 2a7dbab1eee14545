"""projected: several sources in one directory; service account tokens are renewed before they end."""

from __future__ import annotations

import asyncio

from kubewheel.kubelet.volumes import atomic, config_map, downward_api, keys, secret
from kubewheel.kubelet.volumes.volume import MountError, Object, Request

SOURCE = "projected"
DIRECTORY = "kubernetes.io~projected"
READ_ONLY = True
REFRESHED = True


async def mount(request: Request) -> str:
    mode = request.source.get("defaultMode", 0o644)
    files: atomic.Payload = {}
    users: dict[str, int] = {}
    for source in request.source.get("sources") or ():
        if part := source.get("configMap"):
            files |= await config_map.payload(request, part, mode)
        elif part := source.get("secret"):
            files |= await secret.payload(request, part, mode)
        elif part := source.get("downwardAPI"):
            files |= downward_api.payload(request, part, mode)
        elif part := source.get("serviceAccountToken"):
            path = keys.safe_path(part["path"])
            token = await request.token(part.get("audience", ""), part.get("expirationSeconds", 3600))
            private = request.fs_user is not None or request.fs_group is not None
            files[path] = (token.encode(), 0o600 if private else mode)
            if request.fs_user is not None:
                users[path] = request.fs_user
        elif part := source.get("clusterTrustBundle"):
            files[keys.safe_path(part["path"])] = (await _bundle(request, part), mode)
        else:
            raise MountError(f"projected source {sorted(source)} is not supported by this kubelet")
    await asyncio.to_thread(keys.write, request, files, in_memory=True, users=users)
    return request.directory


async def _bundle(request: Request, part: Object) -> bytes:
    if not part.get("name"):
        raise MountError("clusterTrustBundle by signerName is not supported by this kubelet")
    obj = await request.fetch("clustertrustbundles.certificates.k8s.io", part["name"], None)
    if obj is None:
        if part.get("optional"):
            return b""
        raise MountError(f'clustertrustbundle "{part["name"]}" not found')
    return obj["spec"]["trustBundle"].encode()
