"""A transport over HTTPS: any API server, upstream's too.

In: Request and what a kubeconfig says. Out: Response; watches as (type, object) events. OSError when unreachable.
Called by: kubelet, proxy, dns, controllers and scheduler when they run alone, cli.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
import yarl

from kubewheel.api import codec
from kubewheel.client.transport import Request, Response
from kubewheel.lib import metrics

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REQUESTS = metrics.REGISTRY.counter(
    "rest_client_requests_total", "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.", "code",
    "host", "method")
SECONDS = metrics.REGISTRY.histogram(
    "rest_client_request_duration_seconds", "[ALPHA] Request latency in seconds. Broken down by verb, and host.", "host",
    "verb", buckets=(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0))
TOKEN_AGE = 60.0  # seconds a token file's content is trusted before it is read again


@dataclass(slots=True)
class Config:
    """Where the server is and who we are. `ca` and certificates are PEM."""

    server: str
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    server_name: str = ""
    namespace: str = "default"


class ConfigError(Exception):
    """The kubeconfig cannot be used; the text says why."""


def load_kubeconfig(path: str | os.PathLike[str], *, context: str = "") -> Config:
    try:
        doc = yaml.load(Path(path).read_bytes(), Loader=yaml.CSafeLoader) or {}
    except (OSError, yaml.YAMLError) as e:
        raise ConfigError(f"error loading config file {str(path)!r}: {e}") from e
    base = Path(path).resolve().parent

    def named(section: str, name: str) -> dict[str, Any]:
        for item in doc.get(section) or ():
            if item.get("name") == name:
                return item.get(section[:-1]) or {}
        raise ConfigError(f"{section[:-1]} {name!r} does not exist in {path}")

    ctx = named("contexts", context or doc.get("current-context", ""))
    cluster, user = named("clusters", ctx["cluster"]), named("users", ctx["user"]) if ctx.get("user") else {}

    def pem(source: dict[str, Any], field: str) -> bytes:
        if data := source.get(field + "-data"):
            return base64.b64decode(data)
        if name := source.get(field):
            return (base / name).read_bytes()
        return b""

    return Config(
        server=cluster["server"], ca=pem(cluster, "certificate-authority"),
        certificate=pem(user, "client-certificate"), key=pem(user, "client-key"), token=user.get("token", ""),
        token_file=user.get("tokenFile", ""), insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name", ""), namespace=ctx.get("namespace", "default"))


def in_cluster() -> Config:
    """What a pod finds in its environment and its projected volume."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigError("unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                          "KUBERNETES_SERVICE_PORT must be defined")
    if ":" in host:
        host = f"[{host}]"
    return Config(server=f"https://{host}:{port}", ca=(SERVICE_ACCOUNT / "ca.crt").read_bytes(),
                  token_file=str(SERVICE_ACCOUNT / "token"))


def ssl_context(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=config.ca.decode() if config.ca else None)
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.certificate:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads files only
            path = Path(folder) / "pair.pem"
            path.touch(mode=0o600)
            path.write_bytes(config.certificate + b"\n" + config.key)
            context.load_cert_chain(path)
    return context


class Http:
    def __init__(self, config: Config, *, user_agent: str = "kubewheel") -> None:
        self.config = config
        self._agent = user_agent
        self._host = config.server.partition("://")[2].partition("/")[0]
        self._session: aiohttp.ClientSession | None = None
        self._ssl = ssl_context(config) if config.server.startswith("https") else None
        self._token = config.token
        self._token_read = -TOKEN_AGE

    async def send(self, request: Request) -> Response:
        session = self._open()
        headers = dict(request.headers)
        headers.setdefault("user-agent", self._agent)
        if token := self._bearer():
            headers["authorization"] = f"Bearer {token}"
        body = request.body
        if body is not None and not isinstance(body, bytes):
            body = codec.dumps(body)
        query = [(k, v) for k, values in request.query.items() for v in values]
        url = yarl.URL(self.config.server.rstrip("/") + request.path, encoded=True).with_query(query)
        watching = request.first("watch") == "true"
        timeout = aiohttp.ClientTimeout(total=None if watching else 60, connect=10, sock_read=None)
        loop = asyncio.get_running_loop()
        began, status = loop.time(), "<error>"
        try:
            answer = await session.request(request.method, url, data=body, headers=headers, timeout=timeout,
                                           server_hostname=self.config.server_name or None)
            status = str(answer.status)
            if watching and answer.status == 200:
                return Response(status=200, headers=_headers(answer), events=_events(answer))
            raw = await answer.read()
        except aiohttp.ClientError as e:
            raise OSError(f"{request.method} {url.path}: {e}") from e
        finally:
            REQUESTS.inc(status, self._host, request.method)
            SECONDS.observe(loop.time() - began, self._host, request.method)
        return Response(status=answer.status, headers=_headers(answer), body=raw)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl if self._ssl is not None else True)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session

    def _bearer(self) -> str:
        if self.config.token_file:
            now = asyncio.get_running_loop().time()
            if now - self._token_read >= TOKEN_AGE:
                self._token = Path(self.config.token_file).read_text().strip()
                self._token_read = now
        return self._token


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {k.lower(): v for k, v in answer.headers.items()}


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    rest = b""
    try:
        async for chunk in answer.content.iter_any():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if line:
                    event = codec.loads(line)
                    yield event["type"], event["object"]
    except aiohttp.ClientError as e:
        raise OSError(f"the watch was cut: {e}") from e
    finally:
        answer.close()
