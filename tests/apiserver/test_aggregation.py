"""An extension API server behind ours: proxied, watched, discovered, explained, refused when it is not well."""

import asyncio
import contextlib
import json
import shutil
import ssl

import aiohttp
import pytest
from tests.apiserver import extension_server
from tests.apiserver.extension_server import GROUP, ROOT, VERSION
from tests.apiserver.test_kubectl_view import kubectl
from tests.apiserver.wire import send

from kubewheel.api import errors
from kubewheel.apiserver.options import Options
from kubewheel.client.client import Client
from kubewheel.client.http import Http, load_kubeconfig
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.testing.cluster import cluster as new_cluster

KUBECTL = shutil.which("kubectl") or "kubectl"
APISERVICES = "apiservices.apiregistration.k8s.io"
NAME = f"{VERSION}.{GROUP}"
FLUNDER = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": "sour", "namespace": "default"},
           "spec": {"taste": "sour"}}


@contextlib.asynccontextmanager
async def plane(directory):
    """A control plane with a front-proxy identity, and `api`, over the network, for the extension server."""
    now = clocks.RealClock().now()
    ca = tls.make_ca("front-proxy-ca", now=now)
    pair = tls.issue(ca, "front-proxy-client", now=now, client=True)
    tls.write_private(directory / "proxy.key", pair.key)
    tls.write_atomic(directory / "proxy.crt", pair.cert)
    options = Options(requestheader_client_ca=ca.cert, proxy_client_certificate=str(directory / "proxy.crt"),
                      proxy_client_key=str(directory / "proxy.key"))
    async with new_cluster(nodes=0, controllers="", scheduler=False, options=options) as made:
        await made.server.bootstrap.wait_ready()
        await made.wait_for("configmaps", "extension-apiserver-authentication", namespace="kube-system")
        api = Client(Http(load_kubeconfig(await made.kubeconfig())))
        try:
            yield made, api
        finally:
            await api.aclose()


async def install(cluster, server, **spec):
    """The Service is an ExternalName: no service network is needed to reach it."""
    await cluster.client.create("services", {"metadata": {"name": "wardle", "namespace": "default"}, "spec": {
        "type": "ExternalName", "externalName": "localhost"}})
    await cluster.client.create(APISERVICES, server.apiservice(**spec))
    await cluster.wait_for(APISERVICES, NAME, available, namespace=None)


def condition(obj):
    found = [c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == "Available"]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")


def available(obj):
    return condition(obj) == ("True", "Passed", "all checks passed")


async def test_kubectl_uses_an_extension_server(tmp_path):
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path) as server:
        await install(cluster, server)
        config = await cluster.kubeconfig()
        text = json.dumps(FLUNDER)
        assert "flunder.wardle.example.com/sour created" in await kubectl(
            config, "create", "--validate=false", "-f", "-", text=text)
        assert "sour" in await kubectl(config, "get", "fl")
        assert "flunders" in await kubectl(config, "api-resources", f"--api-group={GROUP}")
        said = await kubectl(config, "explain", "flunders.spec.taste")
        assert "Sweet or sour." in said and f"GROUP:      {GROUP}" in said
        assert f"{GROUP}/{VERSION}" in (await kubectl(config, "api-versions")).split()
        watching = await asyncio.create_subprocess_exec(
            KUBECTL, "--kubeconfig", str(config), "get", "flunders", "--watch-only", "-o", "name",
            stdout=asyncio.subprocess.PIPE)
        await cluster.wait_until(lambda: server.watchers)
        await kubectl(config, "create", "--validate=false", "-f", "-", text=text.replace("sour", "sweet"))
        assert await asyncio.wait_for(watching.stdout.readline(), 10) == b"flunder.wardle.example.com/sweet\n"
        watching.kill()
        await watching.communicate()
        await cluster.wait_until(lambda: not server.watchers)  # the client's end is the watch's end
        await kubectl(config, "patch", "flunder", "sweet", "--type=merge", "-p", '{"spec":{"taste":"bitter"}}')
        assert server.objects["sweet"]["spec"]["taste"] == "bitter"
        await kubectl(config, "delete", "flunder", "sweet", "--wait=false")
        assert set(server.objects) == {"sour"}
        assert 'flunders.wardle.example.com "none" not found' in await kubectl(config, "get", "flunder", "none", code=1)
        shown = await kubectl(config, "get", "apiservice", NAME)
        assert shown.splitlines()[1].split()[:3] == [NAME, "default/wardle", "True"]


