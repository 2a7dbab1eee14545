"""Sets up the node's network once the API tells its pod range, and again when it changes.

In: a Cache client's nodes, Settings. Out: network/cni carried out. Called by: run/components (the node process).
"""

from __future__ import annotations

import asyncio
import logging

from kubewheel.client.cache import Caches
from kubewheel.network import cni
from kubewheel.run import containerd
from kubewheel.run.settings import Settings

log = logging.getLogger(__name__)


def network_of(settings: Settings, pod_cidr: str) -> cni.Network:
    return cni.Network(pod_cidr=pod_cidr, cluster_cidr=settings.pod_cidr, service_cidr=settings.service_cidr,
                       conf_dir=containerd.cni_conf_dir(settings),
                       ipam_dir=settings.run_dir / "cni" / "networks", mtu=cni.uplink_mtu())


async def run(settings: Settings, caches: Caches) -> None:
    nodes = caches.get("nodes", field_selector=f"metadata.name={settings.node_name}")
    changed = asyncio.Event()
    nodes.subscribe(lambda old, new: changed.set())
    done = ""
    while True:
        await changed.wait()
        changed.clear()
        node = nodes.get(None, settings.node_name)
        pod_cidr = "" if node is None else node["spec"].get("podCIDR", "")
        if pod_cidr and pod_cidr != done:
            await asyncio.to_thread(cni.ensure, network_of(settings, pod_cidr))
            log.info("pods of this node have addresses of %s", pod_cidr)
            done = pod_cidr
