"""kubectl over every kind of the catalog: created from its example, listed, described, explained, deleted; and what
needs keys or goes on in time: certificates, tokens, watches."""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.api.test_catalog import EXAMPLES, resource_of
from tests.clients import install
from tests.clients.serving import Program, until

from kubewheel.api import catalog, codec

# Objects that controllers leave as they are, but for what the tests ask of them.
SERVED = {"nodes": 0, "scheduler": False, "controllers": ",".join((
    "serviceaccount-controller", "namespace-controller", "certificatesigningrequest-signing-controller",
    "certificatesigningrequest-approving-controller"))}
KINDS = sorted({r.qualified for r in catalog.RESOURCES if "list" in r.verbs and not r.not_stored})


@pytest.fixture(params=install.KUBECTLS)
def kubectl(request, served, tmp_path):
    return Program(install.kubectl(request.param), served.config, tmp_path, "ns")


@pytest.fixture(scope="module")
def examples(served):
    """One object of each kind, made by `kubectl create` (which asks the server to validate strictly)."""
    docs = []
    for doc in EXAMPLES:
        resource, obj = resource_of(doc), codec.copy(doc)
        if resource.hub is not None or obj["kind"] in ("CertificateSigningRequest", "Namespace", "ServiceAccount", "Lease", "ResourceQuota"):
            continue
        obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "labels", "annotations")}
        docs.append(obj)
    served.namespace("ns")
    return docs


def test_every_kind_is_created_described_and_deleted(served, examples, tmp_path):
    kubectl = Program(install.kubectl("1.37"), served.config, tmp_path, "ns")
    since = served.mark()
    text = "\n---\n".join(json.dumps(d) for d in examples)
    made = kubectl(["create", "-f", "-"], text=text, code=None)
    assert [line for line in made.err.splitlines() if "is deprecated in" not in line] == [] and made.code == 0
    assert len(made.out.splitlines()) == len(examples)
    shown = kubectl(["get", ",".join(KINDS), "--all-namespaces", "--ignore-not-found"])
    assert [line for line in shown.err.splitlines() if "is deprecated in" not in line] == []
    described = kubectl(["describe", ",".join(k for k in KINDS if k != "componentstatuses")])
    for obj in examples:
        assert obj["metadata"]["name"] in shown.out + described.out
    assert "<error" not in described.out and "%!" not in described.out
    kubectl(["delete", "-f", "-", "--wait=false", "--ignore-not-found"], text=text)
    assert [str(s) for s in served.refused(since) if s.status != 404] == []


def test_kinds_are_explained(served, tmp_path):
    """Of every group some; what is explained is checked kind by kind elsewhere."""
    kubectl = Program(install.kubectl("1.37"), served.config, tmp_path, "ns")
    since = served.mark()
    for kind in KINDS[::5]:
        said = kubectl(["explain", kind])
        assert "DESCRIPTION:" in said.out and "FIELDS:" in said.out and "<empty>" not in said.out.split("FIELDS:")[0], kind
    assert served.refused(since) == []


def request_of(name):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs")])).sign(
            key, hashes.SHA256())
    return key, json.dumps({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": {
            "request": base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}})


def test_certificates(served, namespace, kubectl, tmp_path):
    """A person of one's own: signed for, approved, recognised."""
    name = f"jane-{namespace[-4:]}"
    key, text = request_of(name)
    assert kubectl("apply -f -", text=text).out == f"certificatesigningrequest.certificates.k8s.io/{name} created\n"
    assert kubectl(f"get csr {name}").out.splitlines()[1].split()[2:] == [
        "kubernetes.io/kube-apiserver-client", "kubernetes-admin", "<none>", "Pending"]
    assert kubectl(f"certificate approve {name}").out == f"certificatesigningrequest.certificates.k8s.io/{name} approved\n"
    certificate = until(lambda: kubectl(f"get csr {name} -o jsonpath={{.status.certificate}}").out, what="the certificate")
    assert kubectl(f"get csr {name}").out.split()[-1] == "Approved,Issued"
    assert f"Common Name:    {name}" in kubectl(f"describe csr {name}").out
    (tmp_path / "ca.crt").write_bytes(served.cluster.authority().cert)
    (tmp_path / "crt").write_bytes(base64.b64decode(certificate))
    (tmp_path / "key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    said = kubectl(["--server", served.url, "--certificate-authority", str(tmp_path / "ca.crt"), "--client-certificate",
                    str(tmp_path / "crt"), "--client-key", str(tmp_path / "key"), "auth", "whoami", "-o", "json"],
                   env={"KUBECONFIG": "/dev/null"})
    assert json.loads(said.out)["status"]["userInfo"]["username"] == name
    assert json.loads(said.out)["status"]["userInfo"]["groups"] == ["devs", "system:authenticated"]
    key, text = request_of(name + "-not")
    kubectl("create -f -", text=text)
    assert kubectl(f"certificate deny {name}-not").out == f"certificatesigningrequest.certificates.k8s.io/{name}-not denied\n"
    assert kubectl(f"get csr {name}-not").out.split()[-1] == "Denied"


def test_a_token_is_somebody(served, namespace, tmp_path):
    kubectl = Program(install.kubectl("1.37"), served.config, tmp_path, namespace)
    token = kubectl("create token default --duration=10m --audience=https://kubernetes.default.svc.cluster.local").out
    bare = {"KUBECONFIG": "/dev/null"}
    (tmp_path / "ca.crt").write_bytes(served.cluster.authority().cert)
    said = kubectl(["--server", served.url, "--certificate-authority", str(tmp_path / "ca.crt"), "--token", token.strip(),
                    "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"], env=bare)
    assert said.out == f"system:serviceaccount:{namespace}:default"
    said = kubectl(["--server", served.url, "--certificate-authority", str(tmp_path / "ca.crt"), "--token", "no.such.token",
                    "get", "pods"], env=bare, code=1)
    assert "You must be logged in to the server" in said.err


def test_a_watch_prints_what_happens(served, namespace, kubectl):
    kubectl.namespace = namespace
    served.create("configmaps", {"metadata": {"name": "one", "labels": {"seen": "yes"}}, "data": {"a": "1"}}, namespace=namespace)
    client = served.cluster.client
    with kubectl.running(["get", "cm", "-l", "seen", "-w", "--output-watch-events", "--no-headers"]) as lines:
        def said(count):
            until(lambda: len(lines()) >= count, what=f"{count} lines")
            return [line.split()[:3] for line in lines()]

        assert said(1) == [["ADDED", "one", "1"]]
        served.do(client.patch("configmaps", "one", {"data": {"b": "2"}}, namespace=namespace))
        assert said(2)[1:] == [["MODIFIED", "one", "2"]]
        served.do(client.patch("configmaps", "one", {"metadata": {"labels": {"seen": None}}}, namespace=namespace))
        assert said(3)[2:] == [["DELETED", "one", "2"]]
    since = served.mark()
    with kubectl.running(["wait", "cm/late", "--for=create", "--timeout=20s"]) as lines:
        until(lambda: served.seen(since, "kubectl"), what="its first question")
        served.create("configmaps", {"metadata": {"name": "late"}}, namespace=namespace)
        until(lambda: lines() == ["configmap/late condition met"], what="the end of the wait")
