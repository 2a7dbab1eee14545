"""The DNS server: UDP and TCP, a chain of cache → cluster zone → forward.

In: packets. Out: packets. Called by: run (`kubewheel dns`), as a pod behind the kube-dns Service.
Answers are cached by packet bytes (all but the id) until a Service or EndpointSlice changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

import dnslib
from aiohttp import web

from kubewheel.api.resource import Object
from kubewheel.client.cache import Caches
from kubewheel.dns import zone as zones
from kubewheel.lib import metrics
from kubewheel.lib.supervise import Tasks

log = logging.getLogger(__name__)

MAX_UDP = 512
CACHE_SIZE = 10_000
FORWARD_TTL = 30.0  # seconds a forwarded answer is kept at most
REQUESTS = metrics.REGISTRY.counter(
    "coredns_dns_requests_total", "Counter of DNS requests made per zone, protocol and family.", "proto")


@dataclass(slots=True, kw_only=True)
class Options:
    bind_address: str = "0.0.0.0"
    port: int = 53
    domain: str = "cluster.local"
    upstreams: tuple[str, ...] = ()  # "ip" or "ip:port"; () reads resolv_conf
    resolv_conf: str = "/etc/resolv.conf"
    stub_domains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    health_port: int = 8080
    ready_port: int = 8181
    metrics_port: int = 9153
    forward_timeout: float = 2.0


class Dns:
    def __init__(self, caches: Caches, options: Options, *, rng: random.Random) -> None:
        self._options = options
        self._random = rng
        self._services = caches.get("services")
        self._slices = caches.get("endpointslices.discovery.k8s.io")
        self._namespaces = caches.get("namespaces")
        self._services.add_index("ip", _service_ips)
        self._slices.add_index("service", _slice_service)
        self._slices.add_index("ip", _slice_ips)
        self.zone = zones.Zone(options.domain, zones.Sources(
            service=lambda ns, name: self._services.get(ns, name),
            slices=lambda ns, name: self._slices.by_index("service", f"{ns}/{name}"),
            has_namespace=lambda ns: self._namespaces.get(None, ns) is not None,
            service_by_ip=lambda ip: next(iter(self._services.by_index("ip", ip)), None),
            slices_by_ip=lambda ip: self._slices.by_index("ip", ip)))
        self._cluster_cache: dict[bytes, bytes] = {}
        self._forward_cache: dict[bytes, tuple[float, bytes]] = {}
        self._tasks = Tasks("dns")
        for cache in (self._services, self._slices, self._namespaces):
            cache.subscribe(lambda old, new: self._cluster_cache.clear())

    def is_ready(self) -> bool:
        return all(c.is_synced() for c in (self._services, self._slices, self._namespaces))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        options = self._options
        async with contextlib.AsyncExitStack() as open_:  # whatever ends this, at whatever step, closes what is open
            open_.push_async_callback(self._tasks.aclose)
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(self), local_addr=(options.bind_address, options.port))
            open_.callback(transport.close)
            server = await asyncio.start_server(self._connected, options.bind_address, options.port)
            open_.callback(server.close)
            for port in (options.health_port, options.ready_port, options.metrics_port):
                if port:
                    open_.push_async_callback((await _http(port, self._status)).cleanup)
            await asyncio.Event().wait()

    # -- the chain ------------------------------------------------------------------------------------------------
    def answer_nowait(self, packet: bytes) -> bytes | None:
        """The cached answer, or None."""
        cached = self._cluster_cache.get(packet[2:])
        return packet[:2] + cached if cached is not None else None

    async def answer(self, packet: bytes, *, udp: bool) -> bytes | None:
        try:
            query = dnslib.DNSRecord.parse(packet)
        except (dnslib.DNSError, struct.error, ValueError, IndexError):
            return None
        if query.header.qr:
            return None
        if len(query.questions) != 1 or query.header.opcode != 0:
            return _reply(query, rcode=dnslib.RCODE.NOTIMP).pack()
        name = str(query.q.qname).rstrip(".").lower()
        qtype = dnslib.QTYPE.get(query.q.qtype)
        if self.zone.owns(name):
            reply = await self._cluster(query, self.zone.lookup(name, str(qtype)))
        elif qtype == "PTR" and (found := self.zone.reverse(name)) is not None:
            reply = await self._cluster(query, found)
        else:
            return await self._forward(packet, query, name, udp=udp)
        raw = bytes(reply.pack())
        if udp and len(raw) > _udp_limit(query):
            reply.header.tc = 1
            reply.rr, reply.ar = [], []
            _echo_edns(query, reply)
            raw = bytes(reply.pack())
        if len(self._cluster_cache) >= CACHE_SIZE:
            self._cluster_cache.clear()
        if udp:
            self._cluster_cache[packet[2:]] = raw[2:]
        return raw

    async def _cluster(self, query: dnslib.DNSRecord, found: zones.Answer) -> dnslib.DNSRecord:
        if not self.is_ready():
            return _reply(query, rcode=dnslib.RCODE.SERVFAIL)
        reply = _reply(query, rcode=0 if found.exists else dnslib.RCODE.NXDOMAIN)
        reply.header.aa = 1
        records = list(found.records)
        self._random.shuffle(records)
        for record in records:
            reply.add_answer(_rr(record, query))
        for record in found.extra:
            reply.add_ar(_rr(record, query))
        if records and records[0].type == "CNAME" and query.q.qtype != dnslib.QTYPE.CNAME:
            await self._chase(query, reply, str(records[0].value[0]))
        if not records:
            reply.add_auth(_rr(self.zone.soa(), query))
        _echo_edns(query, reply)
        return reply

    async def _chase(self, query: dnslib.DNSRecord, reply: dnslib.DNSRecord, target: str) -> None:
        """The address behind a CNAME (ExternalName), as far as it can be had."""
        name = target.rstrip(".").lower()
        if self.zone.owns(name):
            for record in self.zone.lookup(name, str(dnslib.QTYPE.get(query.q.qtype))).records:
                reply.add_answer(_rr(record, query))
            return
        inner = dnslib.DNSRecord.question(target, str(dnslib.QTYPE.get(query.q.qtype)))
        raw = await self._forward(bytes(inner.pack()), inner, name, udp=True)
        if raw is not None:
            for rr in dnslib.DNSRecord.parse(raw).rr:
                reply.add_answer(rr)

    # -- names outside --------------------------------------------------------------------------------------------
    async def _forward(self, packet: bytes, query: dnslib.DNSRecord, name: str, *, udp: bool) -> bytes | None:
        loop = asyncio.get_running_loop()
        cached = self._forward_cache.get(packet[2:])
        if cached is not None and cached[0] > loop.time():
            return packet[:2] + cached[1]
        servers = list(self._servers_for(name))
        self._random.shuffle(servers)
        for host, port in servers:
            raw = await self._ask(packet, host, port, udp=udp)
            if raw is not None:
                if len(self._forward_cache) >= CACHE_SIZE:
                    self._forward_cache.clear()
                self._forward_cache[packet[2:]] = (loop.time() + min(FORWARD_TTL, _lowest_ttl(raw)), raw[2:])
                return raw
        return _reply(query, rcode=dnslib.RCODE.SERVFAIL).pack()

    def _servers_for(self, name: str) -> tuple[tuple[str, int], ...]:
        for domain, servers in self._options.stub_domains.items():
            if name == domain or name.endswith("." + domain):
                return tuple(_host_port(s) for s in servers)
        servers = self._options.upstreams or nameservers(self._options.resolv_conf)
        return tuple(_host_port(s) for s in servers)

    async def _ask(self, packet: bytes, host: str, port: int, *, udp: bool) -> bytes | None:
        try:
            async with asyncio.timeout(self._options.forward_timeout):
                if udp:
                    return await _ask_udp(packet, host, port)
                return await _ask_tcp(packet, host, port)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as e:
            log.info("upstream %s:%d did not answer: %s", host, port, e or "timeout")
            return None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.spawn("tcp", self._tcp(reader, writer))

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(30):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    packet = await reader.readexactly(size)
                REQUESTS.inc("tcp")
                raw = await self.answer(packet, udp=False)
                if raw is None:
                    return
                writer.write(len(raw).to_bytes(2, "big") + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return  # the client is done
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def serve_udp(self, packet: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        REQUESTS.inc("udp")
        if (raw := self.answer_nowait(packet)) is not None:
            transport.sendto(raw, address)
        else:
            self._tasks.spawn("query", self._answer_udp(packet, address, transport))

    async def _answer_udp(self, packet: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        raw = await self.answer(packet, udp=True)
        if raw is not None and not transport.is_closing():
            transport.sendto(raw, address)

    async def _status(self, request: web.Request) -> web.Response:
        if request.path == "/metrics":
            return web.Response(text=metrics.REGISTRY.render(), content_type="text/plain")
        if request.path == "/ready" and not self.is_ready():
            return web.Response(status=503, text="kubernetes")
        return web.Response(text="OK")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and len(data) >= 12:
            self._dns.serve_udp(data, addr, self._transport)


def _reply(query: dnslib.DNSRecord, *, rcode: int) -> dnslib.DNSRecord:
    reply = query.reply(ra=1, aa=0)
    reply.rr = []
    reply.header.rcode = rcode
    return reply


def _rr(record: zones.Record, query: dnslib.DNSRecord) -> dnslib.RR:
    kind, value = record.type, record.value
    rdata = {"A": dnslib.A, "AAAA": dnslib.AAAA, "SRV": dnslib.SRV, "PTR": dnslib.PTR, "CNAME": dnslib.CNAME,
             "TXT": dnslib.TXT, "NS": dnslib.NS, "SOA": dnslib.SOA}[kind](*value)
    asked = str(query.q.qname).rstrip(".")
    name = asked if asked.lower() == record.name else record.name  # the case the client used comes back
    return dnslib.RR(name, getattr(dnslib.QTYPE, kind), ttl=zones.TTL, rdata=rdata)


def _echo_edns(query: dnslib.DNSRecord, reply: dnslib.DNSRecord) -> None:
    """Whoever speaks EDNS is answered in it (RFC 6891, 6.1.1), with its own size as CoreDNS does it."""
    for rr in query.ar:
        if rr.rtype == dnslib.QTYPE.OPT:
            reply.add_ar(dnslib.EDNS0(udp_len=rr.rclass))
            return


def _udp_limit(query: dnslib.DNSRecord) -> int:
    for rr in query.ar:
        if rr.rtype == dnslib.QTYPE.OPT:
            return max(MAX_UDP, min(rr.rclass, 4096))
    return MAX_UDP


def _lowest_ttl(raw: bytes) -> float:
    try:
        ttls = [rr.ttl for rr in dnslib.DNSRecord.parse(raw).rr]
    except (dnslib.DNSError, struct.error):
        return 0.0
    return float(min(ttls)) if ttls else 5.0


def _host_port(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if colon and port.isdigit() and "." in host:
        return host, int(port)
    return server, 53


def nameservers(path: str) -> tuple[str, ...]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as e:
        log.warning("no upstream name servers: %s", e)
        return ()
    return tuple(p[1] for line in lines if len(p := line.split()) > 1 and p[0] == "nameserver" and ":" not in p[1])


async def _ask_udp(packet: bytes, host: str, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    class Once(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            if data[:2] == packet[:2] and not future.done():
                future.set_result(data)

        def error_received(self, exc: Exception) -> None:
            if not future.done():
                future.set_exception(exc)

    transport, _ = await loop.create_datagram_endpoint(Once, remote_addr=(host, port), family=socket.AF_INET)
    try:
        transport.sendto(packet)
        return await future
    finally:
        transport.close()


async def _ask_tcp(packet: bytes, host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _http(port: int, handler) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    return runner


def _service_ips(service: Object) -> list[str]:
    return [ip for ip in (service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP")]) if ip and ip != "None"]


def _slice_service(item: Object) -> list[str]:
    name = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
    return [f"{item['metadata']['namespace']}/{name}"] if name else []


def _slice_ips(item: Object) -> list[str]:
    return [a for e in item.get("endpoints") or () for a in e["addresses"]]
