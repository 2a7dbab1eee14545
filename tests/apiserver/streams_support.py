"""Pods of a simulated node with something in them, and clients for every stream protocol."""

import asyncio
import contextlib
import shutil
import ssl
import urllib.parse

import aiohttp

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.lib.streams import channels, spdy


def pod(name, *containers, **more):
    names = containers or ("main",)
    return {"metadata": {"name": name, "labels": {"app": name}}, **more,
            "spec": {"containers": [{"name": n, "image": "example/x:1", "ports": [{"containerPort": 8080}]} for n in names]}}


async def run(cluster, *pods):
    """Creates the pods and waits until they run."""
    await cluster.wait_for("serviceaccounts", "default")
    for each in pods:
        await cluster.client.create("pods", each, namespace="default")
    for each in pods:
        await cluster.wait_for("pods", each["metadata"]["name"], lambda p: (p.get("status") or {}).get("phase") == "Running")


async def program(process):
    """The commands of these tests: fail N, big BYTES, count, both, echo-sizes, ticks."""
    word, *rest = process.command
    if word == "fail":
        await process.out("out\n")
        await process.err("oops\n")
        return int(rest[0])
    if word == "big":
        left = int(rest[0])
        while left:
            await process.out(b"x" * min(left, 65536))
            left -= min(left, 65536)
        return 0
    if word == "count":
        total = 0
        while data := await process.read():
            total += len(data)
        await process.out(f"{total}\n")
        return 0
    if word == "sizes":
        async for columns, rows in process.sizes():
            await process.out(f"{columns}x{rows}\n")
            if columns == 7:
                return 0
    if word == "forever":
        await process.out("begun\n")
        await asyncio.sleep(3600)
    if word == "cat":
        while data := await process.read():
            await process.out(data)
        return 0
    return 127


def client_context(cluster, user="kubernetes-admin", *groups):
    folder = cluster.folder()
    pair = tls.issue(cluster.authority(), user, organizations=groups or ("system:masters",), now=clocks.RealClock().now(),
                     client=True)
    (folder / "crt").write_bytes(pair.cert)
    (folder / "key").write_bytes(pair.key)
    context = ssl.create_default_context(cadata=cluster.authority().cert.decode())
    context.load_cert_chain(folder / "crt", folder / "key")
    return context


async def kubectl(config, *args, stdin=None, binary=None, timeout=30):
    """(exit code, stdout, stderr)"""
    binary = binary or shutil.which("kubectl")
    process = await asyncio.create_subprocess_exec(
        binary, "--kubeconfig", str(config), *args, stdin=asyncio.subprocess.PIPE if stdin is not None else
        asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


def exec_path(pod_name, command, *, verb="exec", **flags):
    flags = {"stdout": "true", "stderr": "true", **flags}
    pairs = [*flags.items(), *(("command", c) for c in command)]
    return f"/api/v1/namespaces/default/pods/{pod_name}/{verb}?{urllib.parse.urlencode(pairs)}"


@contextlib.asynccontextmanager
async def websocket(cluster, path, *protocols, context=None):
    async with aiohttp.ClientSession() as session, session.ws_connect(
            cluster.url + path, protocols=protocols, ssl=context or client_context(cluster), max_msg_size=0) as socket:
        yield socket


async def websocket_exec(cluster, path, protocol, *, stdin=None, close_stdin=False, context=None):
    """{channel: bytes} of all that came."""
    found = {}
    async with websocket(cluster, path, *([protocol] if protocol else []), context=context) as socket:
        assert (socket.protocol or "") == protocol

        async def send(channel, data):
            message = channels.encode(channel, data, protocol)
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))

        if stdin is not None:
            for at in range(0, len(stdin), 32768):
                await send(channels.STDIN, stdin[at:at + 32768])
        if close_stdin:
            await send(channels.CLOSE, bytes([channels.STDIN]))
        async for message in socket:
            channel, data = channels.decode(message.data, protocol)
            found[channel] = found.get(channel, b"") + data
    return found


@contextlib.asynccontextmanager
async def spdy_connection(cluster, path, protocol, *, method="POST", context=None):
    """A client's SPDY connection through the API server."""
    parts = urllib.parse.urlsplit(cluster.url)
    connection = await spdy.connect(parts.hostname, parts.port, path, context=context or client_context(cluster),
                                    headers={"X-Stream-Protocol-Version": protocol})
    runner = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        await connection.aclose()
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


async def spdy_exec(cluster, path, protocol, names, *, stdin=b""):
    """{stream: bytes} of all that came."""
    async with spdy_connection(cluster, path, protocol) as connection:
        streams = {name: await connection.open({"streamtype": name}) for name in names}
        if "stdin" in streams:
            await streams["stdin"].write(stdin)
            await streams["stdin"].close_write()
        async with asyncio.timeout(20):
            return {name: await streams[name].read_all() for name in names if name not in ("stdin", "resize")}
