"""How extension API servers learn whom to trust: ConfigMap kube-system/extension-apiserver-authentication.

In: Options. Out: the ConfigMap, made and mended. Called by: aggregator.py (post-start hook
start-cluster-authentication-info-controller). Source: "Configure the Aggregation Layer", `requestheader-*`.
"""

from __future__ import annotations

import json

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.options import Options
from kubewheel.client.client import Client

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"


def data(options: Options) -> dict[str, str]:
    out = {}
    if options.client_ca:
        out["client-ca-file"] = options.client_ca.decode()
    if options.requestheader_client_ca:
        out |= {"requestheader-client-ca-file": options.requestheader_client_ca.decode()}
        out |= {f"requestheader-{name}": json.dumps(list(values), separators=(",", ":")) for name, values in (
            ("allowed-names", options.requestheader_allowed_names),
            ("username-headers", options.requestheader_username_headers),
            ("uid-headers", options.requestheader_uid_headers),
            ("group-headers", options.requestheader_group_headers),
            ("extra-headers-prefix", options.requestheader_extra_headers_prefix))}
    return out


async def publish(client: Client, options: Options) -> None:
    wanted = data(options)
    if not wanted:
        return
    live = await client.find("configmaps", NAME, namespace=NAMESPACE)
    if live is None:
        made: Object = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": wanted}
        try:
            await client.create("configmaps", made)
        except errors.StatusError as e:
            if e.code != 409:  # another API server was quicker
                raise
    elif any((live.get("data") or {}).get(k) != v for k, v in wanted.items()):
        made = codec.copy(live)
        made["data"] = {**(live.get("data") or {}), **wanted}
        await client.update("configmaps", made)
