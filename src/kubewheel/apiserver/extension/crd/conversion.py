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
_KEPT = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))


class Converter:
    """One definition's webhook."""

    def __init__(self, crd: Object, http: WebhookClient, rng: random.Random) -> None:
        spec = crd["spec"]
        self._config = spec["conversion"]["webhook"].get("clientConfig") or {}
        self._versions = spec["conversion"]["webhook"].get("conversionReviewVersions") or ["v1"]
        self._group, self._kind = spec["group"], spec["names"]["kind"]
        self._http, self._random = http, rng

    async def convert(self, objs: list[Object], api_version: str) -> list[Object]:
        """All in one request. The objects given are not changed. StatusError 500."""
        if not objs:
            return []
        version = next((v for v in self._versions if v in ("v1", "v1beta1")), "")
        what = f"conversion webhook for {objs[0].get('apiVersion', self._group)}, Kind={self._kind}"
        if not version:
            raise _failed(f"{what} failed: no supported conversion review version in {self._versions}")
        uid = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        api = f"apiextensions.k8s.io/{version}"
        review = {"kind": "ConversionReview", "apiVersion": api,
                  "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objs}, "response": None}
        try:
            answer = await self._http.post(self._config, review, seconds=SECONDS)
            converted = _converted(answer, api, uid)
        except CallFailed as e:
            raise _failed(f"{what} failed: {e}") from e
        if len(converted) != len(objs):
            raise _failed(f"{what} returned {len(converted)} objects, expected {len(objs)}")
        out = []
        for i, (old, new) in enumerate(zip(objs, converted, strict=True)):
            try:
                out.append(_merged(old, new, api_version))
            except ValueError as e:
                raise _failed(f"{what} returned invalid converted object at index {i}: {e}") from e
        return out


def _failed(why: str) -> errors.StatusError:
    """Upstream's error is none of the API's own: it has no reason."""
    return errors.status_error(500, "", why)


def _converted(answer: Object, api: str, uid: str) -> list[Any]:
    if answer.get("kind") != "ConversionReview" or answer.get("apiVersion") != api:
        raise CallFailed(f"expected webhook response of {api}, Kind=ConversionReview, got {answer.get('apiVersion', '')}, "
                         f"Kind={answer.get('kind', '')}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if api.endswith("/v1") and response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise CallFailed(result.get("message") or f"response.result.status was '{result.get('status', '')}', expected 'Success'")
    return list(response.get("convertedObjects") or [])


def _merged(old: Object, new: Any, api_version: str) -> Object:
    """The converted object with the old one's metadata; labels and annotations alone may be changed. ValueError"""
    if not isinstance(new, dict):
        raise ValueError("it is no object")
    if new.get("apiVersion") != api_version:
        raise ValueError(f"invalid groupVersion (expected {api_version}, received {new.get('apiVersion', '')})")
    if new.get("kind") != old.get("kind"):
        raise ValueError(f"invalid kind (expected {old.get('kind')}, received {new.get('kind', '')})")
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    for field, shown in _KEPT:
        if before.get(field, "") != after.get(field, ""):
            raise ValueError(f"must have the same {shown}: {before.get(field, '')} != {after.get(field, '')}")
    meta = codec.copy({k: v for k, v in before.items() if k not in ("labels", "annotations")})
    for field in ("labels", "annotations"):
        if given := after.get(field):
            if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
                raise ValueError(f"metadata.{field} is no map of strings")
            meta[field] = given
    return {**new, "metadata": meta}
