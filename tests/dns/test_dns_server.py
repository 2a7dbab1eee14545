"""The server over real sockets on the loopback: cluster names, names outside forwarded, TCP, truncation."""

import asyncio
import random
import socket

import dnslib
import pytest

from kubewheel.dns import server
from kubewheel.testing import cluster


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Upstream(asyncio.DatagramProtocol):
    """Answers every A question with one address; counts the questions."""

    def __init__(self):
        self.asked = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        query = dnslib.DNSRecord.parse(data)
        self.asked.append(str(query.q.qname))
        reply = query.reply()
        reply.add_answer(dnslib.RR(query.q.qname, dnslib.QTYPE.A, ttl=60, rdata=dnslib.A("192.0.2.99")))
        self.transport.sendto(reply.pack(), addr)


@pytest.fixture
async def running():
    upstream_port, port = free_port(), free_port()
    loop = asyncio.get_running_loop()
    transport, upstream = await loop.create_datagram_endpoint(Upstream, local_addr=("127.0.0.1", upstream_port))
    async with cluster(nodes=0, scheduler=False, controllers="") as c:
        dns = server.Dns(c.caches, server.Options(
            bind_address="127.0.0.1", port=port, upstreams=(f"127.0.0.1:{upstream_port}",), health_port=0, ready_port=0,
            metrics_port=0), rng=random.Random(0))
        task = asyncio.ensure_future(dns.run())
        await c.wait_for("services", "kubernetes")
        await c.wait_until(lambda: dns.is_ready() and dns.zone.lookup("kubernetes.default.svc.cluster.local", "A").records,
                           what="the caches have the first Service")
        try:
            yield c, dns, port, upstream
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            transport.close()


async def ask(port, name, qtype="A"):
    query = dnslib.DNSRecord.question(name, qtype)
    return dnslib.DNSRecord.parse(await asyncio.wait_for(server._ask_udp(query.pack(), "127.0.0.1", port), 5))


async def test_cluster_names_follow_services(running):
    c, _, port, _ = running
    assert str(dnslib.QTYPE.get((await ask(port, "kubernetes.default.svc.cluster.local")).rr[0].rtype)) == "A"
    assert (await ask(port, "web.default.svc.cluster.local")).header.rcode == dnslib.RCODE.NXDOMAIN
    await c.client.create("services", {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}})
    service = await c.client.get("services", "web", namespace="default")

    async def answers():
        found = await ask(port, "web.default.svc.cluster.local")
        return [str(rr.rdata) for rr in found.rr] == [service["spec"]["clusterIP"]]

    await c.wait_until(answers, what="the new Service has a name")


async def test_names_outside_are_forwarded_and_remembered(running):
    _, _, port, upstream = running
    for _ in range(3):
        assert str((await ask(port, "example.org")).rr[0].rdata) == "192.0.2.99"
    assert upstream.asked == ["example.org."]


async def test_external_names_are_followed(running):
    c, _, port, _ = running
    await c.client.create("services", {"metadata": {"name": "out", "namespace": "default"}, "spec": {
        "type": "ExternalName", "externalName": "example.org"}})

    async def answers():
        found = await ask(port, "out.default.svc.cluster.local")
        return [str(rr.rdata) for rr in found.rr] == ["example.org.", "192.0.2.99"]

    await c.wait_until(answers, what="the alias is followed")


async def test_tcp_and_garbage(running):
    _, _, port, _ = running
    query = dnslib.DNSRecord.question("kubernetes.default.svc.cluster.local")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = query.pack()
    writer.write(len(raw).to_bytes(2, "big") + raw)
    size = int.from_bytes(await reader.readexactly(2), "big")
    assert dnslib.DNSRecord.parse(await reader.readexactly(size)).rr
    writer.close()
    await writer.wait_closed()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        noise.sendto(b"\0" * 40, ("127.0.0.1", port))
    assert (await ask(port, "kubernetes.default.svc.cluster.local")).rr


async def test_edns_is_answered_in_edns(running):
    _, _, port, _ = running
    for name in ("kubernetes.default.svc.cluster.local", "nope.default.svc.cluster.local"):
        query = dnslib.DNSRecord.question(name)
        query.add_ar(dnslib.EDNS0(udp_len=1232))
        reply = dnslib.DNSRecord.parse(await asyncio.wait_for(server._ask_udp(query.pack(), "127.0.0.1", port), 5))
        assert [(rr.rtype, rr.rclass) for rr in reply.ar] == [(dnslib.QTYPE.OPT, 1232)]
    assert not (await ask(port, "kubernetes.default.svc.cluster.local")).ar


async def test_the_zones_own_records(running):
    _, _, port, _ = running
    assert [str(rr.rdata) for rr in (await ask(port, "cluster.local", "SOA")).rr] == [
        "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5"]
    assert [str(rr.rdata) for rr in (await ask(port, "cluster.local", "NS")).rr] == ["ns.dns.cluster.local."]
