import asyncio
import base64
import hashlib
import hmac

from kubewheel.controllers import bootstrap_signer, legacy_token_cleaner, serviceaccount_token
from kubewheel.lib import tls
from kubewheel.lib.clock import rfc3339
from kubewheel.testing import with_cluster

START = 1_767_225_600.0
NAMES = ("bootstrap-signer-controller", "token-cleaner-controller", "serviceaccount-token-controller")


def token(token_id, expires, **more):
    data = {"token-id": token_id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true",
            "expiration": rfc3339(START + expires), **more}
    return {"metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token", "stringData": data}


def test_a_detached_signature_verifies():
    header, middle, signature = bootstrap_signer.detached("text", "abcdef", "key").split(".")
    body = base64.urlsafe_b64encode(b"text").rstrip(b"=").decode()
    wanted = hmac.new(b"key", f"{header}.{body}".encode(), hashlib.sha256).digest()
    assert middle == "" and base64.urlsafe_b64decode(signature + "=") == wanted


def test_old_tokens_go_in_two_steps():
    account = {"metadata": {"name": "a", "namespace": "n", "uid": "u"}, "secrets": [{"name": "a-token-x"}]}
    secret = {"metadata": {"name": "a-token-x", "namespace": "n", "creationTimestamp": "2026-01-01T00:00:00Z",
                           "annotations": {serviceaccount_token.NAME: "a", serviceaccount_token.UID: "u"}, "labels": {}},
              "type": serviceaccount_token.TYPE}

    def say(days, mounted=False, **labels):
        labelled = {**secret, "metadata": {**secret["metadata"], "labels": {f"kubernetes.io/legacy-token-{k}": v for k, v in (
            (k.replace("_", "-"), v) for k, v in labels.items())}}}
        return legacy_token_cleaner.decide(labelled, account, mounted, since=START, period=365 * 86400, now=START + days * 86400)

    assert say(100) == "" and say(366) == "invalidate" and say(366, mounted=True) == ""
    assert say(366, last_used="2026-06-01") == ""
    assert say(366, invalid_since="2026-12-31") == "" and say(800, invalid_since="2026-12-31") == "delete"


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=",".join(NAMES))
async def test_bootstrap_tokens_sign_and_expire(cluster):
    await cluster.client.create("configmaps", {"metadata": {"name": "cluster-info", "namespace": "kube-public"},
                                               "data": {"kubeconfig": "kind: Config"}})
    await cluster.client.create("secrets", token("abcdef", 60))
    await cluster.client.create("secrets", token("bcdefg", 3600, **{"usage-bootstrap-signing": "false"}))

    def signatures(count):
        return lambda c: sum(k.startswith("jws-kubeconfig-") for k in c["data"]) == count

    info = await cluster.wait_for("configmaps", "cluster-info", signatures(1), namespace="kube-public")
    assert info["data"]["jws-kubeconfig-abcdef"] == bootstrap_signer.detached("kind: Config", "abcdef", "0123456789abcdef")
    await asyncio.sleep(65)
    await cluster.wait_for("configmaps", "cluster-info", signatures(0), namespace="kube-public")
    left = (await cluster.client.list("secrets", namespace="kube-system"))["items"]
    assert [s["metadata"]["name"] for s in left] == ["bootstrap-token-bcdefg"]


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=",".join(NAMES))
async def test_token_secrets_are_filled_and_follow_their_account(cluster):
    client = cluster.client
    await client.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "default"}})
    await client.create("secrets", {"metadata": {"name": "t", "namespace": "default", "annotations": {
        serviceaccount_token.NAME: "robot"}}, "type": serviceaccount_token.TYPE})
    secret = await cluster.wait_for("secrets", "t", lambda s: (s.get("data") or {}).get("token"))
    assert base64.b64decode(secret["data"]["namespace"]) == b"default"
    assert base64.b64decode(secret["data"]["ca.crt"]) == cluster.authority().cert
    review = await client.create("tokenreviews.authentication.k8s.io", {
        "spec": {"token": base64.b64decode(secret["data"]["token"]).decode()}})
    assert review["status"]["user"]["username"] == "system:serviceaccount:default:robot"
    await client.delete("serviceaccounts", "robot", namespace="default")
    await cluster.wait_gone("secrets", "t")


def test_rsa_and_ec_keys_sign():
    for pem, algorithm in ((tls.new_ec_key(), "ES256"), (tls.new_rsa_key(), "RS256")):
        assert serviceaccount_token.make_signer(pem, "").algorithm == algorithm
