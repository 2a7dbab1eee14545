"""Which resources are served right now: the built-ins and, as they come and go, the custom ones.

In: Resource values. Out: look-ups by path parts; callbacks on change. Called by: chain, discovery, extension/crd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubewheel.api.resource import Gvr, Resource


class Registry:
    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_gvr: dict[Gvr, Resource] = {}
        self._groups: dict[tuple[str, str], int] = {}
        self._listeners: list[Callable[[], None]] = []
        for resource in resources:
            self._put(resource)

    def lookup(self, gvr: Gvr) -> Resource | None:
        return self._by_gvr.get(gvr)

    def all(self) -> list[Resource]:
        return list(self._by_gvr.values())

    def has_version(self, group: str, version: str) -> bool:
        return (group, version) in self._groups

    def of_version(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._by_gvr.values() if r.group == group and r.version == version]

    def hub_of(self, resource: Resource) -> Resource:
        """The resource in the version it is stored in."""
        if resource.hub is None or resource.hub == resource.gvr:
            return resource
        return self._by_gvr[resource.hub]

    def by_kind(self, group: str, kind: str, version: str = "") -> Resource | None:
        """The first served version of a kind, or the version named."""
        for resource in self._by_gvr.values():
            if resource.kind == kind and resource.group == group and version in ("", resource.version):
                return resource
        return None

    def on_change(self, callback: Callable[[], None]) -> None:
        self._listeners.append(callback)

    def add(self, resource: Resource) -> None:
        self.remove(resource.gvr, quiet=True)
        self._put(resource)
        self._changed()

    def remove(self, gvr: Gvr, *, quiet: bool = False) -> None:
        if (old := self._by_gvr.pop(gvr, None)) is None:
            return
        key = (old.group, old.version)
        self._groups[key] -= 1
        if not self._groups[key]:
            del self._groups[key]
        if not quiet:
            self._changed()

    def _put(self, resource: Resource) -> None:
        self._by_gvr[resource.gvr] = resource
        key = (resource.group, resource.version)
        self._groups[key] = self._groups.get(key, 0) + 1

    def _changed(self) -> None:
        for callback in self._listeners:
            callback()
