"""podcertificaterequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import base64

from kubewheel.api import columns, conditions, errors, names, shape, subresources, validation
from kubewheel.api.certificates import pem, signers
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource

HOUR = 3600
DAY = 24 * HOUR
LONGEST = 91 * DAY
MAX_UID = 128
MAX_REQUEST = 10 * 1024
_KNOWN = ("Issued", "Denied", "Failed")


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    if spec.get("maxExpirationSeconds") is None:
        spec["maxExpirationSeconds"] = DAY
    shape.struct(obj, "status")


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    signer = spec.get("signerName") or ""
    out = signers.validate(signer, "spec.signerName")
    for what, field in (("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")):
        name, uid = spec.get(what) or "", spec.get(field) or ""
        out += validation.check(f"spec.{what}", name, names.subdomain(name))
        if not uid:
            out.append(errors.field_invalid(f"spec.{field}", uid, "must not be empty"))
        if len(uid) > MAX_UID:
            out.append(errors.field_too_long(f"spec.{field}", MAX_UID))
    longest = DAY if signer.partition("/")[0].endswith("kubernetes.io") else LONGEST
    seconds = spec.get("maxExpirationSeconds") or 0
    if not HOUR <= seconds <= longest:
        out.append(errors.field_invalid("spec.maxExpirationSeconds", seconds,
                                        f"must be in the range [{HOUR}, {longest}]"))
    return out + _request(spec.get("stubPKCS10Request") or "")


def _request(text: str) -> list[FieldError]:
    path, der = "spec.stubPKCS10Request", base64.b64decode(text)
    if len(der) > MAX_REQUEST:
        return [errors.field_too_long(path, MAX_REQUEST)]
    problem = pem.stub_problem(der)
    return [errors.field_invalid(path, text, problem)] if problem else []


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validation.immutable(new.get("spec"), old.get("spec"), "spec")


def validate_status(new: Object, old: Object) -> list[FieldError]:
    """One of Issued, Denied, Failed, once, and nothing after it."""
    out: list[FieldError] = []
    known = 0
    for i, condition in enumerate(dig(new, "status", "conditions") or ()):
        path, kind, status = f"status.conditions.[{i}]", condition.get("type"), condition.get("status")
        if kind not in _KNOWN:
            out.append(errors.field_not_supported(f"{path}.type", kind, _KNOWN, ordered=True))
            continue
        known += 1
        if known > 1:
            out.append(errors.field_invalid(f"{path}.type", kind, (
                'There may be at most one condition with type "Issued", "Denied", or "Failed"')))
        if status != "True":
            out.append(errors.field_not_supported(f"{path}.status", status, ("True",)))
    if out:
        return out
    now, was = new.get("status") or {}, old.get("status") or {}
    if _state(old, 0.0) != "Pending":
        if now != was:
            out.append(errors.field_invalid("status", now, (
                "immutable after PodCertificateRequest is issued, denied, or failed")))
    elif _state(new, 0.0) in ("Denied", "Failed") and now.keys() - {"conditions"}:
        out.append(errors.field_invalid("status", now, (
            "non-condition status fields must be empty when denying or failing the PodCertificateRequest")))
    elif _state(new, 0.0) == "Issued":
        out += _issued(now)
    return out


def _issued(status: Object) -> list[FieldError]:
    chain = status.get("certificateChain") or ""
    found = pem.blocks(chain)
    if not found:
        return [errors.field_invalid("status.certificateChain", chain,
                                     "issued certificate chain must contain at least one certificate")]
    if any(block.type != "CERTIFICATE" for block in found):
        return [errors.field_invalid("status.certificateChain", chain,
                                     "issued certificate chain must consist entirely of CERTIFICATE PEM blocks")]
    consistent = "must be present and consistent with the issued certificate"
    return [errors.field_required(f"status.{field}", why) for field, why in (
        ("notBefore", consistent), ("notAfter", consistent),
        ("beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]"))
        if status.get(field) is None]


def _state(obj: Object, now: float) -> str:
    for word in _KNOWN:
        if conditions.find(obj, word) is not None:
            return word
    return "Pending"


RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="PodCertificateRequest",
    plural="podcertificaterequests",
    definition="io.k8s.api.certificates.v1.PodCertificateRequest",
    registry="podcertificaterequests",
    subresources=(subresources.status("PodCertificateRequest", validate=validate_status),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("PodName", columns.at("spec", "podName"), description=".spec.podName"),
        Column("ServiceAccountName", columns.at("spec", "serviceAccountName"), description=".spec.serviceAccountName"),
        Column("NodeName", columns.at("spec", "nodeName"), description=".spec.nodeName"),
        Column("SignerName", columns.at("spec", "signerName"), description=".spec.signerName"),
        Column("State", _state, description=".status.conditions"),
        columns.AGE,
    ),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or "",
                "spec.podName": lambda obj: dig(obj, "spec", "podName") or "",
                "spec.nodeName": lambda obj: dig(obj, "spec", "nodeName") or ""},
)
