"""clustertrustbundles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.certificates import pem, signers
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource

MAX_SIZE = 1024 * 1024


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec").setdefault("trustBundle", "")


def validate(obj: Object, *, parsed: bool = True) -> list[FieldError]:
    spec = obj.get("spec") or {}
    signer, name = spec.get("signerName") or "", obj["metadata"].get("name") or ""
    out = validation.check("metadata.name", name, _name(name, signer))
    if signer:
        out += signers.validate(signer, "spec.signerName")
    bundle = spec.get("trustBundle") or ""
    if len(bundle.encode()) > MAX_SIZE:
        out.append(errors.field_too_long("spec.trustBundle", MAX_SIZE))
    elif parsed:
        out += [errors.field_invalid("spec.trustBundle", "<value omitted>", m) for m in pem.bundle_problems(bundle)]
    return out


def _name(name: str, signer: str) -> list[str]:
    if not signer:
        return (['ClusterTrustBundle without signer name must not have ":" in its name'] if ":" in name
                else names.subdomain(name))
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return names.subdomain(name.removeprefix(prefix))


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """A bundle that stays is not read again."""
    changed = dig(new, "spec", "trustBundle") != dig(old, "spec", "trustBundle")
    return validate(new, parsed=changed) + validation.immutable(
        dig(new, "spec", "signerName") or "", dig(old, "spec", "signerName") or "", "spec.signerName")


RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="ClusterTrustBundle",
    plural="clustertrustbundles",
    namespaced=False,
    definition="io.k8s.api.certificates.v1.ClusterTrustBundle",
    registry="clustertrustbundles",
    has_generation=False,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    name_rule="path-segment",
    columns=(columns.NAME, Column("SignerName", columns.at("spec", "signerName", default=columns.NONE),
                                  description=".spec.signerName")),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or ""},
)
