"""The HTTP surface over real TLS sockets, under nonsense: no 500, no hang, nothing left open, answers as upstream's.

KUBEWHEEL_FUZZ=20000 sends that many requests in place of the 160 of a usual run; KUBEWHEEL_FUZZ_SEED chooses others.
"""

import asyncio
import contextlib
import gzip
import json
import os
import random
import resource

from tests.apiserver import raw_http, streams_support
from tests.apiserver.raw_http import ask, request
from tests.apiserver.wire import config_map

from kubewheel.lib.streams import spdy

AMOUNT = int(os.environ.get("KUBEWHEEL_FUZZ", "160"))
SEED = int(os.environ.get("KUBEWHEEL_FUZZ_SEED", "11"))
MAPS = "/api/v1/namespaces/default/configmaps"
POD = "/api/v1/namespaces/default/pods/web"
SEGMENTS = ("api", "apis", "v1", "namespaces", "default", "pods", "web", "exec", "log", "proxy", "attach", "portforward", "status",
            "apps", "deployments", "nodes", "node-0", "..", ".", "", "%00", "%2f", "%2e%2e", "%ff", "%zz", "%", "*", "é", "a" * 300,
            "watch", "services", "x:y:z:w", "https:web:1", "binding", "eviction", "scale", "healthz", "openapi", "v2", "v3", "metrics",
            "configmaps", "livez", "ping", "version", "customresourcedefinitions", "?", "#", ";", "\x7f", "[", "//")
KEYS = ("limit", "continue", "watch", "timeoutSeconds", "resourceVersion", "labelSelector", "fieldSelector", "container", "command",
        "stdout", "stdin", "tty", "ports", "port", "follow", "tailLines", "sinceTime", "limitBytes", "dryRun", "pretty", "stream", "path",
        "verbose", "exclude", "previous", "sinceSeconds", "timeout", "fieldManager", "fieldValidation", "force", "x")
VALUES = ("", "1", "0", "-1", "true", "yes", "9" * 30, "nan", "%00", "%ff%fe", "a=b", "!", "é", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
          "All", "%", "a,b", "metadata.name=..", "1e9", " ", "+", "main", "5s")
HEADERS = (("Accept", ";;q=,,"), ("Accept", "*/*;q=nan"), ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("Accept", b"\xff\xfe"),
           ("Accept", "a" * 5000), ("Content-Type", "\x01"), ("Content-Type", "application/json; charset=\"x"), ("Content-Type", "text/html"),
           ("Content-Type", "application/apply-patch+yaml"), ("Content-Type", "application/json-patch+json"), ("Content-Type", "application/yaml"),
           ("Content-Type", "application/vnd.kubernetes.protobuf"), ("Content-Encoding", "gzip"), ("Accept-Encoding", "br;q=1.0,gzip"),
           ("Impersonate-User", "x"), ("Impersonate-Group", "y"), ("Impersonate-Extra-%zz", "y"), ("X-Remote-User", "admin"),
           ("Authorization", "Bearer"), ("Authorization", "Bearer " + "x" * 3000), ("Authorization", b"Basic \xff"), ("Connection", "close"),
           ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "SPDY/3.1"), ("Upgrade", "h2c"), ("Sec-WebSocket-Key", "bad"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "99"),
           ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"), ("Sec-WebSocket-Protocol", ",,,"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
           ("Expect", "100-continue"), ("Expect", "cake"), ("Range", "bytes=1-"), ("If-None-Match", '"x"'), ("Cookie", "a=b"),
           ("Transfer-Encoding", "chunked"), ("Content-Length", "x"), ("Content-Length", "5"), ("X-Forwarded-For", b"\xe9"), ("", "x"),
           ("Bad Name", "x"), ("Big", "x" * 30000), ("Host", "other"), ("User-Agent", "Mozilla/5.0"), ("Trailer", "X"))
