"""Tokens that live in Secrets (type kubernetes.io/service-account-token), for those who still ask for them.

In: secrets, serviceaccounts; the keys service-account-private-key(-file) and root-ca(-file). Out: the Secret's token, ca.crt,
namespace; deletions where the ServiceAccount is gone. `filled` is pure.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"


@dataclass(frozen=True, slots=True)
class Signer:
    key: Any
    key_id: str
    algorithm: str
    root_ca: str

    def token(self, account: Object, secret: Object) -> str:
        meta, prefix = account["metadata"], "kubernetes.io/serviceaccount/"
        claims = {"iss": "kubernetes/serviceaccount", f"{prefix}namespace": meta["namespace"],
                  f"{prefix}secret.name": secret["metadata"]["name"], f"{prefix}service-account.name": meta["name"],
                  f"{prefix}service-account.uid": meta["uid"],
                  "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}"}
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.key_id, "typ": None})


def make_signer(pem: bytes, root_ca: str) -> Signer:
    key = serialization.load_pem_private_key(pem, None)
    public = key.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    if isinstance(public, rsa.RSAPublicKey):
        return Signer(key, key_id, "RS256", root_ca)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return Signer(key, key_id, {256: "ES256", 384: "ES384", 521: "ES512"}[public.key_size], root_ca)
    raise ValueError("service account keys must be RSA or ECDSA")


def is_token(secret: Object) -> bool:
    return secret.get("type") == TYPE and bool(objects.annotations_of(secret).get(NAME))


def belongs(secret: Object, account: Object) -> bool:
    """Of this very account; a secret without a uid yet is anybody's of that name."""
    notes, meta = objects.annotations_of(secret), account["metadata"]
    return notes.get(NAME) == meta["name"] and notes.get(UID, meta["uid"]) in ("", meta["uid"])


def filled(secret: Object, account: Object, signer: Signer) -> Object:
    """The secret with what is missing in it; the same value if nothing is."""
    data = secret.get("data") or {}
    wanted = {"namespace": account["metadata"]["namespace"].encode()}
    if signer.root_ca:
        wanted["ca.crt"] = signer.root_ca.encode()
    missing = {k: base64.b64encode(v).decode() for k, v in wanted.items() if not data.get(k)}
    if signer.root_ca and base64.b64decode(data.get("ca.crt", "")) != wanted["ca.crt"]:
        missing["ca.crt"] = base64.b64encode(wanted["ca.crt"]).decode()
    if not data.get("token"):
        missing["token"] = base64.b64encode(signer.token(account, secret).encode()).decode()
    notes = objects.annotations_of(secret)
    if not missing and notes.get(UID) == account["metadata"]["uid"]:
        return secret
    new = codec.copy(secret)
    new["data"] = {**data, **missing}
    new["metadata"]["annotations"] = {**notes, UID: account["metadata"]["uid"]}
    return new


async def reconcile(context: Context, key: str) -> None:
    namespace, name = split_key(key)
    secret = context.cache("secrets").get(namespace, name)
    signer: Signer | None = context.state
    if secret is None or not is_token(secret) or signer is None or objects.is_terminating(secret):
        return
    wanted = objects.annotations_of(secret)[NAME]
    account = context.cache("serviceaccounts").get(namespace, wanted)
    if account is None or not belongs(secret, account):
        # The cache may be slow: only the server's word deletes.
        account = await context.client.find("serviceaccounts", wanted, namespace=namespace)
        if account is None or not belongs(secret, account):
            await context.client.delete("secrets", name, namespace=namespace, uid=secret["metadata"]["uid"])
            return
    new = filled(secret, account, signer)
    if new is not secret:
        await context.client.update("secrets", new)


def _secret(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is not None and is_token(new):
        yield from own_key(old, new, context)


def _account(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if old is None or new is None:  # made or gone
        meta = (new or old or {})["metadata"]
        for secret in context.cache("secrets").list(meta["namespace"]):
            if is_token(secret) and objects.annotations_of(secret)[NAME] == meta["name"]:
                yield objects.key_of(secret)


def setup(context: Context) -> Signer | None:
    key = settings.pem(context, "service-account-private-key") or settings.pem(context, "service-account-private-key-file")
    ca = settings.pem(context, "root-ca") or settings.pem(context, "root-ca-file")
    return make_signer(key.encode(), ca) if key else None


CONTROLLER = Controller(
    name="serviceaccount-token-controller", reconcile=reconcile, setup=setup,
    watches=(Watch("secrets", _secret), Watch("serviceaccounts", _account)),
    rules=(rule("", "secrets", READ + " create update delete"), rule("", "serviceaccounts", READ + " update"), events()))
