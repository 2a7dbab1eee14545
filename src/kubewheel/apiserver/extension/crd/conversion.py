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

from kubewheel.api import codec, errors, go_json, validation
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
                  "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": [_sent(o) for o in objs]},
                  "response": {"uid": "", "convertedObjects": None, "result": {"metadata": {}}}}
        try:
            answer = await self._http.post(self._config, review, seconds=SECONDS)
            converted = _converted(answer, api, uid)
        except CallFailed as e:
            raise _failed(f"{what} failed: {e}") from e
        if len(converted) != len(objs):
            raise _failed(f"{what} returned {len(converted)} objects, expected {len(objs)}")
        for new in converted:
            _check_object(new)
        out = []
        for i, (old, new) in enumerate(zip(objs, converted, strict=True)):
            try:
                _check_identity(old, new, api_version, i)
                out.append(_merged(old, new))
            except ValueError as e:
                raise _failed(f"{what} returned invalid {e}") from e
        return out


def _sent(obj: Object) -> Object:
    """As it is stored: without a revision."""
    return {**obj, "metadata": {k: v for k, v in (obj.get("metadata") or {}).items() if k != "resourceVersion"}}


def _failed(why: str) -> errors.StatusError:
    """Upstream's error is none of the API's own: it has no reason."""
    return errors.status_error(500, "", why)


def _converted(answer: Object, api: str, uid: str) -> list[Any]:
    told, kind = answer.get("apiVersion") or "", answer.get("kind") or ""
    if kind != "ConversionReview" or told != api:
        raise CallFailed(f"expected webhook response of {api}, Kind=ConversionReview, got "
                         f"{told if '/' in told else f'/{told}'}, Kind={kind}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if api.endswith("/v1") and response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise CallFailed(result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'")
    return list(response.get("convertedObjects") or [])


def _check_object(new: Any) -> None:
    """StatusError 500 for what is no object of a kind, as upstream's decoder says it of the object alone."""
    if new is None:
        raise _failed("unexpected end of JSON input")
    if not isinstance(new, dict):
        raise _failed(f"json: cannot unmarshal {go_json.kind(new)} into Go value of type map[string]interface {{}}")
    if not isinstance(new.get("kind"), str) or not new["kind"]:
        raise _failed(f"Object 'Kind' is missing in '{codec.dumps(new).decode()}'")


def _check_identity(old: Object, new: Object, api_version: str, at: int) -> None:
    version = _text(new, "apiVersion")
    if version != api_version:
        raise ValueError(f"object at index {at}: invalid groupVersion (expected {api_version}, received {version})")
    if new["kind"] != old.get("kind"):
        raise ValueError(f"object at index {at}: invalid kind (expected {old.get('kind')}, received {new['kind']})")


def _text(obj: Object, field: str) -> str:
    value = obj.get(field)
    return value if isinstance(value, str) else ""


def _merged(old: Object, new: Object) -> Object:
    """The converted object with the old one's metadata; labels and annotations alone may be changed. ValueError"""
    given = new.get("metadata")
    before, after = old.get("metadata") or {}, given if isinstance(given, dict) else {}
    for field, shown in _KEPT:
        if before.get(field, "") != _text(after, field):
            raise ValueError(f"object: must have the same {shown}: {before.get(field, '')} != {_text(after, field)}")
    meta = codec.copy({k: v for k, v in before.items() if k not in ("labels", "annotations")})
    for field, path, rule in (("labels", "metadata.labels", validation.validate_labels),
                              ("annotations", "metadata.annotation", validation.validate_annotations)):
        if (texts := _texts(after.get(field), field)) is not None:
            if findings := rule(texts, path):
                told = [f"{f.field}: {f.body}" for f in findings]
                raise ValueError(f"metadata: {told[0] if len(told) == 1 else '[' + ', '.join(told) + ']'}")
            meta[field] = texts
    return {**new, "metadata": meta}


def _texts(given: Any, field: str) -> Object | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ValueError(f"metadata: invalid metadata.{field} of type {_go_type(given)} in converted object")
    for key, value in given.items():
        if not isinstance(value, str):
            raise ValueError(f"metadata: metadata.{field}[{key}] must be a string, but is {_go_type(value)} in converted object")
    return given


def _go_type(value: Any) -> str:
    return {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}", dict: "map[string]interface {}"
            }.get(type(value), "<nil>")
