"""pods, services and nodes proxy: what arrives at the backend, what comes back, what is refused."""

import asyncio
import contextlib
import gzip
import json
from urllib.parse import quote

import aiohttp
import pytest
import yarl
from aiohttp import web
from tests.apiserver import streams_support as support

from kubewheel.apiserver.streams import html_links, tunnel
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

BASE = "/api/v1/namespaces/default"
PAGE = ('<!-- <a href="/no"> --><html><a class=x href="/abs?q=1">a</a><a href="rel">b</a><img src=/i.png>'
        '<a href="http://other.example/x">c</a><script>var a = "<a href=\'/no\'>";</script><form action="/f/"></form></html>')
PREFIX = BASE + "/pods/web/proxy"


async def backend(request):
    """Tells what it was asked, or does what its path says."""
    if request.path == "/redirect":
        return web.Response(status=302, headers={"Location": request.query["to"]})
    if request.path in ("/page", "/zipped"):
        body = PAGE.encode()
        if request.path == "/zipped":
            return web.Response(body=gzip.compress(body), content_type="text/html", headers={"Content-Encoding": "gzip"})
        return web.Response(body=body, content_type="text/html")
    if request.path == "/cookies":
        response = web.Response(text="x", headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=5"})
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response
    if request.path == "/echo-ws":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str("got " + message.data)
        return socket
    if request.path == "/echo":  # as it comes: the answer begins before the request has ended
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response
    if request.path == "/cut":
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"some")
        request.transport.abort()
        return response
    if request.path == "/status/204":
        return web.Response(status=204)
    body = (await request.read()).decode()
    return web.json_response({"method": request.method, "path": request.raw_path, "headers": list(request.headers.items()),
                              "body": body}, headers={"X-Custom": "yes"})


