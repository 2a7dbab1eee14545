"""What a server serves, asked at run time (CRDs included).

In: a Client. Out: ApiResource values of every group's preferred version. Called by: namespace, garbage
collector, quota, HPA.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubewheel.api import codec, errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.client.client import Client


@dataclass(frozen=True, slots=True)
class ApiResource:
    gvr: Gvr
    kind: str
    namespaced: bool
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Discovered:
    resources: tuple[ApiResource, ...]  # one version per resource, subresources left out
    failed: dict[str, str]  # group/version -> what went wrong
    kinds: dict[tuple[str, str], ApiResource]  # (apiVersion, kind), all versions

    def with_verbs(self, *verbs: str) -> list[ApiResource]:
        return [r for r in self.resources if set(verbs) <= r.verbs]


async def _get(client: Client, path: str) -> Object:
    response = await client.raw("GET", path)
    return response.obj if response.obj is not None else codec.loads(response.body or b"{}")


async def discover(client: Client) -> Discovered:
    """A group that cannot be asked (its extension server is down) is named in `failed`; the others are
    there."""
    versions: list[tuple[str, bool]] = [("v1", True)]
    for group in (await _get(client, "/apis")).get("groups") or ():
        preferred = (group.get("preferredVersion") or group["versions"][0])["groupVersion"]
        versions += [(v["groupVersion"], v["groupVersion"] == preferred) for v in group["versions"]]
    chosen: dict[tuple[str, str], tuple[bool, ApiResource]] = {}
    kinds: dict[tuple[str, str], ApiResource] = {}
    failed: dict[str, str] = {}
    for group_version, preferred in versions:
        try:
            listed = await _get(
                client, f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
            )
        except errors.StatusError as e:
            failed[group_version] = e.message
            continue
        for one in _resources(group_version, listed):
            kinds.setdefault((group_version, one.kind), one)
            old = chosen.get((one.gvr.group, one.gvr.plural))
            if old is None or (preferred and not old[0]):
                chosen[(one.gvr.group, one.gvr.plural)] = (preferred, one)
    return Discovered(tuple(r for _, r in chosen.values()), failed, kinds)


def _resources(group_version: str, listed: Object) -> list[ApiResource]:
    out = []
    for r in listed.get("resources") or ():
        if "/" in r["name"]:
            continue
        group, _, version = group_version.rpartition("/")
        out.append(
            ApiResource(
                Gvr(group, version, r["name"]),
                r["kind"],
                bool(r.get("namespaced")),
                frozenset(r.get("verbs") or ()),
            )
        )
    return out
