"""Discovery: which groups, versions and resources are served. Pure.

In: Resource values, and what extension API servers serve. Out: upstream's documents as bytes, legacy and aggregated
(v2), in the order of the APIServices' priorities. Called by: apiserver/endpoints.py (which keeps the bytes until
what is served changes).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from kubewheel.api import codec
from kubewheel.api.resource import Object, Resource, Subresource
from kubewheel.apiserver.extension.aggregation import priorities
from kubewheel.apiserver.extension.aggregation.priorities import Priority
from kubewheel.apiserver.extension.aggregation.remote import CURRENT, RemoteVersion

JSON = "application/json"
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Served:
    """What there is to discover. `remote` take the place of local group versions of the same name; `overrides` are the
    priorities of APIServices, where they differ from what is built in."""

    def __init__(self, resources: Sequence[Resource], remote: Sequence[RemoteVersion] = (),
                 overrides: Mapping[tuple[str, str], Priority] | None = None) -> None:
        self.remote = {(r.group, r.version): r for r in remote}
        self.local: dict[tuple[str, str], list[Resource]] = {}
        for r in resources:
            # A custom storage version may be stored and not served.
            if r.verbs and (r.group, r.version) not in self.remote:
                self.local.setdefault((r.group, r.version), []).append(r)
        ranks = {key: priorities.of(*key, custom=all(r.custom is not None for r in found))
                 for key, found in self.local.items()}
        ranks |= {key: value for key, value in (overrides or {}).items() if key in ranks}
        ranks |= {key: r.priority for key, r in self.remote.items()}
        self.groups = priorities.ordered(ranks)  # group -> versions, preferred first

    def has_local(self, group: str) -> bool:
        return any(g == group for g, _ in self.local)


def document(served: Served, path: str, *, aggregated: bool = False,
             server_address: str = "") -> tuple[bytes, str, str] | None:
    """(body, ETag, content type) of `/api`, `/api/v1`, `/apis`, `/apis/<g>`, `/apis/<g>/<v>`; None for others."""
    parts = path.strip("/").split("/")
    if aggregated and path in ("/api", "/apis"):
        return _done(_aggregated(served, [g for g in served.groups if bool(g) == (path == "/apis")]), AGGREGATED)
    made: Object | None = None
    if parts == ["api"]:
        made = {"kind": "APIVersions", "versions": served.groups.get("", []), "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]}
    elif parts == ["apis"]:
        made = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(served, g) for g in served.groups if g]}
    elif parts[0] == "api" and len(parts) == 2:
        made = _resource_list(served, "", parts[1])
    elif parts[0] == "apis" and len(parts) == 2 and parts[1] in served.groups:
        made = {"kind": "APIGroup", "apiVersion": "v1", **_group(served, parts[1])}
    elif parts[0] == "apis" and len(parts) == 3:
        made = _resource_list(served, parts[1], parts[2])
    return _done(made, JSON) if made is not None else None


def _done(made: Object, content_type: str) -> tuple[bytes, str, str]:
    body = codec.dumps(made)
    return body, f'"{hashlib.sha512(body).hexdigest().upper()}"', content_type


def _group(served: Served, group: str) -> Object:
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in served.groups[group]]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


# -- resources ----------------------------------------------------------------------------------------------------
def storage_version_hash(resource: Resource) -> str:
    version_ = resource.hub.version if resource.hub is not None else resource.version
    group = resource.hub.group if resource.hub is not None else resource.group
    digest = hashlib.sha256(f"{group}/{version_}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _singular(resource: Resource) -> str:
    return resource.singular or resource.kind.lower()


def _verbs(resource: Resource) -> list[str]:
    if resource.custom is None:
        return sorted(resource.verbs)
    refused = ("patch", "create", "update") if resource.custom.terminating else ()
    return [verb for verb in _CUSTOM_VERBS if verb not in refused]


def _entry(resource: Resource) -> Object:
    out: Object = {"name": resource.plural, "singularName": _singular(resource), "namespaced": resource.namespaced,
                   "kind": resource.kind, "verbs": _verbs(resource)}
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if not resource.not_stored and (resource.custom is None or resource.custom.storage_served):
        out["storageVersionHash"] = storage_version_hash(resource)
    return out


def _sub_entry(resource: Resource, sub: Subresource) -> Object:
    out: Object = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
    if sub.version and (sub.group, sub.version) != (resource.group, resource.version):
        out |= {"group": sub.group, "version": sub.version} if sub.group else {"version": sub.version}
    return out | {"kind": sub.kind, "verbs": sorted(sub.verbs)}


def _resource_list(served: Served, group: str, version_: str) -> Object | None:
    here = served.local.get((group, version_))
    if not here:
        return None
    entries = [e for r in sorted(here, key=lambda r: r.plural) for e in (_entry(r), *(_sub_entry(r, s) for s in r.subresources))]
    if here[0].custom is None:  # custom resources are listed with theirs below them, status first
        entries.sort(key=lambda e: e["name"])
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version_}" if group else version_,
            "resources": entries}


def _aggregated(served: Served, groups: Sequence[str]) -> Object:
    items = [{"metadata": {"name": group} if group else {},
              "versions": [_aggregated_version(served, group, v) for v in served.groups[group]]} for group in groups]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_version(served: Served, group: str, version_: str) -> Object:
    if (remote := served.remote.get((group, version_))) is not None:
        found: Object = {"resources": list(remote.resources)} if remote.resources else {}
        return {"version": version_, **found, "freshness": remote.freshness}
    here = sorted(served.local[group, version_], key=lambda r: r.plural)
    return {"version": version_, "resources": [_aggregated_entry(r) for r in here], "freshness": CURRENT}


def _kind(group: str, version_: str, kind: str) -> Object:
    return {"group": group, "version": version_, "kind": kind}


def _aggregated_entry(resource: Resource) -> Object:
    # Of built-ins upstream leaves the group and version empty where they are those of the document.
    group, version_ = (resource.group, resource.version) if resource.custom is not None else ("", "")
    out: Object = {
        "resource": resource.plural, "responseKind": _kind(group, version_, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster", "singularResource": _singular(resource),
        "verbs": _verbs(resource)}
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.subresources:
        out["subresources"] = [
            {"subresource": s.name, "verbs": sorted(s.verbs), "responseKind": _kind(
                s.group if s.version else group, s.version or version_, s.kind)}
            for s in (resource.subresources if resource.custom is not None
                      else sorted(resource.subresources, key=lambda s: s.name))]
    return out
