"""Errors of the API: each is a metav1.Status on the wire.

In: what went wrong. Out: StatusError with upstream's code, reason, message and details.
Called by: every room that speaks to or is the API server.

ApiError tree: StatusError (one class; `reason` tells the kind; helpers below build upstream's).
Field errors (validation) are FieldError values collected in lists, then one `invalid(...)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


class StatusError(Exception):
    """A failed API call. `status` is the metav1.Status dict."""

    def __init__(self, status: dict[str, Any], *, headers: dict[str, str] | None = None) -> None:
        super().__init__(status.get("message", ""))
        self.status = status
        self.headers = headers or {}
        self.warnings: list[str] = []  # what was said on the way to the refusal

    @property
    def code(self) -> int:
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        return str(self.status.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.status.get("message", ""))


def status_error(
    code: int,
    reason: str,
    message: str,
    *,
    name: str = "",
    group: str = "",
    kind: str = "",
    uid: str = "",
    causes: list[dict[str, str]] | None = None,
    retry_after: int = 0,
) -> StatusError:
    details: dict[str, Any] = {}
    for key, value in (("name", name), ("group", group), ("kind", kind), ("uid", uid)):
        if value:
            details[key] = value
    if causes:
        details["causes"] = causes
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    status: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code,
    }
    if not details:
        del status["details"]
    if not reason:
        del status["reason"]
    return StatusError(status, headers={"Retry-After": str(retry_after)} if retry_after else None)


def qualified(plural: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, name: str, *, group: str = "") -> StatusError:
    return status_error(404, "NotFound", f"{qualified(plural, group)} {quoted(name)} not found",
                        name=name, group=group, kind=plural)


def page_not_found() -> StatusError:
    """What an unknown API path answers; kubectl shows the same words for an unknown resource."""
    error = status_error(404, "NotFound", "the server could not find the requested resource")
    error.status["details"] = {}
    return error


def already_exists(plural: str, name: str, *, group: str = "") -> StatusError:
    return status_error(409, "AlreadyExists", f"{qualified(plural, group)} {quoted(name)} already exists",
                        name=name, group=group, kind=plural)


def conflict(plural: str, name: str, *, group: str = "", message: str = "") -> StatusError:
    text = message or ("the object has been modified; please apply your changes to the latest version "
                       "and try again")
    return status_error(409, "Conflict", f"Operation cannot be fulfilled on {qualified(plural, group)} {quoted(name)}: {text}",
                        name=name, group=group, kind=plural)


def forbidden(plural: str, name: str, why: str, *, group: str = "") -> StatusError:
    what = qualified(plural, group)
    text = f"{what} {quoted(name)} is forbidden: {why}" if name else f"{what} is forbidden: {why}"
    return status_error(403, "Forbidden", text, name=name, group=group, kind=plural)


def bad_request(message: str) -> StatusError:
    return status_error(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return status_error(401, "Unauthorized", message)


def method_not_supported(plural: str, verb: str, *, group: str = "") -> StatusError:
    return status_error(405, "MethodNotAllowed", f"{verb} is not supported on resources of kind \"{qualified(plural, group)}\"",
                        group=group, kind=plural)


def not_allowed() -> StatusError:
    """A method that no route of a known path has."""
    error = status_error(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    error.status["details"] = {}
    return error


def gone(message: str) -> StatusError:
    """410 Expired: the resource version or continue token is too old."""
    return status_error(410, "Expired", message)


def internal(message: str) -> StatusError:
    return status_error(500, "InternalError", f"Internal error occurred: {message}",
                        causes=[{"message": message}])


def too_many_requests(message: str, *, retry_after: int = 1) -> StatusError:
    return status_error(429, "TooManyRequests", message, retry_after=retry_after)


def service_unavailable(message: str) -> StatusError:
    return status_error(503, "ServiceUnavailable", message)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding of validation (apimachinery field.Error). `type` is the cause's reason:
    FieldValueInvalid, FieldValueRequired, FieldValueNotSupported, FieldValueForbidden,
    FieldValueDuplicate, FieldValueTooLong, FieldValueTooMany, FieldValueNotFound, FieldValueTypeInvalid."""

    type: str
    field: str
    body: str  # the text after "path: "


