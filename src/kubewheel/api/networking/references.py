"""References and hosts that kinds of this group share.

In: references, texts. Out: FieldError lists, messages. Called by: networking/*.py.
"""

from __future__ import annotations

import re

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

_WILDCARD = r"\*\." + names.SUBDOMAIN
_is_wildcard = re.compile(_WILDCARD, re.ASCII).fullmatch
_WILDCARD_TEXT = ("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
                  "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character "
                  f"(e.g. '*.example.com', regex used for validation is '{_WILDCARD}')")
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def host(text: str) -> list[str]:
    """A host name, or one with a wildcard for its first label."""
    if "*" not in text:
        return names.subdomain(text)
    out = [names.max_len(253)] if len(text) > 253 else []
    return out if _is_wildcard(text) else [*out, _WILDCARD_TEXT]


def typed_local(ref: Object, path: str) -> list[FieldError]:
    """Of Ingress and IngressClass: {apiGroup, kind, name}."""
    out: list[FieldError] = []
    if (group := ref.get("apiGroup")) is not None:
        out += validation.check(f"{path}.apiGroup", group, names.subdomain(group))
    for field in ("kind", "name"):
        if value := ref.get(field):
            out += validation.check(f"{path}.{field}", value, names.path_segment(value))
        else:
            out.append(errors.field_required(f"{path}.{field}"))
    return out


def domain_prefixed_path(text: str, path: str) -> list[FieldError]:
    """acme.io/foo"""
    if not text:
        return [errors.field_required(path)]
    domain, _, rest = text.partition("/")
    if not domain or not rest:
        return [errors.field_invalid(path, text, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    out = validation.check(path, domain, names.subdomain(domain))
    if not re.fullmatch(_PATH, rest, re.ASCII):
        out.append(errors.field_invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')"))
    return out
