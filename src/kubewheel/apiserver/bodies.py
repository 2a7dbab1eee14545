"""Request bodies: bytes to a private dict.

In: a Request. Out: dicts; StatusError 400/413/415. Called by: call.py, verbs.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from kubewheel.api import codec, errors
from kubewheel.api.protobuf import codec as protobuf
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


def decode(request: Request, kind: str = "Object", api_version: str = "", *, is_custom: bool = False) -> Object:
    """The body as a private dict. `kind` and `api_version` are what is expected; a protobuf body that names none is of
    them. 415 for other media types than JSON, YAML and, but for custom resources, protobuf; 400 for what is none."""
    if isinstance(request.body, dict):
        return request.body
    raw = request.body or b""
    if len(raw) > MAX_BYTES:
        raise too_large()
    media = media_type(request)
    if media in JSON_TYPES:
        return _json(raw, kind)
    if media in YAML_TYPES:
        return yaml_object(raw)
    if media == PROTOBUF_TYPE and not is_custom:
        return _protobuf(raw, kind, api_version)
    raise unsupported(is_custom=is_custom)


def unsupported(*, is_custom: bool = False) -> errors.StatusError:
    accepted = "application/json, application/yaml" + ("" if is_custom else ", application/vnd.kubernetes.protobuf")
    return errors.status_error(
        415, "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def _json(raw: bytes, kind: str) -> Object:
    try:
        value = codec.loads(raw)
    except ValueError as e:
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: {json_error(raw)}", raw) from e
    if not isinstance(value, dict):
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: json: cannot unmarshal {_go(value)} into Go "
                            "value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; "
                            "Kind string \"json:\\\"kind,omitempty\\\"\" }", raw)
    check_depth(value, raw)
    return value


def unrecognized(kind: str, why: str, raw: bytes) -> errors.StatusError:
    if not raw:
        shown = "<empty>"
    else:
        shown = raw[:30].decode(errors="replace") if raw[:1] == b"{" else raw[:30].hex()
        shown += " ..." if len(raw) > 30 else ""
    return errors.bad_request(f"the object provided is unrecognized (must be of type {kind}): {why} ({shown})")


_GO_ERRORS = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Illegal trailing comma before end of array": "looking for beginning of value",
}


def json_error(raw: bytes) -> str:
    """What Go's decoder says of bytes that are no JSON."""
    text = raw.decode(errors="replace")
    try:
        json.loads(text)
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as e:
        rest = text[e.pos:].lstrip() if not e.msg.startswith("Invalid") else text[e.pos + ("escape" in e.msg):]
        if not rest or e.msg.startswith("Unterminated string"):
            return "unexpected end of JSON input"
        where = _GO_ERRORS.get(e.msg, "")
        if e.msg == "Expecting ',' delimiter":
            where = "after object key:value pair" if _in_object(text[:e.pos]) else "after array element"
        return f"invalid character {_quoted(rest[0])} {where or 'looking for beginning of value'}"
    return "invalid UTF-8 or number out of range"


def _quoted(character: str) -> str:
    """A character as Go quotes it."""
    return {"'": "'\\''", '"': "'\"'"}.get(character) or f"'{json.dumps(character, ensure_ascii=False)[1:-1]}'"


def _in_object(text: str) -> bool:
    """Whether the innermost open bracket of a piece of JSON is a brace."""
    stack, in_string, skip = [], False, False
    for c in text:
        if skip:
            skip = False
        elif in_string:
            skip, in_string = c == "\\", c != '"'
        elif c == '"':
            in_string = True
        elif c in "{[":
            stack.append(c)
        elif c in "}]" and stack:
            stack.pop()
    return bool(stack) and stack[-1] == "{"


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


def yaml_object(raw: bytes) -> Object:
    _check_nesting(raw)
    loader = _Loader(raw)
    try:
        node = loader.get_single_node()
        if node is not None:
            _check_size(node)
        value = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {e}") from e
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type Object): couldn't get "
                                 f"version/kind; json parse error: json: cannot unmarshal {_go(value)} into Go value")
    try:
        made = codec.loads(codec.dumps(value))
    except (TypeError, ValueError, RecursionError) as e:  # !!binary, !!set and keys that are no text
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {e}") from e
    check_depth(made)
    return made


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
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {e}") from e


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
    root = yaml.compose(raw, Loader=_Loader)
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


def _go(value: object) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "null" if value is None else "number"
