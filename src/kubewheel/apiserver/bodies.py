"""Request bodies: bytes to a private dict.

In: a Request. Out: dicts; StatusError 400/413/415. Called by: call.py, verbs.
"""

from __future__ import annotations

import yaml

from kubewheel.api import catalog, codec, errors
from kubewheel.api.resource import Object
from kubewheel.client.transport import Request

MAX_BYTES = 3 * 1024 * 1024  # upstream's limit of a request body
JSON_TYPES = ("application/json", "")
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def too_large() -> errors.StatusError:
    return errors.status_error(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BYTES}")


def decode(request: Request) -> Object:
    if isinstance(request.body, dict):
        return request.body
    raw = request.body or b""
    if len(raw) > MAX_BYTES:
        raise too_large()
    kind = media_type(request)
    if kind in JSON_TYPES:
        return _json(raw)
    if kind in YAML_TYPES:
        return yaml_object(raw)
    if kind == PROTOBUF_TYPE:
        return _protobuf(raw)
    raise unsupported(kind)


def unsupported(kind: str) -> errors.StatusError:
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    return errors.status_error(
        415, "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def _json(raw: bytes) -> Object:
    try:
        value = codec.loads(raw)
    except ValueError as e:
        raise errors.bad_request(f"the object provided is unrecognized (must be of type JSON or YAML): {e}") from e
    if not isinstance(value, dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type Object): "
                                 f"couldn't get version/kind; json parse error: json: cannot unmarshal {_go(value)} "
                                 "into Go value of type struct")
    return value


# Kinds of the API machinery that come in bodies but are no resources.
META_KINDS = {"DeleteOptions", "Status"}


def _protobuf(raw: bytes) -> Object:
    from kubewheel.api.protobuf import codec as protobuf

    try:
        return protobuf.decode(raw, _definition)
    except (protobuf.ProtobufError, ValueError) as e:
        raise errors.bad_request(f"the object provided is unrecognized (must be of type Protobuf): {e}") from e


def _definition(api_version: str, kind: str) -> str:
    """The schema definition of a built-in kind or of the body of one of its subresources."""
    if kind in META_KINDS:
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"
    group, _, version = api_version.rpartition("/")
    for resource in catalog.RESOURCES:
        if resource.kind == kind and (resource.group, resource.version) == (group, version):
            return resource.definition
    folder = group.partition(".")[0] or "core"
    return f"io.k8s.api.{folder}.{version}.{kind}"


class _Loader(yaml.CSafeLoader):
    """What sigs.k8s.io/yaml accepts: no timestamps, no sexagesimal numbers, YAML 1.2 booleans plus yes/no/on/off."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rx) for tag, rx in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def yaml_object(raw: bytes) -> Object:
    try:
        value = yaml.load(raw, Loader=_Loader)  # noqa: S506 - a trimmed safe loader
    except yaml.YAMLError as e:
        raise errors.bad_request(f"error decoding YAML: {e}") from e
    if not isinstance(value, dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type Object)")
    return codec.loads(codec.dumps(value))


def _go(value: object) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "null" if value is None else "number"
