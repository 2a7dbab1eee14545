"""customresourcedefinitions: names, defaults, rules, columns.

In: objects. Out: RESOURCE. Called by: catalog.py; apiserver/extension/crd brings the definitions to life.
"""

from __future__ import annotations

import re
from typing import Any

from kubewheel.api import columns, errors, subresources
from kubewheel.api.apiextensions import structural
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

GROUP = "apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
APPROVAL = "api-approved.kubernetes.io"
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_TEXT = ("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
               "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
               "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")


def defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = kind + "List"
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = conversion.get("webhook", {}).get("clientConfig", {}).get("service")
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
    spec, out = obj["spec"], []
    names = spec.get("names") or {}
    group, plural = spec.get("group", ""), names.get("plural", "")
    if obj["metadata"].get("name") != f"{plural}.{group}":
        out.append(errors.field_invalid("metadata.name", obj["metadata"].get("name", ""),
                                        'must be spec.names.plural+"."+spec.group'))
    if not group:
        out.append(errors.field_required("spec.group"))
    elif not _SUBDOMAIN.fullmatch(group):
        out.append(errors.field_invalid("spec.group", group, "a lowercase RFC 1123 subdomain must consist of lower "
                                        "case alphanumeric characters, '-' or '.', and must start and end with an "
                                        "alphanumeric character"))
    elif "." not in group:
        out.append(errors.field_invalid("spec.group", group, "should be a domain with at least one dot"))
    if (group.endswith((".k8s.io", ".kubernetes.io")) and group.count(".") >= 2
            and APPROVAL not in (obj["metadata"].get("annotations") or {})):
        out.append(errors.field_required(
            f"metadata.annotations[{APPROVAL}]", f'protected groups must have approval annotation "{APPROVAL}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"))
    if not spec.get("scope"):
        out.append(errors.field_required("spec.scope"))
    elif spec["scope"] not in ("Cluster", "Namespaced"):
        out.append(errors.field_not_supported("spec.scope", spec["scope"], ("Cluster", "Namespaced")))
    out += _names(names) + _versions(spec) + _conversion(spec)
    return out


def _names(names: dict[str, Any]) -> list[FieldError]:
    out = []
    for field in ("plural", "singular", "kind", "listKind"):
        value = names.get(field, "")
        if not value:
            out.append(errors.field_required(f"spec.names.{field}"))
        elif not _LABEL.fullmatch(value.lower()) or (field in ("plural", "singular") and value != value.lower()):
            out.append(errors.field_invalid(f"spec.names.{field}", value, _LABEL_TEXT))
    for field in ("shortNames", "categories"):
        for i, value in enumerate(names.get(field) or ()):
            if not _LABEL.fullmatch(value):
                out.append(errors.field_invalid(f"spec.names.{field}[{i}]", value, _LABEL_TEXT))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        out.append(errors.field_invalid("spec.names.listKind", names["listKind"],
                                        "kind and listKind may not be the same"))
    return out


def _versions(spec: dict[str, Any]) -> list[FieldError]:
    out: list[FieldError] = []
    versions = spec.get("versions") or []
    seen = set()
    if not versions:
        out.append(errors.field_required("spec.versions", "must have at least one version"))
    for i, version in enumerate(versions):
        path, name = f"spec.versions[{i}]", version.get("name", "")
        if not _LABEL.fullmatch(name):
            out.append(errors.field_invalid(f"{path}.name", name, _LABEL_TEXT))
        if name in seen:
            out.append(errors.field_invalid("spec.versions", name, "must contain unique version names"))
        seen.add(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        at = f"{path}.schema.openAPIV3Schema"
        if schema is None:
            out.append(errors.field_required(at, "schemas are required"))
        else:
            out += structural.check(schema, at)
        out += _columns(version, path) + _subresources(version, path)
    storage = sum(1 for v in versions if v.get("storage"))
    if versions and storage != 1:
        out.append(errors.field_invalid("spec.versions", [v.get("name") for v in versions],
                                        "must have exactly one version marked as storage version"))
    if spec.get("preserveUnknownFields"):
        out.append(errors.field_invalid("spec.preserveUnknownFields", True, "cannot set to true, set "
                                        "x-kubernetes-preserve-unknown-fields to true in "
                                        "spec.versions[*].schema instead"))
    return out


def _columns(version: dict[str, Any], path: str) -> list[FieldError]:
    out = []
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        at = f"{path}.additionalPrinterColumns[{i}]"
        for field in ("name", "type", "jsonPath"):
            if not column.get(field):
                out.append(errors.field_required(f"{at}.{field}"))
        kinds = ("boolean", "date", "integer", "number", "string")
        if column.get("type") and column["type"] not in kinds:
            out.append(errors.field_invalid(f"{at}.type", column["type"],
                                            f"must be one of {','.join(kinds)}"))
    return out


def _subresources(version: dict[str, Any], path: str) -> list[FieldError]:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return []
    out, at = [], f"{path}.subresources.scale"
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        value = scale.get(field, "")
        if not value:
            out.append(errors.field_required(f"{at}.{field}"))
        elif not value.startswith(root):
            out.append(errors.field_invalid(f"{at}.{field}", value, f"should be a json path under {root[:-1]}"))
    selector = scale.get("labelSelectorPath", "")
    if selector and not selector.startswith((".spec.", ".status.")):
        out.append(errors.field_invalid(f"{at}.labelSelectorPath", selector,
                                        "should be a json path under either .spec or .status"))
    return out


def _conversion(spec: dict[str, Any]) -> list[FieldError]:
    conversion = spec.get("conversion") or {}
    strategy = conversion.get("strategy", "")
    if strategy not in ("None", "Webhook"):
        return [errors.field_not_supported("spec.conversion.strategy", strategy, ("None", "Webhook"))]
    if strategy == "Webhook" and not conversion.get("webhook"):
        return [errors.field_required("spec.conversion.webhook", 'required when strategy is set to "Webhook"')]
    if strategy == "None" and conversion.get("webhook"):
        return [errors.field_forbidden("spec.conversion.webhook",
                                       'should not be set when strategy is not set to "Webhook"')]
    return []


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    for path in (("group",), ("scope",), ("names", "plural"), ("names", "kind")):
        before, after = columns.dig(old["spec"], *path), columns.dig(new["spec"], *path)
        fixed = path in (("group",), ("names", "plural")) or is_true(old, "Established")
        if fixed and before != after:
            out.append(errors.field_invalid("spec." + ".".join(path), after, "field is immutable"))
    names = [v.get("name") for v in new["spec"].get("versions") or ()]
    for i, stored in enumerate((new.get("status") or {}).get("storedVersions") or ()):
        if stored not in names:
            out.append(errors.field_invalid(
                f"status.storedVersions[{i}]", stored,
                f"missing from spec.versions; {stored} was previously a storage version, and must remain in "
                "spec.versions until a storage migration ensures no data remains persisted in "
                f"{stored} and removes {stored} from status.storedVersions"))
    return out


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
    subresources=(subresources.status("CustomResourceDefinition"),),
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
