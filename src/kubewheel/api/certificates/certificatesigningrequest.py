"""certificatesigningrequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import base64

from kubewheel.api import codec, columns, durations, errors, shape, subresources, validation
from kubewheel.api.certificates import pem, signers
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource
from kubewheel.lib import clock

_USAGES = frozenset((
    "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment",
    "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing",
    "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing",
    "microsoft sgc", "netscape sgc"))


_TRUE_ONLY = ("Approved", "Denied", "Failed")
LEGACY = "kubernetes.io/legacy-unknown"


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")
    shape.struct(obj, "status")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {}


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    """The request cannot be changed once made."""
    new["spec"] = codec.copy(old.get("spec") or {})


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out: list[FieldError] = []
    request = spec.get("request")
    if problem := pem.request_problem(base64.b64decode(request or "")):
        out.append(errors.field_invalid("spec.request", request, problem))
    usages = spec.get("usages") or []
    if not usages:
        out.append(errors.field_required("spec.usages"))
    out += [errors.field_not_supported(f"spec.usages[{i}]", usage, _USAGES)
            for i, usage in enumerate(usages) if usage not in _USAGES]
    out += [errors.field_duplicate(f"spec.usages[{i}]", usage) for i, usage in enumerate(usages) if usage in usages[:i]]
    signer = spec.get("signerName") or ""
    if signer == LEGACY:
        out.append(errors.field_invalid("spec.signerName", signer,
                                        "the legacy signerName is not allowed via this API version"))
    else:
        out += signers.validate(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        out.append(errors.field_invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 600 "
                                                                           "seconds (10 minutes)"))
    return out


def _conditions(obj: Object, kind: str = "") -> list[Object]:
    found = dig(obj, "status", "conditions") or []
    return [c for c in found if c.get("type") == kind] if kind else found


def _validate_conditions(obj: Object) -> list[FieldError]:
    out: list[FieldError] = []
    path, seen = "status.conditions", set()
    for i, condition in enumerate(_conditions(obj)):
        kind, status = condition.get("type") or "", condition.get("status") or ""
        if not kind:
            out.append(errors.field_required(f"{path}[{i}].type"))
        allowed = ("True",) if kind in _TRUE_ONLY else ("False", "True", "Unknown")
        out += validation.one_of(status, allowed, f"{path}[{i}].status")
        if (kind == "Approved" and "Denied" in seen) or (kind == "Denied" and "Approved" in seen):
            out.append(errors.field_invalid(path, kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in seen:
            out.append(errors.field_duplicate(f"{path}[{i}].type", kind))
        seen.add(kind)
    return out


def _kept(new: Object, old: Object) -> list[FieldError]:
    return [errors.field_forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
            for kind in _TRUE_ONLY if len(_conditions(new, kind)) < len(_conditions(old, kind))]


def validate_approval(new: Object, old: Object) -> list[FieldError]:
    return _validate_conditions(new) + _kept(new, old)


def validate_status(new: Object, old: Object) -> list[FieldError]:
    out = _validate_conditions(new)
    now, was = dig(new, "status", "certificate"), dig(old, "status", "certificate")
    if now != was and (problem := pem.chain_problem(base64.b64decode(now or ""))) and now:
        out.append(errors.field_invalid("status.certificate", "<certificate data>", problem))
    out += _kept(new, old)
    out += [errors.field_forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
            for kind in ("Approved", "Denied") if len(_conditions(new, kind)) > len(_conditions(old, kind))]
    if now != was and was:
        out.append(errors.field_forbidden("status.certificate", "updates may not modify existing certificate content"))
    return out


def prepare_approval(new: Object, old: Object, context: PrepareContext) -> None:
    stamp = clock.rfc3339(context.now)
    had = {(c.get("type"), c.get("status")): c for c in _conditions(old)}
    for condition in _conditions(new):
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = stamp
        if not condition.get("lastTransitionTime"):
            before = had.get((condition.get("type"), condition.get("status"))) or {}
            condition["lastTransitionTime"] = before.get("lastTransitionTime") or stamp


def prepare_status(new: Object, old: Object, context: PrepareContext) -> None:
    """Approval is not the status writer's to change: it stays as it is where it is repeated."""
    for kind in ("Approved", "Denied"):
        given, kept = _conditions(new, kind), _conditions(old, kind)
        if len(given) == len(kept):
            for condition, before in zip(given, kept, strict=True):
                condition.clear()
                condition.update(codec.copy(before))
    prepare_approval(new, old, context)


def _condition(obj: Object, now: float) -> str:
    types = {c.get("type") for c in _conditions(obj)}
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        words.append("Failed")
    if dig(obj, "status", "certificate"):
        words.append("Issued")
    return ",".join(words)


def _duration(obj: Object, now: float) -> str:
    seconds = dig(obj, "spec", "expirationSeconds")
    return durations.human(seconds) if seconds is not None else columns.NONE


RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest",
    registry="certificatesigningrequests",
    subresources=(subresources.status("CertificateSigningRequest", prepare=prepare_status, validate=validate_status),
                  Subresource("approval", "CertificateSigningRequest", owns=(("status", "conditions"),),
                    prepare=prepare_approval, validate=validate_approval),),
    has_generation=False,
    name_rule="path-segment",
    prepare_create=prepare_create,
    defaults=defaults,
    prepare_update=prepare_update,
    validate=validate,
    columns=(
        columns.NAME,
        columns.AGE,
        Column("SignerName", columns.at("spec", "signerName"), description=".spec.signerName"),
        Column("Requestor", columns.at("spec", "username"), description=".spec.request"),
        Column("RequestedDuration", _duration, description=".spec.expirationSeconds"),
        Column("Condition", _condition, description=".status.conditions"),
    ),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or ""},
)
