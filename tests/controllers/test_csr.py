import asyncio
import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubewheel.controllers import csr, csr_rules
from kubewheel.lib import tls
from kubewheel.testing import with_cluster

KEY = ec.generate_private_key(ec.SECP256R1())
NODE = ("digital signature", "client auth")
SERVING = ("digital signature", "server auth")
NAMES = "certificatesigningrequest-{}-controller"


def request(common="system:node:n", organizations=("system:nodes",), hosts=()):
    builder = x509.CertificateSigningRequestBuilder().subject_name(tls.name_of(common, organizations))
    san = tls.san_of(hosts)
    if san is not None:
        builder = builder.add_extension(san, critical=False)
    return base64.b64encode(builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)).decode()


def obj(name, signer=csr_rules.CLIENT, usages=NODE, **names):
    return {"metadata": {"name": name}, "spec": {
        "request": request(**names), "signerName": signer, "usages": list(usages)}}


def test_what_signers_refuse():
    def say(signer, usages, **names):
        return csr_rules.problem(signer, csr_rules.load(request(**names)), usages)

    assert say(csr_rules.KUBELET_CLIENT, NODE) is None
    assert say(csr_rules.KUBELET_CLIENT, (*NODE, "key encipherment")) is None
    assert say(csr_rules.KUBELET_CLIENT, SERVING) == "usages did not match expected"
    assert "organization" in say(csr_rules.KUBELET_CLIENT, NODE, organizations=("a",))
    assert "common name" in say(csr_rules.KUBELET_CLIENT, NODE, common="a")
    assert say(csr_rules.KUBELET_CLIENT, NODE, hosts=("a",)) == "DNS subjectAltNames are not allowed"
    assert say(csr_rules.KUBELET_SERVING, SERVING) == "DNS or IP subjectAltName is required"
    assert say(csr_rules.KUBELET_SERVING, SERVING, hosts=("a",)) is None
    assert say(csr_rules.CLIENT, NODE, common="jane") is None
    assert say(csr_rules.CLIENT, SERVING, common="jane") == "usages did not match expected"
    assert csr_rules.load(base64.b64encode(b"no").decode()) is None


def test_lifetimes_and_age():
    assert csr.lifetime({}, 100) == 100 and csr.lifetime({"expirationSeconds": 5}, 9999) == 600
    assert csr.lifetime({"expirationSeconds": 99999}, 9999) == 9999
    stamp = "2026-01-01T00:00:00Z"
    start = 1_767_225_600.0
    waiting = {"metadata": {"creationTimestamp": stamp}}
    assert not csr.is_stale(waiting, start + 86399) and csr.is_stale(waiting, start + 86401)
    denied = waiting | {"status": {"conditions": [{"type": "Denied", "lastUpdateTime": stamp}]}}
    assert not csr.is_stale(denied, start + 3599) and csr.is_stale(denied, start + 3601)
    approved = waiting | {"status": {"conditions": [{"type": "Approved", "lastUpdateTime": stamp}]}}
    assert not csr.is_stale(approved, start + 7200)
    assert csr.is_stale({**approved, "status": {**approved["status"], "certificate": "eHg="}}, start + 7200)


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=",".join(
    NAMES.format(n) for n in ("approving", "signing", "cleaner")))
async def test_a_kubelet_gets_its_certificate(cluster):
    kubelet = cluster.client_as("system:node:n", "system:nodes")
    await cluster.client.create("clusterrolebindings.rbac.authorization.k8s.io", {
        "metadata": {"name": "renew"}, "subjects": [{
            "kind": "Group", "name": "system:nodes",
            "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                    "name": "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"}})
    await kubelet.create(csr.CSRS, obj("mine", csr_rules.KUBELET_CLIENT))
    done = await cluster.wait_for(csr.CSRS, "mine", lambda c: (c.get("status") or {}).get("certificate"), namespace=None)
    assert done["status"]["conditions"][0]["reason"] == "AutoApproved"
    cert = x509.load_pem_x509_certificate(base64.b64decode(done["status"]["certificate"]))
    assert tls.subject_of(cert).common_name == "system:node:n"
    assert tls.is_signed_by(cert, cluster.authority().certificate())
    # somebody's own request waits for a person, is signed when approved, and fails where the signer does not do such
    await cluster.client.create(csr.CSRS, obj("jane", common="jane"))
    await cluster.client.create(csr.CSRS, obj("bad", usages=SERVING, common="jane"))
    for name in ("jane", "bad"):
        made = await cluster.client.get(csr.CSRS, name)
        assert not (made.get("status") or {}).get("conditions")
        await cluster.client.update(csr.CSRS, {**made, "status": {"conditions": [
            {"type": "Approved", "status": "True", "reason": "Me"}]}}, subresource="approval")
    await cluster.wait_for(csr.CSRS, "jane", lambda c: c["status"].get("certificate"), namespace=None)
    bad = await cluster.wait_for(csr.CSRS, "bad", lambda c: len(c["status"]["conditions"]) == 2, namespace=None)
    assert bad["status"]["conditions"][1]["reason"] == "SignerValidationFailure"
    await asyncio.sleep(7300)
    assert not (await cluster.client.list(csr.CSRS))["items"]
