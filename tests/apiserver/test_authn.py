import base64

import jwt
import pytest
import security_fakes as fakes
from cryptography.hazmat.primitives import serialization

from kubewheel.api import errors
from kubewheel.apiserver import authn, impersonation
from kubewheel.apiserver.attributes import Decision
from kubewheel.apiserver.authn import (
    anonymous,
    bootstrap_token,
    request_header,
    service_account,
    token_file,
    tokens,
    x509,
)
from kubewheel.client.transport import Identity, Peer, Request
from kubewheel.lib import tls


def der(pair):
    return pair.certificate().public_bytes(serialization.Encoding.DER)


def accounts(world, clock, **options):
    return service_account.ServiceAccounts(private_key=options.pop("key", None) or tls.new_ec_key(), clock=clock,
                                           get=service_account.getter(world, world), **options)


def account(world):
    return world.put("serviceaccounts", {"metadata": {"name": "sa", "namespace": "default", "uid": "u1"}})


def bound(authority, sa, **more):
    return authority.sign(service_account.claims(issuer=authority.issuer, audiences=authority.audiences,
                                                 service_account=sa, now=fakes.NOW, seconds=3600, token_id="t", **more))


async def test_bound_tokens_live_and_die_with_what_they_are_bound_to():
    world, clock = fakes.World(), fakes.Clock()
    authority, sa = accounts(world, clock), account(world)
    pod = world.put("pods", fakes.pod("p", node="n1"))
    token = bound(authority, sa, pod=pod, node={"metadata": {"name": "n1", "uid": "nu"}})
    body = jwt.decode(token, options={"verify_signature": False})
    assert body["iss"] == "https://kubernetes.default.svc.cluster.local"
    assert body["kubernetes.io"] == {"namespace": "default", "serviceaccount": {"name": "sa", "uid": "u1"},
                                     "pod": {"name": "p", "uid": "uid-p"}, "node": {"name": "n1", "uid": "nu"}}
    found = await authority.authenticate_token(token, ())
    assert found.user == Identity("system:serviceaccount:default:sa", "u1",
                                  ("system:serviceaccounts", "system:serviceaccounts:default"), {
        "authentication.kubernetes.io/credential-id": ["JTI=t"],
        "authentication.kubernetes.io/pod-name": ["p"], "authentication.kubernetes.io/pod-uid": ["uid-p"],
        "authentication.kubernetes.io/node-name": ["n1"], "authentication.kubernetes.io/node-uid": ["nu"]})
    with pytest.raises(tokens.BadToken, match="audiences"):
        await authority.authenticate_token(token, ("vault",))
    world.get("pods").remove("default", "p")
    with pytest.raises(tokens.BadToken, match="pod has been deleted"):
        await authority.authenticate_token(token, ())
    plain = bound(authority, sa)
    clock.value += 3599
    assert await authority.authenticate_token(plain, ()) is not None
    clock.value += 2
    with pytest.raises(tokens.BadToken, match="expired"):
        await authority.authenticate_token(plain, ())
    clock.value -= 3601
    world.put("serviceaccounts", {"metadata": {"name": "sa", "namespace": "default", "uid": "u2"}})
    with pytest.raises(tokens.BadToken, match="UID"):
        await authority.authenticate_token(plain, ())


async def test_only_our_own_signature_counts():
    world, clock = fakes.World(), fakes.Clock()
    authority, sa = accounts(world, clock), account(world)
    with pytest.raises(tokens.BadToken, match="invalid signature"):
        await authority.authenticate_token(bound(accounts(world, clock), sa), ())
    assert await authority.authenticate_token("not.a.token", ()) is None
    rsa = accounts(world, clock, key=tls.new_rsa_key())
    assert (await rsa.authenticate_token(bound(rsa, sa), ())).user.uid == "u1"
    keys = service_account.jwks(rsa.keys)["keys"]
    assert keys[0]["alg"] == "RS256" and keys[0]["kid"] == jwt.get_unverified_header(bound(rsa, sa))["kid"]
    discovered = jwt.PyJWK(keys[0])  # a stranger can verify with what we publish
    assert jwt.decode(bound(rsa, sa), discovered.key, algorithms=["RS256"], audience=rsa.audiences[0],
                      options={"verify_exp": False, "verify_nbf": False, "verify_iat": False})["sub"].endswith(":sa")


