"""A webhook of a test's own, over TLS: admission and conversion reviews go to functions."""

import asyncio
import base64
import contextlib
import json

from aiohttp import web

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls


@contextlib.asynccontextmanager
async def https(tmp_path, handle):
    """A server on the loopback whose every POST goes to `handle(request)`. Yields {"url", "caBundle"}, a clientConfig."""
    now = clocks.RealClock().now()
    ca = tls.make_ca("hooks", now=now)
    pair = tls.issue(ca, "hook", now=now, server=True, ips=("127.0.0.1",))
    tls.write_private(tmp_path / "k", pair.key)
    tls.write_atomic(tmp_path / "c", pair.cert)

    app = web.Application()
    app.router.add_post("/{any:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(tmp_path / "c", tmp_path / "k")).start()
    try:
        yield {"url": f"https://127.0.0.1:{runner.addresses[0][1]}/", "caBundle": base64.b64encode(ca.cert).decode()}
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serving(tmp_path, admit=None, convert=None):
    """Yields {"url", "caBundle"}. `admit(request)` gives the response's fields, or a whole web.Response; `convert(object, wanted)` the object."""
    async def handle(request):
        review = await request.json()
        asked = review["request"]
        if review["kind"] == "ConversionReview":
            response = {"uid": asked["uid"], "result": {"status": "Success"},
                        "convertedObjects": [convert(o, asked["desiredAPIVersion"]) for o in asked["objects"]]}
        else:
            answer = admit(asked)
            if isinstance(answer, web.Response):
                return answer
            response = {"uid": asked["uid"], "allowed": True} | (await answer if asyncio.iscoroutine(answer) else answer)
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})

    async with https(tmp_path, handle) as config:
        yield config


def patched(*operations):
    """A response that changes the object."""
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def denied(why, **more):
    return {"allowed": False, "status": {"message": why, **more}}


def configuration(name, client_config, *, mutating=False, rules, hook=None, **more):
    """One webhook `name`.example.com."""
    return {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name, **more},
            "kind": ("Mutating" if mutating else "Validating") + "WebhookConfiguration",
            "webhooks": [{"name": f"{name}.example.com", "clientConfig": client_config, "sideEffects": "None",
                          "admissionReviewVersions": ["v1"], "rules": rules, **(hook or {})}]}


def rule(resource, *operations, group="", version="*"):
    return {"apiGroups": [group], "apiVersions": [version], "operations": list(operations or ("CREATE",)), "resources": [resource]}
