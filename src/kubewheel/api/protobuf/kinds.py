"""Which definition a kind has: of resources, of subresources' bodies, and of the API machinery's own kinds.

In: apiVersion and kind. Out: the definition's name, "" for what has no protobuf form. Called by: codec.py, apiserver.
"""

from __future__ import annotations

from functools import cache

from kubewheel.api import catalog
from kubewheel.api.protobuf import table

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
# Registered in every group and version: what comes in bodies and goes out beside objects.
EVERYWHERE = frozenset({"DeleteOptions", "ListOptions", "GetOptions", "CreateOptions", "UpdateOptions", "PatchOptions",
                        "ApplyOptions", "WatchEvent"})
UNVERSIONED = frozenset({"Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"})
PARTIAL = frozenset({"PartialObjectMetadata", "PartialObjectMetadataList"})


@cache
def _resources() -> dict[tuple[str, str], str]:
    return {(r.api_version, r.kind): r.definition for r in catalog.RESOURCES}


def definition_of(api_version: str, kind: str) -> str:
    """`io.k8s.api.apps.v1.Deployment` of apps/v1, Deployment; whether or not it is known to protobuf."""
    if kind in EVERYWHERE or kind in UNVERSIONED and api_version in ("v1", "meta.k8s.io/v1", ""):
        return META + kind
    if kind in PARTIAL and api_version in ("meta.k8s.io/v1", "meta.k8s.io/v1beta1"):
        return META + kind
    found = _resources().get((api_version, kind))
    if found is None and kind.endswith("List") and (item := _resources().get((api_version, kind[:-4]))):
        found = item + "List"
    if found is not None:
        return found
    group, _, version = api_version.rpartition("/")
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{kind}"


def known(api_version: str, kind: str) -> str:
    """The same, "" for what has no protobuf form."""
    definition = definition_of(api_version, kind)
    return definition if table.knows(definition) else ""
