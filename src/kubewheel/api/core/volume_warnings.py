"""What upstream warns of in volumes, claims and persistent volumes.

In: Volume dicts, claims' and volumes' objects. Out: Warning texts.
Called by: pod_warnings.py, persistentvolume.py, persistentvolumeclaim.py, apps/statefulset.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import quantity
from kubewheel.api.core import node_warnings

Spec = Mapping[str, Any]
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_IN_PODS = {"photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+", "gitRepo": "deprecated in v1.11",
            "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
            "flocker": "deprecated in v1.22, non-functional in v1.25+",
            "storageos": "deprecated in v1.22, non-functional in v1.25+",
            "quobyte": "deprecated in v1.22, non-functional in v1.25+",
            "glusterfs": "deprecated in v1.25, non-functional in v1.26+"}
_LATER = {"cephfs": "deprecated in v1.28, non-functional in v1.31+", "rbd": "deprecated in v1.28, non-functional in v1.31+"}
_SHOWN = {"storageos": "storageOS"}


def of_volumes(items: Any, path: str) -> list[str]:
    out: list[str] = []
    tokens: set[str] = set()
    for i, v in enumerate(items):
        where = f"{path}[{i}]"
        for kind, text in _IN_PODS.items():
            if v.get(kind) is not None:
                out.append(f"{where}.{_SHOWN.get(kind, kind)}: {text}")
        template = (v.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            out += claim_spec(template.get("spec") or {}, f"{where}.ephemeral.volumeClaimTemplate.spec")
        for kind, text in _LATER.items():
            if v.get(kind) is not None:
                out.append(f"{where}.{kind}: {text}")
        tokens |= {source["serviceAccountToken"].get("path") or ""
                   for source in (v.get("projected") or {}).get("sources") or () if source.get("serviceAccountToken")}
    if tokens:
        for i, v in enumerate(items):
            for source in (v.get("projected") or {}).get("sources") or ():
                out += _hidden_tokens(source, tokens, f"{path}[{i}].projected.sources")
    return out


def _hidden_tokens(source: Spec, tokens: set[str], path: str) -> list[str]:
    out: list[str] = []
    for kind, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
        for j, item in enumerate((source.get(kind) or {}).get("items") or ()):
            if item.get("path") in tokens:
                out.append(f'{path}.{shown}[{j}]: has duplicated path with ServiceAccountToken "{item["path"]}"')
    bundle = source.get("clusterTrustBundle")
    if bundle and bundle.get("path") in tokens:
        out.append(f'{path}.ClusterTrustBundle: has duplicated path with ServiceAccountToken "{bundle["path"]}"')
    return out


def _fraction(amounts: Spec | None, path: str) -> list[str]:
    value = (amounts or {}).get("storage")
    if value is None or not quantity.is_valid(value) or not quantity.milli(value) % 1000:
        return []
    return [f'{path}[storage]: fractional byte value "{quantity.canonical(value)}" is invalid, must be an integer']


def claim_spec(spec: Spec, path: str) -> list[str]:
    resources = spec.get("resources") or {}
    return (_fraction(resources.get("requests"), f"{path}.resources.requests")
            + _fraction(resources.get("limits"), f"{path}.resources.limits"))


def of_claim(claim: Spec) -> list[str]:
    return _beta_class(claim) + claim_spec(claim.get("spec") or {}, "spec")


def _beta_class(obj: Spec) -> list[str]:
    if BETA_CLASS not in ((obj.get("metadata") or {}).get("annotations") or {}):
        return []
    return [f'metadata.annotations[{BETA_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead']


_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_IN_VOLUMES = {"cephfs": "deprecated in v1.28, non-functional in v1.31+",
               "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
               "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
               "storageos": "deprecated in v1.22, non-functional in v1.25+",
               "flocker": "deprecated in v1.22, non-functional in v1.25+",
               "quobyte": "deprecated in v1.22, non-functional in v1.25+",
               "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
               "rbd": "deprecated in v1.28, non-functional in v1.31+"}


def of_persistent_volume(volume: Spec) -> list[str]:
    spec, notes = volume.get("spec") or {}, (volume.get("metadata") or {}).get("annotations") or {}
    out = _beta_class(volume)
    if _MOUNT_OPTIONS in notes:
        out.append(f'metadata.annotations[{_MOUNT_OPTIONS}]: deprecated since v1.31; use "mountOptions" attribute instead')
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        out.append("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
                   "recommended approach is to use dynamic provisioning.")
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for i, term in enumerate(required.get("nodeSelectorTerms") or ()):
        out += node_warnings.node_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
    out += [f"spec.{_SHOWN.get(kind, kind)}: {text}" for kind, text in _IN_VOLUMES.items() if spec.get(kind) is not None]
    return out + _fraction(spec.get("capacity"), "spec.capacity")