async def test_who_asks_is_told_and_may_be_refused(tmp_path):
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path) as server:
        await install(cluster, server)
        jane = cluster.client_as("jane", "devs")
        path = f"{ROOT}/namespaces/default/flunders/sour"
        with pytest.raises(errors.StatusError) as refused:  # at the front: nothing gets through
            await jane.raw("GET", path)
        assert refused.value.code == 403 and 'User "jane" cannot get resource "flunders"' in refused.value.message
        assert not [r for r in server.requests if r[1] == path]
        await cluster.client.create("clusterroles.rbac.authorization.k8s.io", {
            "metadata": {"name": "flunderer"}, "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get"]}]})
        await cluster.client.create("clusterrolebindings.rbac.authorization.k8s.io", {
            "metadata": {"name": "flunderer"}, "subjects": [{"kind": "Group", "name": "devs", "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flunderer"}})
        server.objects["sour"] = FLUNDER

        async def may():
            try:
                return await jane.raw("GET", path, query={"pretty": "a b"})
            except errors.StatusError as e:
                assert e.code == 403
                return None

        answer = await cluster.wait_until(may)
        assert json.loads(answer.body)["spec"] == {"taste": "sour"} and answer.headers["warning"] == '299 - "flunders go stale"'
        method, seen, headers = [r for r in server.requests if r[1].startswith(path)][-1]
        assert (method, seen) == ("GET", f"{path}?pretty=a%20b")
        assert headers["X-Remote-User"] == "jane" and headers.getall("X-Remote-Group") == ["devs", "system:authenticated"]
        # in-process callers get objects, and their own words are not believed
        answer = await send(cluster, "GET", path, x_remote_user="root", authorization="Bearer x")
        assert answer.status == 200
        headers = server.requests[-1][2]
        assert headers.getall("X-Remote-User") == ["kubernetes-admin"] and "Authorization" not in headers


async def test_watches_and_upgrades_pass(tmp_path):
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path) as server:
        await install(cluster, server)
        events = []

        async def follow():
            gvr = (GROUP, VERSION, "flunders")
            async for kind, obj in cluster.client.watch(_gvr(*gvr), namespace="default"):
                events.append((kind, obj["metadata"]["name"]))

        task = asyncio.ensure_future(follow())
        await cluster.wait_until(lambda: server.watchers)
        made = await cluster.client.create(_gvr(GROUP, VERSION, "flunders"), FLUNDER)
        assert made["metadata"]["resourceVersion"] == "2"
        await cluster.wait_until(lambda: events == [("ADDED", "sour")])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        config = load_kubeconfig(await cluster.kubeconfig())
        context = ssl.create_default_context(cadata=config.ca.decode())
        (tmp_path / "me.pem").write_bytes(config.certificate + config.key)
        context.load_cert_chain(tmp_path / "me.pem")
        async with aiohttp.ClientSession() as session, session.ws_connect(
                f"{cluster.url}{ROOT}/namespaces/default/flunders/sour/echo", ssl=context,
                protocols=("echo.example.com",)) as socket:
            assert socket.protocol == "echo.example.com"
            assert (await socket.receive()).data == "kubernetes-admin"
            await socket.send_str("crisp")
            assert (await socket.receive()).data == "CRISP"


def _gvr(*parts):
    from kubewheel.api.resource import Gvr

    return Gvr(*parts)


@pytest.mark.parametrize("aggregated", [True, False], ids=["aggregated", "legacy"])
async def test_discovery_is_merged(tmp_path, aggregated):
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path, aggregated=aggregated) as server:
        before = await send(cluster, "GET", "/apis", accept=accept)
        await install(cluster, server, groupPriorityMinimum=17799)
        found = (await send(cluster, "GET", "/apis")).json["groups"]
        names = [g["name"] for g in found]
        assert names[:4] == ["apiregistration.k8s.io", "apps", GROUP, "events.k8s.io"]
        assert (await send(cluster, "GET", f"/apis/{GROUP}")).json["preferredVersion"]["version"] == VERSION
        after = await send(cluster, "GET", "/apis", accept=accept)
        assert after.headers["etag"] != before.headers["etag"] and after.headers["vary"] == "Accept"
        item = next(i for i in after.json["items"] if i["metadata"]["name"] == GROUP)
        assert item["versions"][0]["freshness"] == "Current"
        resource = item["versions"][0]["resources"][0]
        assert (resource["resource"], resource["scope"], resource["shortNames"]) == ("flunders", "Namespaced", ["fl"])
        again = await send(cluster, "GET", "/apis", accept=accept, if_none_match=after.headers["etag"])
        assert again.status == 304 and not again.body
        server.well = False
        await cluster.client.patch(APISERVICES, NAME, {"spec": {"versionPriority": 150}})  # it is looked at again
        await cluster.wait_for(APISERVICES, NAME, lambda o: condition(o)[1] == "FailedDiscoveryCheck", namespace=None)
        stale = (await send(cluster, "GET", "/apis", accept=accept)).json
        version = next(i for i in stale["items"] if i["metadata"]["name"] == GROUP)["versions"][0]
        assert version["freshness"] == "Stale" and version["resources"][0]["resource"] == "flunders"
        await cluster.client.delete(APISERVICES, NAME)
        await cluster.wait_until(lambda: cluster.server.aggregator.route(f"{ROOT}/flunders") is None)
        assert GROUP not in [g["name"] for g in (await send(cluster, "GET", "/apis")).json["groups"]]
        assert (await send(cluster, "GET", f"/apis/{GROUP}")).status == 404


