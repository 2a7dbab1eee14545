"""namespaces.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import codec, columns, errors, names, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource

LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


def defaults(obj: Object) -> None:
    """Every namespace carries its name as a label."""
    meta = obj.get("metadata")
    if meta and meta.get("name"):
        labels = meta.get("labels")
        if labels is None:
            labels = meta["labels"] = {}
        labels[LABEL] = meta["name"]


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"phase": "Active"}
    spec = obj.get("spec")
    if spec is None:
        spec = obj["spec"] = {}
    finalizers = list(spec.get("finalizers") or ())
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    spec["finalizers"] = finalizers
    defaults(obj)  # a generated name is known only now


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    """Finalizers change through /finalize only."""
    finalizers = dig(old, "spec", "finalizers")
    spec = new.get("spec")
    if spec is None:
        spec = new["spec"] = {}
    if finalizers is None:
        spec.pop("finalizers", None)
    else:
        spec["finalizers"] = codec.copy(finalizers)


def validate(obj: Object) -> list[errors.FieldError]:
    return [f for name in dig(obj, "spec", "finalizers") or () for f in _finalizer(name, "spec.finalizers")]


def _finalizer(name: str, path: str) -> list[errors.FieldError]:
    out = validation.check(path, name, names.qualified(name))
    if "/" not in name and name not in ("kubernetes", "orphan", "foregroundDeletion"):
        out.append(errors.field_invalid(path, name,
                                        "name is neither a standard finalizer name nor is it fully qualified"))
    return out


def validate_finalize(new: Object, old: Object) -> list[errors.FieldError]:
    return [f for i, name in enumerate(dig(new, "spec", "finalizers") or ())
            for f in _finalizer(name, f"spec.finalizers[{i}]")]


def validate_status(new: Object, old: Object) -> list[errors.FieldError]:
    phase, ending = dig(new, "status", "phase") or "", new["metadata"].get("deletionTimestamp")
    if not ending and phase != "Active":
        return [errors.field_invalid("status.Phase", phase, 'may only be \'Active\' if `deletionTimestamp` is empty')]
    if ending and phase != "Terminating":
        return [errors.field_invalid("status.Phase", phase,
                                     'may only be \'Terminating\' if `deletionTimestamp` is not empty')]
    return []


RESOURCE = Resource(
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    definition="io.k8s.api.core.v1.Namespace",
    registry="namespaces",
    subresources=(
        subresources.status("Namespace", validate=validate_status),
        Subresource("finalize", "Namespace", verbs=("update",), owns=(("spec", "finalizers"),),
                    validate=validate_finalize),
    ),
    has_generation=False,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    name_rule="label",
    columns=(
        columns.NAME,
        Column("Status", columns.at("status", "phase"), description="The status of the namespace"),
        columns.AGE,
    ),
    selectable={"status.phase": lambda obj: dig(obj, "status", "phase") or ""},
)
