"""--runtime-config: which groups, versions and resources are served. Pure.

In: the catalog's resources, {"api/all" | "api/ga" | "api/beta" | "api/alpha" | "g/v" | "g/v/resource": bool}. Out: those
that are served; ValueError in upstream's words. Called by: server.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from kubewheel.api.resource import Resource

_STAGES = ("api/all", "api/ga", "api/beta", "api/alpha")


def served(resources: Iterable[Resource], config: Mapping[str, bool]) -> list[Resource]:
    found = list(resources)
    check(found, config)
    # What is not served any more may be what another version is stored as: it stays, without verbs.
    return [r if is_served(r, config) else replace(r, verbs=()) for r in found
            if is_served(r, config) or not r.not_stored]


def check(resources: Iterable[Resource], config: Mapping[str, bool]) -> None:
    if set(config) == {"api/all"} and not config["api/all"]:
        raise ValueError("invalid runtime-config with only api/all=false")
    groups = {r.group for r in resources}
    unknown = []
    for key in config:
        if key in _STAGES:
            continue
        parts = ["", key] if key == "v1" else key.split("/")
        if len(parts) not in (2, 3):
            raise ValueError(f"runtime-config invalid key {key}")
        if parts[0] == "api":
            if parts[1] != "legacy":
                raise ValueError(f"runtime-config invalid key {key}")
        elif parts[0] not in groups:
            unknown.append("/".join(parts[:2]))
    if unknown:
        raise ValueError(f"unknown api groups {','.join(sorted(unknown))}")


def is_served(resource: Resource, config: Mapping[str, bool]) -> bool:
    """The most particular key counts: resource, then version, then stage, then all."""
    version = resource.api_version
    stage = "api/alpha" if "alpha" in resource.version else "api/beta" if "beta" in resource.version else "api/ga"
    for key in (f"{version}/{resource.plural}", version, stage, "api/all"):
        if key in config:
            return config[key]
    return True
