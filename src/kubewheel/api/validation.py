"""Rules of ObjectMeta and of pieces many kinds share.

In: metadata, selectors, maps. Out: FieldError lists.
Called by: verbs/write.py (metadata of every write), resource files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubewheel.api import errors, intstr, names, quantity
from kubewheel.api.errors import FieldError

TOTAL_ANNOTATION_SIZE = 256 * 1024
MAX_MANAGER = 128  # bytes of a field manager's name
MAX_SUBRESOURCE = 256
IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"


def check(path: str, value: Any, messages: Iterable[str]) -> list[FieldError]:
    return [errors.field_invalid(path, value, m) for m in messages]


def validate_meta(meta: Mapping[str, Any], *, namespaced: bool, name_rule: str = "", path: str = "metadata",
                  ) -> list[FieldError]:
    out: list[FieldError] = []
    rule: Callable[[str], list[str]] = names.RULES[name_rule]
    generate, name = meta.get("generateName"), meta.get("name")
    if generate:
        out += check(f"{path}.generateName", generate, rule(names.as_prefix(generate)))
    if not name:
        out.append(errors.field_required(f"{path}.name", "name or generateName is required"))
    else:
        out += check(f"{path}.name", name, rule(name))
    namespace = meta.get("namespace")
    if namespaced:
        if not namespace:
            out.append(errors.field_required(f"{path}.namespace"))
        else:
            out += check(f"{path}.namespace", namespace, names.label(namespace))
    elif namespace:
        out.append(errors.field_forbidden(f"{path}.namespace", "not allowed on this type"))
    return out + _meta_rest(meta, path)


def _meta_rest(meta: Mapping[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if labels := meta.get("labels"):
        out += validate_labels(labels, f"{path}.labels")
    if annotations := meta.get("annotations"):
        out += validate_annotations(annotations, f"{path}.annotations")
    if owners := meta.get("ownerReferences"):
        out += _owners(owners, f"{path}.ownerReferences")
    for finalizer in meta.get("finalizers") or ():
        out += check(f"{path}.finalizers", finalizer, names.qualified(finalizer))
    finalizers = meta.get("finalizers") or ()
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        out.append(errors.field_invalid(f"{path}.finalizers", list(finalizers),
                                        "finalizer orphan and foregroundDeletion cannot be both set"))
    for at, entry in enumerate(meta.get("managedFields") or ()):
        out += validate_manager(entry.get("manager") or "", f"{path}.managedFields[{at}].manager")
        if len(entry.get("subresource") or "") > MAX_SUBRESOURCE:
            out.append(errors.field_too_long(f"{path}.managedFields[{at}].subresource", MAX_SUBRESOURCE))
    return out


def validate_manager(manager: str, path: str) -> list[FieldError]:
    """The name of a field manager."""
    if manager.isprintable() and len(manager) <= MAX_MANAGER // 4:  # as nearly all are
        return []
    out: list[FieldError] = []
    if len(manager.encode()) > MAX_MANAGER:
        out.append(errors.field_too_long(path, MAX_MANAGER))
    at = 0
    for character in manager:
        if not character.isprintable():
            out.append(errors.field_invalid(path, manager, f"invalid character U+{ord(character):04X} (at position {at})"))
        at += len(character.encode(errors="replace"))
    return out


_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_GENERIC = ("admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io")


def finalizer_names(meta: Mapping[str, Any], group: str, path: str = "metadata") -> list[FieldError]:
    """Of built-in kinds, but for those of groups that live outside of upstream's core."""
    finalizers = meta.get("finalizers")
    if not finalizers or group in _GENERIC:
        return []
    return [errors.field_invalid(f"{path}.finalizers[{i}]", name,
                                 "name is neither a standard finalizer name nor is it fully qualified")
            for i, name in enumerate(finalizers) if "/" not in name and name not in _FINALIZERS]


