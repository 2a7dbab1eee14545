"""Rules of a pod's volumes, and of the sources that persistent volumes have too.

In: volumes. Out: the good volumes by name, and FieldError lists.
Called by: pod_spec_validation.py, persistentvolume.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.core import old_volume_validation as old
from kubewheel.api.core import path_validation, projected_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_PARTITION = "must be between 1 and 255, inclusive"
# The order in which upstream looks at the kinds: the first one counts, the others are one too many.
_ORDER = ("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
          "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
          "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
          "azureDisk", "storageos", "projected", "scaleIO", "csi", "ephemeral", "image")


def volumes(items: Any, path: str, pod_name: str = "") -> tuple[dict[str, Any], list[FieldError]]:
    """`pod_name`: of a pod itself; the claims of its ephemeral volumes are named after it."""
    out: list[FieldError] = []
    known: dict[str, Any] = {}
    made = {f"{pod_name}-{v.get('name') or ''}" for v in items if v.get("ephemeral") is not None} if pod_name else ()
    for i, v in enumerate(items):
        where, name = f"{path}[{i}]", v.get("name") or ""
        found = _volume(v, where)
        if name and made and v.get("ephemeral") is not None:
            claim = f"{pod_name}-{name}"
            found += [errors.field_invalid(f"{where}.name", name, f'PVC name "{claim}": {m}')
                      for m in names.subdomain(claim)]
        if not name:
            found.append(errors.field_required(f"{where}.name"))
        elif wrong := names.label(name):
            found += check(f"{where}.name", name, wrong)
        if name in known:
            found.append(errors.field_duplicate(f"{where}.name", name))
        if found:
            out += found
        else:
            known[name] = v
        if made and (v.get("persistentVolumeClaim") or {}).get("claimName") in made:
            out.append(errors.field_invalid(f"{where}.persistentVolumeClaim.claimName", v["persistentVolumeClaim"]["claimName"],
                                            "must not reference a PVC that gets created for an ephemeral volume"))
    return known, out


def _volume(v: Spec, path: str) -> list[FieldError]:
    if len(v) == 2 and "iscsi" not in v:  # a name and one source: nearly every volume
        kind = next(k for k in v if k != "name") if "name" in v else ""
        rule = _RULES.get(kind)
        return rule(v[kind], f"{path}.{kind}") if rule is not None and v[kind] is not None else _one_source(v, path)
    return _one_source(v, path)


# Where upstream names a kind that is one too many in its own way.
_SHOWN_EXTRA = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def _one_source(v: Spec, path: str) -> list[FieldError]:
    have = [k for k in _ORDER if v.get(k) is not None]
    if not have:
        return [errors.field_required(path, "must specify a volume type")]
    rule = _RULES.get(have[0])
    out = rule(v[have[0]], f"{path}.{have[0]}") if rule is not None else []
    for kind in have:
        if kind != have[0]:
            out.append(errors.field_forbidden(f"{path}.{_SHOWN_EXTRA.get(kind, kind)}",
                                              "may not specify more than 1 volume type"))
        if kind == "iscsi":
            out += old.portal_length(v["iscsi"], v.get("name") or "", f"{path}.name", v.get("name") or "")
    return out


def required(*fields: str) -> Callable[[Spec, str], list[FieldError]]:
    def rule(s: Spec, path: str) -> list[FieldError]:
        return [errors.field_required(f"{path}.{field}") for field in fields if not s.get(field)]

    return rule


# -- kinds ------------------------------------------------------------------------------------------------------------
def _empty_dir(s: Spec, path: str) -> list[FieldError]:
    limit = s.get("sizeLimit")
    if limit is not None and quantity.is_valid(limit) and quantity.nano(limit) < 0:
        return [errors.field_forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def host_path(s: Spec, path: str) -> list[FieldError]:
    if not s.get("path"):
        return [errors.field_required(f"{path}.path")]
    out = path_validation.no_backsteps(s["path"], f"{path}.path")
    if (s.get("type") or "") not in _HOST_PATH_TYPES:
        out.append(errors.field_not_supported(f"{path}.type", s["type"], _HOST_PATH_TYPES))
    return out


def _git_repo(s: Spec, path: str) -> list[FieldError]:
    out = required("repository")(s, path)
    return out + path_validation.local(s.get("directory") or "", f"{path}.directory")


def disk(field: str, shown_as: str = "") -> Callable[[Spec, str], list[FieldError]]:
    def rule(s: Spec, path: str) -> list[FieldError]:
        if shown_as:
            path = path.rpartition(".")[0] + "." + shown_as
        out = required(field)(s, path)
        partition = s.get("partition") or 0
        if not 0 <= partition <= 255:
            out.append(errors.field_invalid(f"{path}.partition", partition, _PARTITION))
        return out

    return rule


def nfs(s: Spec, path: str) -> list[FieldError]:
    out = required("server", "path")(s, path)
    if not (s.get("path") or "").startswith("/"):
        out.append(errors.field_invalid(f"{path}.path", s.get("path") or "", "must be an absolute path"))
    return out


def driver_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    out = [errors.field_too_long(path, 63)] if len(name) > 63 else []
    return out + check(path, name, names.subdomain(name.lower()))


def _csi(s: Spec, path: str) -> list[FieldError]:
    out = driver_name(s.get("driver") or "", f"{path}.driver")
    if (ref := s.get("nodePublishSecretRef")) is not None:
        name = ref.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{path}.nodePublishSecretRef.name"))
        else:
            out += check(f"{path}.name", name, names.subdomain(name))  # as upstream says
    return out


def _ephemeral(s: Spec, path: str) -> list[FieldError]:
    from kubewheel.api.core import persistentvolumeclaim  # it uses this module's neighbours

    template = s.get("volumeClaimTemplate")
    if template is None:
        return [errors.field_required(f"{path}.volumeClaimTemplate")]
    return persistentvolumeclaim.template_rules(template, f"{path}.volumeClaimTemplate")


def _image(s: Spec, path: str) -> list[FieldError]:
    out = required("reference")(s, path)
    if s.get("pullPolicy") not in ("Always", "IfNotPresent", "Never"):
        out += validation.one_of(s.get("pullPolicy"), ("Always", "IfNotPresent", "Never"), f"{path}.pullPolicy")
    return out



_RULES: dict[str, Callable[[Spec, str], list[FieldError]]] = {
    "emptyDir": _empty_dir, "hostPath": host_path, "gitRepo": _git_repo,
    "gcePersistentDisk": disk("pdName", "persistentDisk"), "awsElasticBlockStore": disk("volumeID"),
    "secret": projected_validation.secret, "nfs": nfs, "iscsi": old.iscsi, "glusterfs": required("endpoints", "path"),
    "flocker": old.flocker, "persistentVolumeClaim": required("claimName"), "rbd": required("monitors", "image"),
    "cinder": old.cinder, "cephfs": required("monitors"), "quobyte": old.quobyte,
    "downwardAPI": projected_validation.downward, "fc": old.fc, "flexVolume": old.flex,
    "configMap": projected_validation.config_map, "azureFile": required("secretName", "shareName"),
    "vsphereVolume": required("volumePath"), "photonPersistentDisk": required("pdID"),
    "portworxVolume": required("volumeID"), "azureDisk": old.azure_disk, "storageos": old.storageos,
    "projected": projected_validation.projected, "scaleIO": required("gateway", "system", "volumeName"), "csi": _csi,
    "ephemeral": _ephemeral, "image": _image,
}
