"""Names that devices, their attributes and their places have.

In: texts. Out: FieldError lists. Called by: the files beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError

MAX_DRIVER, MAX_POOL, MAX_ID = 63, 253, 32
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_IDENTIFIER_TEXT = ("a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
                    "characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is "
                    f"'{_IDENTIFIER}')")
_UID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def driver(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    out = [errors.field_too_long(path, MAX_DRIVER)] if len(name) > MAX_DRIVER else []
    return out + validation.check(path, name, names.subdomain(name.lower()))


def pool(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    out = [errors.field_too_long(path, MAX_POOL)] if len(name) > MAX_POOL else []
    return out + [e for part in name.split("/") for e in validation.check(path, part, names.subdomain(part))]


def short(name: str, path: str) -> list[FieldError]:
    """Of a device, a request, a set of counters."""
    return validation.check(path, name, names.label(name)) if name else [errors.field_required(path)]


def uid(text: str, path: str) -> list[FieldError]:
    if _UID.fullmatch(text):
        return []
    if re.fullmatch(r"[0-9a-fA-F]{32}|(urn:uuid:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return [errors.field_invalid(path, text, (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
            "characters"))]
    why = "invalid UUID format" if len(text) in (32, 36, 38, 45) else f"invalid UUID length: {len(text)}"
    return [errors.field_invalid(path, text, f"error validating uid: {why}")]


def _identifier(text: str, path: str) -> list[FieldError]:
    out = [errors.field_too_long(path, MAX_ID)] if len(text) > MAX_ID else []
    if not re.fullmatch(_IDENTIFIER, text, re.ASCII):
        out.append(errors.field_invalid(path, text, _IDENTIFIER_TEXT))
    return out


def qualified(name: str, path: str) -> list[FieldError]:
    """[domain/]identifier"""
    parts = name.split("/")
    if len(parts) == 1:
        return _identifier(name, path)
    if len(parts) > 2:
        return [errors.field_invalid(path, name, "must not contain more than one slash")]
    domain, own = parts
    out = driver(domain, path) if domain else [errors.field_invalid(path, "", "the domain must not be empty")]
    return out + (_identifier(own, path) if own else [errors.field_invalid(path, "", "the name must not be empty")])


def fully_qualified(name: str, path: str) -> list[FieldError]:
    out = qualified(name, path)
    if "/" not in name:
        out.append(errors.field_invalid(path, name, (
            "a fully qualified name must be a domain and a name separated by a slash")))
    return out


def shown(key: str, most: int) -> str:
    """A key as it stands in a path: cut in its middle where it is too long."""
    if len(key) <= most:
        return key
    rest = most - 3
    return key[:(rest + 1) // 2] + "..." + key[len(key) - rest // 2:]


def repeated(keys: Iterable[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, key in enumerate(keys):
        if key in seen:
            out.append(errors.field_duplicate(f"{path}[{i}]", key))
        seen.add(key)
    return out
