"""What extension API servers serve: their discovery, asked for and kept, to be merged into ours.

In: an APIService. Out: RemoteVersion values in the form of aggregated discovery (v2), whatever form they came in.
Called by: availability.py (asks), endpoints.py (merges). A server that cannot be asked leaves what it said last, with
freshness Stale (KEP-3352).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import backend
from kubewheel.apiserver.extension.aggregation.priorities import Priority

ACCEPT = ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
          "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")
CURRENT, STALE = "Current", "Stale"


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """One group version of an extension API server. `resources` as in APIVersionDiscovery."""

    group: str
    version: str
    priority: Priority
    resources: tuple[Object, ...] = ()
    freshness: str = STALE


class Discoveries:
    """By APIService name. `changed` is called when an answer of ours would be another."""

    def __init__(self, backends: backend.Backends, changed: Any) -> None:
        self._backends = backends
        self._changed = changed
        self._known: dict[str, RemoteVersion] = {}

    def all(self) -> list[RemoteVersion]:
        return list(self._known.values())

    def keep(self, name: str, apiservice: Object) -> None:
        """The APIService is there, or another than before."""
        spec = apiservice["spec"]
        priority = Priority(spec.get("groupPriorityMinimum", 0), spec.get("versionPriority", 0))
        known = self._known.get(name)
        self._put(name, replace(known, priority=priority) if known else RemoteVersion(
            spec.get("group", ""), spec["version"], priority))

    def forget(self, name: str) -> None:
        if self._known.pop(name, None) is not None:
            self._changed()

    def stale(self, name: str) -> None:
        if (known := self._known.get(name)) is not None:
            self._put(name, replace(known, freshness=STALE))

    async def refresh(self, apiservice: Object) -> None:
        name = apiservice["metadata"]["name"]
        group, version = apiservice["spec"].get("group", ""), apiservice["spec"]["version"]
        try:
            found = await self._ask(apiservice, group, version)
        except (backend.Unreachable, ValueError, TypeError, KeyError, AttributeError):
            found = None  # nothing, or nonsense: what it said last stands
        known = self._known.get(name)
        if known is None:
            return  # gone meanwhile
        self._put(name, replace(known, freshness=STALE) if found is None else replace(
            known, resources=tuple(found), freshness=CURRENT))

    def _put(self, name: str, value: RemoteVersion) -> None:
        if self._known.get(name) != value:
            self._known[name] = value
            self._changed()

    async def _ask(self, apiservice: Object, group: str, version: str) -> list[Object] | None:
        root = "/apis" if group else "/api"
        status, headers, body = await self._backends.fetch(apiservice, root, accept=ACCEPT)
        if status == 200 and "as=APIGroupDiscoveryList" in headers.get("content-type", ""):
            return of_aggregated(codec.loads(body), group, version)
        path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
        status, headers, body = await self._backends.fetch(apiservice, path, accept="application/json")
        return of_legacy(codec.loads(body), group, version) if status == 200 else None


def of_aggregated(document: Object, group: str, version: str) -> list[Object] | None:
    """The resources of one group version; None where the document does not have it."""
    for item in document.get("items") or ():
        if item["metadata"].get("name", "") == group:
            for one in item.get("versions") or ():
                if one["version"] == version:
                    return list(one.get("resources") or ())
    return None


def of_legacy(listed: Object, group: str, version: str) -> list[Object]:
    """An APIResourceList as the resources of APIVersionDiscovery."""
    made: dict[str, Object] = {}
    for entry in listed.get("resources") or ():
        kind = {"group": entry.get("group") or group, "version": entry.get("version") or version, "kind": entry["kind"]}
        scope = "Namespaced" if entry.get("namespaced") else "Cluster"
        plural, _, sub = entry["name"].partition("/")
        one = made.setdefault(plural, {"resource": plural, "scope": scope})
        if sub:
            one.setdefault("subresources", []).append(
                {"subresource": sub, "responseKind": kind, "verbs": entry.get("verbs") or []})
            continue
        one |= {"responseKind": kind, "singularResource": entry.get("singularName") or entry["kind"].lower(),
                "verbs": entry.get("verbs") or []}
        for name in ("shortNames", "categories"):
            if entry.get(name):
                one[name] = entry[name]
    return list(made.values())