@contextlib.asynccontextmanager
async def backends(cluster, pods=("web",)):
    """A pod whose ports are served: 8080 plain, 8443 TLS, 9090 what is no HTTP."""
    await cluster.serve()
    context = tls.server_context(*_pair(cluster), client_ca=cluster.authority().cert)
    runner = web.AppRunner(_App(), shutdown_timeout=0.1)
    await runner.setup()
    plain, secure = web.TCPSite(runner, "127.0.0.1", 0), web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await plain.start()
    await secure.start()

    async def nonsense(reader, writer):
        await reader.read(10)
        writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")

    numbers = [site._server.sockets[0].getsockname()[1] for site in (plain, secure)]
    cluster.program("*", ports={8080: ("127.0.0.1", numbers[0]), 8443: ("127.0.0.1", numbers[1]), 9090: nonsense})
    await support.run(cluster, *(support.pod(name) for name in pods))
    connector = aiohttp.TCPConnector(ssl=support.client_context(cluster))
    try:
        async with aiohttp.ClientSession(cluster.url, connector=connector, auto_decompress=False,
                                         cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield session
    finally:
        await runner.cleanup()


def _pair(cluster):
    folder = cluster.folder()
    pair = tls.issue(cluster.authority(), "web", now=clocks.RealClock().now(), hosts=("web",), server=True)
    (folder / "crt").write_bytes(pair.cert)
    (folder / "key").write_bytes(pair.key)
    return folder / "crt", folder / "key"


def _App():
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", backend)
    return app


async def told(session, method, path, **more):
    url = yarl.URL(str(session._base_url).rstrip("/") + path, encoded=True)  # as it is written here
    async with session.request(method, url, allow_redirects=False, **more) as answer:
        raw = await answer.read()
        return answer.status, json.loads(raw) if raw and answer.content_type == "application/json" else raw, answer.headers


async def test_what_arrives(cluster):
    async with backends(cluster) as session:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            status, seen, headers = await told(session, method, PREFIX + "/some/path?a=1&b=%20", data=b"body" if method != "GET" else None,
                                               headers={"X-Mine": "1", "Te": "trailers", "Connection": "x-hop", "X-Hop": "1"})
            assert (status, seen["method"], seen["path"]) == (200, method, "/some/path?a=1&b=%20")
            assert headers["X-Custom"] == "yes" and seen["body"] == ("body" if method != "GET" else "")
            got = {k.lower(): v for k, v in seen["headers"]}
            assert got["x-mine"] == "1" and "x-hop" not in got and "authorization" not in got and "te" not in got
            assert got["x-forwarded-for"] == "127.0.0.1" and got["x-forwarded-uri"] == PREFIX + "/some/path"
            assert got["host"] == cluster.url.removeprefix("https://")
        status, raw, headers = await told(session, "HEAD", PREFIX + "/x")
        assert (status, raw, headers["X-Custom"]) == (200, b"", "yes")
        assert (await told(session, "BREW", PREFIX + "/x"))[0] == 405
        # Paths are cleaned and escaped anew, their last slash stays.
        for asked, arrives in (("//a//b/../c/", "/a/c/"), ("/a%20b", "/a%20b"), ("/%2e%2e/x", "/x"), ("/", "/"), ("/%C3%BC", "/%C3%BC")):
            assert (await told(session, "GET", PREFIX + asked))[1]["path"] == arrives, asked
        assert (await told(session, "POST", PREFIX))[1]["path"] == "/"
        for method in ("GET", "HEAD"):
            status, _, headers = await told(session, method, PREFIX + "?q=1")
            assert (status, headers["Location"]) == (301, PREFIX + "/?q=1")


async def test_what_comes_back(cluster):
    async with backends(cluster) as session:
        for to, comes in (("/there?x=1", PREFIX + "/there?x=1"), ("/there/", PREFIX + "/there/"), ("rel", "rel"),
                          ("https://other.example/x", "https://other.example/x")):
            status, _, headers = await told(session, "GET", PREFIX + "/redirect?to=" + quote(to))
            assert (status, headers["Location"]) == (302, comes)
        expected = (PAGE.replace('href="/abs', f'href="{PREFIX}/abs').replace("src=/i.png", f'src="{PREFIX}/i.png"')
                    .replace('action="/f/"', f'action="{PREFIX}/f/"'))
        assert (await told(session, "GET", PREFIX + "/page"))[1].decode() == expected
        assert gzip.decompress((await told(session, "GET", PREFIX + "/zipped"))[1]).decode() == expected
        _, _, headers = await told(session, "GET", PREFIX + "/cookies")
        assert headers.getall("Set-Cookie") == ["a=1", "b=2"] and "Access-Control-Allow-Origin" not in headers
        # They are the backend's and the client's affair: nothing is kept for the next one.
        seen = (await told(session, "GET", PREFIX + "/x"))[1]
        assert "cookie" not in {k.lower() for k, _ in seen["headers"]}
        assert (await told(session, "GET", PREFIX + "/status/204"))[0] == 204
        with pytest.raises(aiohttp.ClientError):
            await told(session, "GET", PREFIX + "/cut")


async def test_bodies_are_streamed(cluster):
    async with backends(cluster) as session:
        sent = asyncio.Event()

        async def pieces():
            yield b"first"
            await sent.wait()
            for _ in range(100):
                yield b"x" * 65536

        async with session.post(PREFIX + "/echo", data=pieces()) as answer:
            assert await answer.content.readexactly(5) == b"first"
            sent.set()
            assert len(await answer.read()) == 6_553_600
        async with session.ws_connect(PREFIX + "/echo-ws") as socket:
            await socket.send_str("hi")
            assert (await socket.receive_str()) == "got hi"


async def test_where_requests_go(cluster):
    async with backends(cluster, pods=("web", "other")) as session:
        async def status_of(path):
            status, body, _ = await told(session, "GET", BASE + path)
            return status, body.get("message") if isinstance(body, dict) else body

        for name in ("web", "web:8080", "http:web:8080", ":web:8080", "https:web:8443"):
            assert (await status_of(f"/pods/{name}/proxy/x"))[0] == 200, name
        assert await status_of("/pods/ftp:web:1/proxy/x") == (400, 'invalid pod request "ftp:web:1"')
        assert await status_of("/pods/web:a:b:c/proxy/x") == (400, 'invalid pod request "web:a:b:c"')
        assert await status_of("/pods/none/proxy/x") == (404, 'pods "none" not found')
        ip = (await cluster.client.get("pods", "web", namespace="default"))["status"]["podIP"]
        reached = "error trying to reach service: "
        assert await status_of("/pods/web:81/proxy/x") == (503, f"{reached}dial tcp {ip}:81: connect: connection refused")
        assert await status_of("/pods/web:nonsense/proxy/x") == (503, f"{reached}dial tcp: lookup tcp/nonsense: unknown port")
        assert (await status_of("/pods/https:web:8080/proxy/x")) == (503, f"{reached}tls: first record does not look like a TLS handshake")
        assert (await status_of("/pods/web:9090/proxy/x")) == (
            503, f"{reached}net/http: HTTP/1.x transport connection broken: malformed HTTP response")
        # A service is found by the number or the name of its port, and its port's name by which endpoints are.
        await cluster.client.create("services", {"metadata": {"name": "one"}, "spec": {
            "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}, namespace="default")
        await cluster.client.create("services", {"metadata": {"name": "two"}, "spec": {"selector": {"app": "web"}, "ports": [
            {"name": "plain", "port": 80, "targetPort": 8080}, {"name": "tls", "port": 443, "targetPort": 8443}]}}, namespace="default")
        await cluster.client.create("services", {"metadata": {"name": "none"}, "spec": {
            "selector": {"app": "nobody"}, "ports": [{"port": 80}]}}, namespace="default")
        for name in ("one", "one:80", "two:plain", "two:80", "https:two:tls", "https:two:443"):
            await cluster.wait_until(lambda n=name: _is(status_of(f"/services/{n}/proxy/x"), 200), what=name)
        for name in ("none", "two", "two:x"):
            assert await status_of(f"/services/{name}/proxy/x") == (503, f'no endpoints available for service "{name}"')
        assert await status_of("/services/one:81/proxy/x") == (503, 'no service port 81 found for service "one"')
        assert await status_of("/services/a:b:c/proxy/x") == (400, 'invalid service request "a:b:c"')
        # Nothing but global unicast addresses.
        for address in ("127.0.0.1", "169.254.169.254", "::1"):
            await cluster.client.patch("pods", "other", {"status": {"podIP": address, "podIPs": [{"ip": address}]}},
                                       namespace="default", subresource="status")
            assert await status_of("/pods/other/proxy/x") == (400, "address not allowed")


async def _is(coro, status):
    return (await coro)[0] == status


async def test_the_kubelet_behind_nodes_proxy(cluster):
    async with backends(cluster) as session:
        node = "/api/v1/nodes/node-0/proxy"
        assert (await told(session, "GET", node + "/healthz"))[:2] == (200, b"ok")
        assert [p["metadata"]["name"] for p in (await told(session, "GET", node + "/pods"))[1]["items"]] == ["web"]
        assert (await told(session, "GET", node + "/stats/summary"))[1]["node"]["nodeName"] == "node-0"
        assert b"kubelet_running_pods 1" in (await told(session, "GET", "/api/v1/nodes/node-0:10250/proxy/metrics"))[1]
        async with session.post(node + "/run/default/web/main?cmd=echo+hi") as answer:
            assert (answer.status, await answer.read()) == (200, b"hi\n")
        assert (await told(session, "GET", "/api/v1/nodes/none/proxy/"))[0] == 404


async def test_each_path_of_the_kubelet_has_its_subresource(cluster):
    await support.run(cluster, support.pod("web"))
    server = await cluster._doors.kubelet(cluster.nodes[0])
    url = f"https://127.0.0.1:{server.port}"
    for number, rules in enumerate((["nodes/metrics"], ["nodes/stats"], ["nodes/log"], ["nodes/healthz"], ["nodes/pods"],
                                    ["nodes/configz"], ["nodes/proxy"])):
        await cluster.client.create("clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": f"r{number}"}, "rules": [
            {"apiGroups": [""], "resources": rules, "verbs": ["get"]}]})
        await cluster.client.create("clusterrolebindings.rbac.authorization.k8s.io", {
            "metadata": {"name": f"r{number}"}, "subjects": [{"kind": "User", "name": rules[0], "apiGroup": "rbac.authorization.k8s.io"}],
            "roleRef": {"kind": "ClusterRole", "name": f"r{number}", "apiGroup": "rbac.authorization.k8s.io"}})
    fine = {"/metrics": "metrics", "/metrics/resource": "metrics", "/stats/summary": "stats", "/logs/": "log",
            "/healthz": "healthz", "/pods": "pods", "/runningpods/": "pods", "/configz": "configz",
            "/containerLogs/default/web/main": None}
    with_proxy = {"healthz", "pods", "configz", None}

    async def status_of(user, path, method="GET"):
        context = support.client_context(cluster, user, "some")
        context.check_hostname = False
        async with (aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
                    session.request(method, url + path) as answer):
            return answer.status, await answer.text()

    await cluster.wait_until(lambda: _is(status_of("nodes/proxy", "/healthz"), 200), what="RBAC knows the roles")
    for path, subresource in fine.items():
        for user in ("metrics", "stats", "log", "healthz", "pods", "configz", "proxy"):
            allowed = user == subresource or (user == "proxy" and subresource in with_proxy)
            status, text = await status_of(f"nodes/{user}", path)
            assert (status == 200) == allowed, (path, user, status, text)
            if not allowed:
                assert text.startswith(f"Forbidden (user=nodes/{user}, verb=get, resource=nodes, subresource(s)=["), text
    assert (await status_of("nodes/proxy", "/exec/default/web/main?command=x&output=1", "POST"))[0] == 403  # create is not get
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp4"}):
            async with session.get(url + "/pods", headers=headers) as answer:
                assert (answer.status, await answer.text()) == (401, "Unauthorized")


def test_links():
    def change(url):
        return html_links.rewrite_url(url, prefix="/p", source_host="10.0.0.1:80", request_host="api:6443")

    assert [change(u) for u in ("/a", "/p/a", "a", "", "#x", "http://10.0.0.1:80/a?b#c", "http://api:6443/a", "//x/y", "http://[")] == [
        "/p/a", "/p/a", "a", "", "#x", "/p/a?b#c", "http://api:6443/p/a", "//x/y", "http://["]
    assert html_links.rewrite("<a href=/x><a href='/y'\n title=\">\">&amp;</a><style>a{}</style><br/>", change) == (
        "<a href=\"/p/x\"><a href=\"/p/y\"\n title=\">\">&amp;</a><style>a{}</style><br/>")
    assert html_links.rewrite("<a href=", change) == "<a href="


def test_chunks_of_a_refusal():
    assert tunnel._unchunked(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"abcde"