RATCHETED = "Ratcheted"  # the type of findings that an update is only warned of: what they are about did not change
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", '"': '\\"', "\\": "\\\\"}


def quoted(text: str) -> str:
    """As Go's %q."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(ord(c))) for c in text) + '"'


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def render_value(value: Any) -> str:
    """How upstream prints a bad value: strings quoted, numbers plain, objects and lists as Go's JSON (the keys of maps
    sorted, `<`, `>` and `&` escaped)."""
    import orjson

    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return go_float(value)
    if not isinstance(value, (dict, list)):
        return orjson.dumps(value).decode() if not isinstance(value, int) or isinstance(value, bool) else str(value)
    return orjson.dumps(_as_go(value)).decode().translate(_HTML)


_HTML = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def go_float(number: float) -> str:
    """%v: an exponent of two digits at least, below 1e-4 and from 1e6 on."""
    digits, _, exponent = f"{Decimal(repr(number)).normalize():e}".partition("e")
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02}"
    return f"{Decimal(repr(number)).normalize():f}"


# Of a LabelSelector, the one struct with two fields that is printed often, the labels come first.
_STRUCT_ORDER = {"matchLabels": 0, "matchExpressions": 1}


def _as_go(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_go(v) for v in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    if all(isinstance(v, str) for v in value.values()) and not set(keys) & {"operator", "Key", "Name", "Type"}:
        keys.sort()  # a map; structs keep the order of their fields
    elif set(keys) <= _STRUCT_ORDER.keys():
        keys.sort(key=_STRUCT_ORDER.__getitem__)
    return {k: _as_go(value[k]) for k in keys}


def field_invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {render_value(value)}" + (f": {detail}" if detail else ""))


def field_required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, "Required value" + (f": {detail}" if detail else ""))


def field_not_supported(path: str, value: Any, allowed: Iterable[str], *, ordered: bool = False) -> FieldError:
    """Upstream lists some sets of values sorted, and others in the order of a list: `ordered` keeps that."""
    names = ", ".join(f'"{a}"' for a in (allowed if ordered else sorted(allowed)))
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {render_value(value)}: supported values: {names}")


def field_forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}")


def field_duplicate(path: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueDuplicate", path,
                      f"Duplicate value: {render_value(value)}" + (f": {detail}" if detail else ""))


def field_too_long(path: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} byte{'s' * (limit != 1)}")


def field_too_many(path: str, actual: int, limit: int) -> FieldError:
    return FieldError("FieldValueTooMany", path, f"Too many: {actual}: must have at most {limit} item{'s' * (limit != 1)}")


def field_not_found(path: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueNotFound", path,
                      f"Not found: {render_value(value)}" + (f": {detail}" if detail else ""))


def field_invalid_unnamed(path: str, detail: str) -> FieldError:
    """Invalid, without the value (field.OmitValueType)."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")


def field_type_invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueTypeInvalid", path, f"Invalid value: {render_value(value)}: {detail}")


def invalid(kind: str, name: str, findings: list[FieldError], *, group: str = "") -> StatusError:
    """422: `Deployment.apps "x" is invalid: spec.y: Required value` or `[a, b]` for several."""
    texts = list(dict.fromkeys(f"{f.field}: {f.body}" for f in findings))  # told once, however often found
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    causes = [{"reason": f.type, "message": f.body, "field": f.field} for f in findings]
    what = f"{kind}.{group}" if group else kind
    return status_error(422, "Invalid", f'{what} {quoted(name)} is invalid: {joined}',
                        name=name, group=group, kind=kind, causes=causes)
