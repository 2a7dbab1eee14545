"""A registry on the loopback that wants a user and a password: serves one OCI layout tar under any name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    def __init__(self, image: Path, user: str, password: str) -> None:
        self.address = ""
        self.pulls = 0  # of manifests
        self.hold = asyncio.Event()  # cleared: blobs are not sent
        self.hold.set()
        self.auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        with tarfile.open(image) as tar:
            self._blobs = {f"sha256:{member.name.rsplit('/', 1)[1]}": tar.extractfile(member).read()  # type: ignore[union-attr]
                           for member in tar if member.isfile() and member.name.startswith("blobs/sha256/")}
            index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        self._manifest = index["manifests"][0]["digest"]

    def docker_config(self) -> str:
        text = json.dumps({"auths": {self.address: {"auth": self.auth}}})
        return base64.b64encode(text.encode()).decode()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Basic {self.auth}":
            return web.json_response({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
                                     status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        kind, _, reference = request.path.rpartition("/")
        if kind.endswith("/manifests"):
            digest = self._manifest if not reference.startswith("sha256:") else reference
            if reference == "none" or digest not in self._blobs:
                return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
            self.pulls += request.method == "GET" or reference == "1"
            return web.Response(body=self._blobs[digest], content_type=MANIFEST,
                                headers={"Docker-Content-Digest": digest})
        if kind.endswith("/blobs"):
            await self.hold.wait()
            return web.Response(body=self._blobs[reference], content_type="application/octet-stream")
        return web.Response()


@contextlib.asynccontextmanager
async def registry(image: Path, user: str = "reader", password: str = "secret") -> AsyncIterator[Registry]:
    made = Registry(image, user, password)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.hold.set()
        await runner.cleanup()
