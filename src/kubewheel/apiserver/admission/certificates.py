"""CertificateApproval, CertificateSigning, ClusterTrustBundleAttest, CertificateSubjectRestriction: who may approve, sign
and attest for which signer.

In: writes to certificatesigningrequests and clustertrustbundles. Out: 403.
"""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubewheel.api import errors
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes, RequestInfo

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def _is_request(attributes: Attributes) -> bool:
    return attributes.resource.plural == "certificatesigningrequests" and attributes.resource.group == GROUP


def _forbidden(attributes: Attributes, why: str) -> errors.StatusError:
    return errors.forbidden(attributes.resource.plural, attributes.name, why, group=GROUP)


class _SignerPlugin(AdmissionPlugin):
    async def _may(self, attributes: Attributes, verb: str, signer: str) -> bool:
        """The verb on signers named `domain/path`, or on `domain/*`."""
        domain = signer.split("/", 1)[0]
        for name in (signer, f"{domain}/*"):
            info = RequestInfo(True, "", verb, "apis", GROUP, "v1", "", "signers", "", name)
            if (await self.context.authorizer.authorize(attributes.user, info)).verdict == "allow":
                return True
        return False

    async def _check(self, attributes: Attributes, verb: str, signer: str, what: str = "requests with") -> None:
        if await self._may(attributes, verb, signer):
            return
        raise _forbidden(attributes, f'user not permitted to {verb} {what} signerName "{signer}"')


class CertificateApproval(_SignerPlugin):
    name = "CertificateApproval"
    resources = frozenset({"certificatesigningrequests.certificates.k8s.io"})

    async def validate(self, attributes: Attributes) -> None:
        if _is_request(attributes) and attributes.subresource == "approval" and attributes.old is not None:
            await self._check(attributes, "approve", attributes.old["spec"].get("signerName", ""))


class CertificateSigning(_SignerPlugin):
    name = "CertificateSigning"
    resources = frozenset({"certificatesigningrequests.certificates.k8s.io", "podcertificaterequests.certificates.k8s.io"})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource != "status" or attributes.resource.group != GROUP or attributes.old is None:
            return
        new, old = (attributes.obj or {}).get("status") or {}, attributes.old.get("status") or {}
        if attributes.resource.plural == "podcertificaterequests" and new != old:
            await self._check_pod_request(attributes, attributes.old["spec"].get("signerName", ""))
        if not _is_request(attributes):
            return
        if new.get("certificate") == old.get("certificate") and _failed(new) == _failed(old):
            return
        await self._check(attributes, "sign", attributes.old["spec"].get("signerName", ""))


    async def _check_pod_request(self, attributes: Attributes, signer: str) -> None:
        """Upstream's registry says it, as a finding of validation."""
        if not await self._may(attributes, "sign", signer):
            raise errors.invalid("PodCertificateRequest", attributes.name, [errors.field_forbidden(
                "spec.signerName", f'User "{attributes.user.name}" is not permitted to "sign" for signer "{signer}"')],
                group=GROUP)


class ClusterTrustBundleAttest(_SignerPlugin):
    """A bundle that speaks for a signer is written by those who may (KEP-3257)."""

    name = "ClusterTrustBundleAttest"
    resources = frozenset({"clustertrustbundles.certificates.k8s.io"})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.resource.plural != "clustertrustbundles" or attributes.resource.group != GROUP or attributes.obj is None:
            return
        spec = attributes.obj.get("spec") or {}
        if attributes.old is not None and attributes.old.get("spec") == spec:
            return
        if signer := spec.get("signerName"):
            await self._check(attributes, "attest", signer, "for")


def _failed(status: dict[str, object]) -> bool:
    conditions = status.get("conditions") or []
    return any(c.get("type") == "Failed" for c in conditions)  # type: ignore[attr-defined]


class CertificateSubjectRestriction(AdmissionPlugin):
    name = "CertificateSubjectRestriction"
    resources = frozenset({"certificatesigningrequests.certificates.k8s.io"})

    async def validate(self, attributes: Attributes) -> None:
        if not _is_request(attributes) or attributes.operation != "CREATE" or attributes.subresource \
                or attributes.obj is None:
            return
        spec = attributes.obj.get("spec") or {}
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        try:
            request = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        except ValueError as e:
            raise _forbidden(attributes, f"failed to parse CSR: {e}") from e
        groups = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if "system:masters" in groups:
            raise _forbidden(attributes, f'use of {CLIENT_SIGNER} signer with system:masters group is not allowed')
