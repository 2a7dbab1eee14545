"""exec, attach, port-forward and logs through the API server to a kubelet's server, as clients of every age speak them."""

import asyncio
import json
import os
import shutil
import signal
import sys

import aiohttp
import pytest
from tests.apiserver import streams_support as support

from kubewheel.api import errors
from kubewheel.lib.streams import channels, spdy

# More kubectls to try: paths, separated by colons (the oldest that is to work is 1.20).
KUBECTLS = [shutil.which("kubectl"), *filter(None, os.environ.get("KUBEWHEEL_KUBECTLS", "").split(":"))]


async def served(cluster, *pods, **programs):
    cluster.program("web", exec=support.program, **programs)
    await cluster.serve()
    await support.run(cluster, *(pods or (support.pod("web"),)))


async def hello(reader, writer):
    await reader.readline()
    writer.write(b"hello from the pod\n")
    await writer.drain()
    writer.write(await reader.read())  # until the client's half close
    await writer.drain()


@pytest.mark.parametrize("binary", KUBECTLS)
async def test_kubectl(cluster, binary):
    await served(cluster, support.pod("web"), support.pod("two", "a", "b"), ports={8080: hello})
    config = await cluster.kubeconfig()

    async def kubectl(*args, **more):
        return await support.kubectl(config, *args, binary=binary, **more)

    assert await kubectl("exec", "two", "-c", "a", "--", "echo", "hi", "there") == (0, "hi there\n", "")
    code, out, err = await kubectl("exec", "web", "--", "fail", "7")
    assert (code, out, err.splitlines()) == (7, "out\n", ["oops", "command terminated with exit code 7"])
    assert await kubectl("exec", "-i", "web", "--", "count", stdin=b"y" * 3_000_000) == (0, "3000000\n", "")
    code, out, err = await kubectl("exec", "web", "--", "big", "3000000")
    assert (code, len(out), err) == (0, 3_000_000, "")
    code, out, err = await kubectl("exec", "two", "-c", "a", "--", "nope")
    assert code == 1 and 'exec: "nope": executable file not found in $PATH' in err
    cluster.log("web", "one\ntwo")
    assert await kubectl("logs", "web") == (0, "one\ntwo\n", "")
    code, out, err = await kubectl("logs", "two", "-c", "x")
    assert code == 1 and "container x is not valid for pod two" in err

    process = await asyncio.create_subprocess_exec(
        binary, "--kubeconfig", str(config), "port-forward", "pod/web", ":8080", stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE)
    try:
        port = int((await process.stdout.readline()).decode().split("127.0.0.1:")[1].split(" ")[0])
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hi\n" + b"z" * 1_000_000)
            writer.write_eof()
            async with asyncio.timeout(20):
                answer = await reader.read()
            assert answer.startswith(b"hello from the pod\n") and len(answer) == 19 + 1_000_000
            writer.close()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_kubectl_attach_and_follow(cluster):
    await served(cluster)
    config = await cluster.kubeconfig()

    async def kubectl(*args):
        return await asyncio.create_subprocess_exec(shutil.which("kubectl"), "--kubeconfig", str(config), *args,
                                                    stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)

    cluster.log("web", "before")
    following, attached = await kubectl("logs", "-f", "web"), await kubectl("attach", "web")
    async with asyncio.timeout(20):
        assert await following.stdout.readline() == b"before\n"
        read = asyncio.create_task(attached.stdout.readline())
        while not read.done():  # attach shows what comes once it is there
            cluster.log("web", "after")
            await asyncio.wait({read}, timeout=0.1)
        assert read.result() == b"after\n"
        await cluster.client.delete("pods", "web", namespace="default", grace=0)
        await asyncio.gather(following.communicate(), attached.communicate())  # both end with the container


async def test_websocket_protocols(cluster):
    await served(cluster)
    for protocol in ("", *channels.PROTOCOLS):
        await _websocket_protocol(cluster, protocol)


async def _websocket_protocol(cluster, protocol):
    got = await support.websocket_exec(cluster, support.exec_path("web", ["fail", "3"]), protocol)
    assert (got[channels.STDOUT], got[channels.STDERR]) == (b"out\n", b"oops\n")
    if channels.has_status(protocol):
        assert channels.exit_code(got[channels.ERROR]) == 3
        status = json.loads(got[channels.ERROR])
        assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    else:
        assert b"command terminated with non-zero exit code" in got[channels.ERROR]
    done = await support.websocket_exec(cluster, support.exec_path("web", ["big", "2000000"]), protocol)
    assert len(done[channels.STDOUT]) == 2_000_000
    assert done.get(channels.ERROR, b"") in (b"", channels.success_status())


async def test_v5_closes_stdin(cluster):
    await served(cluster)
    got = await support.websocket_exec(cluster, support.exec_path("web", ["count"], stdin="true"), "v5.channel.k8s.io",
                                       stdin=b"a" * 3_000_000, close_stdin=True)
    assert (got[channels.STDOUT], channels.exit_code(got[channels.ERROR])) == (b"3000000\n", 0)


