"""What is inside of PEM and X.509 fields, and what is wrong with it in upstream's words. Pure.

In: texts and bytes of fields. Out: messages. Called by: certificates/*.py.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

_BLOCK = re.compile(r"^-----BEGIN ([^\n]*)-----\s*?\n(.*?)^-----END \1-----[ \t]*\r?$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    type: str
    headers: bool
    der: bytes


def blocks(text: str) -> list[Block]:
    """What Go's pem.Decode finds, one after the other; what is between blocks does not count."""
    found = []
    for match in _BLOCK.finditer(text):
        head, blank, body = match[2].partition("\n\n")
        if not blank:
            head, body = "", match[2]
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            continue
        found.append(Block(match[1], bool(head), der))
    return found


def request_problem(request: bytes) -> str:
    """Of a PEM certificate request: "" for a good one."""
    from cryptography import x509

    found = blocks(request.decode("utf-8", "replace"))
    if not found or found[0].type != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_der_x509_csr(found[0].der)
    except ValueError as e:
        return f"asn1: structure error: {e}"
    return "" if parsed.is_signature_valid else "x509: signature does not match"


def chain_problem(chain: bytes) -> str:
    """Of the certificates a signer gives: CERTIFICATE blocks without headers, at least one."""
    from cryptography import x509

    found = blocks(chain.decode("utf-8", "replace"))
    for block in found:
        if block.type != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.type}"'
        if block.headers:
            return "no PEM block headers are permitted"
        try:
            x509.load_der_x509_certificate(block.der)
        except ValueError as e:
            return f"x509: {e}"
    return "" if found else "must contain at least one CERTIFICATE PEM block"


def bundle_problems(text: str) -> list[str]:
    """Of trust anchors: CA certificates, each once, at least one."""
    from cryptography import x509

    out: list[str] = []
    seen: dict[bytes, list[int]] = {}
    for i, block in enumerate(blocks(text)):
        if block.type != "CERTIFICATE":
            out.append(f"entry {i} has bad block type: {block.type}")
        elif block.headers:
            out.append(f"entry {i} has PEM block headers")
        else:
            try:
                certificate = x509.load_der_x509_certificate(block.der)
            except ValueError:
                out.append(f"entry {i} does not parse as X.509")
                continue
            if not _is_ca(certificate):
                out.append(f"entry {i} does not have the CA bit set")
            seen.setdefault(block.der, []).append(i)
    if out:
        return out
    if not seen:
        return ["at least one trust anchor must be provided"]
    return [f"duplicate trust anchor (indices [{' '.join(map(str, found))}])" for found in seen.values() if len(found) > 1]


def _is_ca(certificate: object) -> bool:
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def stub_problem(der: bytes) -> str:
    """Of a DER certificate request: its signature and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        parsed = x509.load_der_x509_csr(der)
        key = parsed.public_key()
    except ValueError:
        return "must be a valid PKCS#10 certificate signing request"
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
            return "elliptic public keys must use curve P256, P384, or P521"
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in (3072, 4096):
            return "RSA keys must have modulus size 3072 or 4096"
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        return "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
    return "" if parsed.is_signature_valid else "could not verify the signature of the certificate signing request"
