"""traefik, a Go binary with client-go's informers, as ingress controller: its routing follows the cluster.

It comes with a service account's token and no more rights than it needs. Traffic goes to a server on the loopback
through a Service of type ExternalName; of Services with pods (simulated, so that nobody answers) its API tells
where it would send to.
"""

import base64
import contextlib
import http.client
import http.server
import json
import shlex
import socket
import ssl
import subprocess
import threading

import pytest
import yaml
from tests.clients import install
from tests.clients.serving import until

from kubewheel.api import codec
from kubewheel.api.resource import Gvr
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

KINDS = {"IngressRoute": "ingressroutes", "IngressRouteTCP": "ingressroutetcps", "IngressRouteUDP": "ingressrouteudps",
         "Middleware": "middlewares", "MiddlewareTCP": "middlewaretcps", "ServersTransport": "serverstransports",
         "ServersTransportTCP": "serverstransporttcps", "TLSOption": "tlsoptions", "TLSStore": "tlsstores",
         "TraefikService": "traefikservices"}
ROUTES = Gvr("traefik.io", "v1alpha1", "ingressroutes")
MIDDLEWARES = Gvr("traefik.io", "v1alpha1", "middlewares")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def free_ports(count):
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in found:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in found]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"backend got {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture(scope="module")
def backend():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class Traefik:
    def __init__(self, api, web, secure):
        self.api_port, self.web_port, self.secure_port = api, web, secure

    def api(self, path):
        return json.loads(self._get(http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=5), path, "x")[1])

    def routers(self, provider):
        return {r["name"].partition("@")[0]: r for r in self.api("/api/http/routers") if r["provider"] == provider}

    def servers(self, name):
        """Where it would send what is for a Service, of whatever provider."""
        found = [s for s in self.api("/api/http/services") if s["name"].startswith(name)]
        return {s["url"] for f in found for s in f.get("loadBalancer", {}).get("servers") or ()}

    def get(self, path, host="shop.example.com"):
        return self._get(http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=5), path, host)

    def certificate(self, host):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.secure_port), 5) as raw, \
                context.wrap_socket(raw, server_hostname=host) as wrapped:
            return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True))

    @staticmethod
    def _get(connection, path, host):
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


def rights(served):
    """What traefik's documentation asks for, and a token."""
    read = ["get", "list", "watch"]
    do, client = served.do, served.cluster.client
    served.create("serviceaccounts", {"metadata": {"name": "traefik"}}, namespace="default")
    served.create("clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": "traefik"}, "rules": [
        {"apiGroups": [""], "resources": ["services", "secrets", "nodes", "configmaps", "namespaces"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        {"apiGroups": ["traefik.io"], "resources": sorted(KINDS.values()), "verbs": read}]})
    served.create("clusterrolebindings.rbac.authorization.k8s.io", {
        "metadata": {"name": "traefik"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "traefik"},
        "subjects": [{"kind": "ServiceAccount", "name": "traefik", "namespace": "default"}]})
    answer = do(client.raw("POST", "/api/v1/namespaces/default/serviceaccounts/traefik/token", body={
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}))
    return (answer.obj or codec.loads(answer.body))["status"]["token"]


