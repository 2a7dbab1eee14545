"""Service account tokens of pods: asked for once, renewed at 80 % of their life or after 24 h.

In: pod, audience, seconds. Out: the token. Called by: volumes/manager.py.
"""

from __future__ import annotations

import random
from typing import Any

from kubewheel.client.client import Client
from kubewheel.lib.clock import Clock, parse_time

Object = dict[str, Any]
MAX_AGE = 24 * 3600.0
JITTER = 10.0


class Tokens:
    def __init__(self, client: Client, clock: Clock, rng: random.Random) -> None:
        self._client = client
        self._clock = clock
        self._random = rng
        self._kept: dict[tuple[str, str, int], tuple[str, float]] = {}  # -> token, when to renew

    async def get(self, pod: Object, audience: str, seconds: int) -> str:
        meta = pod["metadata"]
        key = (meta["uid"], audience, seconds)
        now = self._clock.now()
        kept = self._kept.get(key)
        if kept and now < kept[1]:
            return kept[0]
        spec: Object = {"audiences": [audience] if audience else [], "expirationSeconds": seconds,
                        "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": meta["name"],
                                           "uid": meta["uid"]}}
        answer = await self._client.create(
            "serviceaccounts", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
                                "spec": spec},
            namespace=meta["namespace"], name=pod["spec"].get("serviceAccountName") or "default", subresource="token")
        token = answer["status"]["token"]
        life = parse_time(answer["status"]["expirationTimestamp"]) - now
        self._kept[key] = (token, now + min(life * 0.8, MAX_AGE) - self._random.random() * JITTER)
        return token

    def forget(self, uid: str) -> None:
        for key in [k for k in self._kept if k[0] == uid]:
            del self._kept[key]
