"""OpenAPI v3 (one document per group-version, and their index) and v2 (all in one). Pure, made on demand.

In: Resource values. Out: status, headers, bytes. Called by: apiserver/endpoints.py, which makes a new Documents when
the registry changes; documents that did not change keep their hash, and with it their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from kubewheel import KUBERNETES_VERSION
from kubewheel.api import codec
from kubewheel.api.resource import Resource
from kubewheel.apiserver.extension import openapi_paths, openapi_types

JSON = "application/json"
_KEPT = 64  # documents; a cluster serves ~30 group-versions
_made: dict[str, bytes] = {}

Answer = tuple[int, dict[str, str], bytes]


class Documents:
    def __init__(self, resources: Sequence[Resource]) -> None:
        self._by_version: dict[str, list[Resource]] = {}
        for r in (r for r in resources if r.verbs):
            path = f"apis/{r.group}/{r.version}" if r.group else f"api/{r.version}"
            self._by_version.setdefault(path, []).append(r)
        self._hashes = {path: _hash(found) for path, found in self._by_version.items()}

    def serve(self, path: str, accept: str, hash_: str = "", if_none_match: str = "") -> Answer | None:
        """None: no such document."""
        if path == "/openapi/v3":
            return self._index(if_none_match)
        if path == "/openapi/v2":
            return self._v2(accept, if_none_match)
        name = path.removeprefix("/openapi/v3/")
        if name not in self._by_version:
            return None
        wanted = self._hashes[name]
        if hash_ and hash_ != wanted:
            return 301, {"location": _url(name, wanted)}, b""
        if not _takes_json(accept):
            return 406, {"content-type": "text/plain; charset=utf-8"}, b"only JSON is served\n"
        headers = {"content-type": JSON, "etag": f'"{wanted}"', "vary": "Accept"}
        if hash_:
            headers["cache-control"] = "public, immutable"
        if if_none_match == headers["etag"]:
            return 304, headers, b""
        return 200, headers, _remembered(wanted, lambda: v3(self._by_version[name]))

    def _index(self, if_none_match: str) -> Answer:
        body = codec.dumps({"paths": {name: {"serverRelativeURL": _url(name, self._hashes[name])}
                                      for name in sorted(self._by_version)}})
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        headers = {"content-type": JSON, "etag": etag, "vary": "Accept"}
        return (304, headers, b"") if if_none_match == etag else (200, headers, body)

    def _v2(self, accept: str, if_none_match: str) -> Answer:
        if not _takes_json(accept):
            return 406, {"content-type": "text/plain; charset=utf-8"}, b"only JSON is served\n"
        key = hashlib.sha512("v2 ".join(sorted(self._hashes.values())).encode()).hexdigest().upper()
        headers = {"content-type": JSON, "etag": f'"{key}"', "vary": "Accept"}
        if if_none_match == headers["etag"]:
            return 304, headers, b""
        everything = [r for found in self._by_version.values() for r in found]
        return 200, headers, _remembered(key, lambda: v2(everything))


def v3(resources: Sequence[Resource]) -> bytes:
    """The document of one group-version."""
    return codec.dumps({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": openapi_paths.v3(resources),
        "components": {"schemas": openapi_types.v3(resources), "securitySchemes": {"BearerToken": {
            "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}}}})


def v2(resources: Sequence[Resource]) -> bytes:
    return codec.dumps({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": openapi_paths.v2(resources), "definitions": openapi_types.v2(resources),
        "securityDefinitions": {"BearerToken": {
            "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}},
        "security": [{"BearerToken": []}]})


def _takes_json(accept: str) -> bool:
    return not accept or any(media in accept for media in ("*/*", "application/*", "application/json"))


def _url(name: str, hash_: str) -> str:
    return f"/openapi/v3/{name}?hash={hash_}"


def _hash(resources: Sequence[Resource]) -> str:
    """Of what the document is made from: cheaper than of the document, and as telling."""
    facts: list[Any] = [KUBERNETES_VERSION]
    for r in resources:
        facts.append([*r.gvr, r.kind, r.definition, r.namespaced, r.verbs, [[s.name, s.kind, s.verbs]
                                                                            for s in r.subresources]])
        if r.schema_node is not None:
            facts.append(r.schema_node.raw)
    return hashlib.sha512(codec.dumps(facts)).hexdigest().upper()


def _remembered(key: str, make: Any) -> bytes:
    if key not in _made:
        while len(_made) >= _KEPT:
            del _made[next(iter(_made))]
        _made[key] = make()
    return _made[key]

