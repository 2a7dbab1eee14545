"""clustertrustbundles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if "-----BEGIN CERTIFICATE-----" not in (spec.get("trustBundle") or ""):
        out.append(errors.field_invalid("spec.trustBundle", "<value omitted>",
                                        "at least one trust anchor must be provided"))
    signer, name = spec.get("signerName") or "", obj["metadata"].get("name") or ""
    prefix = signer.replace("/", ":") + ":"
    if signer and not name.startswith(prefix):
        out.append(errors.field_invalid("metadata.name", name, (
            f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")))
    elif not signer and ":" in name:
        out.append(errors.field_invalid("metadata.name", name, "ClusterTrustBundle without signer name must not have "
                                                               "\":\" in its name"))
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validate(new) + validation.immutable(
        dig(new, "spec", "signerName"), dig(old, "spec", "signerName"), "spec.signerName")


RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="ClusterTrustBundle",
    plural="clustertrustbundles",
    namespaced=False,
    definition="io.k8s.api.certificates.v1.ClusterTrustBundle",
    registry="clustertrustbundles",
    has_generation=False,
    unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    name_rule="path-segment",
    columns=(columns.NAME, Column("SignerName", columns.at("spec", "signerName", default=columns.NONE),
                                  description=".spec.signerName")),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or ""},
)
