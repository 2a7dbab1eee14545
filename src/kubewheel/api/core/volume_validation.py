"""Rules of a pod's volumes.

In: volumes. Out: the volumes by name, and FieldError lists. Called by: pod_spec_validation.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.core.container_validation import local_path
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

_HOST_PATH_TYPES = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")


def volumes(items: Any, path: str) -> tuple[dict[str, Any], list[FieldError]]:
    out: list[FieldError] = []
    known: dict[str, Any] = {}
    for i, v in enumerate(items):
        where, name = f"{path}[{i}]", v.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        else:
            out += check(f"{where}.name", name, names.label(name))
        if name in known:
            out.append(errors.field_duplicate(f"{where}.name", name))
        known[name] = v
        sources = [k for k, s in v.items() if k != "name" and s is not None]
        if not sources:
            out.append(errors.field_required(where, "must specify a volume type"))
        for extra in sources[1:]:
            out.append(errors.field_forbidden(f"{where}.{extra}", "may not specify more than 1 volume type"))
        if sources:
            out += _source(sources[0], v[sources[0]], f"{where}.{sources[0]}")
    return known, out


def _source(kind: str, s: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if kind == "emptyDir":
        if (limit := s.get("sizeLimit")) is not None:
            out += validation.validate_quantity(limit, f"{path}.sizeLimit")
    elif kind == "hostPath":
        if not s.get("path"):
            out.append(errors.field_required(f"{path}.path"))
        elif ".." in s["path"].split("/"):
            out.append(errors.field_invalid(f"{path}.path", s["path"], "must not contain '..'"))
        if (s.get("type") or "") not in _HOST_PATH_TYPES:
            out.append(errors.field_not_supported(f"{path}.type", s["type"], _HOST_PATH_TYPES))
    elif kind == "secret":
        if not s.get("secretName"):
            out.append(errors.field_required(f"{path}.secretName"))
        out += _mode_and_items(s, path)
    elif kind == "configMap":
        if not s.get("name"):
            out.append(errors.field_required(f"{path}.name"))
        out += _mode_and_items(s, path)
    elif kind == "persistentVolumeClaim":
        if not s.get("claimName"):
            out.append(errors.field_required(f"{path}.claimName"))
    elif kind == "downwardAPI":
        out += _mode(s.get("defaultMode"), f"{path}.defaultMode")
        for i, item in enumerate(s.get("items") or ()):
            out += _item_path(item, f"{path}.items[{i}]")
    elif kind == "projected":
        out += _projected(s, path)
    elif kind == "nfs":
        for field in ("server", "path"):
            if not s.get(field):
                out.append(errors.field_required(f"{path}.{field}"))
    elif kind == "csi" and not s.get("driver"):
        out.append(errors.field_required(f"{path}.driver"))
    elif kind == "ephemeral" and s.get("volumeClaimTemplate") is None:
        out.append(errors.field_required(f"{path}.volumeClaimTemplate"))
    return out


def _mode(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and not 0 <= value <= 0o777:
        return [errors.field_invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive")]
    return []


def _item_path(item: Any, path: str) -> list[FieldError]:
    if not item.get("path"):
        return [errors.field_required(f"{path}.path")]
    return local_path(item["path"], f"{path}.path")


def _mode_and_items(s: Any, path: str) -> list[FieldError]:
    out = _mode(s.get("defaultMode"), f"{path}.defaultMode")
    for i, item in enumerate(s.get("items") or ()):
        where = f"{path}.items[{i}]"
        if not item.get("key"):
            out.append(errors.field_required(f"{where}.key"))
        out += _item_path(item, where)
        out += _mode(item.get("mode"), f"{where}.mode")
    return out


def _projected(s: Any, path: str) -> list[FieldError]:
    out = _mode(s.get("defaultMode"), f"{path}.defaultMode")
    for i, source in enumerate(s.get("sources") or ()):
        where = f"{path}.sources[{i}]"
        kinds = [k for k, v in source.items() if v is not None]
        for extra in kinds[1:]:
            out.append(errors.field_forbidden(f"{where}.{extra}", "may not specify more than 1 volume type"))
        for kind in ("secret", "configMap"):
            if (part := source.get(kind)) is not None:
                if not part.get("name"):
                    out.append(errors.field_required(f"{where}.{kind}.name"))
                out += _mode_and_items(part, f"{where}.{kind}")
        if (token := source.get("serviceAccountToken")) is not None:
            seconds = token.get("expirationSeconds")
            if seconds is not None and seconds < 600:
                out.append(errors.field_invalid(f"{where}.serviceAccountToken.expirationSeconds", seconds,
                                                "may not specify a duration less than 10 minutes"))
            out += _item_path(token, f"{where}.serviceAccountToken")
    return out
