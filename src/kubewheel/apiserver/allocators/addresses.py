"""IPAddress objects: one for each cluster IP, so that everybody sees which addresses are in use by whom (KEP-1880).

In: Services, IPAddresses. Out: IPAddresses created and deleted, a moment after their Service was. `wanted` is pure.
The allocator (services.py) goes by the Services themselves; these objects follow, as upstream's repair loop has it.
Called by: bootstrap.py, which runs it for as long as the server lives.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.cache import Caches
from kubewheel.client.client import Client

log = logging.getLogger(__name__)

ADDRESSES = "ipaddresses.networking.k8s.io"
MANAGED_BY, MANAGER = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"
FAMILY = "ipaddress.kubernetes.io/ip-family"
AGAIN = 1.0  # seconds after a refusal


def cluster_ips(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [ip for ip in found if ip and ip != "None"]


def wanted(ip: str, service: Object) -> Object:
    meta = service["metadata"]
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {"name": ip, "labels": {FAMILY: f"IPv{ipaddress.ip_address(ip).version}", MANAGED_BY: MANAGER}},
        "spec": {"parentRef": {"resource": "services", "namespace": meta["namespace"], "name": meta["name"]}}}


class AddressKeeper:
    def __init__(self, client: Client, caches: Caches) -> None:
        self._client = client
        self._services = caches.get("services")
        self._addresses = caches.get(ADDRESSES)
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        await self._services.wait_synced()
        await self._addresses.wait_synced()
        self._services.add_index("cluster-ip", cluster_ips)
        self._services.subscribe(self._on_service)
        self._addresses.subscribe(self._on_address)
        while True:
            await self._wake.wait()
            self._wake.clear()
            refused = []
            while self._dirty:
                ip = next(iter(self._dirty))
                del self._dirty[ip]
                try:
                    await self._bring_right(ip)
                except errors.StatusError as e:
                    log.warning("IPAddress %s: %s", ip, e)
                    refused.append(ip)
            if refused:
                await asyncio.sleep(AGAIN)
                self._mark(*refused)

    def _mark(self, *ips: str) -> None:
        self._dirty.update(dict.fromkeys(ips))
        if ips:
            self._wake.set()

    def _on_service(self, old: Object | None, new: Object | None) -> None:
        before, after = cluster_ips(old or {}), cluster_ips(new or {})
        self._mark(*(ip for ip in {**dict.fromkeys(before), **dict.fromkeys(after)} if (ip in before) != (ip in after)))

    def _on_address(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        if new is None or old is None:
            self._mark(obj["metadata"]["name"])

    async def _bring_right(self, ip: str) -> None:
        owners = self._services.by_index("cluster-ip", ip)
        there = self._addresses.get(None, ip)
        if owners:
            right = wanted(ip, owners[0])
            if there is not None and there["spec"] != right["spec"] and is_ours(there):
                await self._delete(there)
                there = None
            if there is None:
                await self._create(right)
        elif there is not None and is_ours(there):
            await self._delete(there)

    async def _create(self, obj: Object) -> None:
        try:
            await self._client.create(ADDRESSES, obj)
        except errors.StatusError as e:
            if e.reason != "AlreadyExists":
                raise

    async def _delete(self, obj: Object) -> None:
        try:
            await self._client.delete(ADDRESSES, obj["metadata"]["name"], uid=obj["metadata"]["uid"])
        except errors.StatusError as e:
            if e.code != 404:
                raise


def is_ours(address: Object) -> bool:
    """What somebody else reserved for himself stays."""
    return bool((address["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER)
