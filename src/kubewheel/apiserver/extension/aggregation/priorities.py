"""The order of groups and versions in discovery. Pure.

In: group, version, APIService objects. Out: sort keys. Called by: registration.py, discovery.py, remote.py.
Groups come by their largest groupPriorityMinimum, versions by versionPriority; ties by name and by Kubernetes' order
of versions. The numbers of what is built in are upstream's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

GroupVersion = tuple[str, str]
_KUBE_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY = {"alpha": 0, "beta": 1, "": 2}


class Priority(NamedTuple):
    group: int
    version: int


CUSTOM = Priority(1000, 100)  # groups of CustomResourceDefinitions
_OWN = Priority(20000, 1000)  # apiregistration.k8s.io itself has no APIService: it is always first
_GROUPS = {
    "": 18000, "apps": 17800, "events.k8s.io": 17750, "authentication.k8s.io": 17700, "authorization.k8s.io": 17600,
    "autoscaling": 17500, "batch": 17400, "certificates.k8s.io": 17300, "networking.k8s.io": 17200, "policy": 17100,
    "rbac.authorization.k8s.io": 17000, "storage.k8s.io": 16800, "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700, "scheduling.k8s.io": 16600, "coordination.k8s.io": 16500, "node.k8s.io": 16300,
    "discovery.k8s.io": 16200, "resource.k8s.io": 16200, "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000, "storagemigration.k8s.io": 15800,
}
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21,
             ("resource.k8s.io", "v1"): 20}
_BY_STABILITY = {2: 15, 1: 9, 0: 1}  # of all other built-in versions


def of(group: str, version: str, *, custom: bool = False) -> Priority:
    """What an automanaged APIService of this group version says."""
    if group == "apiregistration.k8s.io":
        return _OWN
    if custom or group not in _GROUPS:
        return CUSTOM
    number = _VERSIONS.get((group, version))
    return Priority(_GROUPS[group], number if number is not None else _BY_STABILITY[version_rank(version)[0]])


def version_rank(name: str) -> tuple[int, int, int]:
    """Larger is preferred: v2 > v1 > v1beta1 > v1alpha2 > names that are no Kubernetes versions."""
    match = _KUBE_VERSION.fullmatch(name)
    if match is None:
        return (-1, 0, 0)
    return (_STABILITY[match.group(2) or ""], int(match.group(1)), int(match.group(3) or 0))


def sort_versions(names: Iterable[str]) -> list[str]:
    """By stability, then newest first; names that are no Kubernetes versions last, in alphabetical order."""
    names = set(names)
    proper = sorted((n for n in names if _KUBE_VERSION.fullmatch(n)), key=version_rank, reverse=True)
    return proper + sorted(n for n in names if not _KUBE_VERSION.fullmatch(n))


def ordered(priorities: Mapping[GroupVersion, Priority]) -> dict[str, list[str]]:
    """Group -> its versions, both in the order of discovery."""
    by_group: dict[str, list[str]] = {}
    for (group, version), _ in sorted(priorities.items(), key=lambda i: (-i[1].group, f"{i[0][1]}.{i[0][0]}")):
        by_group.setdefault(group, []).append(version)
    out = {}
    for group, versions in by_group.items():
        place = {v: i for i, v in enumerate(sort_versions(versions))}
        out[group] = sorted(versions, key=lambda v: (-priorities[group, v].version, place[v]))  # noqa: B023
    return out
