"""X.509 without ceremony: authorities, leaf certificates, contexts, chain checks.

In: names, SANs, a moment. Out: PEM/DER values, ssl.SSLContext, files written 0600 in one step. It knows no
Kubernetes. Called by: run/certificates, apiserver/authn, controllers (CSR signing), kubelet.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = 365 * 86400
BACKDATE = 300  # clocks of nodes differ a little; a certificate must be good the moment it is made
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
NO_USAGE = x509.KeyUsage(digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                         key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False)


class BadCertificate(ValueError):
    """A certificate is not one, is out of its time, or is not signed by the authority."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.cert)


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a verified client certificate speaks for."""

    common_name: str
    organizations: tuple[str, ...]
    uid: str = ""


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(seconds), tz=dt.UTC)


def new_ec_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


def new_rsa_key(bits: int = 2048) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


def public_pem(private_pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(private_pem, None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def name_of(common_name: str, organizations: Iterable[str] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _private(pem: bytes) -> CertificateIssuerPrivateKeyTypes:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
    return key


def _usage(*, ca: bool, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature=True, content_commitment=False, key_encipherment=encipher or ca,
                         data_encipherment=False, key_agreement=False, key_cert_sign=ca, crl_sign=False,
                         encipher_only=False, decipher_only=False)


def make_ca(common_name: str, *, now: float, seconds: float = 10 * YEAR) -> KeyPair:
    """A self-signed authority (ECDSA P-256)."""
    key_pem = new_ec_key()
    key = _private(key_pem)
    name = name_of(common_name)
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(now - BACKDATE)).not_valid_after(moment(now + seconds))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(ski, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(cert.public_bytes(serialization.Encoding.PEM), key_pem)


def sign(
    ca: KeyPair, subject: x509.Name, public_key: object, *, now: float, seconds: float = YEAR,
    usages: Iterable[x509.ObjectIdentifier] = (CLIENT,), san: x509.SubjectAlternativeName | None = None,
    key_usage: x509.KeyUsage | None = None,
) -> bytes:
    """A leaf certificate (PEM) for a public key. It never outlives its authority."""
    issuer = ca.certificate()
    end = min(moment(now + seconds), issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject)
        .public_key(public_key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(moment(now - BACKDATE), issuer.not_valid_before_utc)).not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)  # type: ignore[arg-type]
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]
                       critical=False)
    )
    allowed = key_usage or _usage(ca=False, encipher=True)
    if allowed != NO_USAGE:  # an extension without a bit is invalid (RFC 5280 4.2.1.3), and OpenSSL refuses it
        builder = builder.add_extension(allowed, critical=True)
    wanted = list(usages)
    if wanted:
        builder = builder.add_extension(x509.ExtendedKeyUsage(wanted), critical=False)
    if san is not None:
        builder = builder.add_extension(san, critical=not list(subject))
    return builder.sign(_private(ca.key), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def san_of(hosts: Iterable[str] = (), ips: Iterable[str] = ()) -> x509.SubjectAlternativeName | None:
    names: list[x509.GeneralName] = [x509.DNSName(h) for h in hosts]
    names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
    return x509.SubjectAlternativeName(names) if names else None


def issue(
    ca: KeyPair, common_name: str, *, now: float, organizations: Iterable[str] = (), hosts: Iterable[str] = (),
    ips: Iterable[str] = (), server: bool = False, client: bool = False, seconds: float = YEAR,
) -> KeyPair:
    """A new key and its certificate, for serving, for speaking, or both."""
    key_pem = new_ec_key()
    usages = [u for u, wanted in ((SERVER, server), (CLIENT, client)) if wanted]
    cert = sign(ca, name_of(common_name, organizations), _private(key_pem).public_key(), now=now, seconds=seconds,
                usages=usages, san=san_of(hosts, ips))
    return KeyPair(cert, key_pem)


def names_in(cert: x509.Certificate) -> tuple[set[str], set[str]]:
    """(DNS names, IP addresses) of the certificate's SANs."""
    try:
        san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set(), set()
    return set(san.get_values_for_type(x509.DNSName)), {str(i) for i in san.get_values_for_type(x509.IPAddress)}


def subject_of(cert: x509.Certificate) -> Subject:
    def texts(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(a.value) for a in cert.subject.get_attributes_for_oid(oid))

    common = texts(NameOID.COMMON_NAME)
    uid = texts(x509.ObjectIdentifier("1.3.6.1.4.1.57683.2"))  # Kubernetes' arc: the user's UID
    return Subject(common[-1] if common else "", texts(NameOID.ORGANIZATION_NAME), uid[0] if uid else "")


def load_bundle(pem: bytes) -> list[x509.Certificate]:
    """Every certificate of a PEM bundle. BadCertificate if there is none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as e:
        raise BadCertificate(str(e)) from e


def is_signed_by(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def verify_client(der_chain: Iterable[bytes], authorities: Iterable[x509.Certificate], *, now: float) -> x509.Certificate:
    """The leaf of a chain that leads to one of the authorities, is in its time and may be used by clients.

    The leaf need not have SANs (kubeadm's have none), so the web's verifier is not asked. BadCertificate.
    """
    chain = [x509.load_der_x509_certificate(der) for der in der_chain]
    if not chain:
        raise BadCertificate("x509: no certificate")
    roots = list(authorities)
    leaf = chain[0]
    moment_ = moment(now)
    current, rest = leaf, chain[1:]
    for _ in range(len(chain) + 1):
        if moment_ > current.not_valid_after_utc or moment_ < current.not_valid_before_utc:
            raise BadCertificate(f"x509: certificate has expired or is not yet valid: current time {_go_time(now)} is "
                                 + (f"after {_go(current.not_valid_after_utc)}"
                                    if moment_ > current.not_valid_after_utc
                                    else f"before {_go(current.not_valid_before_utc)}"))
        root = next((r for r in roots if r.subject == current.issuer and is_signed_by(current, r)), None)
        if root is not None:
            if moment_ > root.not_valid_after_utc:
                raise BadCertificate("x509: certificate has expired or is not yet valid: the authority has expired")
            _check_usage(leaf)
            return leaf
        parent = next((c for c in rest if c.subject == current.issuer and _is_ca(c) and is_signed_by(current, c)), None)
        if parent is None:
            break
        rest = [c for c in rest if c is not parent]
        current = parent
    raise BadCertificate("x509: certificate signed by unknown authority")


def _is_ca(cert: x509.Certificate) -> bool:
    try:
        return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_usage(leaf: x509.Certificate) -> None:
    try:
        usages = set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if CLIENT not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
        raise BadCertificate("x509: certificate specifies an incompatible key usage")


def _go(moment_: dt.datetime) -> str:
    return moment_.strftime("%Y-%m-%dT%H:%M:%SZ")


def _go_time(seconds: float) -> str:
    return _go(moment(seconds))


def write_private(path: Path, data: bytes) -> None:
    """Write a file only its owner reads (0600); a reader sees the old or the new, never half of it."""
    write_atomic(path, data, mode=0o600)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def server_context(cert_file: Path, key_file: Path, *, client_ca: bytes | None = None) -> ssl.SSLContext:
    """For listening: asks for a client certificate but goes on without one (tokens, anonymous)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    if client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=client_ca.decode())
    return context


def client_context(
    *, ca: bytes | None = None, cert_file: Path | None = None, key_file: Path | None = None, insecure: bool = False,
) -> ssl.SSLContext:
    """For calling: trusts `ca` alone (None: the system's), shows the certificate if there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca:
        context.load_verify_locations(cadata=ca.decode())
    else:
        context.load_default_certs()
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context