BODIES = (b"{}", b"", b"null", b"[]", b'"x"', b"NaN", b'{"a": NaN}', b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":1}}',
          b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":99999999999999999999999999}}',
          b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":1e999}}', b"\xff\xfe{", b'{"a":"\xff"}', b"[" * 20000,
          b'{"a":' * 3000, b"a: &a [*a]", b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", b"--- \n...\n---\n", b"%YAML 9.9\n", b"!!python/object:x {}",
          b"k8s\x00\x0a\xff", b"k8s\x00" + bytes(range(64)), gzip.compress(b"{}" * 1000), b'[{"op":"add","path":"/~2","value":1}]',
          b'{"metadata":{"name":"a"},"metadata":{"name":"b"}}', b'{"a":"\\ud800"}', b"5\r\nabc", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n")
METHODS = ("GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "PURGE", "PRI", "\x01", "")


def made(rng):
    """One request, anything but proper, and what is asked."""
    method = rng.choice(METHODS)
    if rng.random() < 0.5:
        target = rng.choice((POD, MAPS, MAPS + "/a", POD + "/exec", POD + "/log", POD + "/proxy", "/api/v1/nodes/node-0/proxy", "/",
                             POD + "/portforward", "/api/v1/pods", "/apis/apps/v1/deployments", "/version"))
        if rng.random() < 0.3:
            target += "/" + rng.choice(SEGMENTS)
    else:
        target = "/" + "/".join(rng.choice(SEGMENTS) for _ in range(rng.randrange(8)))
    if rng.random() < 0.05:
        target = rng.choice(("*", "http://x/api", "x", "host:443", "//", "http://[", "/" + "a" * 70000))
    if rng.random() < 0.5:
        target += "?" + "&".join(f"{rng.choice(KEYS)}={rng.choice(VALUES)}" for _ in range(rng.randrange(1, 4)))
    if rng.random() < 0.9:
        target = target.replace(" ", "+")
    headers = rng.sample(HEADERS, rng.choice((0, 1, 2, 3, 6)))
    body = rng.choice(BODIES) if rng.random() < 0.5 else b""
    data = request(method, target, headers=headers, body=body, length=rng.random() < 0.9,
                   version="HTTP/1.1" if rng.random() < 0.93 else rng.choice(("HTTP/1.0", "HTTP/0.9", "HTTP/3", "")))
    if rng.random() < 0.1:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
    return data


def waits(data):
    """Whether a server may well wait on: for the rest of a body, of a request, or for what there is to see."""
    return any(word in data for word in (b"watch", b"follow=", b"Content-Length: 5", b"chunked", b"Upgrade")) or not data.endswith(
        (b"\r\n\r\n", *filter(None, BODIES)))


def is_meant(answer, data):
    """The few 5xx that upstream gives as well: a revision to come, a broken log or proxy, upgrades that fail behind."""
    text = answer.body.decode(errors="replace")
    impersonates = b"Impersonate-" in data and b"Impersonate-User" not in data
    return answer.status in (503, 504) or impersonates or any(t in text for t in (
        "failed to create typed patch object", "invalid upgrade response", "error dialing backend", "checkpointing"))


async def cluster_of(cluster):
    await cluster.serve()
    cluster.program("web", ports={80: _closing})
    await streams_support.run(cluster, streams_support.pod("web"))
    context = streams_support.client_context(cluster)
    return int(cluster.url.rpartition(":")[2]), context


async def _closing(reader, writer):
    await reader.read(1)


async def fuzz(port, context, rng, amount):
    wrong = []

    async def one():
        data = made(rng)
        may_wait = waits(data)
        try:
            answer = await ask(port, context, data, finish=True, pieces=rng.choice((1, 1, 1, 3)), timeout=0.5 if may_wait else 20)
        except TimeoutError:
            if not may_wait:
                wrong.append(("no answer", data[:300]))
            return
        if answer is None or 200 <= answer.status < 400 or answer.status == 101:
            return
        if answer.status >= 500 and not is_meant(answer, data):
            wrong.append((answer.status, data[:300], answer.body[:300]))
        if "json" in answer.headers.get("content-type", "") and answer.body:
            status = answer.json
            if status.get("kind") == "Status" and status["code"] != answer.status:
                wrong.append(("code", data[:300], answer.body[:300]))

    async def worker(count):
        for _ in range(count):
            await one()

    await asyncio.gather(*(worker(amount // 8) for _ in range(8)))
    return wrong


async def quiet(cluster, connections):
    """Waits until nothing of the requests is left."""
    await cluster.wait_until(lambda: not connections(), timeout=15, what="every connection is closed")

    def tasks():
        return [t for t in raw_http.left_behind() if t.get_name().startswith(("command:", "tunnel:", "port-forward:", "http:", "spdy:"))]

    await cluster.wait_until(lambda: not tasks(), timeout=15, what="every stream has ended")


def watchers(cluster):
    """Beside those of the server's own caches, which it opens as it needs them."""
    return sum(len(c.watchers) for c in cluster.server.watch_cache._caches.values()) - len(cluster.server.caches._caches)


async def test_nonsense_over_sockets(cluster):
    port, context = await cluster_of(cluster)
    await ask(port, context, request("GET", POD + "/proxy/"))
    await ask(port, context, request("GET", MAPS + "?watch=1&timeoutSeconds=1"))  # what is made once is there now
    before = watchers(cluster)
    wrong = await fuzz(port, context, random.Random(SEED), AMOUNT)
    assert not wrong, "\n".join(map(str, wrong[:25]))
    await quiet(cluster, lambda: cluster._front._server._connections or cluster._front._server.peers)
    await cluster.wait_until(lambda: watchers(cluster) <= before, what="watches end")
    if AMOUNT > 5000:  # a big run: what it takes does not grow with what comes
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert not await fuzz(port, context, random.Random(SEED + 1), AMOUNT)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < used * 1.1


async def test_the_kubelets_port_under_nonsense(cluster):
    await cluster_of(cluster)
    server = await cluster._doors.kubelet(cluster.nodes[0])
    context = streams_support.client_context(cluster)
    context.check_hostname = False
    rng, wrong = random.Random(SEED), []
    paths = ("/exec/default/web/main", "/attach/default/web/main", "/portForward/default/web", "/containerLogs/default/web/main",
             "/run/default/web/main", "/pods", "/logs/", "/logs/../../etc/passwd", "/logs/%2e%2e/%2e%2e/etc/shadow", "/logs/%00", "/configz",
             "/stats/summary", "/metrics", "/metrics/x", "/exec/default/web/x/main", "/checkpoint/default/web/main", "/", "//", "/debug/pprof/",
             "/exec/default/none/main", "/portForward/default/web/uid")
    keys = ("command", "input", "output", "error", "tty", "port", "tailLines", "sinceTime", "limitBytes", "follow", "cmd", "stream", "tail")
    for _ in range(AMOUNT // 2):
        method = rng.choice(METHODS[:10])
        query = "&".join(f"{rng.choice(keys)}={rng.choice(VALUES)}" for _ in range(rng.randrange(4))).replace(" ", "+")
        data = request(method, rng.choice(paths) + ("?" + query if query else ""), headers=rng.sample(HEADERS, rng.choice((0, 1, 3, 5))),
                       body=rng.choice(BODIES) if rng.random() < 0.3 else b"")
        try:
            answer = await ask(server.port, context, data, finish=True, timeout=0.5 if waits(data) else 20)
        except TimeoutError:
            if not waits(data):
                wrong.append(("no answer", data[:300]))
            continue
        if answer is not None and answer.status >= 500 and b"exec" not in data and b"run" not in data:
            wrong.append((answer.status, data[:300], answer.body[:300]))
        if answer is not None:
            assert b"root:" not in answer.body
    assert not wrong, "\n".join(map(str, wrong[:25]))
    await quiet(cluster, lambda: [c for r in server._runners for c in r.server.connections])


ANSWERS = [  # bytes, status, reason
    (request("POST", MAPS, headers=[("Content-Length", str(3 << 20 | 1))]), 413, "RequestEntityTooLarge"),
    (request("POST", MAPS, headers=[("Content-Type", "application/json")], body=b"x" * ((3 << 20) + 1)), 413, "RequestEntityTooLarge"),
    (request("POST", MAPS, headers=[("Transfer-Encoding", "chunked")],
             body=b"".join(b"8000\r\n" + b"x" * 0x8000 + b"\r\n" for _ in range(100)) + b"0\r\n\r\n", length=False), 413, "RequestEntityTooLarge"),
    (request("POST", MAPS, headers=[("Transfer-Encoding", "chunked")], body=b"zz\r\n", length=False), 400, None),
    (request("POST", MAPS, body=b"{}", headers=[("Content-Type", "text/html")]), 415, "UnsupportedMediaType"),
    (request("POST", MAPS, body=gzip.compress(b"{}"), headers=[("Content-Encoding", "gzip")]), 400, "BadRequest"),
    (request("POST", MAPS, body=b"[" * 100000), 400, "BadRequest"),
    (request("POST", MAPS, body=b'{"kind":"ConfigMap","apiVersion":"v1","a":NaN}'), 400, "BadRequest"),
    (request("GET", "/api/v1/pods", headers=[("Accept", "text/html")]), 406, "NotAcceptable"),
    (request("BREW", "/api/v1/pods"), 405, "MethodNotAllowed"),
    (request("TRACE", "/api/v1/pods"), 405, "MethodNotAllowed"),
    (request("HEAD", "/api/v1/pods"), 405, None),
    (request("OPTIONS", "*"), 200, None),
    (request("GET", "/api/v1//pods"), 404, None),
    (request("GET", "/%zz"), 400, None),
    (request("GET", "/api/v1/pods?limit=x"), 400, "BadRequest"),
    (request("GET", "/api/v1/pods", headers=[("A", "x" * 70000)]), 431, None),
    (request("GET", "/" + "a" * 70000), 431, None),
    (b"GET / HTTP/1.1\r\n\r\n", 400, None),
    (b"GET /\r\n\r\n", 400, None),
    (b"nonsense\r\n\r\n", 400, None),
    (request("POST", MAPS, headers=[("Content-Length", "2"), ("Content-Length", "3")]) + b"{}", 400, None),
    (request("POST", MAPS, headers=[("Content-Length", "2"), ("Transfer-Encoding", "chunked")]) + b"0\r\n\r\n", 400, None),
    (request("GET", "/", headers=[("Expect", "cake")]), 417, None),
    (request("GET", "/api/v1/pods", headers=[("Impersonate-User", b"\x86x")]), 403, "Forbidden"),
    (request("GET", b"/api/v1/pods?labelSelector=\xe9\xff%ff"), 400, None),
    (request("GET", "/api/v1/pods?labelSelector=%ff%fe"), 400, "BadRequest"),
    (request("GET", POD + "/exec?command=x&stdout=1", headers=[("Connection", "Upgrade"), ("Upgrade", "websocket")]), 400, None),
    (request("GET", POD + "/exec?command=x&stdout=1", headers=[
        ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
        ("Sec-WebSocket-Key", "short")]), 400, "BadRequest"),
    (request("GET", POD + "/exec?command=x&stdout=1", headers=[("Connection", "Upgrade"), ("Upgrade", "h2c")]), 400, None),
    (request("POST", POD + "/portforward", headers=[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]), 400, None),
]


async def test_answers(cluster):
    port, context = await cluster_of(cluster)
    for data, status, reason in ANSWERS:
        answer = await ask(port, context, data)
        assert answer is not None and answer.status == status, (data[:200], answer and (answer.status, answer.body[:300]))
        if reason is not None:
            assert (answer.json["kind"], answer.json["code"], answer.json["reason"]) == ("Status", status, reason), data[:200]
        if status == 413:
            assert answer.json["message"] == "Request entity too large: limit is 3145728"


async def test_each_verb_on_each_path_of_discovery(cluster):
    port, context = await cluster_of(cluster)
    paths = []
    groups = (await ask(port, context, request("GET", "/apis"))).json["groups"]
    for prefix in ["/api/v1", *(f"/apis/{v['groupVersion']}" for g in groups for v in g["versions"])]:
        for resource_ in (await ask(port, context, request("GET", prefix))).json["resources"]:
            name, _, sub = resource_["name"].partition("/")
            where = f"{prefix}/namespaces/default/{name}" if resource_["namespaced"] else f"{prefix}/{name}"
            paths += [where, where + "/x"] if not sub else [f"{where}/x/{sub}"]
    assert len(paths) > 150
    reader, writer = await raw_http.connect(port, context)
    wrong = []
    try:
        for path in paths:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
                body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
                kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
                writer.write(request(method, path, body=body, headers=[("Content-Type", kind)]))
                async with asyncio.timeout(10):
                    answer = await raw_http.read_answer(reader, head_only=method == "HEAD")
                if answer is None or answer.status >= 500 or (answer.status >= 400 and method != "HEAD" and (
                        answer.json["code"] != answer.status)):
                    wrong.append((method, path, answer and (answer.status, answer.body[:200])))
                if answer is None:
                    reader, writer = await raw_http.connect(port, context)
    finally:
        writer.transport.abort()
    assert not wrong, (len(wrong), wrong[:5])


async def test_pipelined_requests_are_answered_in_order(cluster):
    port, context = await cluster_of(cluster)
    reader, writer = await raw_http.connect(port, context)
    body = json.dumps(config_map("piped")).encode()
    wanted = [request("GET", "/version"), request("POST", MAPS, body=body, headers=[("Content-Type", "application/json")]),
              request("GET", MAPS + "/piped"), request("GET", MAPS + "/none"), request("GET", "/healthz")]
    writer.write(b"".join(wanted))
    answers = [await raw_http.read_answer(reader) for _ in wanted]
    assert [a.status for a in answers] == [200, 201, 200, 404, 200] and answers[4].body == b"ok"
    writer.transport.abort()


async def test_a_body_comes_after_100_continue(cluster):
    port, context = await cluster_of(cluster)
    reader, writer = await raw_http.connect(port, context)
    body = json.dumps(config_map("slow")).encode()
    writer.write(request("POST", MAPS, headers=[("Expect", "100-continue"), ("Content-Length", str(len(body)))]))
    assert (await raw_http.read_answer(reader)).status == 100
    for byte in body:
        writer.write(bytes([byte]))
    assert (await raw_http.read_answer(reader)).status == 201
    writer.transport.abort()


async def test_a_watch_for_old_clients_and_for_websockets(cluster):
    port, context = await cluster_of(cluster)
    await cluster.client.create("configmaps", config_map("seen"))
    answer = await ask(port, context, request("GET", MAPS + "?watch=1&timeoutSeconds=1&resourceVersion=0", version="HTTP/1.0"))
    assert answer.status == 200 and b'"seen"' in answer.body  # no chunks: HTTP/1.0 ends with the connection
    async with streams_support.websocket(cluster, MAPS + "?watch=1&resourceVersion=0", context=context) as socket:
        names = set()
        while "seen" not in names:
            names.add((await socket.receive_json())["object"]["metadata"]["name"])
    await quiet(cluster, lambda: cluster._front._server._connections)


async def test_who_asks_and_does_not_read_is_made_to_wait(cluster):
    port, context = await cluster_of(cluster)
    reader, writer = await raw_http.connect(port, context)
    writer.transport.pause_reading()
    writer.write(request("GET", "/api/v1") * 3000)
    connections = cluster._front._server._connections
    await cluster.wait_until(lambda: any(c._request_count for c in connections), what="the first request is read")
    (connection,) = connections
    before = -1
    while connection._request_count != before:  # until the server takes no more
        before = connection._request_count
        await asyncio.sleep(0.5)
    assert 0 < before < 3000 and connection.transport.get_write_buffer_size() < 1 << 20
    writer.transport.abort()
    await quiet(cluster, lambda: cluster._front._server._connections)


async def test_who_says_nothing_is_sent_away(cluster, monkeypatch):
    monkeypatch.setattr("kubewheel.apiserver.http.HEADER_SECONDS", 0.2)
    port, context = await cluster_of(cluster)
    reader, writer = await raw_http.connect(port, context)
    writer.write(b"GET / HTT")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_spdy_garbage_ends_the_connection(cluster):
    port, context = await cluster_of(cluster)
    framer = spdy.Framer()
    good = framer.syn_stream(1, {"streamtype": "error"})
    garbage = [b"\x80\x02\x00\x01\x00\x00\x00\x00", b"\x80\x03\x00\x01\x00\xff\xff\xff", b"\x80\x03\x00\x01\x00\x00\x00\x02ab",
               b"\x80\x03\x00\x01\x00\x00\x00\x0e" + b"\x00" * 14, good + spdy.Framer().syn_stream(1, {"a": "b"}),
               spdy.Framer().syn_stream(2, {}), bytes(range(128, 256)) * 4]
    for path in (POD + "/exec?command=cat&stdout=1", POD + "/portforward"):
        for data in garbage:
            protocol = "portforward.k8s.io" if "portforward" in path else "v4.channel.k8s.io"
            reader, writer = await raw_http.connect(port, context)
            writer.write(request("POST", path, headers=[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"),
                                                        ("X-Stream-Protocol-Version", protocol), ("Content-Length", "0")]))
            async with asyncio.timeout(10):
                assert (await raw_http.read_answer(reader)).status == 101
                writer.write(data)
                if writer.can_write_eof():
                    writer.write_eof()
                await writer.drain()
                while await reader.read(65536):
                    continue
            writer.transport.abort()
    await quiet(cluster, lambda: cluster._front._server._connections)


async def test_websocket_garbage_ends_the_connection(cluster):
    port, context = await cluster_of(cluster)
    rng, before = random.Random(SEED), watchers(cluster)
    frames = [b"\x81\x05hello", b"\xff" * 20, b"\x82\x7f" + b"\xff" * 8, b"\x88\x80\x00\x00\x00\x00", b"\x82\x81\0\0\0\0\x09",
              b"\x81\x82\0\0\0\0\xff\xfe", b"\x82\x80\0\0\0\0" * 3 + b"\x82\x82\0\0\0\0\xff\x07" + b"\x88\x80\0\0\0\0",
              b"\x82\x83\0\0\0\0\x04{]\x88\x80\0\0\0\0", *(rng.randbytes(rng.randrange(2, 200)) for _ in range(3))]
    targets = [(POD + "/exec?command=cat&stdin=1&stdout=1&tty=1", p) for p in ("v5.channel.k8s.io", "v4.base64.channel.k8s.io", "")]
    targets += [(POD + "/portforward", "SPDY/3.1+portforward.k8s.io"), (POD + "/portforward?ports=80", "v4.channel.k8s.io"),
                (POD + "/log?follow=true", "binary.k8s.io"), (MAPS + "?watch=1", "")]
    for path, protocol in targets:
        headers = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                   ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")] + ([("Sec-WebSocket-Protocol", protocol)] if protocol else [])
        for data in frames:
            reader, writer = await raw_http.connect(port, context)
            writer.write(request("GET", path, headers=headers))
            async with asyncio.timeout(10):
                answer = await raw_http.read_answer(reader)
            assert answer is not None and answer.status == 101, (path, answer and answer.body)
            writer.write(data)
            await writer.drain()
            if rng.random() < 0.5:
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(0.02):
                        await reader.read(1)
            writer.transport.abort()
    await quiet(cluster, lambda: cluster._front._server._connections)
    server = await cluster._doors.kubelet(cluster.nodes[0])
    await quiet(cluster, lambda: [c for r in server._runners for c in r.server.connections])
    await cluster.wait_until(lambda: watchers(cluster) <= before, what="the watches end")
