"""Signer names: domain/path.

In: texts. Out: FieldErrors. Called by: certificates/*.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import errors, names
from kubewheel.api.errors import FieldError


def validate(signer: str, path: str) -> list[FieldError]:
    if not signer:
        return [errors.field_required(path)]
    parts = signer.split("/")
    if len(parts) != 2:
        return [errors.field_invalid(path, signer, (
            "must be a fully qualified domain and path of the form 'example.com/signer-name'"))]
    domain, rest = parts
    out = [errors.field_too_long(path, 253)] if len(domain) > 253 else []
    labels = domain.split(".")
    out += _first_wrong(domain, labels, names.label, path)
    if len(labels) < 2:
        out.append(errors.field_invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    return out + _first_wrong(rest, rest.split("."), names.subdomain, path)


def _first_wrong(whole: str, labels: list[str], rule: Callable[[str], list[str]], path: str) -> list[FieldError]:
    for label in labels:
        if found := rule(label):
            return [errors.field_invalid(path, whole, f'validating label "{label}": {m}') for m in found]
    return []
