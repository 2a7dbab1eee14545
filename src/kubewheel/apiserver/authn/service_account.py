"""Service account tokens: JWTs the cluster signs itself, bound to what they were issued for.

In: key PEMs; the objects a token names. Out: signed tokens, Verified users, the OIDC discovery documents.
Called by: authn union, subresources/service_account_token, the /.well-known and /openid paths.

A token is good while its signature, times and audience are, and the service account (and pod, secret, node it is bound
to) is there with the same UID. Signature checks are remembered; the objects are looked at every time.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kubewheel.api.resource import Object
from kubewheel.apiserver.authn.tokens import BadToken, Verified
from kubewheel.client.transport import Identity
from kubewheel.lib import clock as clocks

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY_ISSUER = "kubernetes/serviceaccount"
PREFIX = "system:serviceaccount:"
ALL_GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"
# A token asked for exactly this long (client-go's old default) is for a pod whose reader never reloads it: it lives a
# year and warns after the hour (--service-account-extend-token-expiration).
EXTENDABLE = 3607
EXTENDED = 365 * 86400
MAX_REMEMBERED = 4096

# (resource, namespace, name, uid) -> the object, None if it is not there
Getter = Callable[[str, str, str, str], Awaitable[Object | None]]


def user_name(namespace: str, name: str) -> str:
    return f"{PREFIX}{namespace}:{name}"


def groups_of(namespace: str) -> tuple[str, ...]:
    return ALL_GROUP, f"{ALL_GROUP}:{namespace}"


def split_user_name(user: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    if not user.startswith(PREFIX):
        return None
    namespace, colon, name = user[len(PREFIX):].partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


# -- keys -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class PublicKey:
    id: str
    algorithm: str  # RS256 | ES256 | ES384 | ES512
    key: Any
    numbers: dict[str, str] = field(default_factory=dict)  # the JWK members


def load_public_key(pem: bytes) -> PublicKey:
    """A verification key of a public or private PEM. ValueError for other kinds than RSA and EC."""
    key: Any
    if b"PRIVATE KEY" in pem:
        key = serialization.load_pem_private_key(pem, None).public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key_id = _b64url(hashlib.sha256(der).digest())
    if isinstance(key, rsa.RSAPublicKey):
        n = key.public_numbers()
        return PublicKey(key_id, "RS256", key, {"kty": "RSA", "n": _number(n.n), "e": _number(n.e)})
    if isinstance(key, ec.EllipticCurvePublicKey):
        curve, algorithm = {256: ("P-256", "ES256"), 384: ("P-384", "ES384"), 521: ("P-521", "ES512")}[key.key_size]
        size = (key.key_size + 7) // 8
        p = key.public_numbers()
        return PublicKey(key_id, algorithm, key, {"kty": "EC", "crv": curve, "x": _number(p.x, size),
                                                  "y": _number(p.y, size)})
    raise ValueError("service account keys must be RSA or ECDSA")


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return _b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


# -- discovery --------------------------------------------------------------------------------------------------------
def openid_configuration(issuer: str, jwks_uri: str, keys: Iterable[PublicKey]) -> Object:
    """/.well-known/openid-configuration"""
    return {"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({k.algorithm for k in keys})}


def jwks(keys: Iterable[PublicKey]) -> Object:
    """/openid/v1/jwks"""
    return {"keys": [{"use": "sig", "kid": k.id, "alg": k.algorithm} | k.numbers for k in keys]}


# -- claims -----------------------------------------------------------------------------------------------------------
def claims(
    *, issuer: str, audiences: Iterable[str], service_account: Object, now: float, seconds: int, token_id: str,
    pod: Object | None = None, secret: Object | None = None, node: Object | None = None, warn_after: int = 0,
) -> Object:
    """The claims of a bound token. `node` is the bound one, or the pod's."""
    meta = service_account["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    private: Object = {"namespace": namespace}
    if node is not None:
        private["node"] = _named(node)
    if pod is not None:
        private["pod"] = _named(pod)
    if secret is not None:
        private["secret"] = _named(secret)
    private["serviceaccount"] = {"name": name, "uid": meta.get("uid", "")}
    at = int(now)
    if warn_after:
        private["warnafter"] = at + warn_after
    return {"aud": list(audiences), "exp": at + seconds, "iat": at, "iss": issuer, "jti": token_id,
            "kubernetes.io": private, "nbf": at, "sub": user_name(namespace, name)}


def _named(obj: Object) -> Object:
    meta = obj["metadata"]
    return {"name": meta["name"]} | ({"uid": meta["uid"]} if meta.get("uid") else {})


def legacy_claims(service_account: Object, secret: Object) -> Object:
    """The claims of a token that lives in a Secret (type kubernetes.io/service-account-token)."""
    meta = service_account["metadata"]
    return {"iss": LEGACY_ISSUER, "kubernetes.io/serviceaccount/namespace": meta["namespace"],
            "kubernetes.io/serviceaccount/secret.name": secret["metadata"]["name"],
            "kubernetes.io/serviceaccount/service-account.name": meta["name"],
            "kubernetes.io/serviceaccount/service-account.uid": meta.get("uid", ""),
            "sub": user_name(meta["namespace"], meta["name"])}


class ServiceAccounts:
    """Signs and verifies. The first key of `public_keys` need not be the signing one; all verify."""

    def __init__(
        self, *, private_key: bytes, public_keys: Iterable[bytes] = (), get: Getter, clock: clocks.Clock,
        issuers: Iterable[str] = (DEFAULT_ISSUER,), audiences: Iterable[str] = (), max_seconds: int = 0,
        extend: bool = True,
    ) -> None:
        self.issuers = tuple(issuers)
        self.audiences = tuple(audiences) or self.issuers[:1]
        self.max_seconds = max_seconds  # --service-account-max-token-expiration; 0: no limit
        self.extend = extend
        self._get = get
        self._clock = clock
        self._private = serialization.load_pem_private_key(private_key, None)
        self._signer = load_public_key(private_key)
        keys = {k.id: k for k in (self._signer, *(load_public_key(p) for p in public_keys))}
        self.keys = tuple(keys.values())
        self._verified: OrderedDict[str, Object] = OrderedDict()

    @property
    def issuer(self) -> str:
        return self.issuers[0]

    def sign(self, payload: Object) -> str:
        return jwt.encode(payload, self._private, algorithm=self._signer.algorithm,  # type: ignore[arg-type]
                          headers={"kid": self._signer.id, "typ": None})

    async def authenticate_token(self, token: str, audiences: tuple[str, ...]) -> Verified | None:
        payload = self._verified.get(token)
        if payload is None:
            issuer = _unverified_issuer(token)
            if issuer != LEGACY_ISSUER and issuer not in self.issuers:
                return None
            payload = self._check_signature(token)
            self._verified[token] = payload
            if len(self._verified) > MAX_REMEMBERED:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        if payload.get("iss") == LEGACY_ISSUER:
            return await self._legacy(token, payload, audiences)
        return await self._bound(payload, audiences)

    def _check_signature(self, token: str) -> Object:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as e:
            raise BadToken(f"invalid token: {e}") from e
        keys = [k for k in self.keys if k.id == header.get("kid")] or list(self.keys)
        problem: Exception | None = None
        for key in keys:
            try:
                # times and audience are looked at each time, by our clock; here only the signature is
                return jwt.decode(token, key.key, algorithms=[key.algorithm], options={
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
                    "verify_iss": False, "verify_sub": False, "verify_jti": False})
            except jwt.PyJWTError as e:
                problem = e
        raise BadToken(f"invalid signature: {problem}") from problem

    async def _bound(self, payload: Object, audiences: tuple[str, ...]) -> Verified:
        _check_times(payload, self._clock.now())
        wanted = audiences or self.audiences
        held = payload.get("aud") or []
        matching = tuple(a for a in wanted if a in ([held] if isinstance(held, str) else held))
        if not matching:
            raise BadToken(f"token audiences {_go_list(held)} is invalid for the target audiences {_go_list(wanted)}")
        private = payload.get("kubernetes.io") or {}
        namespace = private.get("namespace", "")
        account = private.get("serviceaccount") or {}
        if payload.get("sub") != user_name(namespace, account.get("name", "")):
            raise BadToken("Token subject does not match the service account")
        now = self._clock.now()
        await self._must_exist("serviceaccounts", namespace, account, "service account", now)
        extra: dict[str, list[str]] = {}
        if payload.get("jti"):
            extra[EXTRA + "credential-id"] = [f"JTI={payload['jti']}"]
        for kind in ("pod", "secret", "node"):
            ref = private.get(kind)
            if not ref:
                continue
            # the node of a pod's token is information; only a token bound to the node alone dies with it
            if kind != "node" or "pod" not in private:
                await self._must_exist(f"{kind}s", "" if kind == "node" else namespace, ref, kind, now)
            if kind != "secret":
                extra[f"{EXTRA}{kind}-name"] = [ref["name"]]
                extra[f"{EXTRA}{kind}-uid"] = [ref.get("uid", "")]
        user = Identity(payload["sub"], account.get("uid", ""), groups_of(namespace), extra)
        return Verified(user, matching)

    async def _legacy(self, token: str, payload: Object, audiences: tuple[str, ...]) -> Verified:
        wanted = audiences or self.audiences
        matching = tuple(a for a in wanted if a in self.audiences)
        if not matching:
            raise BadToken("token audiences are invalid for the target audiences")
        prefix = "kubernetes.io/serviceaccount/"
        namespace = payload.get(f"{prefix}namespace", "")
        name = payload.get(f"{prefix}service-account.name", "")
        uid = payload.get(f"{prefix}service-account.uid", "")
        secret_name = payload.get(f"{prefix}secret.name", "")
        if not (namespace and name and uid and secret_name):
            raise BadToken("serviceAccount token lacks a claim")
        if payload.get("sub") != user_name(namespace, name):
            raise BadToken("Token subject does not match the service account")
        secret = await self._get("secrets", namespace, secret_name, "")
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            raise BadToken("Token has been invalidated")
        if base64.b64decode((secret.get("data") or {}).get("token", "")).decode(errors="replace") != token:
            raise BadToken("Token does not match server's copy")
        if (secret["metadata"].get("labels") or {}).get("kubernetes.io/legacy-token-invalid-since"):
            raise BadToken("Token has been marked as invalid")
        await self._must_exist("serviceaccounts", namespace, {"name": name, "uid": uid}, "service account",
                               self._clock.now())
        return Verified(Identity(payload["sub"], uid, groups_of(namespace)), matching)

    async def _must_exist(self, resource: str, namespace: str, ref: Object, kind: str, now: float) -> None:
        obj = await self._get(resource, namespace, ref.get("name", ""), ref.get("uid", ""))
        if obj is None:
            if kind == "service account":
                raise BadToken(f'serviceaccounts "{ref.get("name", "")}" not found')
            raise BadToken(f"{kind} has been deleted")
        if obj["metadata"].get("uid", "") != ref.get("uid", ""):
            raise BadToken(f"{kind} UID ({obj['metadata'].get('uid', '')}) does not match claim ({ref.get('uid', '')})")
        gone = obj["metadata"].get("deletionTimestamp")
        # a token of what is being deleted is good for a minute past the deletion, so that it can end its work
        if gone and clocks.parse_time(gone) + 60 < now:
            raise BadToken(f"{kind} has been deleted")


def _unverified_issuer(token: str) -> str:
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        payload = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return ""
    return str(payload.get("iss", ""))


def _check_times(payload: Object, now: float) -> None:
    if not isinstance(payload.get("exp"), (int, float)) or now >= payload["exp"]:
        raise BadToken("service account token has expired")
    if now + 1 < payload.get("nbf", 0):
        raise BadToken("service account token is not valid yet")


def _go_list(values: Any) -> str:
    return "[" + " ".join(f'"{v}"' for v in ([values] if isinstance(values, str) else values)) + "]"


def getter(caches: Any, client: Any) -> Getter:
    """Looks in the cache, then asks the server: a token may be newer than what the cache has seen."""

    async def get(resource: str, namespace: str, name: str, uid: str) -> Object | None:
        found = caches.get(resource).get(namespace or None, name)
        if found is not None and (not uid or found["metadata"].get("uid") == uid):
            return found
        return await client.find(resource, name, namespace=namespace or None)

    return get
