"""Discovery: which groups, versions and resources are served. Pure.

In: Resource values in the catalog's order. Out: upstream's documents as bytes, legacy and aggregated (v2).
Called by: apiserver/endpoints.py (which keeps the bytes until the registry changes).
"""

from __future__ import annotations

import base64
import hashlib
import platform
import re
import sys
from collections.abc import Iterable, Sequence

from kubewheel import KUBERNETES_VERSION
from kubewheel.api import codec
from kubewheel.api.resource import Object, Resource, Subresource

JSON = "application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_STABILITY = {"alpha": 0, "beta": 1, "": 2}
_KUBE_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def document(resources: Sequence[Resource], path: str, *, aggregated: bool = False,
             server_address: str = "") -> tuple[bytes, str, str] | None:
    """(body, ETag, content type) of `/api`, `/api/v1`, `/apis`, `/apis/<g>`, `/apis/<g>/<v>`; None for others."""
    parts = path.strip("/").split("/")
    resources = [r for r in resources if r.verbs]  # a custom storage version may be stored and not served
    if aggregated and path in ("/api", "/apis"):
        return _done(_aggregated([r for r in resources if bool(r.group) == (path == "/apis")]), AGGREGATED)
    made: Object | None = None
    if parts == ["api"]:
        made = {"kind": "APIVersions", "versions": versions(resources, ""), "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]}
    elif parts == ["apis"]:
        made = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(resources, g) for g in groups(resources)]}
    elif parts[0] == "api" and len(parts) == 2:
        made = _resource_list(resources, "", parts[1])
    elif parts[0] == "apis" and len(parts) == 2 and versions(resources, parts[1]):
        made = {"kind": "APIGroup", "apiVersion": "v1", **_group(resources, parts[1])}
    elif parts[0] == "apis" and len(parts) == 3:
        made = _resource_list(resources, parts[1], parts[2])
    return _done(made, JSON) if made is not None else None


def _done(made: Object, content_type: str) -> tuple[bytes, str, str]:
    body = codec.dumps(made)
    return body, f'"{hashlib.sha512(body).hexdigest().upper()}"', content_type


def version() -> Object:
    """`/version`."""
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {"major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
            "minCompatibilityMajor": major, "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": KUBERNETES_VERSION, "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
            "goVersion": "python" + platform.python_version(), "compiler": sys.implementation.name,
            "platform": f"{sys.platform}/{machine}"}


# -- order --------------------------------------------------------------------------------------------------------
def version_priority(name: str) -> tuple[int, int, int, str]:
    """Sorts descending as upstream: v2, v1, v1beta1, v1alpha2, then other names backwards … of reverse sorting."""
    match = _KUBE_VERSION.fullmatch(name)
    if match is None:
        return (-1, 0, 0, name)
    return (_STABILITY[match.group(2) or ""], int(match.group(1)), int(match.group(3) or 0), "")


def sort_versions(names: Iterable[str]) -> list[str]:
    """By stability, then newest first; names that are no Kubernetes versions last, in alphabetical order."""
    names = set(names)
    proper = sorted((n for n in names if _KUBE_VERSION.fullmatch(n)), key=version_priority, reverse=True)
    return proper + sorted(n for n in names if not _KUBE_VERSION.fullmatch(n))


def groups(resources: Sequence[Resource]) -> list[str]:
    """Groups with built-ins in the catalog's order, then the custom ones by name."""
    built_in = dict.fromkeys(r.group for r in resources if r.group and r.custom is None)
    custom = sorted({r.group for r in resources if r.custom is not None} - built_in.keys())
    return [*built_in, *custom]


def versions(resources: Sequence[Resource], group: str) -> list[str]:
    """The first is preferred. Built-ins in the catalog's order, custom ones by Kubernetes' version order."""
    here = [r for r in resources if r.group == group]
    built_in = dict.fromkeys(r.version for r in here if r.custom is None)
    return [*built_in, *sort_versions({r.version for r in here} - built_in.keys())]


def _group(resources: Sequence[Resource], group: str) -> Object:
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions(resources, group)]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


# -- resources ----------------------------------------------------------------------------------------------------
def storage_version_hash(resource: Resource) -> str:
    version_ = resource.hub.version if resource.hub is not None else resource.version
    group = resource.hub.group if resource.hub is not None else resource.group
    digest = hashlib.sha256(f"{group}/{version_}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _singular(resource: Resource) -> str:
    return resource.singular or resource.kind.lower()


def _entry(resource: Resource) -> Object:
    out: Object = {"name": resource.plural, "singularName": _singular(resource), "namespaced": resource.namespaced,
                   "kind": resource.kind, "verbs": sorted(resource.verbs)}
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if not resource.not_stored:
        out["storageVersionHash"] = storage_version_hash(resource)
    return out


def _sub_entry(resource: Resource, sub: Subresource) -> Object:
    out: Object = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
    if sub.version and (sub.group, sub.version) != (resource.group, resource.version):
        out |= {"group": sub.group, "version": sub.version} if sub.group else {"version": sub.version}
    return out | {"kind": sub.kind, "verbs": sorted(sub.verbs)}


def _resource_list(resources: Sequence[Resource], group: str, version_: str) -> Object | None:
    here = [r for r in resources if r.group == group and r.version == version_]
    if not here:
        return None
    entries = [e for r in here for e in (_entry(r), *(_sub_entry(r, s) for s in r.subresources))]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version_}" if group else version_,
            "resources": sorted(entries, key=lambda e: e["name"])}


def _aggregated(resources: Sequence[Resource]) -> Object:
    items = []
    for group in groups(resources) or [""]:
        listed: list[Object] = []
        for version_ in versions(resources, group):
            here = sorted((r for r in resources if r.group == group and r.version == version_), key=lambda r: r.plural)
            listed.append({"version": version_, "resources": [_aggregated_entry(r) for r in here],
                           "freshness": "Current"})
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _kind(group: str, version_: str, kind: str) -> Object:
    return {"group": group, "version": version_, "kind": kind}


def _aggregated_entry(resource: Resource) -> Object:
    out: Object = {
        "resource": resource.plural, "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster", "singularResource": _singular(resource),
        "verbs": sorted(resource.verbs)}
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.subresources:
        out["subresources"] = [
            {"subresource": s.name, "verbs": sorted(s.verbs), "responseKind": _kind(
                s.group if s.version else resource.group, s.version or resource.version, s.kind)}
            for s in sorted(resource.subresources, key=lambda s: s.name)]
    return out
