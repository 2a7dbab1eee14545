"""What each of upstream's signers accepts, and how requested usages become certificate extensions. Pure.

In: a PEM request, usages. Out: a problem in words or None; extension values. Called by: csr.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Extended
from cryptography.x509.oid import NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY)

_BITS = {"signing": "digital_signature", "digital signature": "digital_signature",
         "content commitment": "content_commitment", "key encipherment": "key_encipherment",
         "key agreement": "key_agreement",
         "data encipherment": "data_encipherment", "cert sign": "key_cert_sign", "crl sign": "crl_sign",
         "encipher only": "encipher_only", "decipher only": "decipher_only"}
_OIDS = {"any": Extended.ANY_EXTENDED_KEY_USAGE, "server auth": Extended.SERVER_AUTH,
         "client auth": Extended.CLIENT_AUTH,
         "code signing": Extended.CODE_SIGNING, "email protection": Extended.EMAIL_PROTECTION,
         "s/mime": Extended.EMAIL_PROTECTION, "timestamping": Extended.TIME_STAMPING, "ocsp signing": Extended.OCSP_SIGNING,
         "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
         "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
         "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
         "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
         "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1")}


def load(request: str) -> x509.CertificateSigningRequest | None:
    """The request in spec.request (base64 of PEM); None if it is none or not signed by its own key."""
    try:
        loaded = x509.load_pem_x509_csr(base64.b64decode(request))
    except ValueError:
        return None
    return loaded if loaded.is_signature_valid else None


def problem(signer: str, request: x509.CertificateSigningRequest, usages: Iterable[str]) -> str | None:
    """Why this signer refuses the request; None if it does not."""
    asked = set(usages)
    if signer == CLIENT:
        others = asked - {"digital signature", "key encipherment", "client auth"}
        return "usages did not match expected" if others or "client auth" not in asked else None
    if signer == KUBELET_CLIENT:
        return _node(request) or _no_names(request, ("dns", "ip", "email", "uri")) or _usages(asked, "client auth")
    if signer == KUBELET_SERVING:
        names = names_of(request)
        if not names["dns"] and not names["ip"]:
            return "DNS or IP subjectAltName is required"
        return _node(request) or _no_names(request, ("email", "uri")) or _usages(asked, "server auth")
    return None


def names_of(request: x509.CertificateSigningRequest) -> dict[str, list[str]]:
    san = san_of(request)
    if san is None:
        return {"dns": [], "ip": [], "email": [], "uri": []}
    return {"dns": san.get_values_for_type(x509.DNSName),
            "ip": [str(i) for i in san.get_values_for_type(x509.IPAddress)],
            "email": san.get_values_for_type(x509.RFC822Name),
            "uri": san.get_values_for_type(x509.UniformResourceIdentifier)}


def _node(request: x509.CertificateSigningRequest) -> str | None:
    organizations = [a.value for a in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if organizations != ["system:nodes"]:
        return "subject organization is not system:nodes"
    common = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common and common[-1].startswith("system:node:"):
        return None
    return "subject common name does not begin with system:node: "


def _no_names(request: x509.CertificateSigningRequest, kinds: Iterable[str]) -> str | None:
    words = {"dns": "DNS", "ip": "IP", "email": "Email", "uri": "URI"}
    names = names_of(request)
    return next((f"{words[k]} subjectAltNames are not allowed" for k in kinds if names[k]), None)


def _usages(asked: set[str], auth: str) -> str | None:
    return None if asked in ({"digital signature", auth}, {"digital signature", "key encipherment", auth}) \
        else "usages did not match expected"


# -- certificates -----------------------------------------------------------------------------------------------------
def san_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def extended(usages: Iterable[str]) -> list[x509.ObjectIdentifier]:
    out: list[x509.ObjectIdentifier] = []
    for usage in usages:
        if usage in _OIDS and _OIDS[usage] not in out:
            out.append(_OIDS[usage])
    return out


def key_usage(usages: Iterable[str]) -> x509.KeyUsage:
    wanted = {_BITS[u] for u in usages if u in _BITS}
    agreed = wanted | ({"key_agreement"} if wanted & {"encipher_only", "decipher_only"} else set())
    return x509.KeyUsage(**{bit: bit in agreed for bit in _BITS.values()})
