"""certificatesigningrequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import codec, columns, durations, errors, names, subresources
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource
from kubewheel.lib import clock

_USAGES = frozenset((
    "signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment",
    "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing",
    "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing",
    "microsoft sgc", "netscape sgc"))


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("usages"):
        spec["usages"] = ["digital signature", "key encipherment"]


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {}


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    """The request cannot be changed once made."""
    new["spec"] = codec.copy(old.get("spec") or {})


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    signer = spec.get("signerName") or ""
    if not signer:
        out.append(errors.field_required("spec.signerName"))
    else:
        domain, slash, path = signer.partition("/")
        if not slash or not path:
            out.append(errors.field_invalid("spec.signerName", signer,
                                            "must be a fully qualified domain and path of the form "
                                            "'example.com/signer-name'"))
        elif names.subdomain(domain) or "." not in domain:
            out.append(errors.field_invalid("spec.signerName", signer,
                                            "should be a domain with at least two segments separated by dots"))
    seen: set[str] = set()
    for i, usage in enumerate(spec.get("usages") or ()):
        if usage not in _USAGES:
            out.append(errors.field_not_supported(f"spec.usages[{i}]", usage, _USAGES))
        if usage in seen:
            out.append(errors.field_duplicate(f"spec.usages[{i}]", usage))
        seen.add(usage)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        out.append(errors.field_invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 600 "
                                                                           "seconds (10 minutes)"))
    return out


def validate_approval(new: Object, old: Object) -> list[errors.FieldError]:
    types = [c.get("type") for c in dig(new, "status", "conditions") or ()]
    if "Approved" in types and "Denied" in types:
        return [errors.field_invalid("status.conditions", "", "Approved and Denied conditions are mutually exclusive")]
    out = []
    for c in dig(old, "status", "conditions") or ():
        if c.get("type") in ("Approved", "Denied", "Failed") and c.get("type") not in types:
            out.append(errors.field_forbidden("status.conditions", f"updates may not remove a condition of type "
                                              f"\"{c['type']}\""))
    return out


def prepare_approval(new: Object, old: Object, context: PrepareContext) -> None:
    stamp = clock.rfc3339(context.now)
    had = {c.get("type"): c for c in dig(old, "status", "conditions") or ()}
    for c in dig(new, "status", "conditions") or ():
        if not c.get("status"):
            c["status"] = "True"
        if not c.get("lastUpdateTime"):
            c["lastUpdateTime"] = stamp
        if not c.get("lastTransitionTime"):
            before = had.get(c.get("type")) or {}
            c["lastTransitionTime"] = before.get("lastTransitionTime") or stamp


def prepare_status(new: Object, old: Object, context: PrepareContext) -> None:
    """Approval is not the status writer's to change."""
    kept = [c for c in dig(old, "status", "conditions") or () if c.get("type") in ("Approved", "Denied")]
    given = [c for c in dig(new, "status", "conditions") or () if c.get("type") not in ("Approved", "Denied")]
    if kept or given:
        new.setdefault("status", {})["conditions"] = codec.copy(kept) + given
    prepare_approval(new, old, context)


def _condition(obj: Object, now: float) -> str:
    types = {c.get("type") for c in dig(obj, "status", "conditions") or ()}
    words = [word for word in ("Approved", "Denied", "Failed") if word in types] or ["Pending"]
    if "Denied" in words:
        words = [w for w in words if w != "Approved"]
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
    subresources=(subresources.status("CertificateSigningRequest", prepare=prepare_status),
                  Subresource("approval", "CertificateSigningRequest", owns=(("status", "conditions"),),
                    prepare=prepare_approval, validate=validate_approval),),
    has_generation=False,
    prepare_create=prepare_create,
    defaults=defaults,
    prepare_update=prepare_update,
    validate=validate,
    columns=(
        columns.NAME,
        columns.AGE,
        Column("SignerName", columns.at("spec", "signerName"), description=".spec.signerName"),
        Column("Requestor", columns.at("spec", "username"), description=".spec.username"),
        Column("RequestedDuration", _duration, description=".spec.expirationSeconds"),
        Column("Condition", _condition, description=".status.conditions"),
    ),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or ""},
)
