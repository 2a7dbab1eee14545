"""APIServices of what is served here, made and kept (auto-registration).

In: the registry's group versions, the APIServices there are. Out: APIServices with the label
`kube-aggregator.kubernetes.io/automanaged`: "onstart" for what is built in (made once after each start, then anybody's),
"true" for custom resources (kept for as long as they are served). One without the label is somebody else's and stays.
Called by: aggregator.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import priorities

if TYPE_CHECKING:
    from kubewheel.apiserver.extension.aggregation.aggregator import Aggregator

log = logging.getLogger(__name__)

LABEL = "kube-aggregator.kubernetes.io/automanaged"
ON_START, CONTINUOUSLY = "onstart", "true"
RETRY = 0.1  # seconds


def apiservice(group: str, version: str, *, custom: bool) -> Object:
    priority = priorities.of(group, version, custom=custom)
    spec: Object = {"version": version, "groupPriorityMinimum": priority.group, "versionPriority": priority.version}
    if group:
        spec = {"group": group, **spec}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "spec": spec, "metadata": {
        "name": f"{version}.{group}", "labels": {LABEL: CONTINUOUSLY if custom else ON_START}}}


def plan(wanted: Object | None, present: Object | None, *, synced: bool, was_at_start: bool) -> str:
    """"create", "update", "delete" or "" for one name. `synced`: it was brought right once since the start."""
    label = ((present or {}).get("metadata", {}).get("labels") or {}).get(LABEL, "")
    if wanted is None:
        if label == CONTINUOUSLY or (label == ON_START and was_at_start and not synced):
            return "delete"
        return ""
    once = wanted["metadata"]["labels"][LABEL] == ON_START
    if once and synced:
        return ""
    if present is None:
        return "create"
    if label not in (ON_START, CONTINUOUSLY):
        return ""
    return "" if present["spec"] == wanted["spec"] and label == wanted["metadata"]["labels"][LABEL] else "update"


class Registration:
    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._server = aggregator.server
        self._wake = asyncio.Event()
        self._synced: set[str] = set()
        self._at_start: set[str] = set()
        self.done = asyncio.Event()  # every APIService of what was built in at the start is there

    def look(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        self._at_start = {a["metadata"]["name"] for a in self._aggregator.cache.list()}
        while True:
            self._wake.clear()
            if await self._sync():
                self.done.set()
                await self._wake.wait()
            else:
                await asyncio.sleep(RETRY)

    def wanted(self) -> dict[str, Object]:
        custom: dict[tuple[str, str], bool] = {}
        for resource in self._server.registry.all():
            if resource.verbs and resource.group != "apiregistration.k8s.io":
                key = (resource.group, resource.version)
                custom[key] = custom.get(key, True) and resource.custom is not None
        return {f"{version}.{group}": apiservice(group, version, custom=is_custom)
                for (group, version), is_custom in custom.items()}

    def missing(self) -> set[str]:
        """Names of what was served at the start and has no APIService yet."""
        return self.wanted().keys() - self._synced

    async def _sync(self) -> bool:
        cache, wanted, well = self._aggregator.cache, self.wanted(), True
        for name in {**wanted, **{a["metadata"]["name"]: None for a in cache.list()}}:
            present, one = cache.get(None, name), wanted.get(name)
            what = plan(one, present, synced=name in self._synced, was_at_start=name in self._at_start)
            try:
                await self._carry_out(what, name, one, present)
                if one is not None:
                    self._synced.add(name)
            except errors.StatusError as e:
                if e.code not in (404, 409):
                    log.warning("registering apiservice %s: %s", name, e)
                well = False
        return well

    async def _carry_out(self, what: str, name: str, wanted: Object | None, present: Object | None) -> None:
        client, gvr = self._server.client, self._aggregator.gvr
        if what == "create":
            assert wanted is not None
            try:
                await client.create(gvr, wanted)
            except errors.StatusError as e:
                if e.code != 409:  # the cache is behind: it is there
                    raise
        elif what == "update":
            assert wanted is not None and present is not None
            made = codec.copy(present)
            made["spec"] = wanted["spec"]
            made["metadata"]["labels"] |= wanted["metadata"]["labels"]
            await client.update(gvr, made)
        elif what == "delete":
            assert present is not None
            await client.delete(gvr, name, uid=present["metadata"]["uid"])
