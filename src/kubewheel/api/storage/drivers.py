"""What storage kinds say of CSI drivers and of parameters.

In: names, maps. Out: FieldError lists. Called by: storage/*.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError

MAX_NAME = 63
MAX_PARAMETERS = 512
MAX_PARAMETERS_SIZE = 256 * 1024


def name(text: str, path: str) -> list[FieldError]:
    """A CSI driver's: a domain in any case, up to 63 long."""
    if not text:
        return [errors.field_required(path), *validation.check(path, text, names.subdomain(text))]
    out = [errors.field_too_long(path, MAX_NAME)] if len(text) > MAX_NAME else []
    return out + validation.check(path, text, names.subdomain(text.lower()))


def provisioner(text: str, path: str) -> list[FieldError]:
    """A qualified name in any case."""
    if not text:
        return [errors.field_required(path)]
    return validation.check(path, text, names.qualified(text.lower()))


def parameters(given: dict[str, str] | None, path: str) -> list[FieldError]:
    given = given or {}
    if len(given) > MAX_PARAMETERS:
        return [errors.field_too_long(path, MAX_PARAMETERS)]
    out = [errors.field_invalid(path, key, "field can not be empty.") for key in given if not key]
    if sum(len(key.encode()) + len(value.encode()) for key, value in given.items()) > MAX_PARAMETERS_SIZE:
        out.append(errors.field_too_long(path, MAX_PARAMETERS_SIZE))
    return out
