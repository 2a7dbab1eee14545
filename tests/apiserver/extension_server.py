"""A small extension API server, as somebody else would write one: aiohttp, TLS, flunders of wardle.example.com.

It believes X-Remote-User only of a peer whose certificate the ConfigMap extension-apiserver-authentication vouches for,
and asks the API server (SubjectAccessReview) whether that user may.
"""

import asyncio
import base64
import contextlib
import copy
import json

from aiohttp import WSMsgType, web

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

GROUP, VERSION = "wardle.example.com", "v1alpha1"
ROOT = f"/apis/{GROUP}/{VERSION}"
RESOURCES = [
    {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "shortNames": ["fl"],
     "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]},
    {"name": "flunders/echo", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]}]
SCHEMA = {"com.example.wardle.v1alpha1.Flunder": {
    "description": "Flunder is what wardles eat.", "type": "object",
    "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                   "spec": {"description": "How it tastes.", "type": "object", "properties": {
                       "taste": {"type": "string", "description": "Sweet or sour."}}}},
    "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}]}}


def openapi_v2():
    ref = {"$ref": "#/definitions/com.example.wardle.v1alpha1.Flunder"}
    operation = {"x-kubernetes-action": "get", "produces": ["application/json"], "operationId": "readFlunder",
                 "responses": {"200": {"description": "OK", "schema": ref}},
                 "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": "Flunder"}}
    return {"swagger": "2.0", "info": {"title": "wardle", "version": "1"}, "definitions": SCHEMA, "paths": {
        f"{ROOT}/namespaces/{{namespace}}/flunders/{{name}}": {"get": operation},
        "/apis/other.example.com/v1/things": {"get": {"responses": {"200": {"description": "OK"}}}}}}