async def test_one_that_is_not_well_is_not_asked(tmp_path):
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path) as server:
        client = cluster.client
        await client.create(APISERVICES, server.apiservice())
        service = 'service/wardle in "default"'

        async def becomes(reason, status="False"):
            found = await cluster.wait_for(APISERVICES, NAME, lambda o: condition(o)[1] == reason, namespace=None)
            assert condition(found)[0] == status
            return condition(found)[2]

        assert await becomes("ServiceNotFound") == f"{service} is not present"
        answer = await send(cluster, "GET", f"{ROOT}/flunders")
        assert (answer.status, answer.body) == (503, b"service unavailable\n")
        made = await client.create("services", {"metadata": {"name": "wardle", "namespace": "default"}, "spec": {
            "ports": [{"port": 1, "protocol": "TCP"}]}})
        assert await becomes("ServicePortError") == f"{service} is not listening on port {server.port}"
        made = await client.patch("services", "wardle", {"spec": {"ports": [
            {"name": "https", "port": server.port, "protocol": "TCP"}]}}, namespace="default")
        assert await becomes("EndpointsNotFound") == f"cannot find endpointslices for {service}"
        await client.create("endpointslices.discovery.k8s.io", {
            "metadata": {"name": "wardle-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "wardle"}},
            "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": False}}],
            "ports": [{"name": "https", "port": server.port, "protocol": "TCP"}]})
        assert await becomes("MissingEndpoints") == f'endpointslices for {service} have no addresses with port name "https"'
        await client.delete("services", "wardle", namespace="default", uid=made["metadata"]["uid"])
        await becomes("ServiceNotFound")
        await client.create("services", {"metadata": {"name": "wardle", "namespace": "default"}, "spec": {
            "type": "ExternalName", "externalName": "localhost"}})
        await becomes("Passed", "True")
        assert (await send(cluster, "GET", f"{ROOT}/namespaces/default/flunders")).status == 200
        server.well = False
        await client.patch(APISERVICES, NAME, {"spec": {"versionPriority": 150}})
        url = f"https://localhost:{server.port}{ROOT}"
        assert await becomes("FailedDiscoveryCheck") == f"failing or missing response from {url}: bad status from {url}: 500"

        async def refused():
            return (await send(cluster, "GET", ROOT)).status == 503

        await cluster.wait_until(refused)
        server.well = True
        await becomes("Passed", "True")
        text = (await send(cluster, "GET", "/metrics")).body.decode()
        assert f'aggregator_unavailable_apiservice{{name="{NAME}"}} 0' in text
        assert f'aggregator_unavailable_apiservice_total{{name="{NAME}",reason="FailedDiscoveryCheck"}}' in text


async def test_certificates_and_redirects(tmp_path):
    async with plane(tmp_path) as (cluster, api), extension_server.running(api, tmp_path) as server:
        await install(cluster, server, caBundle=extension_bundle())
        answer = await send(cluster, "GET", f"{ROOT}/namespaces/default/flunders")
        assert answer.status == 503 and b"tls: failed to verify certificate" in answer.body
        await cluster.client.patch(APISERVICES, NAME, {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}})

        async def well():
            return (await send(cluster, "GET", f"{ROOT}/namespaces/default/flunders")).status == 200

        await cluster.wait_until(well)
        answer = await send(cluster, "GET", f"{ROOT}/go")
        assert answer.status == 502 and b"attempted to redirect this request, which is not permitted" in answer.body


def extension_bundle():
    import base64

    return base64.b64encode(tls.make_ca("stranger", now=clocks.RealClock().now()).cert).decode()


async def test_what_is_served_here_has_apiservices_of_its_own(tmp_path):
    label = "kube-aggregator.kubernetes.io/automanaged"
    async with new_cluster(nodes=0, controllers="", scheduler=False) as cluster:
        apps = await cluster.wait_for(APISERVICES, "v1.apps", available_here, namespace=None)
        assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
        assert apps["metadata"]["labels"] == {label: "onstart"}
        assert condition(apps) == ("True", "Local", "Local APIServices are always available")
        assert "group" not in (await cluster.wait_for(APISERVICES, "v1.", namespace=None))["spec"]
        crd = {"metadata": {"name": "crons.stable.example.com"}, "spec": {
            "group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crons", "singular": "cron", "kind": "Cron", "listKind": "CronList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}
        await cluster.client.create("customresourcedefinitions.apiextensions.k8s.io", crd)
        made = await cluster.wait_for(APISERVICES, "v1.stable.example.com", namespace=None)
        assert made["metadata"]["labels"] == {label: "true"}
        assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)
        await cluster.client.delete(APISERVICES, "v1.stable.example.com")  # comes again
        await cluster.wait_for(APISERVICES, "v1.stable.example.com",
                               lambda o: o["metadata"]["uid"] != made["metadata"]["uid"], namespace=None)
        await cluster.client.delete("customresourcedefinitions.apiextensions.k8s.io", "crons.stable.example.com")
        await cluster.wait_gone(APISERVICES, "v1.stable.example.com", namespace=None)


def available_here(obj):
    return condition(obj)[1] == "Local"
