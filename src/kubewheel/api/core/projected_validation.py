"""Rules of projected volumes: what is gathered from secrets, config maps, the pod, tokens, bundles and certificates.

In: projected sources. Out: FieldError lists. Called by: volume_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.certificates import signers
from kubewheel.api.core import env_validation, path_validation
from kubewheel.api.errors import FieldError

Spec = Mapping[str, Any]
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_HOUR, _DAY = 3600, 86400
_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def mode(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int) and not 0 <= value <= 0o777:
        return [errors.field_invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive")]
    return []


def key_to_path(item: Spec, path: str) -> list[FieldError]:
    out = [errors.field_required(f"{path}.{field}") for field in ("key", "path") if not item.get(field)]
    out += path_validation.local_and_free(item.get("path") or "", f"{path}.path")
    return out + mode(item.get("mode"), f"{path}.mode")


def downward_file(item: Spec, path: str) -> list[FieldError]:
    """Upstream's paths do not name the item."""
    out = [] if item.get("path") else [errors.field_required(f"{path}.path")]
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
    return out + mode(item.get("mode"), f"{path}.mode")


class _Taken:
    """The paths inside the volume; a second file at one is told of the volume."""

    def __init__(self, path: str) -> None:
        self.path, self.seen = path, set[str]()

    def add(self, at: str, shown: str) -> list[FieldError]:
        if at in self.seen:
            return [errors.field_invalid(self.path, shown, "conflicting duplicate paths")]
        self.seen.add(at)
        return []


def projected(s: Spec, path: str) -> list[FieldError]:
    out = mode(s.get("defaultMode"), f"{path}.defaultMode")
    taken = _Taken(path)
    for i, source in enumerate(s.get("sources") or ()):
        where = f"{path}.sources[{i}]"
        out += _source(source, where, taken)
        if sum(v is not None for v in source.values()) > 1:
            out.append(errors.field_forbidden(where, "may not specify more than 1 volume type per source"))
    return out


def _source(source: Spec, where: str, taken: _Taken) -> list[FieldError]:
    out: list[FieldError] = []
    for kind in ("secret", "configMap"):
        if (part := source.get(kind)) is not None:
            if not part.get("name"):
                out.append(errors.field_required(f"{where}.{kind}.name"))
            for j, item in enumerate(part.get("items") or ()):
                out += key_to_path(item, f"{where}.{kind}.items[{j}]")
                if item.get("path"):
                    out += taken.add(item["path"], part.get("name") or "")
    if (part := source.get("downwardAPI")) is not None:
        for item in part.get("items") or ():
            out += downward_file(item, f"{where}.downwardAPI")
            if item.get("path"):
                out += taken.add(item["path"], item["path"])
    if (part := source.get("serviceAccountToken")) is not None:
        out += _token(part, f"{where}.serviceAccountToken", taken.path)
    if (part := source.get("clusterTrustBundle")) is not None:
        out += _bundle(part, f"{where}.clusterTrustBundle")
        out += taken.add(part.get("path") or "", part.get("path") or "")
    if (part := source.get("podCertificate")) is not None:
        out += _certificate(part, f"{where}.podCertificate", taken)
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
        return [*out, errors.field_required(f"{volume_path}.path")]
    return out + path_validation.local_and_free(token["path"], f"{volume_path}.path")


def _bundle(bundle: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    name, signer = bundle.get("name"), bundle.get("signerName")
    if name is not None and signer is not None:
        shown = {"Name": name, "SignerName": signer, "LabelSelector": bundle.get("labelSelector"),
                 "Optional": bundle.get("optional"), "Path": bundle.get("path") or ""}
        out.append(errors.field_invalid(path, shown, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            out.append(errors.field_required(f"{path}.name", "must be a valid object name"))
        out += [errors.field_invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {m}")
                for m in names.subdomain(name.rpartition(":")[2])]
        if bundle.get("labelSelector") is not None:
            out.append(errors.field_invalid(f"{path}.labelSelector", bundle["labelSelector"],
                                            "labelSelector must be unset if name is specified"))
    elif signer is not None:
        if not signer:
            out.append(errors.field_required(f"{path}.signerName", "must be a valid signer name"))
        out += signers.validate(signer, f"{path}.signerName")
        out += validation.validate_selector(bundle.get("labelSelector"), f"{path}.labelSelector")
    else:
        out.append(errors.field_required(path, "either name or signerName must be specified"))
    if not bundle.get("path"):
        out.append(errors.field_required(f"{path}.path"))
    return out + path_validation.local_and_free(bundle.get("path") or "", f"{path}.path")


def _certificate(s: Spec, path: str, taken: _Taken) -> list[FieldError]:
    signer, seconds = s.get("signerName") or "", s.get("maxExpirationSeconds")
    out = signers.validate(signer, f"{path}.signerName")
    out += signers.user_annotations(s.get("userAnnotations") or {}, f"{path}.userAnnotations")
    if s.get("keyType") not in _KEY_TYPES:
        out.append(errors.field_not_supported(f"{path}.keyType", s.get("keyType") or "", _KEY_TYPES, ordered=True))
    if seconds is not None:
        longest = _DAY if signers.is_kubernetes(signer) else 91 * _DAY
        if seconds < _HOUR:
            out.append(errors.field_invalid(f"{path}.maxExpirationSeconds", seconds,
                                            "if provided, maxExpirationSeconds must be >= 3600"))
        if seconds > longest:
            out.append(errors.field_invalid(f"{path}.maxExpirationSeconds", seconds,
                                            f"if provided, maxExpirationSeconds must be <= {longest}"))
    given = [field for field in _CERTIFICATE_PATHS if s.get(field)]
    for field in given:
        out += path_validation.local_and_free(s[field], f"{path}.{field}") + taken.add(s[field], s[field])
    if not given:
        out.append(errors.field_required(path, "specify at least one of credentialBundlePath, keyPath, and "
                                               "certificateChainPath"))
    return out


def secret(s: Spec, path: str) -> list[FieldError]:
    return _named(s, "secretName", path)


def config_map(s: Spec, path: str) -> list[FieldError]:
    return _named(s, "name", path)


def _named(s: Spec, field: str, path: str) -> list[FieldError]:
    out = [] if s.get(field) else [errors.field_required(f"{path}.{field}")]
    out += mode(s.get("defaultMode"), f"{path}.defaultMode")
    for i, item in enumerate(s.get("items") or ()):
        out += key_to_path(item, f"{path}.items[{i}]")
    return out


def downward(s: Spec, path: str) -> list[FieldError]:
    out = mode(s.get("defaultMode"), f"{path}.defaultMode")
    for item in s.get("items") or ():
        out += downward_file(item, path)
    return out


