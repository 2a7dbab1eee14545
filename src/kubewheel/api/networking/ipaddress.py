"""ipaddresses: one Service address in use.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def _parent(obj: Object, now: float) -> str:
    ref = dig(obj, "spec", "parentRef")
    if ref is None:
        return columns.NONE
    what = errors.qualified(ref.get("resource") or "", ref.get("group") or "").lower()
    return "/".join(filter(None, (what, ref.get("namespace"), ref.get("name"))))


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")


def validate(obj: Object) -> list[FieldError]:
    ref, path = dig(obj, "spec", "parentRef"), "spec.parentRef"
    if ref is None:
        return [errors.field_required(path)]
    out: list[FieldError] = []
    if group := ref.get("group"):
        out += validation.check(f"{path}.group", group, names.subdomain(group))
    for field in ("resource", "name", "namespace"):
        if value := ref.get(field):
            out += validation.check(f"{path}.{field}", value, names.path_segment(value))
        elif field != "namespace":
            out.append(errors.field_required(f"{path}.{field}"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    ref, was = dig(new, "spec", "parentRef"), dig(old, "spec", "parentRef")
    if ref == was:
        return []
    shown = None if ref is None else {go: ref.get(field) or "" for go, field in (
        ("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name"))}
    return [errors.field_invalid("spec.parentRef", shown, validation.IMMUTABLE)]


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    registry="ipaddresses",
    has_generation=False,
    name_rule="ip",
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("ParentRef", _parent, description=".spec.parentRef")),
)
