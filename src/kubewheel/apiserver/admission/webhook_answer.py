"""What a webhook answered, read as upstream's client reads it: JSON or YAML, of a known kind, of the right types.

In: the bytes and the status of an answer. Out: dicts; Unreadable with upstream's words. Called by: webhook_client,
extension/crd/conversion.
"""

from __future__ import annotations

from functools import cache

from kubewheel.api import codec, errors, go_json, schema
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.resource import Object
from kubewheel.api.schema.node import Node
from kubewheel.apiserver import bodies

ADMISSION = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
MAX_TEXT = 2048  # bytes of an answer that is no object, as a message quotes it
# every scheme knows them, whatever else it is of
_OF_ALL_SCHEMES = frozenset({"Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"})


class Unreadable(Exception):
    """The answer is none: why, in upstream's words."""


def recognized(data: bytes) -> Object:
    """The object that the bytes are, with texts for apiVersion and kind where they are there."""
    try:
        return _recognized(data)
    except errors.StatusError as e:  # said of request bodies; what is wrong is the same
        raise Unreadable(e.message) from e


def _recognized(data: bytes) -> Object:
    if data.lstrip(b" \t\r\n").startswith(b"{"):
        try:
            value = codec.loads(data)
        except ValueError:
            try:
                value = go_json.lenient(data)
            except go_json.OutOfRange as e:
                raise Unreadable(str(e)) from e
            except (ValueError, RecursionError) as e:
                raise Unreadable(f"couldn't get version/kind; json parse error: {go_json.error(data)}") from e
        bodies.check_depth(value, data)
    elif data.startswith(protobuf.MAGIC):
        raise Unreadable("unexpected EOF")
    else:
        value = bodies.yaml_object(data, "")
    bodies.check_identity(value, "", data)
    return value if isinstance(value, dict) else {}


def typed(answer: Object, version: str, kind: str, known: tuple[str, ...], caller: str) -> None:
    """That the answer is a `kind` of `version`, or does not say what it is, and that its fields have their types: in place.
    `known`: the versions that are known of it; `caller`: what upstream calls their scheme."""
    told, named = str(answer.get("apiVersion") or ""), str(answer.get("kind") or "")
    if told or named:
        mine, theirs = (told or version).rpartition("/")[2], version.rpartition("/")[2]
        if told == "v1" and named in _OF_ALL_SCHEMES:
            raise Unreadable(f"converting (v1.{named}) to ({theirs}.{kind}): unknown conversion")
        if named and ((told or version) not in known or named != kind):
            raise Unreadable(f'no kind "{named}" is registered for version "{told or version}" in scheme "{caller}"')
        if told and told != version:
            raise Unreadable(f"converting ({mine}.{kind}) to ({theirs}.{kind}): unknown conversion")
    checked = {k: v for k, v in answer.items() if k == "response"}
    try:
        schema.check(_nodes()[kind], checked)
    except schema.DecodeError as e:
        raise Unreadable(str(e)) from e
    answer.pop("response", None)
    answer.update(checked)


@cache
def _nodes() -> dict[str, Node]:
    text = Node("string")
    status = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.Status")
    admission = Node("object", definition="io.k8s.api.admission.v1.AdmissionResponse", fields={
        "uid": text, "allowed": Node("boolean"), "status": status, "patch": Node("bytes"), "patchType": text,
        "auditAnnotations": Node("map", values=text), "warnings": Node("list", items=text)})
    conversion = Node("object", definition="io.k8s.apiextensions.v1.ConversionResponse", fields={
        "uid": text, "convertedObjects": Node("list", items=Node("any")), "result": status})
    return {kind: Node("object", definition=f"io.k8s.api.review.v1.{kind}", fields={"response": response})
            for kind, response in (("AdmissionReview", admission), ("ConversionReview", conversion))}



def invalid(answer: Object, review: Object, *, mutating: bool) -> str:
    """What is wrong with a decoded AdmissionReview; v1beta1's were never asked for an id or a patch's type."""
    response = answer.get("response")
    if not isinstance(response, dict):
        return "webhook response was absent"
    if review["apiVersion"] != ADMISSION[0]:
        if response.get("patch"):
            response["patchType"] = "JSONPatch"
        return ""
    uid = review["request"]["uid"]
    if response.get("uid", "") != uid:
        return f'expected response.uid="{uid}", got "{response.get("uid") or ""}"'
    if (answer.get("apiVersion"), answer.get("kind")) != (ADMISSION[0], "AdmissionReview"):
        group, slash, version = str(answer.get("apiVersion") or "").partition("/")
        shown = f"{group}/{version}" if slash else f"/{group}"
        return (f"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {shown}, "
                f"Kind={answer.get('kind') or ''}")
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        return ("validating webhook may not return response.patch" if patch else
                "validating webhook may not return response.patchType" if kind is not None else "")
    if patch and kind is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and kind is not None:
        return "webhook returned response.patchType but not response.patch"
    return 'webhook returned invalid response.patchType of ""' if kind == "" else ""


_REFUSALS = {
    400: "the server rejected our request for an unknown reason", 404: "the server could not find the requested resource",
    401: "the server has asked for the client to provide credentials", 405: "the server does not allow this method on the "
    "requested resource", 406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict", 415: "the server was unable to respond with a content type that the client supports",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request"}


def refused(status: int, data: bytes, content_type: str) -> str:
    """What an answer that is no success says: a Status its message, others what their code means."""
    try:
        told = codec.loads(data)
    except ValueError:
        told = None
    if isinstance(told, dict) and told.get("kind") == "Status" and told.get("message"):
        return str(told["message"])
    plain = not content_type or content_type.startswith("text/")
    words = data[:MAX_TEXT].strip() if plain else b"unknown"
    if status == 403 or status in (406, 415) and words not in (b"", b"unknown"):
        return words.decode(errors="replace")
    if status in _REFUSALS:
        return _REFUSALS[status]
    if status >= 500:
        return f'an error on the server ({_quoted(words)}) has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


def _quoted(words: bytes) -> str:
    """As Go quotes a string: bytes that are no UTF-8 by their number."""
    text = words.decode(errors="surrogateescape")
    return "".join(['"', *(f"\\x{ord(c) - 0xdc00:02x}" if 0xdc80 <= ord(c) <= 0xdcff else errors.quoted(c)[1:-1] for c in text),
                    '"'])
