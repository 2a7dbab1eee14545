"""SPDY/3.1 and the WebSocket channel protocol."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from kubewheel.lib.streams import channels, spdy
from kubewheel.lib.streams.dictionary import DICTIONARY


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_frames_survive_any_cut() -> None:
    sender, receiver = spdy.Framer(), spdy.Framer()
    wire = (sender.syn_stream(1, {"streamType": "stdin", "port": "80"}) + sender.data(1, b"abc")
            + sender.syn_stream(3, {"streamType": "error"}, fin=True) + sender.data(1, b"", fin=True) + sender.ping(7))
    frames = [frame for i in range(len(wire)) for frame in receiver.feed(wire[i:i + 1])]
    assert [f.kind for f in frames] == [spdy.SYN_STREAM, 0, spdy.SYN_STREAM, 0, spdy.PING]
    assert frames[0].headers == {"streamtype": "stdin", "port": "80"}
    assert (frames[1].data, frames[2].is_fin, frames[3].is_fin) == (b"abc", True, True)


def test_another_protocol_is_refused() -> None:
    with pytest.raises(spdy.SpdyError):
        spdy.Framer().feed(b"\x80\x02\x00\x01\x00\x00\x00\x00")


async def test_two_sides_talk() -> None:
    async def echo(stream: spdy.Stream) -> None:
        data = await stream.read_all()
        await stream.write(stream.headers["name"].encode() + b":" + data)
        await stream.close_write()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await spdy.Connection(spdy.StreamPipe(reader, writer), is_server=True, on_stream=echo).run()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    client = spdy.Connection(spdy.StreamPipe(reader, writer), is_server=False)
    runner = asyncio.create_task(client.run())
    streams = [await client.open({"name": n}) for n in ("a", "b")]
    big = bytes(300_000)
    for stream in streams:
        await stream.write(big)
        await stream.close_write()
    assert [await s.read_all() for s in streams] == [b"a:" + big, b"b:" + big]
    await client.aclose()
    await runner
    server.close()
    await server.wait_closed()


def test_channel_messages() -> None:
    assert channels.choose(["v5.channel.k8s.io", "v4.channel.k8s.io"]) == "v5.channel.k8s.io"
    assert channels.choose(["nonsense"]) is None
    for protocol in ("v5.channel.k8s.io", "v4.base64.channel.k8s.io"):
        assert channels.decode(channels.encode(1, b"out\0", protocol), protocol) == (1, b"out\0")
    assert channels.exit_code(channels.exit_status(3)) == 3
    assert channels.exit_code(channels.success_status()) == 0
    assert channels.exit_code(channels.failure_status("x")) is None
