"""Requests as bytes through the whole chain, for tests that look at what goes over the wire."""

import asyncio
import json
from urllib.parse import parse_qs

from kubewheel.client.transport import Identity, Request

ADMIN = Identity("kubernetes-admin", groups=("system:masters", "system:authenticated"))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.warnings, self.chunks = (
            response.status, response.headers, response.warnings, response.chunks)
        self.body = response.body or b""

    @property
    def json(self):
        return json.loads(self.body)

    async def lines(self, count, timeout=5.0, *, keep=lambda event: True):
        """The first `count` events of a watch that are to be kept; it is closed then."""
        found = []
        try:
            async with asyncio.timeout(timeout):
                async for chunk in self.chunks:
                    found += filter(keep, [json.loads(line) for line in chunk.splitlines()])
                    if len(found) >= count:
                        break
        finally:
            await self.chunks.aclose()
        return found


async def send(cluster, method, url, body=None, *, content_type="application/json", accept="application/json",
               user=ADMIN, **headers):
    path, _, query = url.partition("?")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {"accept": accept, "user-agent": "tester/1.0", **{k.replace("_", "-"): v for k, v in headers.items()}}
    if body is not None:
        named["content-type"] = content_type
    return Answer(await cluster.server.chain(Request(
        method=method, path=path, raw_path=url, query=parse_qs(query, keep_blank_values=True), headers=named, body=body, user=user)))


def config_map(name, namespace="default", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **more},
            "data": {"a": "1"}}


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "main", "image": "example/web:1"}], **spec}}


def deployment(name, replicas=1):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}}


async def account(cluster):
    """The service account that pods need, where no controller makes it."""
    await cluster.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