def definitions(served):
    for kind, plural in KINDS.items():
        served.create(CRDS, {"metadata": {"name": f"{plural}.traefik.io"}, "spec": {
            "group": "traefik.io", "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "required": ["metadata", "spec"],
                "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}})
    for plural in KINDS.values():
        served.wait_for(CRDS, f"{plural}.traefik.io", lambda c: any(
            x["type"] == "Established" and x["status"] == "True" for x in c.get("status", {}).get("conditions") or ()),
            namespace=None)


@pytest.fixture(scope="module")
def traefik(served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("traefik")
    definitions(served)
    (folder / "token").write_text(rights(served))
    with open(served.config) as f:
        cluster = yaml.safe_load(f)["clusters"][0]["cluster"]
    (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    made = Traefik(*free_ports(3))
    flags = f"""--global.checknewversion=false --global.sendanonymoususage=false --log.level=INFO --api.insecure=true
        --ping=true --providers.providersthrottleduration=50ms
        --entrypoints.traefik.address=127.0.0.1:{made.api_port} --entrypoints.web.address=127.0.0.1:{made.web_port}
        --entrypoints.websecure.address=127.0.0.1:{made.secure_port}"""
    for provider in ("kubernetesingress", "kubernetescrd"):
        flags += f""" --providers.{provider}=true --providers.{provider}.endpoint={served.url}
            --providers.{provider}.token={folder}/token --providers.{provider}.certauthfilepath={folder}/ca.crt
            --providers.{provider}.allowexternalnameservices=true"""
    flags += " --providers.kubernetesingress.ingressendpoint.ip=192.0.2.7"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([install.beside("traefik"), *shlex.split(flags)], stdout=log, stderr=log,
                                   env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, cwd=folder)
    made.log = folder / "log"

    def answers():
        assert process.poll() is None, made.log.read_text()
        with contextlib.suppress(OSError):
            return made.get("/")[0] == 404

    try:
        until(answers, what="traefik's start")
        yield made
    finally:
        process.kill()
        process.wait()


def ingress(name, *paths, **spec):
    return {"metadata": {"name": name}, "spec": {"ingressClassName": "traefik", "rules": [{
        "host": "shop.example.com", "http": {"paths": [
            {"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": port}}}}
            for path, service, port in paths]}}], **spec}}


def test_ingress_service_endpoints_and_secrets_are_followed(served, namespace, traefik, backend):
    client, since = served.cluster.client, served.mark()
    served.create("ingressclasses.networking.k8s.io", {
        "metadata": {"name": "traefik"}, "spec": {"controller": "traefik.io/ingress-controller"}})
    served.create("services", {"metadata": {"name": "outside"}, "spec": {
        "type": "ExternalName", "externalName": "localhost", "ports": [{"name": "http", "port": backend}]}}, namespace=namespace)
    served.create("services", {"metadata": {"name": "pods"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}, namespace=namespace)
    served.create("deployments.apps", {"metadata": {"name": "web"}, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}},
        namespace=namespace)
    served.create("ingresses.networking.k8s.io", ingress("web", ("/out", "outside", backend), ("/pods", "pods", 80)),
                  namespace=namespace)
    # HTTP goes through, and the address comes into the status: an update of a subresource by a service account.
    until(lambda: traefik.get("/out/1") == (200, "backend got /out/1"), what="the route")
    served.wait_for("ingresses.networking.k8s.io", "web", lambda i: i["status"].get("loadBalancer") == {
        "ingress": [{"ip": "192.0.2.7"}]}, namespace=namespace)

    def addresses():
        pods = served.do(client.list("pods", namespace=namespace, label_selector="app=web"))["items"]
        ready = [p for p in pods if any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))]
        return {f"http://{p['status']['podIP']}:8080" for p in ready}

    # EndpointSlices: as many servers as ready pods, and the same.
    service = f"{namespace}-pods-80@"
    until(lambda: len(addresses()) == 2 and traefik.servers(service) == addresses(), what="two servers")
    served.do(client.patch("deployments.apps", "web", {"spec": {"replicas": 4}}, namespace=namespace))
    until(lambda: len(addresses()) == 4 and traefik.servers(service) == addresses(), what="four servers")

    # A TLS secret, and another in its place.
    now = clocks.RealClock().now()
    ca = tls.make_ca("shop", now=now)
    pairs = [tls.issue(ca, f"shop-{n}", now=now, hosts=("shop.example.com",), server=True) for n in (1, 2)]

    def secret(pair):
        return {"type": "kubernetes.io/tls", "metadata": {"name": "cert"}, "data": {
            "tls.crt": base64.b64encode(pair.cert).decode(), "tls.key": base64.b64encode(pair.key).decode()}}

    served.create("secrets", secret(pairs[0]), namespace=namespace)
    served.do(client.patch("ingresses.networking.k8s.io", "web", {"spec": {
        "tls": [{"hosts": ["shop.example.com"], "secretName": "cert"}]}}, namespace=namespace))
    until(lambda: traefik.certificate("shop.example.com") == pairs[0].cert.decode(), what="the certificate")
    served.do(client.patch("secrets", "cert", {"data": secret(pairs[1])["data"]}, namespace=namespace))
    until(lambda: traefik.certificate("shop.example.com") == pairs[1].cert.decode(), what="the other certificate")

    # Another class is not its business; then the Ingress goes.
    served.create("ingresses.networking.k8s.io", ingress("other", ("/other", "outside", backend), ingressClassName="nginx"),
                  namespace=namespace)
    served.do(client.delete("ingresses.networking.k8s.io", "web", namespace=namespace))
    until(lambda: traefik.get("/out/1")[0] == 404 and not traefik.routers("kubernetes"), what="no route")
    # Its own writes may overtake its cache (409); it was never refused otherwise.
    assert [str(s) for s in served.refused(since, "traefik") if s.status != 409] == []


def test_its_own_resources(served, namespace, traefik, backend):
    client = served.cluster.client
    served.create("services", {"metadata": {"name": "outside"}, "spec": {
        "type": "ExternalName", "externalName": "localhost", "ports": [{"port": backend}]}}, namespace=namespace)
    served.create(MIDDLEWARES, {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": {"name": "strip"},
                                "spec": {"stripPrefix": {"prefixes": ["/own"]}}}, namespace=namespace)
    served.create(ROUTES, {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": "own"}, "spec": {
        "entryPoints": ["web"], "routes": [{
            "kind": "Rule", "match": "PathPrefix(`/own`)", "middlewares": [{"name": "strip"}],
            "services": [{"name": "outside", "port": backend}]}]}}, namespace=namespace)
    until(lambda: traefik.get("/own/1", "x") == (200, "backend got /1"), what="the route")
    served.do(client.patch(MIDDLEWARES, "strip", {"spec": {"stripPrefix": {"prefixes": ["/own/2"]}}}, namespace=namespace))
    until(lambda: traefik.get("/own/2/3", "x") == (200, "backend got /3"), what="the other middleware")
    served.do(client.delete(ROUTES, "own", namespace=namespace))
    until(lambda: traefik.get("/own/1", "x")[0] == 404, what="no route")


def test_its_informers_stream_their_lists(served, traefik):
    """client-go asks for the initial list as a watch, and all of them came to an end of it (or nothing would be routed)."""
    wanted = {"ingresses", "services", "endpointslices", "secrets", "ingressclasses", *KINDS.values()}
    until(lambda: wanted <= {s.path.rpartition("/")[2] for s in served.seen(agent="traefik")
                             if s.query.get("sendInitialEvents") == ["true"] and s.status == 200}, what="streamed lists")
    listed = [s for s in served.seen(agent="traefik") if s.method == "GET" and "watch" not in s.query and s.status == 200]
    assert not [s for s in listed if s.path.endswith(("ingresses", "ingressroutes"))], "it fell back to lists"