def validate_meta_update(new: Mapping[str, Any], old: Mapping[str, Any], *, path: str = "metadata") -> list[FieldError]:
    out: list[FieldError] = []
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        if (new.get(field) or None) != (old.get(field) or None):
            out.append(errors.field_invalid(f"{path}.{field}", new.get(field), IMMUTABLE))
    if old.get("deletionTimestamp"):
        had = old.get("finalizers") or ()
        added = [f for f in new.get("finalizers") or () if f not in had]
        if added:
            texts = ", ".join(f'"{f}"' for f in sorted(added))
            out.append(errors.field_forbidden(f"{path}.finalizers", (
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{texts}}}")))
    return out + _meta_rest(new, path)


def validate_labels(labels: Mapping[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for key, value in labels.items():
        out += check(path, key, names.qualified(key))
        out += check(path, value, names.label_value(value or ""))
    return out


def validate_annotations(annotations: Mapping[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    size = 0
    for key, value in annotations.items():
        out += check(path, key, names.qualified(key.lower()))
        size += len(key.encode()) + len((value or "").encode())
    if size > TOTAL_ANNOTATION_SIZE:
        out.append(errors.field_too_long(path, TOTAL_ANNOTATION_SIZE))
    return out


def _owners(owners: list[Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    controller = ""
    where = path  # upstream does not say which of them
    for ref in owners:
        version = ref.get("apiVersion") or ""
        if not version.rpartition("/")[2] or version.count("/") > 1:  # what is none has no version either
            out.append(errors.field_invalid(f"{where}.apiVersion", version, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not ref.get(field):
                out.append(errors.field_invalid(f"{where}.{field}", "", "must not be empty"))
        if ref.get("apiVersion") == "v1" and ref.get("kind") == "Event":
            out.append(errors.field_invalid(where, ref, "/v1, Kind=Event is disallowed from being an owner"))
        if ref.get("controller"):
            this = f"{ref.get('kind', '')}/{ref.get('name', '')}"
            if controller:
                out.append(errors.field_invalid(path, owners, (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {this}")))
            else:
                controller = this
    return out


# -- label selectors ----------------------------------------------------------------------------------------------
def validate_selector(selector: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """metav1.LabelSelector."""
    if not selector:
        return []
    out: list[FieldError] = []
    if pairs := selector.get("matchLabels"):
        out += validate_labels(pairs, f"{path}.matchLabels")
    for i, e in enumerate(selector.get("matchExpressions") or ()):
        out += validate_requirement(e, f"{path}.matchExpressions[{i}]")
    return out


def validate_requirement(e: Mapping[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    operator, values = e.get("operator"), e.get("values")
    if operator in ("In", "NotIn"):
        if not values:
            out.append(errors.field_required(f"{path}.values",
                                             "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            out.append(errors.field_forbidden(f"{path}.values",
                                              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else:
        out.append(errors.field_invalid(f"{path}.operator", operator or "", "not a valid selector operator"))
    out += check(f"{path}.key", e.get("key") or "", names.qualified(e.get("key") or ""))
    for j, value in enumerate(values or ()):
        out += check(f"{path}.values[{j}]", value, names.label_value(value))
    return out


# -- small things -------------------------------------------------------------------------------------------------
def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    return [] if new == old else [errors.field_invalid(path, new, IMMUTABLE)]


def non_negative(value: Any, path: str) -> list[FieldError]:
    return [errors.field_invalid(path, value, NEGATIVE)] if isinstance(value, int) and value < 0 else []


def non_negative_or_percent(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int):
        return non_negative(value, path)
    if isinstance(value, str) and not intstr.is_percent(value):
        return [errors.field_invalid(path, value,
                                     "a valid percent string must be a numeric string followed by an ending '%' "
                                     "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")]
    return []


def at_most_100_percent(value: Any, path: str) -> list[FieldError]:
    part = intstr.percent(value)
    return [errors.field_invalid(path, value, "must not be greater than 100%")] if part and part > 100 else []


def one_of(value: Any, allowed: Iterable[str], path: str, *, required: bool = True,
           ordered: bool = False) -> list[FieldError]:
    """`ordered`: the message lists the values as they stand, not sorted."""
    if not value:
        return [errors.field_required(path)] if required else []
    return [] if value in allowed else [errors.field_not_supported(path, value, allowed, ordered=ordered)]


def validate_quantity(value: Any, path: str) -> list[FieldError]:
    """A quantity that must not be negative."""
    if not quantity.is_valid(value):
        return [errors.field_invalid(path, value, quantity.FORMAT_ERROR)]
    return [errors.field_invalid(path, value, NEGATIVE)] if quantity.nano(value) < 0 else []
