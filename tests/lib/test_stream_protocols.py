"""SPDY/3.1 and the WebSocket channel protocol."""

from __future__ import annotations

import asyncio
import socket
import zlib

import pytest

from kubewheel.lib.streams import channels, inbox, port_forward, remote_command, spdy, upgrade
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


async def _pair() -> tuple[spdy.Connection, spdy.Connection, list[asyncio.Task[None]], asyncio.Queue[spdy.Stream]]:
    """A client and a server that talk over a socket pair."""
    ours, theirs = socket.socketpair()
    arrived: asyncio.Queue[spdy.Stream] = asyncio.Queue()
    ends = [spdy.StreamPipe(*await asyncio.open_connection(sock=s)) for s in (ours, theirs)]
    client = spdy.Connection(ends[0], is_server=False)
    server = spdy.Connection(ends[1], is_server=True, on_stream=arrived.put_nowait)
    return client, server, [asyncio.create_task(c.run()) for c in (client, server)], arrived


async def test_a_slow_reader_slows_the_sender() -> None:
    client, server, tasks, arrived = await _pair()
    stream = await client.open({"name": "big"})
    sending = asyncio.create_task(stream.write(bytes(64 * 1024 * 1024)))
    there = await arrived.get()
    while not there.inbox._size > inbox.HIGH_WATER:
        await asyncio.sleep(0.01)
    assert not sending.done() and there.inbox._size < 2 * inbox.HIGH_WATER
    there.inbox.discard()  # nobody wants it any more: then it must not be in the way of others
    await sending
    other = await client.open({"name": "other"})
    await other.close_write()
    assert (await arrived.get()).headers == {"name": "other"}
    await client.aclose()
    await server.aclose()
    await asyncio.gather(*tasks)


async def test_a_reset_stream_is_no_whole_one() -> None:
    client, server, tasks, arrived = await _pair()
    stream = await client.open({"name": "a"})
    await (await arrived.get()).reset()
    assert await stream.read_all() == b"" and not stream.is_whole
    await server.aclose()
    await asyncio.gather(*tasks)
    with pytest.raises(spdy.SpdyError):
        await client.open({"name": "b"})


@pytest.mark.parametrize("frame", [
    b"\x80\x03\x00\x01\x00\xff\xff\xff",  # a control frame of 16 MB
    b"\x80\x03\x00\x01\x00\x00\x00\x02ab",  # too short
    b"\x80\x03\x00\x01\x00\x00\x00\x0c" + bytes(12),  # no header block in it
])
def test_garbage_is_refused(frame: bytes) -> None:
    with pytest.raises(spdy.SpdyError):
        spdy.Framer().feed(frame)


def test_a_bomb_of_headers_is_refused() -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS, zdict=DICTIONARY)
    block = packer.compress(bytes(64 * 1024 * 1024)) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = spdy.Framer._frame(spdy.SYN_STREAM, 0, bytes(10) + block)
    assert len(frame) < spdy.MAX_CONTROL
    with pytest.raises(spdy.SpdyError, match="too large"):
        spdy.Framer().feed(frame)


async def test_sizes_of_a_terminal() -> None:
    box = inbox.Inbox()
    for part in (b'{"Width":1,"Hei', b'ght":2}{"Width":3,"Height":4}\n', b"[]"):
        await box.put(part)
    box.end()
    assert [s async for s in remote_command.Stdio(resize=box).sizes()] == [(1, 2), (3, 4)]


def test_ports_of_a_query() -> None:
    assert port_forward.ports_of(["1,2", "3"]) == [1, 2, 3]
    for values, words in (([], "is required"), (["1,"], "cannot be empty"), (["x"], "unable to parse"), (["0"], "must be > 0"),
                          (["70000"], "unable to parse")):
        with pytest.raises(upgrade.Refused, match=words):
            port_forward.ports_of(values)
