"""Rules of the volume kinds that were built in once. Nobody serves most of them any more; their fields are still looked at.

In: sources of pods' volumes and of persistent volumes. Out: FieldError lists.
Called by: volume_validation.py, persistentvolume.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_LUN = "must be between 0 and 255, inclusive"
_INITIATORS = {"iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)\Z", re.ASCII).search,
               "eui": re.compile(r"\Aeui.[A-Za-z0-9]{16}\Z").search, "naa": re.compile(r"\Anaa.[A-Za-z0-9]{32}\Z").search}
_LONG_PORTAL = ("Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
                "specified.")
_PAIR = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*").fullmatch


def required(s: Spec, path: str, *fields: str) -> list[FieldError]:
    return [errors.field_required(f"{path}.{field}") for field in fields if not s.get(field)]


def _initiator(text: str, path: str, unknown: str) -> list[FieldError]:
    rule = _INITIATORS.get(text[:3])
    if rule is None:
        return [errors.field_invalid(path, text, unknown)]
    return [] if rule(text) else [errors.field_invalid(path, text, "must be valid format")]


def iscsi(s: Spec, path: str, *, volume: str | None = None) -> list[FieldError]:
    """`volume`: the name of the persistent volume whose source it is."""
    out = required(s, path, "targetPortal")
    if volume is not None:
        out += portal_length(s, volume, f"{path}.targetportal", s.get("targetPortal") or "")
    unknown = "must be valid format" + (" starting with iqn, eui, or naa" if volume is None else "")
    out += _initiator(s["iqn"], f"{path}.iqn", unknown) if s.get("iqn") else required(s, path, "iqn")
    lun = s.get("lun") or 0
    if not 0 <= lun <= 255:
        out.append(errors.field_invalid(f"{path}.lun", lun, _LUN))
    secret = s.get("secretRef")
    if (s.get("chapAuthDiscovery") or s.get("chapAuthSession")) and secret is None:
        out.append(errors.field_required(f"{path}.secretRef"))
    if volume is not None and secret is not None:
        out += required(secret, f"{path}.secretRef", "name")
    if (initiator := s.get("initiatorName")) is not None:
        out += _initiator(initiator, f"{path}.initiatorname", unknown)
    return out


def portal_length(s: Spec, volume: str, path: str, shown: str) -> list[FieldError]:
    if s.get("initiatorName") is None or len(f"{volume}:{s.get('targetPortal') or ''}".encode()) <= 64:
        return []
    return [errors.field_invalid(path, shown, _LONG_PORTAL)]


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


def flocker(s: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    name, uid = s.get("datasetName") or "", s.get("datasetUUID")
    if not name and not uid:
        out.append(errors.field_required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        out.append(errors.field_invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        out.append(errors.field_invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return out


def quobyte(s: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    registry = s.get("registry") or ""
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        out.append(errors.field_required(f"{path}.registry", pairs))
    elif len((s.get("tenant") or "").encode()) >= 65:
        out.append(errors.field_required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        out += [errors.field_invalid(f"{path}.registry", registry, pairs) for pair in registry.split(",") if not _PAIR(pair)]
    return out + required(s, path, "volume")


def glusterfs(s: Spec, path: str) -> list[FieldError]:
    out = required(s, path, "endpoints", "path")
    if (namespace := s.get("endpointsNamespace")) is not None:  # persistent volumes' alone
        where = f"{path}.endpointsNamespace"
        out += check(where, namespace, names.label(namespace)) if namespace else [
            errors.field_invalid(where, "", "if the endpointnamespace is set, it must be a valid namespace name")]
    return out


def _secret(s: Spec, path: str, *, persistent: bool) -> list[FieldError]:
    if (ref := s.get("secretRef")) is None:
        return []
    return required(ref, f"{path}.secretRef", *(("name", "namespace") if persistent else ("name",)))


def cinder(s: Spec, path: str, *, persistent: bool = False) -> list[FieldError]:
    return required(s, path, "volumeID") + _secret(s, path, persistent=persistent)


def storageos(s: Spec, path: str, *, persistent: bool = False) -> list[FieldError]:
    name, namespace = s.get("volumeName") or "", s.get("volumeNamespace") or ""
    out = check(f"{path}.volumeName", name, names.label(name)) if name else required(s, path, "volumeName")
    if namespace:
        out += check(f"{path}.volumeNamespace", namespace, names.label(namespace))
    return out + _secret(s, path, persistent=persistent)


def flex(s: Spec, path: str) -> list[FieldError]:
    out = required(s, path, "driver")
    for key in s.get("options") or ():
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            out.append(errors.field_invalid(f"{path}.options[{key}]", key,
                                            "kubernetes.io and k8s.io namespaces are reserved"))
    return out


def azure_file(s: Spec, path: str) -> list[FieldError]:
    out = required(s, path, "secretName", "shareName")
    return [*out, errors.field_required(f"{path}.secretNamespace")] if s.get("secretNamespace") == "" else out


_MANAGED = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def azure_disk(s: Spec, path: str) -> list[FieldError]:
    out = required(s, path, "diskName", "diskURI")
    uri, kind = s.get("diskURI") or "", s.get("kind")
    for field, allowed in (("cachingMode", ("None", "ReadOnly", "ReadWrite")), ("kind", ("Dedicated", "Managed", "Shared"))):
        if (value := s.get(field)) is not None and value not in allowed:
            out.append(errors.field_not_supported(f"{path}.{field}", value, allowed))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        out.append(errors.field_not_supported(f"{path}.diskURI", uri, (_MANAGED,)))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        out.append(errors.field_not_supported(f"{path}.diskURI", uri, (_BLOB,)))
    return out
