"""Request bodies: bytes to a private dict.

In: a Request. Out: dicts; StatusError 400/413/415. Called by: call.py, verbs.
"""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import yaml

from kubewheel.api import codec, errors, go_json
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.resource import Object
from kubewheel.client.transport import Request

MAX_BYTES = 3 * 1024 * 1024  # upstream's limit of a request body
JSON_TYPES = ("application/json", "")
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
YAML_TYPES = ("application/yaml",)
_PARAMETER = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_media_type(header: str) -> bool:
    """Whether the parameters of a content type are some (Go's mime.ParseMediaType)."""
    _, *parameters = header.rstrip("; \t").split(";")
    return all(_PARAMETER.fullmatch(p) for p in parameters)


def too_large() -> errors.StatusError:
    return errors.status_error(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BYTES}")


def decode(request: Request, kind: str = "Object", api_version: str = "", *, is_custom: bool = False) -> Object:
    """The body as a private dict. `kind` ("" of options) and `api_version` are what is expected; a protobuf body that names
    none is of them. 415 for other media types than JSON, YAML and, but for custom resources, protobuf; 400 for what is none."""
    if isinstance(request.body, dict):
        return request.body
    raw = request.body or b""
    if len(raw) > MAX_BYTES:
        raise too_large()
    media = media_type(request)
    header = request.headers.get("content-type", "")
    if media == header or ";" not in header or _is_media_type(header):
        if media in JSON_TYPES:
            return _json(raw, kind, api_version, is_custom=is_custom)
        if media in YAML_TYPES:
            return yaml_object(raw, kind)
        if media == PROTOBUF_TYPE and not is_custom:
            return _protobuf(raw, kind, api_version)
    raise unsupported()


def unsupported() -> errors.StatusError:
    return errors.status_error(
        415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf")


def _json(raw: bytes, kind: str, api_version: str, *, is_custom: bool) -> Object:
    try:
        value = codec.loads(raw)
    except ValueError:
        value = _lenient(raw, kind, api_version)
    check_identity(value, kind, raw)
    if value is None:
        return {}
    if is_custom:
        value = go_json.numbers(value, raw)
    check_depth(value, raw)
    return value


def _lenient(raw: bytes, kind: str, api_version: str) -> Any:
    """What the fast decoder takes for none: text that is no Unicode is mended; 400 for the rest."""
    try:
        return go_json.lenient(raw)
    except go_json.OutOfRange as e:
        version = api_version.rpartition("/")[2]
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {e}') from e
    except (ValueError, RecursionError) as e:
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: {go_json.error(raw)}", raw) from e


def check_identity(value: Any, kind: str, raw: bytes) -> None:
    """Whether a decoded body is an object that says what it is, as far as the first look of upstream's decoders goes. 400
    Where no kind is expected, nothing is as good as an empty object."""
    if value is None and not kind:
        return
    if value is None:
        raise unrecognized(kind, f"Object 'Kind' is missing in '{raw.decode(errors='replace')}'", raw)
    if not isinstance(value, dict):
        raise unrecognized(kind, "couldn't get version/kind; json parse error: json: cannot unmarshal "
                            f"{go_json.kind(value)} into Go value of type "
                            "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; "
                            "Kind string \"json:\\\"kind,omitempty\\\"\" }", raw)
    for field in ("apiVersion", "kind"):
        if not isinstance(given := value.get(field, ""), (str, type(None))):
            raise unrecognized(kind, "couldn't get version/kind; json parse error: json: cannot unmarshal "
                                     f"{go_json.kind(given)} into Go struct field .{field} of type string", raw)
    if (version := value.get("apiVersion") or "").count("/") > 1:
        raise unrecognized(kind, f"unexpected GroupVersion string: {version}", raw)


def unrecognized(kind: str, why: str, raw: bytes) -> errors.StatusError:
    if not kind:
        return errors.bad_request(why)
    if not raw:
        shown = "<empty>"
    else:
        shown = raw[:30].decode(errors="replace") if raw[:1] == b"{" else raw[:30].hex()
        shown += " ..." if len(raw) > 30 else ""
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})")


MAX_DEPTH = 200  # of nested containers; no kind needs more, and recursion ends before the interpreter's does


def check_depth(value: Any, raw: object = b"") -> None:
    """`raw`: the text of the value, where there is one; few brackets cannot nest deep."""
    if raw and isinstance(raw, bytes) and raw[:1] in b"{[" and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [m for v in level for m in (v.values() if isinstance(v, dict) else v) if isinstance(m, (dict, list))]
        if not level:
            return
    raise errors.bad_request("the object provided is unrecognized: exceeded max depth")


