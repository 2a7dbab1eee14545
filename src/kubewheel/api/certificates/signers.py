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


def is_kubernetes(signer: str) -> bool:
    domain = signer.partition("/")[0]
    return domain == "kubernetes.io" or domain.endswith(".kubernetes.io")


def user_annotations(notes: dict[str, str], path: str) -> list[FieldError]:
    """What a pod tells its signer: keys with a domain."""
    out: list[FieldError] = []
    size = 0
    for key, value in notes.items():
        out += _prefixed_key(key.lower(), f"{path}")
        size += len(key.encode()) + len(value.encode())
    if size > 256 * 1024:
        out.append(errors.field_too_long(path, 256 * 1024))
    return out


def _prefixed_key(key: str, path: str) -> list[FieldError]:
    """IsDomainPrefixedKey."""
    if not key:
        return [errors.field_required(path)]
    out = [errors.field_invalid(path, key, m) for m in names.qualified(key)]
    if "/" not in key:
        out.append(errors.field_invalid(path, key, 'must be a domain-prefixed key (such as "acme.io/foo")'))
    return out
