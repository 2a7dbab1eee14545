"""OpenAPI of extension API servers: v3 passed through, v2 merged into ours.

In: an APIService. Out: their documents by name (`apis/<group>/<version>`), asked for when the server is found well.
Called by: availability.py (asks), endpoints.py (merges). A server that has only v2 is shown as v3 too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import backend, openapi_v2

JSON = "application/json"
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Remote:
    """The documents of one group version; b"" where there is none."""

    name: str  # "apis/wardle.example.com/v1alpha1"
    v3: bytes = b""
    v2: bytes = b""  # what of the server's whole document is about this group version
    hash: str = ""


class Documents:
    """By APIService name."""

    def __init__(self, backends: backend.Backends, changed: Any) -> None:
        self._backends = backends
        self._changed = changed
        self._known: dict[str, Remote] = {}

    def all(self) -> list[Remote]:
        return list(self._known.values())

    def forget(self, name: str) -> None:
        if self._known.pop(name, None) is not None:
            self._changed()

    async def refresh(self, apiservice: Object) -> None:
        """What cannot be had stays as it was."""
        spec, name = apiservice["spec"], apiservice["metadata"]["name"]
        where = f"apis/{spec['group']}/{spec['version']}" if spec.get("group") else f"api/{spec['version']}"
        try:
            v2 = await self._v2(apiservice, where)
            v3 = await self._v3(apiservice, where)
        except (backend.Unreachable, ValueError, TypeError, KeyError, AttributeError):
            return  # not there, or nonsense: the API works without
        if not v3 and v2:
            v3 = codec.dumps(openapi_v2.to_v3(codec.loads(v2)))
        if not v3 and not v2:
            return
        made = Remote(where, v3, v2, hashlib.sha512(v3 + v2).hexdigest().upper())
        if self._known.get(name) != made:
            self._known[name] = made
            self._changed()

    async def _v3(self, apiservice: Object, where: str) -> bytes:
        status, _, body = await self._backends.fetch(apiservice, "/openapi/v3", accept=JSON, seconds=SECONDS)
        if status != 200:
            return b""
        found = (codec.loads(body).get("paths") or {}).get(where)
        if found is None:
            return b""
        status, _, body = await self._backends.fetch(apiservice, found["serverRelativeURL"], accept=JSON, seconds=SECONDS)
        return body if status == 200 else b""

    async def _v2(self, apiservice: Object, where: str) -> bytes:
        status, _, body = await self._backends.fetch(apiservice, "/openapi/v2", accept=JSON, seconds=SECONDS)
        if status != 200:
            return b""
        return codec.dumps(openapi_v2.only(codec.loads(body), f"/{where}"))
