"""Rules of environment variables and of what is read from the pod's own fields (the downward API).

In: env and envFrom lists. Out: FieldError lists. Called by: container_validation.py, volume_validation.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubewheel.api import errors, names, quantity
from kubewheel.api.core import path_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
ENV_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
              "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
# What may be asked for at all (the field labels of a pod that the downward API converts).
_KNOWN = {*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"}
_RESOURCES = ("limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
              "requests.memory")
_UNITS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def env(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, e in enumerate(items):
        where, name = f"{path}[{i}]", e.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        else:
            out += check(f"{where}.name", name, names.env_name(name))
        source = e.get("valueFrom")
        if source is None:
            continue
        out += _source(source, f"{where}.valueFrom")
        have = [s for s in _SOURCES if source.get(s) is not None]
        text = ""
        if not have:
            text = ("must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                    "`fileKeyRef`")
        elif e.get("value"):
            text = "may not be specified when `value` is not empty"
        elif len(have) > 1:
            text = "may not have more than one field specified at a time"
        if text:
            out.append(errors.field_invalid(f"{where}.valueFrom", "", text))
    return out


def _source(source: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if (ref := source.get("fieldRef")) is not None:
        out += field_ref(ref, f"{path}.fieldRef", ENV_FIELDS)
    if (ref := source.get("resourceFieldRef")) is not None:
        out += resource_ref(ref, f"{path}.resourceFieldRef", volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if (ref := source.get(kind)) is not None:
            out += check(f"{path}.{kind}.name", ref.get("name") or "", names.subdomain(ref.get("name") or ""))
            if not ref.get("key"):
                out.append(errors.field_required(f"{path}.{kind}.key"))
            else:
                out += check(f"{path}.{kind}.key", ref["key"], names.config_key(ref["key"]))
    if (ref := source.get("fileKeyRef")) is not None:
        for field, rule in (("key", names.env_name), ("volumeName", names.label)):
            out += (check(f"{path}.fileKeyRef.{field}", ref[field], rule(ref[field])) if ref.get(field) else
                    [errors.field_required(f"{path}.fileKeyRef.{field}")])
        out += (path_validation.no_backsteps(ref["path"], f"{path}.fileKeyRef.path") if ref.get("path") else
                [errors.field_required(f"{path}.fileKeyRef.path")])
    return out


def field_ref(ref: Spec, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    if not ref.get("apiVersion"):
        return [errors.field_required(f"{path}.apiVersion")]
    field = ref.get("fieldPath") or ""
    if not field:
        return [errors.field_required(f"{path}.fieldPath")]
    match = _SUBSCRIPT.fullmatch(field)
    base = match[1] if match else field
    if base not in _KNOWN:
        return [errors.field_invalid(f"{path}.fieldPath", field,
                                     f"error converting fieldPath: field label not supported: {field}")]
    if match is None:
        if field == "spec.host":
            field = "spec.nodeName"
        return [] if field in allowed else [errors.field_not_supported(f"{path}.fieldPath", field, allowed)]
    if base == "metadata.annotations":
        return check(path, match[2].lower(), names.qualified(match[2].lower()))
    if base == "metadata.labels":
        return check(path, match[2], names.qualified(match[2]))
    return [errors.field_invalid(path, base, "does not support subscript")]


def resource_ref(ref: Spec, path: str, *, volume: bool) -> list[FieldError]:
    out: list[FieldError] = []
    name = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        out.append(errors.field_required(f"{path}.containerName"))
    elif not name:
        out.append(errors.field_required(f"{path}.resource"))
    elif name not in _RESOURCES and not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        out.append(errors.field_not_supported(f"{path}.resource", name, _RESOURCES))
    divisor = ref.get("divisor")
    if divisor is None or not quantity.is_valid(divisor) or not quantity.nano(divisor):
        return out
    kind = name.partition(".")[2]
    allowed: tuple[str, ...]
    if kind == "cpu":
        allowed, word, listed = ("1m", "1"), "cpu", "1m and 1"
    elif kind in ("memory", "ephemeral-storage") or kind.startswith("hugepages-"):
        word = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
        allowed, listed = _UNITS, ", ".join(_UNITS)
    else:
        return out
    if quantity.canonical(divisor) not in allowed:
        out.append(errors.field_invalid(f"{path}.divisor", name,
                                        f"only divisor's values {listed} are supported with the {word} resource"))
    return out


def env_from(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, source in enumerate(items):
        where = f"{path}[{i}]"
        if prefix := source.get("prefix"):
            out += check(f"{where}.prefix", prefix, names.env_name(prefix))
        have = [k for k in ("configMapRef", "secretRef") if source.get(k) is not None]
        for kind in have:
            name = source[kind].get("name") or ""
            if not name:
                out.append(errors.field_required(f"{where}.{kind}.name"))
            else:
                out += check(f"{where}.{kind}.name", name, names.subdomain(names.as_prefix(name)))
        if not have:  # upstream names the list here, not its element
            out.append(errors.field_invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(have) > 1:
            out.append(errors.field_invalid(path, "", "may not have more than one field specified at a time"))
    return out


def files(spec: Spec, every: Iterator[tuple[Spec, str]]) -> list[FieldError]:
    """Variables come from files of emptyDir volumes alone. `every`: the pod's containers with their paths."""
    out: list[FieldError] = []
    volumes = {v.get("name") or "": v for v in spec.get("volumes") or ()}
    for c, where in every:
        for j, e in enumerate(c.get("env") or ()):
            if (ref := (e.get("valueFrom") or _NOTHING).get("fileKeyRef")) is None:
                continue
            name, at = ref.get("volumeName") or "", f"{where}.env[{j}].valueFrom.fileKeyRef.volumeName"
            if name not in volumes:
                out.append(errors.field_not_found(at, name))
            elif volumes[name].get("emptyDir") is None:
                out.append(errors.field_invalid(at, name, "referenced volume must be of type emptyDir"))
    return out


_NOTHING: Spec = {}
