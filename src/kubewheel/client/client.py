"""The one way to an API server: verbs on resources, over any Transport.

In: resource names ("pods", "deployments.apps", or a Gvr) and JSON dicts. Out: JSON dicts; StatusError when refused.
What comes back over InProcess is shared with the server's cache: read-only, `codec.copy` before changing.
Called by: reconcile and every component.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from kubewheel.api import catalog, codec, errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.client.transport import Request, Response, Transport

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def gvr_of(resource: str | Gvr) -> Gvr:
    return resource if isinstance(resource, Gvr) else catalog.gvr(resource)


def path_of(gvr: Gvr, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """`/apis/apps/v1/namespaces/ns/deployments/name/status`; no namespace: cluster-wide or cluster-scoped."""
    parts = ["/api", gvr.version] if not gvr.group else ["/apis", gvr.group, gvr.version]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(gvr.plural)
    if name is not None:
        parts.append(quote(name, safe=":@"))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


class Client:
    def __init__(self, transport: Transport, *, manager: str = "kubewheel") -> None:
        self.transport = transport
        self.manager = manager  # the default fieldManager of writes

    async def get(self, resource: str | Gvr, name: str, *, namespace: str | None = None,
                  subresource: str | None = None, **query: Any) -> Object:
        return await self._call("GET", path_of(gvr_of(resource), namespace, name, subresource), query)

    async def find(self, resource: str | Gvr, name: str, *, namespace: str | None = None) -> Object | None:
        """Like get, None where there is nothing."""
        try:
            return await self.get(resource, name, namespace=namespace)
        except errors.StatusError as e:
            if e.code == 404:
                return None
            raise

    async def list(self, resource: str | Gvr, *, namespace: str | None = None, label_selector: str = "",
                   field_selector: str = "", limit: int = 0, continue_: str = "", resource_version: str | None = None,
                   **query: Any) -> Object:
        """The list object: {"metadata": {"resourceVersion", "continue"?}, "items": [...]}."""
        query |= {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": limit or "",
                  "continue": continue_}
        if resource_version is not None:
            query["resourceVersion"] = resource_version
        return await self._call("GET", path_of(gvr_of(resource), namespace), query)

    async def create(self, resource: str | Gvr, obj: Object, *, namespace: str | None = None,
                     name: str | None = None, subresource: str | None = None, **query: Any) -> Object:
        """Namespace is taken from the object where it is not given. With `subresource`, posts below `name`."""
        namespace = namespace or obj.get("metadata", {}).get("namespace")
        query.setdefault("fieldManager", self.manager)
        path = path_of(gvr_of(resource), namespace, name, subresource)
        return await self._call("POST", path, query, codec.copy(obj))

    async def update(self, resource: str | Gvr, obj: Object, *, subresource: str | None = None, **query: Any) -> Object:
        meta = obj["metadata"]
        query.setdefault("fieldManager", self.manager)
        path = path_of(gvr_of(resource), meta.get("namespace"), meta["name"], subresource)
        return await self._call("PUT", path, query, codec.copy(obj))

    async def update_status(self, resource: str | Gvr, obj: Object, **query: Any) -> Object:
        return await self.update(resource, obj, subresource="status", **query)

    async def patch(self, resource: str | Gvr, name: str, patch: Any, *, namespace: str | None = None,
                    subresource: str | None = None, type: str = MERGE_PATCH, **query: Any) -> Object:
        query.setdefault("fieldManager", self.manager)
        path = path_of(gvr_of(resource), namespace, name, subresource)
        return await self._call("PATCH", path, query, codec.dumps(patch), content_type=type)

    async def apply(self, resource: str | Gvr, obj: Object, *, subresource: str | None = None, force: bool = False,
                    **query: Any) -> Object:
        meta = obj["metadata"]
        return await self.patch(resource, meta["name"], obj, namespace=meta.get("namespace"), subresource=subresource,
                                type=APPLY_PATCH, force="true" if force else "", **query)

    async def delete(self, resource: str | Gvr, name: str, *, namespace: str | None = None, uid: str | None = None,
                     resource_version: str | None = None, grace: int | None = None,
                     propagation: str | None = None, **query: Any) -> Object:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions = {}
        if uid:
            preconditions["uid"] = uid
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        if preconditions:
            options["preconditions"] = preconditions
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation:
            options["propagationPolicy"] = propagation
        return await self._call("DELETE", path_of(gvr_of(resource), namespace, name), query, options)

    async def delete_collection(self, resource: str | Gvr, *, namespace: str | None = None, label_selector: str = "",
                                field_selector: str = "", propagation: str | None = None, **query: Any) -> Object:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation:
            options["propagationPolicy"] = propagation
        query |= {"labelSelector": label_selector, "fieldSelector": field_selector}
        return await self._call("DELETE", path_of(gvr_of(resource), namespace), query, options)

    async def watch(self, resource: str | Gvr, *, namespace: str | None = None, resource_version: str = "",
                    label_selector: str = "", field_selector: str = "", bookmarks: bool = True,
                    timeout: int = 0, **query: Any) -> AsyncIterator[tuple[str, Object]]:
        """Events as (type, object): ADDED, MODIFIED, DELETED, BOOKMARK. An ERROR event is raised as StatusError
        (410: list again). Ends when the server ends it."""
        query |= {"watch": "true", "resourceVersion": resource_version, "labelSelector": label_selector,
                  "fieldSelector": field_selector, "timeoutSeconds": timeout or "",
                  "allowWatchBookmarks": "true" if bookmarks else ""}
        response = await self._send("GET", path_of(gvr_of(resource), namespace), query)
        if response.events is None:
            raise errors.internal("the server did not answer the watch with events")
        async for kind, obj in response.events:
            if kind == "ERROR":
                raise errors.StatusError(obj)
            yield kind, obj

    async def raw(self, method: str, path: str, *, query: dict[str, Any] | None = None,
                  body: Any = None, content_type: str = "application/json") -> Response:
        """Any path ("/healthz", "/apis"); the Response as it came. StatusError from 400 on."""
        return await self._send(method, path, query or {}, body, content_type=content_type, wants_objects=False)

    async def aclose(self) -> None:
        await self.transport.aclose()

    async def _call(self, method: str, path: str, query: dict[str, Any], body: Any = None, *,
                    content_type: str = "application/json") -> Object:
        response = await self._send(method, path, query, body, content_type=content_type)
        if response.obj is not None:
            return response.obj
        return codec.loads(response.body or b"{}")

    async def _send(self, method: str, path: str, query: dict[str, Any], body: Any = None, *,
                    content_type: str = "application/json", wants_objects: bool = True) -> Response:
        clean = {k: [str(x) for x in v] if isinstance(v, list) else [str(v)]
                 for k, v in query.items() if v is not None and v != ""}
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = content_type
        response = await self.transport.send(Request(
            method=method, path=path, query=clean, headers=headers, body=body, wants_objects=wants_objects))
        if response.status >= 400:
            raise errors.StatusError(_status_of(response))
        return response


def _status_of(response: Response) -> Object:
    if isinstance(response.obj, dict):
        return response.obj
    try:
        status = codec.loads(response.body or b"")
        if isinstance(status, dict) and status.get("kind") == "Status":
            return status
    except ValueError:
        pass  # not JSON: the text becomes the message below
    text = (response.body or b"").decode(errors="replace").strip()
    return errors.status_error(response.status, "", text or f"the server answered {response.status}").status
