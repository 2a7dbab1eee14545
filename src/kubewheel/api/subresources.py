"""Subresources that many kinds have: status and scale.

In: nothing. Out: Subresource values. Called by: the resource files.
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import errors
from kubewheel.api.resource import Object, PrepareContext, Subresource

SCALE = Subresource("scale", "Scale", group="autoscaling", version="v1", owns=(("spec", "replicas"),))


def status(
    kind: str,
    *,
    prepare: Callable[[Object, Object, PrepareContext], None] | None = None,
    validate: Callable[[Object, Object], list[errors.FieldError]] | None = None,
) -> Subresource:
    return Subresource("status", kind, owns=(("status",),), prepare=prepare, validate=validate)


def drop_status(obj: Object, context: PrepareContext) -> None:
    """prepare_create of most kinds: what the user says about status does not count."""
    obj.pop("status", None)


def empty_status(obj: Object, context: PrepareContext) -> None:
    """For kinds whose status upstream always prints."""
    obj["status"] = {}
