"""secrets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import base64
import binascii

from kubewheel.api import codec, columns, errors, names, validation
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MAX_SIZE = 1024 * 1024
_REQUIRED = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def defaults(obj: Object) -> None:
    if not obj.get("type"):
        obj["type"] = "Opaque"
    plain = obj.pop("stringData", None)
    if plain:
        data = obj.get("data")
        if data is None:
            data = obj["data"] = {}
        for key, value in plain.items():
            data[key] = base64.b64encode((value or "").encode()).decode()


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    data, size = obj.get("data") or {}, 0
    for key, value in data.items():
        out += validation.check(f"data[{key}]", key, names.config_key(key))
        size += len(value or "") * 3 // 4
    if size > MAX_SIZE:
        out.append(errors.field_too_long("data", MAX_SIZE))
    return out + _typed(obj, data)


_KINDS = {str: "string", int: "number", float: "number", bool: "bool", list: "array"}


def _typed(obj: Object, data: Object) -> list[errors.FieldError]:
    kind = obj.get("type")
    if kind == "kubernetes.io/service-account-token":
        annotations = obj["metadata"].get("annotations") or {}
        if not annotations.get("kubernetes.io/service-account.name"):
            return [errors.field_required("metadata.annotations[kubernetes.io/service-account.name]")]
    if kind == "kubernetes.io/basic-auth" and not ("username" in data or "password" in data):
        return [errors.field_required("data[username]"), errors.field_required("data[password]")]
    out = [errors.field_required(f"data[{key}]") for key in _REQUIRED.get(kind or "", ())
           if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key])]
    if kind in ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson") and not out:
        key = _REQUIRED[kind][0]
        try:
            value = codec.loads(base64.b64decode(data[key]))
            if not isinstance(value, dict | None):
                raise ValueError(f"json: cannot unmarshal {_KINDS[type(value)]} into Go value of type "
                                 "map[string]interface {}")
        except (ValueError, binascii.Error) as e:
            out.append(errors.field_invalid(f"data[{key}]", "<secret contents redacted>", str(e)))
    return out


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    if not new.get("type") and old.get("type"):
        new["type"] = old["type"]


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validation.immutable(new.get("type"), old.get("type"), "type")
    if old.get("immutable"):
        if not new.get("immutable"):
            out.append(errors.field_forbidden("immutable", "field is immutable when `immutable` is set"))
        if (new.get("data") or {}) != (old.get("data") or {}):
            out.append(errors.field_forbidden("data", "field is immutable when `immutable` is set"))
    return out + validate(new)


def warnings(obj: Object) -> list[str]:
    """A TLS pair that is none. (Upstream parses it; here is said what is wrong with one that is no PEM at all.)"""
    if obj.get("type") != "kubernetes.io/tls":
        return []
    for key, what in (("tls.crt", "certificate"), ("tls.key", "key")):
        try:
            text = base64.b64decode((obj.get("data") or {}).get(key) or "")
        except binascii.Error:
            return []
        if b"-----BEGIN" not in text:
            return [f"tls: failed to find any PEM data in {what} input"]
    return []


RESOURCE = Resource(
    kind="Secret",
    plural="secrets",
    definition="io.k8s.api.core.v1.Secret",
    registry="secrets",
    has_generation=False,
    defaults=defaults,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("Type", columns.at("type"), description=".type"),
        Column("Data", lambda obj, now: len(obj.get("data") or ()), description=".data"),
        columns.AGE,
    ),
    selectable={"type": lambda obj: obj.get("type") or ""},
)
