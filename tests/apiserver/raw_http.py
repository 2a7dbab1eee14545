"""Raw bytes over TLS, and answers taken apart by their bytes, for tests of the HTTP surface."""

import asyncio
import gc
import json
import ssl


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


async def read_answer(reader, *, head_only=False):
    """The next answer on a connection; None at its end. AssertionError for what is no HTTP answer."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as e:
        assert not getattr(e, "partial", b""), f"half an answer: {e.partial[:100]!r}"
        return None
    lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = lines[0].split(" ", 2)
    assert version.startswith("HTTP/1."), lines[0]
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
    body = b""
    if head_only or int(status) in (204, 304) or 100 <= int(status) < 200:
        pass
    elif "chunked" in headers.get("transfer-encoding", ""):
        while (size := int((await reader.readline()).split(b";")[0], 16)):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Answer(int(status), headers, body)


async def connect(port, context):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=1 << 20)


async def ask(port, context, data, *, timeout=20.0, finish=False, pieces=1):
    """The first answer to these bytes, sent in so many pieces; None where the server just closes."""
    reader, writer = await connect(port, context)
    head_only = data[:5].upper() == b"HEAD "
    try:
        async with asyncio.timeout(timeout):
            try:
                step = max(len(data) // pieces, 1)
                for at in range(0, len(data), step):
                    writer.write(data[at:at + step])
                    await writer.drain()
                if finish and writer.can_write_eof():
                    writer.write_eof()
            except ConnectionError:
                pass  # refused before all was sent; the answer may be there all the same
            try:
                answer = await read_answer(reader, head_only=head_only)
                while answer is not None and answer.status == 100:
                    answer = await read_answer(reader, head_only=head_only)
                return answer
            except (ConnectionError, ssl.SSLError):
                return None
    finally:
        writer.transport.abort()


def request(method, target, *, headers=(), body=b"", version="HTTP/1.1", length=True):
    """The bytes of a request; `headers` are pairs of str or bytes."""
    def raw(text):
        return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")

    lines = [raw(method) + b" " + raw(target) + b" " + raw(version), b"Host: api"]
    lines += [raw(k) + b": " + raw(v) for k, v in headers]
    if body and length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def left_behind():
    """Tasks of requests and streams that are still there, by name."""
    gc.collect()
    return [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and not t.done()]
