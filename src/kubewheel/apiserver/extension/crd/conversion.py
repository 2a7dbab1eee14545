"""Conversion webhooks: custom resources from the version they are in to the one asked for.

In: objects and an API version. Out: the same objects, converted; StatusError 500 where the webhook fails or changes what
it may not. Called by: results.py, through `Custom.convert`. Source of the rule: "Webhook conversion" in the
CustomResourceDefinition versioning documentation.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission.webhook_client import CallFailed, WebhookClient

Convert = Callable[[list[Object], str], Awaitable[list[Object]]]
SECONDS = 30
_KEPT = ("name", "namespace", "uid")


class Converter:
    """One definition's webhook."""

    def __init__(self, crd: Object, http: WebhookClient, rng: random.Random) -> None:
        spec = crd["spec"]
        self._config = spec["conversion"]["webhook"].get("clientConfig") or {}
        self._versions = spec["conversion"]["webhook"].get("conversionReviewVersions") or ["v1"]
        self._group, self._kind = spec["group"], spec["names"]["kind"]
        self._http, self._random = http, rng

    async def convert(self, objs: list[Object], api_version: str) -> list[Object]:
        """All in one request. The objects given are not changed."""
        if not objs:
            return []
        if "v1" not in self._versions:
            raise self._failed(objs[0], f"no supported conversion review version in {self._versions}")
        uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        review = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1",
                  "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objs}, "response": None}
        try:
            answer = await self._http.post(self._config, review, seconds=SECONDS)
            converted = _converted(answer, uid, len(objs))
            return [_merged(old, new, api_version) for old, new in zip(objs, converted, strict=True)]
        except CallFailed as e:
            raise self._failed(objs[0], str(e)) from e

    def _failed(self, obj: Object, why: str) -> errors.StatusError:
        return errors.internal(f"conversion webhook for {obj.get('apiVersion', self._group)}, Kind={self._kind} failed: {why}")


def _converted(answer: Object, uid: str, count: int) -> list[Any]:
    if answer.get("kind") != "ConversionReview":
        raise CallFailed(f"invalid response: expected ConversionReview, got {answer.get('kind', '')}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if response.get("uid") != uid:
        raise CallFailed(f'expected response.uid={uid!r}, got {response.get("uid", "")!r}')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise CallFailed(result.get("message") or f"webhook response status: {result.get('status', '')}")
    objects = response.get("convertedObjects") or []
    if len(objects) != count:
        raise CallFailed(f"webhook returned {len(objects)} objects, expected {count}")
    return list(objects)


def _merged(old: Object, new: Any, api_version: str) -> Object:
    """The converted object with the old one's metadata; labels and annotations alone may be changed."""
    if not isinstance(new, dict):
        raise CallFailed("returned object is no object")
    if new.get("apiVersion") != api_version:
        raise CallFailed(f"unexpected apiVersion in converted object: expected {api_version}, got {new.get('apiVersion')}")
    if new.get("kind") != old.get("kind"):
        raise CallFailed(f"unexpected kind in converted object: expected {old.get('kind')}, got {new.get('kind')}")
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    for field in _KEPT:
        if before.get(field, "") != after.get(field, ""):
            raise CallFailed(f"invalid converted object: metadata.{field}: must be unchanged")
    meta = codec.copy({k: v for k, v in before.items() if k not in ("labels", "annotations")})
    meta |= {k: after[k] for k in ("labels", "annotations") if after.get(k)}
    return {**new, "metadata": meta}