async def test_spdy_protocols(cluster):
    await served(cluster)
    for protocol in ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"):
        await _spdy_protocol(cluster, protocol)


async def _spdy_protocol(cluster, protocol):
    got = await support.spdy_exec(cluster, support.exec_path("web", ["fail", "4"]), protocol, ("error", "stdout", "stderr"))
    assert (got["stdout"], got["stderr"]) == (b"out\n", b"oops\n")
    if channels.has_status(protocol):
        assert channels.exit_code(got["error"]) == 4
    else:
        assert b"command terminated with non-zero exit code" in got["error"]
    path = support.exec_path("web", ["count"], stdin="true")
    got = await support.spdy_exec(cluster, path, protocol, ("error", "stdin", "stdout", "stderr"), stdin=b"b" * 2_000_000)
    assert got["stdout"] == b"2000000\n"


async def test_a_terminal_changes_its_size(cluster):
    await served(cluster)
    path = support.exec_path("web", ["sizes"], stdin="true", tty="true")
    for protocol in ("v5.channel.k8s.io", "v4.channel.k8s.io"):
        async with support.websocket(cluster, path, protocol) as socket:
            for size in (b'{"Width":80,"Height":24}', b'{"Width":7,"Height":5}'):
                await socket.send_bytes(bytes([channels.RESIZE]) + size)
            out = b"".join([m.data[1:] async for m in socket if m.data[0] == channels.STDOUT])
        assert out == b"80x24\n7x5\n"


OFFICIAL = """
import json, sys
from kubernetes import client, config, stream
with config.new_client_from_config(sys.argv[1]) as api:
    core = client.CoreV1Api(api)
    out = stream.stream(core.connect_get_namespaced_pod_exec, "web", "default", command=["fail", "5"], stderr=True,
                        stdin=False, stdout=True, tty=False, _preload_content=False)
    out.run_forever(timeout=20)
    sock = stream.portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports="8080").socket(8080)
    sock.setblocking(True)
    sock.sendall(b"hi\\n")
    answer = b""
    while not answer.endswith(b"\\n"):
        answer += sock.recv(1024)
    print(json.dumps([out.read_stdout(), out.read_stderr(), out.returncode, answer.decode(),
                      core.read_namespaced_pod_log("web", "default")]))
"""


async def test_the_official_python_client(cluster):
    await served(cluster, ports={8080: hello})
    cluster.log("web", "a line")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OFFICIAL, str(await cluster.kubeconfig()),
                                                   stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert json.loads(out) == ["out\n", "oops\n", 5, "hello from the pod\n", "a line\n"]


async def test_what_is_refused(cluster):
    await served(cluster, support.pod("web"), support.pod("two", "a", "b"))
    context = support.client_context(cluster)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async def message(method, path, **headers):
            async with session.request(method, cluster.url + "/api/v1/namespaces/default/pods/" + path, headers=headers) as answer:
                return answer.status, (await answer.json(content_type=None))["message"]

        upgrade = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
        for method in ("GET", "POST"):
            assert await message(method, "web/exec?command=x&stdout=1") == (400, "Upgrade request required")
        assert await message("POST", "two/exec?command=x&stdout=1", **upgrade) == (
            400, "a container name must be specified for pod two, choose one of: [a b]")
        assert await message("POST", "two/attach?container=z", **upgrade) == (400, "container z is not valid for pod two")
        assert await message("POST", "none/exec", **upgrade) == (404, 'pods "none" not found')
        assert await message("GET", "web/log?tailLines=-1") == (
            422, 'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0')
        assert await message("GET", "web/log?tailLines=x") == (400, 'strconv.ParseInt: parsing "x": invalid syntax')
        assert await message("GET", "web/log?stream=Stdin") == (
            422, 'PodLogOptions "web" is invalid: stream: Unsupported value: "Stdin": supported values: "All", "Stderr", "Stdout"')
        assert (await message("GET", "web/log?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z"))[0] == 422
        assert await message("GET", "web/log?previous=true") == (
            400, 'previous terminated container "main" in pod "web" not found')
        async with session.post(cluster.url + "/api/v1/namespaces/default/pods/web/exec?command=x", headers=upgrade) as answer:
            assert (answer.status, await answer.text()) == (400, "you must specify at least 1 of stdin, stdout, stderr")
    with pytest.raises(spdy.SpdyError, match="unable to negotiate protocol: client supports"):
        async with support.spdy_connection(cluster, support.exec_path("web", ["x"]), "v9.channel.k8s.io"):
            pass