class ExtensionServer:
    """`api` is a Client of the API server it belongs to; `aggregated`: speaks aggregated discovery."""

    def __init__(self, api, directory, *, aggregated=True):
        self._api, self._directory, self._aggregated = api, directory, aggregated
        self.objects, self.watchers, self.revision = {}, set(), 1
        self.requests = []  # (method, path, headers)
        self.well = True

    async def start(self):
        found = await self._api.get("configmaps", "extension-apiserver-authentication", namespace="kube-system")
        self.trust = found["data"]
        now = clocks.RealClock().now()
        ca = tls.make_ca("wardle-ca", now=now)
        pair = tls.issue(ca, "wardle", now=now, server=True, hosts=("wardle.default.svc",))
        tls.write_private(self._directory / "w.key", pair.key)
        tls.write_atomic(self._directory / "w.crt", pair.cert)
        self.bundle = base64.b64encode(ca.cert).decode()
        context = tls.server_context(self._directory / "w.crt", self._directory / "w.key",
                                     client_ca=self.trust["requestheader-client-ca-file"].encode())
        app = web.Application(middlewares=[self._delegated])
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def aclose(self):
        await self._runner.cleanup()

    def apiservice(self, **spec):
        return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": f"{VERSION}.{GROUP}"}, "spec": {
                    "group": GROUP, "version": VERSION, "groupPriorityMinimum": 2000, "versionPriority": 200,
                    "caBundle": self.bundle,
                    "service": {"name": "wardle", "namespace": "default", "port": self.port}, **spec}}

    # -- who, and may they ---------------------------------------------------------------------------------------
    @web.middleware
    async def _delegated(self, request, handler):
        self.requests.append((request.method, request.path_qs, request.headers))
        if not self.well:
            return web.Response(status=500, text="not well")
        leaf = request.transport.get_extra_info("ssl_object").getpeercert()
        names = [v for part in (leaf or {}).get("subject", ()) for k, v in part if k == "commonName"]
        if not set(names) & set(json.loads(self.trust["requestheader-allowed-names"])):
            return self._status(401, "Unauthorized", "who are you?")
        user = request.headers.get(json.loads(self.trust["requestheader-username-headers"])[0], "")
        groups = request.headers.getall(json.loads(self.trust["requestheader-group-headers"])[0], [])
        if "system:masters" not in groups and request.path.startswith(f"{ROOT}/"):
            spec = {"user": user, "groups": groups, "resourceAttributes": {
                "group": GROUP, "resource": "flunders", "verb": "get" if request.method == "GET" else "create",
                "namespace": "default"}}
            review = await self._api.create("subjectaccessreviews.authorization.k8s.io", {"spec": spec, "metadata": {}})
            if not review["status"]["allowed"]:
                return self._status(403, "Forbidden", f'flunders are not for "{user}"')
        return await handler(request)

    @staticmethod
    def _status(code, reason, message):
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                  "message": message, "reason": reason, "code": code}, status=code)

    # -- what ------------------------------------------------------------------------------------------------------
    async def _serve(self, request):
        path = request.path
        if path in ("/apis", "/openapi/v2", ROOT):
            return self._document(request, path)
        if path == "/go":
            return web.Response(status=302, headers={"location": "https://elsewhere.example.com/"})
        parts = path.removeprefix(f"{ROOT}/").split("/")
        if not path.startswith(f"{ROOT}/") or "flunders" not in parts:
            if path == f"{ROOT}/go":
                return web.Response(status=302, headers={"location": "https://elsewhere.example.com/"})
            return web.Response(status=404, text="404 page not found")
        if parts[-1] == "echo":
            return await self._echo(request)
        name = parts[-1] if parts[-1] != "flunders" else ""
        if request.method == "POST":
            return self._store(await request.json(), "ADDED", 201)
        if request.method == "PUT":
            return self._store(await request.json(), "MODIFIED", 200)
        if request.method == "PATCH":
            merged = copy.deepcopy(self.objects[name])
            merged["spec"] |= (await request.json()).get("spec", {})
            return self._store(merged, "MODIFIED", 200)
        if request.method == "DELETE":
            gone = self.objects.pop(name)
            self._tell("DELETED", gone)
            return web.json_response(gone)
        if name:
            if name not in self.objects:
                return self._status(404, "NotFound", f'flunders.{GROUP} "{name}" not found')
            return web.json_response(self.objects[name], headers={"Warning": '299 - "flunders go stale"'})
        return await (self._watch(request) if request.query.get("watch") else self._list(request))

    def _document(self, request, path):
        aggregated = self._aggregated and "as=APIGroupDiscoveryList" in request.headers.get("accept", "")
        if path == "/openapi/v2":
            return web.json_response(openapi_v2())
        if path == ROOT:
            return web.json_response({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}",
                                      "resources": RESOURCES})
        if not aggregated:
            return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        kind = {"group": GROUP, "version": VERSION, "kind": "Flunder"}
        document = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": [{
            "metadata": {"name": GROUP}, "versions": [{"version": VERSION, "freshness": "Current", "resources": [{
                "resource": "flunders", "responseKind": kind, "scope": "Namespaced", "singularResource": "flunder",
                "verbs": RESOURCES[0]["verbs"], "shortNames": ["fl"]}]}]}]}
        return web.Response(body=json.dumps(document).encode(), headers={
            "content-type": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})

    def _store(self, obj, event, status):
        self.revision += 1
        obj.setdefault("metadata", {})["resourceVersion"] = str(self.revision)
        obj["metadata"].setdefault("namespace", "default")
        self.objects[obj["metadata"]["name"]] = obj
        self._tell(event, obj)
        return web.json_response(obj, status=status)

    def _tell(self, event, obj):
        for queue in self.watchers:
            queue.put_nowait({"type": event, "object": obj})

    async def _list(self, request):
        return web.json_response({"kind": "FlunderList", "apiVersion": f"{GROUP}/{VERSION}",
                                  "metadata": {"resourceVersion": str(self.revision)}, "items": list(self.objects.values())})

    async def _watch(self, request):
        queue = asyncio.Queue()
        self.watchers.add(queue)
        response = web.StreamResponse(headers={"content-type": "application/json"})
        try:
            await response.prepare(request)
            while True:
                await response.write(json.dumps(await queue.get()).encode() + b"\n")
        finally:
            self.watchers.discard(queue)

    async def _echo(self, request):
        socket = web.WebSocketResponse(protocols=("echo.example.com",))
        await socket.prepare(request)
        await socket.send_str(request.headers["X-Remote-User"])
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data.upper())
        return socket


@contextlib.asynccontextmanager
async def running(api, directory, **more):
    made = ExtensionServer(api, directory, **more)
    await made.start()
    try:
        yield made
    finally:
        await made.aclose()
