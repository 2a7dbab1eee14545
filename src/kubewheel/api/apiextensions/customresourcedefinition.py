"""customresourcedefinitions: names, defaults, rules, columns.

In: objects. Out: RESOURCE. Called by: catalog.py; apiserver/extension/crd brings the definitions to life.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources
from kubewheel.api.apiextensions import definition
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
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    for version in spec.get("versions") or ():
        for field in ("served", "storage"):
            version.setdefault(field, False)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"acceptedNames": {"kind": "", "plural": ""}, "conditions": [], "storedVersions": _storage(obj)}
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    status = new.setdefault("status", {})
    stored = status.get("storedVersions") or []
    status["storedVersions"] = stored + [v for v in _storage(new) if v not in stored]


def _storage(obj: Object) -> list[str]:
    return [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")]


# -- rules --------------------------------------------------------------------------------------------------------
def validate(obj: Object) -> list[FieldError]:
    return definition.validate(obj) + definition.status(obj) + definition.stored_versions(obj)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return (definition.validate(new, old) + definition.immutable(new["spec"], old["spec"],
                                                                 established=is_true(old, "Established"))
            + definition.status(new) + definition.stored_versions(new))


def validate_status(new: Object, old: Object) -> list[FieldError]:
    return definition.status(new) + definition.stored_versions(new)


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
    columns=(
        columns.NAME,
        Column("Created At", columns.at("metadata", "creationTimestamp"), type="date",
               description=".metadata.creationTimestamp"),
    ),
)