async def test_a_websocket_needs_create(cluster):
    await served(cluster)
    for verb in ("get", "create"):
        await cluster.client.create("roles.rbac.authorization.k8s.io", {
            "metadata": {"name": verb}, "rules": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": [verb]}]},
            namespace="default")
    for user, roles in (("reader", ("get",)), ("both", ("get", "create"))):
        for role in roles:
            await cluster.client.create("rolebindings.rbac.authorization.k8s.io", {
                "metadata": {"name": f"{user}-{role}"}, "subjects": [
                    {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
                "roleRef": {"kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io"}}, namespace="default")
    path = support.exec_path("web", ["big", "3"])

    async def tried(user):
        try:
            got = await support.websocket_exec(cluster, path, "v5.channel.k8s.io",
                                               context=support.client_context(cluster, user, "some"))
        except aiohttp.WSServerHandshakeError as e:
            return e.status
        return got[channels.STDOUT]

    await cluster.wait_until(lambda: _is(tried("both"), b"xxx"), what="RBAC has seen the bindings")
    assert await tried("reader") == 403


async def _is(coro, value):
    return await coro == value


async def test_logs(cluster):
    await served(cluster)
    for n in range(5):
        cluster.log("web", f"line {n}", stream="stderr" if n % 2 else "stdout")
    base = "/api/v1/namespaces/default/pods/web/log"
    context = support.client_context(cluster)
    async with aiohttp.ClientSession(cluster.url, connector=aiohttp.TCPConnector(ssl=context)) as session:
        async def log(query=""):
            async with session.get(base + query) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.text()

        assert await log("?tailLines=2") == "line 3\nline 4\n"
        assert await log("?stream=Stderr") == "line 1\nline 3\n"
        assert await log("?limitBytes=3") == "lin"
        assert await log("?sinceSeconds=3600&tailLines=1") == "line 4\n"
        stamp = (await log("?timestamps=true&tailLines=1")).split(" ")[0]
        assert len(stamp) == 30 and stamp.endswith("Z")
        assert await log("?sinceTime=2100-01-01T00:00:00Z") == ""
        cluster.nodes[0].crash("default", "web", exit_code=3)
        await cluster.wait_until(lambda: cluster.nodes[0].generation("default", "web", "main") == 2, what="the restart")
        cluster.log("web", "again")
        assert await log() == "again\n"
        assert await log("?previous=true&tailLines=1") == "line 4\n"
        # Over a WebSocket, as the conformance tests read logs.
        async with session.ws_connect(base, protocols=("binary.k8s.io",)) as socket:
            assert [m.data async for m in socket] == [b"again\n"]
        cluster.nodes[0].stop()
        async with session.get(base) as answer:
            status = await answer.json()
        assert (status["code"], status.get("reason", "")) == (500, "")
        assert status["message"].endswith(":10250: i/o timeout") and status["message"].startswith('Get "https://')


async def test_abrupt_ends(cluster):
    """Whoever goes, the others end as well, and nothing stays behind."""
    await served(cluster)
    front, node = cluster._front._server, cluster.nodes[0]

    async def running():
        return [t for t in asyncio.all_tasks() if t.get_name().startswith(("command:", "tunnel:", "port-forward:"))]

    for protocol in ("v5.channel.k8s.io", "v4.channel.k8s.io"):
        async with support.websocket(cluster, support.exec_path("web", ["forever"], stdin="true"), protocol) as socket:
            while (await socket.receive()).data[1:] != b"begun\n":
                continue
            socket._response.connection.transport.abort()  # no close frame, no TLS goodbye
    async with support.spdy_connection(cluster, support.exec_path("web", ["forever"]), "v4.channel.k8s.io") as connection:
        streams = {n: await connection.open({"streamtype": n}) for n in ("error", "stdout", "stderr")}
        assert await streams["stdout"].read() == b"begun\n"
    await cluster.wait_until(lambda: _none(running()), what="all streams have ended")
    await cluster.wait_until(lambda: not front._connections and not front.peers, what="no connection is open")

    # The kubelet goes: the client is told.
    server = await cluster._doors.kubelet(node)
    async with support.websocket(cluster, support.exec_path("web", ["forever"]), "v5.channel.k8s.io") as socket:
        while (await socket.receive()).data[1:] != b"begun\n":
            continue
        await server.aclose()
        async with asyncio.timeout(10):
            rest = [m.data async for m in socket]
    assert rest and rest[-1][0] == channels.ERROR and channels.exit_code(rest[-1][1:]) is None


async def _none(coro):
    return not await coro


async def test_idle_streams_are_closed(cluster):
    await served(cluster)
    server = await cluster._doors.kubelet(cluster.nodes[0])
    server._options.streaming_connection_idle_timeout = 0.2
    async with support.websocket(cluster, support.exec_path("web", ["forever"]), "v4.channel.k8s.io") as socket:
        async with asyncio.timeout(10):
            assert [m.data[1:] async for m in socket if m.data[1:]] == [b"begun\n"]


async def test_in_process_clients_read_logs(cluster):
    await served(cluster)
    cluster.log("web", "said")
    answer = await cluster.client.raw("GET", "/api/v1/namespaces/default/pods/web/log")
    assert b"".join([c async for c in answer.chunks]) == b"said\n"
    with pytest.raises(errors.StatusError, match="Upgrade request required"):
        await cluster.client.raw("POST", "/api/v1/namespaces/default/pods/web/exec", query={"command": "x"})
