"""OpenAPI v3 (one document per group-version, and their index) and v2 (all in one). Pure, made on demand.

In: Resource values, and the documents of extension API servers. Out: status, headers, bytes, as JSON or protobuf.
Called by: apiserver/endpoints.py, which makes a new Documents when what is served changes; documents that did not
change keep their hash, and with it their bytes. Source: KEP-2896 (v3), kube-openapi's handlers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubewheel import KUBERNETES_VERSION
from kubewheel.api import codec
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver.extension import openapi_paths, openapi_protobuf, openapi_types
from kubewheel.apiserver.extension.aggregation import openapi_v2
from kubewheel.apiserver.extension.aggregation.openapi import Remote

JSON = "application/json"
# Asked for under either name, answered under the one without the @ (which is no character of media types).
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
_KEPT = 64  # documents; a cluster serves ~30 group-versions
_made: dict[str, bytes] = {}

Answer = tuple[int, dict[str, str], bytes]


class Documents:
    def __init__(self, resources: Sequence[Resource], remote: Iterable[Remote] = ()) -> None:
        self._remote = {r.name: r for r in remote}
        self._by_version: dict[str, list[Resource]] = {}
        for r in (r for r in resources if r.verbs):
            path = f"apis/{r.group}/{r.version}" if r.group else f"api/{r.version}"
            if path not in self._remote:
                self._by_version.setdefault(path, []).append(r)
        self._hashes = {path: _hash(found) for path, found in self._by_version.items()}
        groups = {r.group for r in resources if r.verbs and r.custom is None and r.group}
        self._fixed = {"version", "api", "apis", *(f"apis/{group}" for group in groups)} if resources else set()
        self._hashes |= {path: hashlib.sha512(f"{KUBERNETES_VERSION} {path}".encode()).hexdigest().upper()
                         for path in self._fixed}
        self._hashes |= {r.name: r.hash for r in self._remote.values()}

    def serve(self, path: str, accept: str, hash_: str = "", if_none_match: str = "") -> Answer | None:
        """None: no such document."""
        if path == "/openapi/v3":
            return self._index(if_none_match)
        if path == "/openapi/v2":
            return self._v2(accept, if_none_match)
        name = path.removeprefix("/openapi/v3/")
        if name not in self._hashes or (name in self._remote and not self._remote[name].v3):
            return None
        wanted = self._hashes[name]
        if hash_ and hash_ != wanted:
            return 301, {"location": _url(name, wanted), "content-type": JSON}, b""
        form = negotiate(accept, V3_PROTOBUF)
        if not form:
            return 406, {"vary": "Accept"}, b""
        headers = {"content-type": form, "etag": f'"{wanted}"', "vary": "Accept"}
        if hash_:
            headers["cache-control"] = "public, immutable"
        if headers["etag"] in if_none_match:
            del headers["content-type"]
            return 304, headers, b""
        return 200, headers, self._v3(name, form)

    def _v3(self, name: str, form: str) -> bytes:
        def as_json() -> bytes:
            if name in self._fixed:
                return fixed(name)
            return self._remote[name].v3 if name in self._remote else v3(self._by_version[name])

        key = self._hashes[name]
        if form == JSON:
            return _remembered(key, as_json)
        return _remembered(f"{key} protobuf", lambda: openapi_protobuf.v3(codec.loads(_remembered(key, as_json))))

    def _index(self, if_none_match: str) -> Answer:
        body = codec.dumps({"paths": {name: {"serverRelativeURL": _url(name, self._hashes[name])}
                                      for name in sorted(self._hashes)}})
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        if etag in if_none_match:
            return 304, {"etag": etag}, b""
        return 200, {"content-type": JSON, "etag": etag}, body

    def _v2(self, accept: str, if_none_match: str) -> Answer:
        form = negotiate(accept, V2_PROTOBUF)
        if not form:
            return 406, {"vary": "Accept"}, b""
        key = hashlib.sha512("v2 ".join(sorted(self._hashes.values())).encode()).hexdigest().upper()
        headers = {"content-type": form, "etag": f'"{key}"', "vary": "Accept"}
        if headers["etag"] in if_none_match:
            del headers["content-type"]
            return 304, headers, b""
        if form == JSON:
            return 200, headers, _remembered(key, self._v2_json)
        return 200, headers, _remembered(
            f"{key} protobuf", lambda: openapi_protobuf.v2(codec.loads(_remembered(key, self._v2_json))))

    def _v2_json(self) -> bytes:
        own = v2([r for found in self._by_version.values() for r in found])
        others = [codec.loads(r.v2) for r in self._remote.values() if r.v2]
        return codec.dumps(openapi_v2.merged(own, others) if others else own)


_SECURITY = {"BearerToken": {
    "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}}
_CUSTOM_INFO = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
_INFO = {"title": "Kubernetes", "version": KUBERNETES_VERSION}


def v3(resources: Sequence[Resource]) -> bytes:
    """The document of one group-version."""
    custom = all(r.custom is not None for r in resources)
    return codec.dumps({
        "openapi": "3.0.0", "info": _CUSTOM_INFO if custom else _INFO, "paths": openapi_paths.v3(resources),
        "components": {"schemas": openapi_types.v3(resources), **({} if custom else {"securitySchemes": _SECURITY})}})


def fixed(path: str) -> bytes:
    """The document of `version`, `api`, `apis` or `apis/<group>`."""
    paths, named = openapi_paths.fixed(path)
    return codec.dumps({
        "openapi": "3.0.0", "info": _INFO, "paths": paths,
        "components": {"schemas": openapi_types.named(named), "securitySchemes": _SECURITY}})


def v2(resources: Sequence[Resource]) -> Object:
    paths, parameters = openapi_paths.v2(resources)
    return {
        "swagger": "2.0", "info": _INFO, "paths": paths, "definitions": openapi_types.v2(resources),
        "parameters": parameters, "securityDefinitions": _SECURITY, "security": [{"BearerToken": []}]}


def negotiate(accept: str, protobuf: str) -> str:
    """The content type of the answer, "" where nothing fits. The client's order counts, as in kube-openapi."""
    found: list[tuple[float, str]] = []
    for part in (accept or "*/*").split(","):
        media, *params = [p.strip() for p in part.split(";")]
        quality = next((p[2:] for p in params if p.startswith("q=")), "1")
        if media in ("*/*", "application/*", JSON):
            found.append((float(quality) if quality.replace(".", "", 1).isdigit() else 1.0, JSON))
        elif media.replace("@v1.0", ".v1.0") == protobuf:
            found.append((float(quality) if quality.replace(".", "", 1).isdigit() else 1.0, protobuf))
    return max(found, key=lambda f: f[0])[1] if found else ""


def _url(name: str, hash_: str) -> str:
    return f"/openapi/v3/{name}?hash={hash_}"


def _hash(resources: Sequence[Resource]) -> str:
    """Of what the document is made from: cheaper than of the document, and as telling."""
    facts: list[Any] = [KUBERNETES_VERSION]
    for r in resources:
        facts.append([*r.gvr, r.kind, r.definition, r.namespaced, r.verbs, [[s.name, s.kind, s.verbs]
                                                                            for s in r.subresources]])
        if r.schema_node is not None:
            facts.append([r.schema_node.raw, list(r.selectable)])
    return hashlib.sha512(codec.dumps(facts)).hexdigest().upper()


def _remembered(key: str, make: Callable[[], bytes]) -> bytes:
    if key not in _made:
        while len(_made) >= _KEPT:
            del _made[next(iter(_made))]
        _made[key] = make()
    return _made[key]
