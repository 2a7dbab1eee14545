"""customresourcedefinitions: names, defaults, rules, columns.

In: objects. Out: RESOURCE. Called by: catalog.py; apiserver/extension/crd brings the definitions to life.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources
from kubewheel.api.apiextensions import conditions, definition, schemas
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

GROUP = "apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if "status" in obj:
        obj["status"].setdefault("conditions", [])  # printed though there are none
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = kind + "List"
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    webhook = conversion.get("webhook")
    if webhook is not None and webhook.get("clientConfig") is None and webhook.get("conversionReviewVersions") is None:
        del conversion["webhook"]  # the internal type has its two fields only
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    for version in spec.get("versions") or ():
        for field in ("served", "storage"):
            version.setdefault(field, False)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"acceptedNames": {"kind": "", "plural": ""}, "conditions": None, "storedVersions": _storage(obj) or None}


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    status = new.setdefault("status", {})
    stored = status.get("storedVersions") or []
    status["storedVersions"] = stored + [v for v in _storage(new) if v not in stored]


def _storage(obj: Object) -> list[str]:
    """The first that is the storage version; more of them are refused."""
    return [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")][:1]


def mark_terminating(obj: Object, now: str) -> None:
    """What the first DELETE does: the definition stays until its objects are gone."""
    meta = obj["metadata"]
    meta["deletionTimestamp"] = now
    finalizers = meta["finalizers"] = list(meta.get("finalizers") or ())
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    conditions.put(obj.setdefault("status", {}), "Terminating", "True", "InstanceDeletionPending",
                   "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon", now)


# -- rules --------------------------------------------------------------------------------------------------------
def validate(obj: Object) -> list[FieldError]:
    return definition.validate(obj) + definition.status(obj) + definition.stored_versions(obj)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """An established definition keeps its scope and kind, and its webhook a CA that can be read."""
    return (definition.validate(new, old) + definition.immutable(new["spec"], old["spec"],
                                                                 established=is_true(old, "Established"))
            + definition.status(new) + definition.stored_versions(new))


def validate_status(new: Object, old: Object) -> list[FieldError]:
    return definition.status(new)


def _unknown_formats(obj: Object) -> list[str]:
    versions = obj["spec"].get("versions") or []
    declared = [(v.get("schema") or {}).get("openAPIV3Schema") for v in versions]
    if declared and all(d == declared[0] for d in declared):
        declared = declared[:1]  # what all versions share is looked at once
    return [form for schema in declared if schema for form in schemas.unknown_formats(schema)]


def warnings_create(obj: Object) -> list[str]:
    return [f"unrecognized format {errors.quoted(form)}" for form in _unknown_formats(obj)]


def warnings_update(new: Object, old: Object) -> list[str]:
    known = set(_unknown_formats(old))
    return [f"unrecognized format {errors.quoted(form)}" for form in _unknown_formats(new) if form not in known]


def is_true(crd: Object, condition: str) -> bool:
    return any(c["type"] == condition and c["status"] == "True"
               for c in (crd.get("status") or {}).get("conditions") or ())


RESOURCE = Resource(
    group=GROUP,
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    singular="customresourcedefinition",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    definition="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    registry="apiextensions.k8s.io/customresourcedefinitions",
    subresources=(subresources.status("CustomResourceDefinition", validate=validate_status),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    unconditional_update=False,
    create_warnings=warnings_create,
    warnings_update=warnings_update,
    columns=(
        columns.NAME,
        Column("Created At", columns.at("metadata", "creationTimestamp"), type="date",
               description=".metadata.creationTimestamp"),
    ),
)