def _protobuf(raw: bytes, kind: str, api_version: str) -> Object:
    try:
        made: Object = protobuf.decode(raw, default=(api_version, kind))
    except protobuf.ProtobufError as e:
        if e.kind:
            raise errors.bad_request(f'{e.kind} in version "{e.api_version.rpartition("/")[2]}" cannot be handled as a '
                                     f"{kind}: {e}") from e
        raise unrecognized(kind, str(e), raw) from e
    check_depth(made)
    return made


class _Loader(yaml.CSafeLoader):
    """What sigs.k8s.io/yaml accepts: no timestamps, no sexagesimal numbers, YAML 1.2 booleans plus yes/no/on/off."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rx) for tag, rx in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$"),
                              list("-+.0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?0o[0-7_]+$"), list("-+0"))
_Loader.add_constructor("tag:yaml.org,2002:binary", lambda loader, node: (
    base64.b64decode(node.value).decode(errors="replace")))  # Go has it as text
_NOT_FINITE = re.compile(rb"\.(?:inf|nan)\b", re.IGNORECASE)


def yaml_object(raw: bytes, kind: str = "Object") -> Object:
    try:
        value = yaml_value(raw)
    except YAMLProblem as e:
        raise unrecognized(kind, str(e), raw) from e
    check_identity(value, kind, raw)
    return {} if value is None else value


class YAMLProblem(ValueError):
    """A text that is no YAML, or one that is no JSON: why."""


def yaml_value(raw: bytes) -> Any:
    """What a document holds, as JSON has it. YAMLProblem; StatusError 400 for what is too deep or too much."""
    _check_nesting(raw)
    loader = _Loader(raw)
    try:
        node = loader.get_node() if loader.check_node() else None  # of several documents the first
        if node is not None:
            _check_size(node)
        value = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise YAMLProblem(yaml_problem(e)) from e
    finally:
        loader.dispose()
    if _NOT_FINITE.search(raw):
        _refuse_infinite(value)
    try:
        made = codec.loads(codec.dumps(value))
    except (TypeError, ValueError, RecursionError) as e:  # !!binary, !!set and keys that are no text
        raise YAMLProblem(f"yaml: {e}") from e
    if isinstance(made, (dict, list)):
        check_depth(made)
    return made


def _refuse_infinite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise YAMLProblem(f"json: unsupported value: {'NaN' if math.isnan(value) else '+Inf' if value > 0 else '-Inf'}")
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_infinite(member)


def _check_nesting(raw: bytes) -> None:
    """Before nodes are composed: that is recursive C, which a deep document would take down with the process."""
    depth = 0
    try:
        for event in yaml.parse(raw, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise errors.bad_request("error decoding YAML: yaml: exceeded max depth")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except (yaml.YAMLError, ValueError) as e:
        raise YAMLProblem(yaml_problem(e)) from e


def yaml_problem(e: Exception) -> str:
    """The words of Go's YAML parser, which is the same libyaml in Go and counts lines as it does: from 0, in scanners from 1."""
    if isinstance(e, yaml.reader.ReaderError):
        return f"yaml: {e.reason}"
    if not isinstance(e, yaml.MarkedYAMLError):
        return f"yaml: {e}"
    marks = [mark.line for mark in (e.context_mark, e.problem_mark) if mark is not None and mark.line]
    line = (marks[0] + isinstance(e, yaml.scanner.ScannerError)) if marks else 0
    return f"yaml: line {line}: {e.problem}" if line else f"yaml: {e.problem}"


MAX_YAML_NODES = 1_000_000


def _check_size(root: yaml.Node) -> None:
    """Aliases may name one node many times: what they expand to is bounded."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in sizes:
            return sizes[id(node)]
        if depth > MAX_DEPTH:
            raise errors.bad_request("error decoding YAML: yaml: exceeded max depth")
        sizes[id(node)] = MAX_YAML_NODES  # a node inside itself has no end
        below = node.value if isinstance(node, yaml.SequenceNode) else [m for pair in node.value for m in pair]
        sizes[id(node)] = total = 1 + sum(size(member, depth + 1) for member in below)
        if total > MAX_YAML_NODES:
            raise errors.bad_request("error decoding YAML: yaml: document contains excessive aliasing")
        return total

    size(root, 0)


def yaml_duplicates(raw: bytes) -> list[str]:
    """`line 4: key "a" already set in map` for each key set again, in document order."""
    loader = _Loader(raw)
    root = loader.get_node() if loader.check_node() else None
    found: list[tuple[int, str]] = []
    seen: set[int] = set()

    def walk(node: Any) -> None:
        if id(node) in seen or isinstance(node, yaml.ScalarNode) or node is None:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item)
            return
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    found.append((value.start_mark.line + 1, key.value))
                keys.add(key.value)
            walk(value)

    walk(root)
    return [f'line {line}: key "{key}" already set in map' for line, key in sorted(found)]
