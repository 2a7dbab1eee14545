"""Rules of a pod's volumes, and of the sources that persistent volumes have too.

In: volumes. Out: the good volumes by name, and FieldError lists.
Called by: pod_spec_validation.py, persistentvolume.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.core import env_validation, path_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_PARTITION = "must be between 1 and 255, inclusive"
_LUN = "must be between 0 and 255, inclusive"
# The order in which upstream looks at the kinds: the first one counts, the others are one too many.
_ORDER = ("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
          "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
          "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
          "azureDisk", "storageos", "projected", "scaleIO", "csi", "ephemeral", "image")


def volumes(items: Any, path: str, pod_name: str = "") -> tuple[dict[str, Any], list[FieldError]]:
    """`pod_name`: of a pod itself; the claims of its ephemeral volumes are named after it."""
    out: list[FieldError] = []
    known: dict[str, Any] = {}
    for i, v in enumerate(items):
        where, name = f"{path}[{i}]", v.get("name") or ""
        found = _volume(v, where)
        if name and pod_name and v.get("ephemeral") is not None:
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
    return known, out


def _volume(v: Spec, path: str) -> list[FieldError]:
    if len(v) == 2:  # a name and one source: nearly every volume
        kind = next(k for k in v if k != "name") if "name" in v else ""
        rule = _RULES.get(kind)
        return rule(v[kind], f"{path}.{kind}") if rule is not None and v[kind] is not None else _one_source(v, path)
    return _one_source(v, path)


def _one_source(v: Spec, path: str) -> list[FieldError]:
    have = [k for k in _ORDER if v.get(k) is not None]
    if not have:
        return [errors.field_required(path, "must specify a volume type")]
    rule = _RULES.get(have[0])
    out = rule(v[have[0]], f"{path}.{have[0]}") if rule is not None else []
    return out + [errors.field_forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")
                  for extra in have[1:]]


def _required(*fields: str) -> Callable[[Spec, str], list[FieldError]]:
    def rule(s: Spec, path: str) -> list[FieldError]:
        return [errors.field_required(f"{path}.{field}") for field in fields if not s.get(field)]

    return rule


def _mode(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and not 0 <= value <= 0o777:
        return [errors.field_invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive")]
    return []


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
    out = _required("repository")(s, path)
    return out + path_validation.local(s.get("directory") or "", f"{path}.directory")


def _disk(field: str, shown_as: str = "") -> Callable[[Spec, str], list[FieldError]]:
    def rule(s: Spec, path: str) -> list[FieldError]:
        if shown_as:
            path = path.rpartition(".")[0] + "." + shown_as
        out = _required(field)(s, path)
        partition = s.get("partition") or 0
        if not 0 <= partition <= 255:
            out.append(errors.field_invalid(f"{path}.partition", partition, _PARTITION))
        return out

    return rule


def _secret(s: Spec, path: str) -> list[FieldError]:
    return _required("secretName")(s, path) + _mode_and_items(s, path)


def _config_map(s: Spec, path: str) -> list[FieldError]:
    return _required("name")(s, path) + _mode_and_items(s, path)


def _mode_and_items(s: Spec, path: str) -> list[FieldError]:
    out = _mode(s.get("defaultMode"), f"{path}.defaultMode")
    for i, item in enumerate(s.get("items") or ()):
        out += _key_to_path(item, f"{path}.items[{i}]")
    return out


def _key_to_path(item: Spec, path: str) -> list[FieldError]:
    out = _required("key", "path")(item, path)
    out += path_validation.local_and_free(item.get("path") or "", f"{path}.path")
    return out + _mode(item.get("mode"), f"{path}.mode")


def nfs(s: Spec, path: str) -> list[FieldError]:
    out = _required("server", "path")(s, path)
    if not (s.get("path") or "").startswith("/"):
        out.append(errors.field_invalid(f"{path}.path", s.get("path") or "", "must be an absolute path"))
    return out


def fc(s: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    world, ids, lun = s.get("targetWWNs"), s.get("wwids"), s.get("lun")
    if not world and not ids:
        out.append(errors.field_required(f"{path}.targetWWNs",
                                         "must specify either targetWWNs or wwids, but not both"))
    if world and ids:
        out.append(errors.field_invalid(f"{path}.targetWWNs", world,
                                        "targetWWNs and wwids can not be specified simultaneously"))
    if world:
        if lun is None:
            out.append(errors.field_required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            out.append(errors.field_invalid(f"{path}.lun", lun, _LUN))
    return out


def iscsi(s: Spec, path: str) -> list[FieldError]:
    out = _required("targetPortal")(s, path)
    iqn, lun = s.get("iqn") or "", s.get("lun") or 0
    if not iqn:
        out.append(errors.field_required(f"{path}.iqn"))
    elif not iqn.startswith(("iqn", "eui", "naa")):
        out.append(errors.field_invalid(f"{path}.iqn", iqn, "must be valid format starting with iqn, eui, or naa"))
    if not 0 <= lun <= 255:
        out.append(errors.field_invalid(f"{path}.lun", lun, _LUN))
    if (s.get("chapAuthDiscovery") or s.get("chapAuthSession")) and s.get("secretRef") is None:
        out.append(errors.field_required(f"{path}.secretRef"))
    return out


def _downward(s: Spec, path: str) -> list[FieldError]:
    out = _mode(s.get("defaultMode"), f"{path}.defaultMode")
    for item in s.get("items") or ():  # upstream's paths do not name the item
        out += _downward_file(item, path)
    return out


def _downward_file(item: Spec, path: str) -> list[FieldError]:
    out = _required("path")(item, path)
    out += path_validation.local_and_free(item.get("path") or "", f"{path}.path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        out += env_validation.field_ref(field, f"{path}.fieldRef", env_validation.VOLUME_FIELDS)
        if resource is not None:
            out.append(errors.field_invalid(path, "resource",
                                            "fieldRef and resourceFieldRef can not be specified simultaneously"))
    elif resource is not None:
        out += env_validation.resource_ref(resource, f"{path}.resourceFieldRef", volume=True)
    else:
        out.append(errors.field_required(path, "one of fieldRef and resourceFieldRef is required"))
    return out + _mode(item.get("mode"), f"{path}.mode")


def _projected(s: Spec, path: str) -> list[FieldError]:
    out = _mode(s.get("defaultMode"), f"{path}.defaultMode")
    seen: set[str] = set()

    def taken(at: str, shown: str) -> None:
        if at in seen:
            out.append(errors.field_invalid(path, shown, "conflicting duplicate paths"))
        seen.add(at)

    for i, source in enumerate(s.get("sources") or ()):
        where = f"{path}.sources[{i}]"
        for kind in ("secret", "configMap"):
            if (part := source.get(kind)) is not None:
                out += _required("name")(part, f"{where}.{kind}")
                for j, item in enumerate(part.get("items") or ()):
                    out += _key_to_path(item, f"{where}.{kind}.items[{j}]")
                    if item.get("path"):
                        taken(item["path"], part.get("name") or "")
        if (part := source.get("downwardAPI")) is not None:
            for item in part.get("items") or ():
                out += _downward_file(item, f"{where}.downwardAPI")
                if item.get("path"):
                    taken(item["path"], item["path"])
        if (token := source.get("serviceAccountToken")) is not None:
            out += _token(token, f"{where}.serviceAccountToken", path)
        if (bundle := source.get("clusterTrustBundle")) is not None:
            out += _bundle(bundle, f"{where}.clusterTrustBundle")
            taken(bundle.get("path") or "", bundle.get("path") or "")
        if sum(v is not None for v in source.values()) > 1:
            out.append(errors.field_forbidden(where, "may not specify more than 1 volume type per source"))
    return out


def _token(token: Spec, path: str, volume_path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seconds = token.get("expirationSeconds") or 0
    if seconds < 600:
        out.append(errors.field_invalid(f"{path}.expirationSeconds", seconds,
                                        "may not specify a duration less than 10 minutes"))
    if seconds > 1 << 32:
        out.append(errors.field_invalid(f"{path}.expirationSeconds", seconds,
                                        "may not specify a duration larger than 2^32 seconds"))
    if not token.get("path"):
        out.append(errors.field_required(f"{volume_path}.path"))
    else:
        out += path_validation.local_and_free(token["path"], f"{volume_path}.path")
    return out


def _bundle(bundle: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        out.append(errors.field_invalid(path, dict(bundle), "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            out.append(errors.field_required(f"{path}.name", "must be a valid object name"))
        out += [errors.field_invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {m}")
                for m in names.subdomain(name.replace(":", "."))]
        if bundle.get("labelSelector") is not None:
            out.append(errors.field_invalid(f"{path}.labelSelector", bundle["labelSelector"],
                                            "labelSelector must be unset if name is specified"))
    elif signer is not None:
        if not signer:
            out.append(errors.field_required(f"{path}.signerName", "must be a valid signer name"))
        out += validation.validate_selector(bundle.get("labelSelector"), f"{path}.labelSelector")
    else:
        out.append(errors.field_required(path, "either name or signerName must be specified"))
    if not bundle.get("path"):
        out.append(errors.field_required(f"{path}.path"))
    return out + path_validation.local_and_free(bundle.get("path") or "", f"{path}.path")


def driver_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    if len(name) > 63:
        return [errors.field_too_long(path, 63)]
    return check(path, name, names.subdomain(name.lower()))


def _csi(s: Spec, path: str) -> list[FieldError]:
    out = driver_name(s.get("driver") or "", f"{path}.driver")
    if (ref := s.get("nodePublishSecretRef")) is not None:
        name = ref.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{path}.nodePublishSecretRef.name"))
        else:
            out += check(f"{path}.nodePublishSecretRef.name", name, names.subdomain(name))
    return out


def _ephemeral(s: Spec, path: str) -> list[FieldError]:
    from kubewheel.api.core import persistentvolumeclaim  # it uses this module's neighbours

    template = s.get("volumeClaimTemplate")
    if template is None:
        return [errors.field_required(f"{path}.volumeClaimTemplate")]
    return persistentvolumeclaim.template_rules(template, f"{path}.volumeClaimTemplate")


def _image(s: Spec, path: str) -> list[FieldError]:
    out = _required("reference")(s, path)
    if s.get("pullPolicy") not in ("Always", "IfNotPresent", "Never"):
        out += validation.one_of(s.get("pullPolicy"), ("Always", "IfNotPresent", "Never"), f"{path}.pullPolicy")
    return out




_RULES: dict[str, Callable[[Spec, str], list[FieldError]]] = {
    "emptyDir": _empty_dir, "hostPath": host_path, "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName", "persistentDisk"), "awsElasticBlockStore": _disk("volumeID"),
    "secret": _secret, "nfs": nfs, "iscsi": iscsi, "glusterfs": _required("endpoints", "path"),
    "persistentVolumeClaim": _required("claimName"), "rbd": _required("monitors", "image"),
    "cinder": _required("volumeID"), "cephfs": _required("monitors"), "downwardAPI": _downward, "fc": fc,
    "flexVolume": _required("driver"), "configMap": _config_map, "azureFile": _required("secretName", "shareName"),
    "vsphereVolume": _required("volumePath"), "photonPersistentDisk": _required("pdID"),
    "portworxVolume": _required("volumeID"), "azureDisk": _required("diskName", "diskURI"), "projected": _projected,
    "scaleIO": _required("gateway", "system", "volumeName"), "csi": _csi, "ephemeral": _ephemeral, "image": _image,
}