async def test_secret_tokens_need_their_secret():
    world, clock = fakes.World(), fakes.Clock()
    authority, sa = accounts(world, clock), account(world)
    secret = {"metadata": {"name": "s", "namespace": "default"}, "data": {}}
    token = authority.sign(service_account.legacy_claims(sa, secret))
    secret["data"]["token"] = base64.b64encode(token.encode()).decode()
    world.put("secrets", secret)
    assert (await authority.authenticate_token(token, ())).user.name == "system:serviceaccount:default:sa"
    world.get("secrets").remove("default", "s")
    with pytest.raises(tokens.BadToken, match="invalidated"):
        await authority.authenticate_token(token, ())


def union(world, clock, ca, front_ca):
    return authn.Authentication(
        request_header=request_header.RequestHeader(front_ca.cert, clock),
        certificates=x509.ClientCertificates(ca.cert, clock), service_accounts=accounts(world, clock),
        other_tokens=(token_file.TokenFile('secret,bob,b1,"dev,ops"\n'), bootstrap_token.BootstrapTokens(world, clock)),
        anonymous=anonymous.Anonymous())


async def test_each_kind_of_credentials_is_known():
    world, clock = fakes.World(), fakes.Clock()
    ca, front = tls.make_ca("kubernetes", now=fakes.NOW), tls.make_ca("front-proxy-ca", now=fakes.NOW)
    who = union(world, clock, ca, front)
    alice = tls.issue(ca, "alice", organizations=("dev",), now=fakes.NOW, client=True)
    found = await who.authenticate(Request("GET", "/", peer=Peer(certificates=(der(alice),))))
    assert (found.name, found.groups) == ("alice", ("dev", "system:authenticated"))
    request = Request("GET", "/", headers={"authorization": "Bearer secret"})
    found = await who.authenticate(request)
    assert (found.name, found.uid, found.groups) == ("bob", "b1", ("dev", "ops", "system:authenticated"))
    assert "authorization" not in request.headers
    assert (await who.authenticate(Request("GET", "/"))).name == "system:anonymous"
    with pytest.raises(errors.StatusError) as caught:
        await who.authenticate(Request("GET", "/", headers={"authorization": "Bearer wrong"}))
    assert caught.value.code == 401
    proxy = tls.issue(front, "front-proxy-client", now=fakes.NOW, client=True)
    headers = {"x-remote-user": "carol", "x-remote-group": "a\nb", "x-remote-extra-scopes": "x"}
    found = await who.authenticate(Request("GET", "/", headers=dict(headers), peer=Peer(certificates=(der(proxy),))))
    assert found == Identity("carol", "", ("a", "b", "system:authenticated"), {"scopes": ["x"]})
    found = await who.authenticate(Request("GET", "/", headers=dict(headers), peer=Peer(certificates=(der(alice),))))
    assert found.name == "alice"  # only the proxy's certificate may speak for others


async def test_bootstrap_tokens():
    world, clock = fakes.World(), fakes.Clock()
    who = bootstrap_token.BootstrapTokens(world, clock)

    def encoded(**data):
        return {k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in data.items()}

    data = dict(token_id="abcdef", token_secret="0123456789abcdef", usage_bootstrap_authentication="true",
                auth_extra_groups="system:bootstrappers:kubeadm:default-node-token",
                expiration="2026-01-02T00:00:00Z")
    world.put("secrets", {"metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
                          "type": "bootstrap.kubernetes.io/token", "data": encoded(**data)})
    found = await who.authenticate_token("abcdef.0123456789abcdef", ())
    assert found.user == Identity("system:bootstrap:abcdef", groups=(
        "system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token"))
    assert await who.authenticate_token("abcdef.0123456789abcdee", ()) is None
    clock.value += 2 * 86400
    assert await who.authenticate_token("abcdef.0123456789abcdef", ()) is None


async def test_impersonation_asks_for_each_part():
    asked = []

    class Authorizer:
        async def authorize(self, user, info):
            asked.append((info.group, info.plural, info.subresource, info.namespace, info.name))
            return Decision("no-opinion" if info.name == "root" else "allow")

        def rules_for(self, user, namespace):
            return [], [], False

    request = Request("GET", "/", headers={
        "impersonate-user": "system:serviceaccount:default:sa", "impersonate-extra-scopes": "a"})
    found = await impersonation.impersonate(request, Identity("jane"), Authorizer())
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert asked == [("", "serviceaccounts", "", "default", "sa"),
                     ("authentication.k8s.io", "userextras", "scopes", "", "a")]
    assert request.headers == {}
    with pytest.raises(errors.StatusError) as caught:
        await impersonation.impersonate(Request("GET", "/", headers={"impersonate-user": "root"}), Identity("jane"),
                                        Authorizer())
    assert caught.value.message == ('users "root" is forbidden: User "jane" cannot impersonate resource "users" in API '
                                    'group "" at the cluster scope')
