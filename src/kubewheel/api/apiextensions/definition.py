"""What a CustomResourceDefinition may say: names, versions, subresources, columns, selectable fields, conversion.

In: definitions, on updates the old one. Out: FieldErrors with upstream's words and paths. Called by:
customresourcedefinition.py.

Upstream checks its internal type, where what all versions say alike stands once, at the top: a schema that all versions
(or the only one) share is `spec.validation.openAPIV3Schema` in messages, and so with subresources, columns and fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubewheel.api import errors, hook_clients, names, validation
from kubewheel.api.apiextensions import field_paths, internal, schemas
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

APPROVAL = "api-approved.kubernetes.io"
_ENHANCEMENT = "https://github.com/kubernetes/enhancements/pull/1111"
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MAX_SELECTABLE = 8
MAX_WARNING = 256


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec = obj["spec"]
    expected = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    out: list[FieldError] = []
    for field in ("generateName", "name"):
        if old is None and (given := obj["metadata"].get(field)) and given != expected:
            out.append(errors.field_invalid(f"metadata.{field}", given, 'must be spec.names.plural+"."+spec.group'))
    out += _spec(spec, (old or {}).get("spec"), checks_ca=old is not None and _has_readable_ca(old))
    out += _approval(obj, old)
    if spec.get("preserveUnknownFields") and not (old or {"spec": {}})["spec"].get("preserveUnknownFields"):
        out.append(errors.field_invalid("spec.preserveUnknownFields", True, "cannot set to true, set "
                                        "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"))
    return out


def _spec(spec: Object, old: Object | None, *, checks_ca: bool) -> list[FieldError]:
    out: list[FieldError] = []
    group, versions = spec.get("group") or "", spec.get("versions")
    if not group:
        out.append(errors.field_required("spec.group"))
    elif found := names.subdomain(group):
        out.append(errors.field_invalid("spec.group", group, ",".join(found)))
    elif "." not in group:
        out.append(errors.field_invalid("spec.group", group, "should be a domain with at least one dot"))
    out += validation.one_of(spec.get("scope"), ("Cluster", "Namespaced"), "spec.scope")
    before = _Before(old)
    out += _versions(versions, before)
    for field in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(field):
            out.append(errors.field_required(f"spec.names.{field}"))
    out += accepted_names(spec.get("names") or {}, "spec.names")
    out += _shared(versions or [], before)
    return out + _conversion(spec.get("conversion") or {}, "spec.conversion", checks_ca=checks_ca)


def accepted_names(given: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []

    def check(field: str, value: str, *, mixed: bool = False) -> None:
        if found := names.label_1035(value.lower() if mixed else value):
            words = "may have mixed case, but should otherwise match: " if mixed else ""
            out.append(errors.field_invalid(f"{path}.{field}", value, words + ",".join(found)))

    for field in ("plural", "singular", "kind", "listKind"):
        if given.get(field):
            check(field, given[field], mixed="ind" in field)
    for i, short in enumerate(given.get("shortNames") or ()):
        check(f"shortNames[{i}]", short)
    if given.get("kind") and given["kind"] == given.get("listKind"):
        out.append(errors.field_invalid(f"{path}.listKind", given["listKind"], "kind and listKind may not be the same"))
    for i, category in enumerate(given.get("categories") or ()):
        check(f"categories[{i}]", category)
    return out


# -- versions -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Before:
    """What an update found there: it is not held against what came to be a rule after it was written."""

    spec: Object | None = None

    def version(self, name: str) -> Object:
        return next((v for v in (self.spec or {}).get("versions") or () if v.get("name") == name), {})

    def has_same(self, version: Object, field: str) -> bool:
        old = self.version(version.get("name") or "")
        return bool(old) and old.get(field) == version.get(field)

    def may_have_many_fields(self, version: Object) -> bool:
        return self.has_same(version, "selectableFields") and len(version["selectableFields"]) > MAX_SELECTABLE


def _versions(declared: Sequence[Object] | None, before: _Before) -> list[FieldError]:
    out: list[FieldError] = []
    versions = declared or ()
    hoisted = _hoisted(versions)
    if "schema" not in hoisted or _schema(versions[0]) is None:
        out += [errors.field_required(f"spec.versions[{i}].schema.openAPIV3Schema")
                for i, version in enumerate(versions) if _schema(version) is None]
    for i, version in enumerate(versions):
        name, path = version.get("name") or "", f"spec.versions[{i}]"
        if found := names.label_1035(name):
            out.append(errors.field_invalid(f"{path}.name", name, ",".join(found)))
        out += _deprecation(version, path)
        out += _version({k: v for k, v in version.items() if k not in hoisted}, path, before,
                        status="status" in (version.get("subresources") or {}),
                        absent="may only be set when `version.schema.openAPIV3Schema` is not included")
    shown = None if declared is None else internal.versions(versions, hoisted)
    if len({v.get("name") for v in versions}) < len(versions):
        out.append(errors.field_invalid("spec.versions", shown, "must contain unique version names"))
    if sum(1 for v in versions if v.get("storage")) != 1:
        out.append(errors.field_invalid("spec.versions", shown, "must have exactly one version marked as storage version"))
    if versions and (found := names.label_1035(versions[0].get("name") or "")) and versions[0].get("name"):
        out.append(errors.field_invalid("spec.version", versions[0]["name"], ",".join(found)))
    return out


def _shared(versions: Sequence[Object], before: _Before) -> list[FieldError]:
    """What all versions say alike is looked at once."""
    if not versions:
        return []
    at_top = {k: v for k, v in versions[0].items() if k in _hoisted(versions) or k == "name"}
    return _version(at_top, "spec", before, validation="validation",
                    status=any("status" in (v.get("subresources") or {}) for v in versions),
                    absent="may only be set when validations.schema is included")


def _hoisted(versions: Sequence[Object]) -> frozenset[str]:
    """The fields that all versions have alike: the internal type has them once, at the top."""
    return frozenset(f for f in ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
                     if versions and all(v.get(f) == versions[0].get(f) for v in versions))


def _schema(version: Object) -> Object | None:
    found = (version.get("schema") or {}).get("openAPIV3Schema")
    return found if isinstance(found, dict) else None


def _version(version: Object, path: str, before: _Before, *, status: bool, absent: str, validation: str = "schema"
             ) -> list[FieldError]:
    out: list[FieldError] = []
    declared = _schema(version)
    if declared is not None:
        out += schemas.check(declared, f"{path}.{validation}.openAPIV3Schema", status=status,
                             unchanged=before.has_same(version, "schema"))
    out += _scale((version.get("subresources") or {}).get("scale"), f"{path}.subresources")
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        out += _column(column, f"{path}.additionalPrinterColumns[{i}]")
    if fields := version.get("selectableFields"):
        at = f"{path}.selectableFields"
        out += [errors.field_invalid(at, "", absent)] if declared is None else _selectable(
            fields, declared, at, may_be_many=before.may_have_many_fields(version))
    return out


def _deprecation(version: Object, path: str) -> list[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return []
    words = []
    if not version.get("deprecated"):
        words = ["can only be set for deprecated versions"]
    else:
        if len(text.encode()) > MAX_WARNING:
            words.append(f"must be <= {MAX_WARNING} characters long")
        if not text:
            words.append("must not be an empty string")
        at = next((i for i, c in enumerate(text) if not c.isprintable()), None)
        if at is not None:
            words.append("must only contain printable UTF-8 characters; non-printable character found at index "
                         f"{len(text[:at].encode())}")
    return [errors.field_invalid(f"{path}.deprecationWarning", text, w) for w in words]


# -- what a version has beside its schema -------------------------------------------------------------------------
def _simple_path(text: str, path: str) -> list[FieldError]:
    return [] if text.startswith(".") else [
        errors.field_invalid(path, text, "must be a simple json path starting with .")]


def _scale(scale: Object | None, path: str) -> list[FieldError]:
    if scale is None:
        return []
    out: list[FieldError] = []
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        value, at = scale.get(field) or "", f"{path}.scale.{field}"
        if not value:
            out.append(errors.field_required(at))
        elif found := _simple_path(value, at):
            out += found
        elif not value.startswith(root):
            out.append(errors.field_invalid(at, value, f"should be a json path under {root[:-1]}"))
    if selector := scale.get("labelSelectorPath"):
        at = f"{path}.scale.labelSelectorPath"
        if found := _simple_path(selector, at):
            out += found
        elif not selector.startswith((".spec.", ".status.")):
            out.append(errors.field_invalid(at, selector, "should be a json path under either .spec or .status"))
    return out


def _column(column: Object, path: str) -> list[FieldError]:
    out = []
    if not column.get("name"):
        out.append(errors.field_required(f"{path}.name"))
    one_of, type_, form = f"must be one of {','.join(_COLUMN_TYPES)}", column.get("type"), column.get("format")
    if not type_:
        out.append(errors.field_required(f"{path}.type", one_of))
    elif type_ not in _COLUMN_TYPES:
        out.append(errors.field_invalid(f"{path}.type", type_, one_of))
    if form and form not in _COLUMN_FORMATS:
        out.append(errors.field_invalid(f"{path}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}"))
    json_path = column.get("jsonPath")
    if not json_path:
        out.append(errors.field_required(f"{path}.JSONPath"))
    else:
        out += _simple_path(json_path, f"{path}.JSONPath")
    return out


def _selectable(declared: Sequence[Object], schema: Object, path: str, *, may_be_many: bool) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, entry in enumerate(declared):
        at, text = f"{path}[{i}].jsonPath", entry.get("jsonPath") or ""
        if not text:
            out.append(errors.field_required(at))
            continue
        try:
            found, where = field_paths.follow(text, schema, brackets=False)
        except ValueError as e:
            out.append(errors.field_invalid(at, text, f"is an invalid path: {e}"))
            continue
        if where.split(".")[0] == "metadata":
            out.append(errors.field_invalid(at, text, "must not point to fields in metadata"))
        if found.get("type") not in ("string", "boolean", "integer"):
            out.append(errors.field_invalid(at, text, "must point to a field of type string, boolean or integer. Enum "
                                                      "string fields and strings with formats are allowed."))
        if where in seen:
            out.append(errors.field_duplicate(at, text))
        seen.add(where)
    if len(seen) > MAX_SELECTABLE and not may_be_many:
        out.append(errors.field_too_many(path, len(seen), MAX_SELECTABLE))
    return out


# -- conversion ---------------------------------------------------------------------------------------------------
def _conversion(conversion: Object, path: str, *, checks_ca: bool) -> list[FieldError]:
    strategy, webhook = conversion.get("strategy"), conversion.get("webhook") or {}
    out = validation.one_of(strategy, ("None", "Webhook"), f"{path}.strategy")
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        words = "should not be set when strategy is not set to Webhook"
        if config is not None:
            out.append(errors.field_forbidden(f"{path}.webhookClientConfig", words))
        if versions:
            out.append(errors.field_forbidden(f"{path}.conversionReviewVersions", words))
        return out
    if config is None:
        out.append(errors.field_required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    else:
        out += hook_clients.check(config, f"{path}.webhookClientConfig")
        if checks_ca and config.get("caBundle") and not hook_clients.is_ca(config["caBundle"]):
            out.append(errors.field_invalid(f"{path}.webhookClientConfig.caBundle", config["caBundle"], hook_clients.NO_CA))
    return out + _review_versions(versions, f"{path}.conversionReviewVersions")


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [errors.field_required(path)]
    out: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            out.append(errors.field_invalid(f"{path}[{i}]", version, "duplicate version"))
        elif found := names.label_1035(version):
            out.append(errors.field_invalid(f"{path}[{i}]", version, ",".join(found)))
    if not {"v1", "v1beta1"} & set(versions):
        out.append(errors.field_invalid(path, versions, "must include at least one of v1, v1beta1"))
    return out


def _has_readable_ca(old: Object) -> bool:
    """Of an established definition whose webhook's CA can be read, or that has none yet, a new one must be readable."""
    if not any(c["type"] == "Established" and c["status"] == "True" for c in (old.get("status") or {}).get("conditions") or ()):
        return False
    webhook = (old["spec"].get("conversion") or {}).get("webhook") or {}
    bundle = (webhook.get("clientConfig") or {}).get("caBundle")
    return not bundle or hook_clients.is_ca(bundle)


# -- protected groups ---------------------------------------------------------------------------------------------
def is_protected(group: str) -> bool:
    return f".{group}".endswith((".k8s.io", ".kubernetes.io"))


def approval(obj: Object) -> tuple[str, str]:
    """(state, words): approved, bypassed, missing, invalid."""
    text = (obj["metadata"].get("annotations") or {}).get(APPROVAL) or ""
    if not text:
        return "missing", f'protected groups must have approval annotation "{APPROVAL}", see {_ENHANCEMENT}'
    if text.startswith("unapproved"):
        return "bypassed", f'not approved: "{text}"'
    parts = urlsplit(text)
    if parts.scheme and parts.netloc:
        return "approved", f"approved in {text}"
    return "invalid", (f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting '
                       f'with "unapproved", see {_ENHANCEMENT}')


def _approval(obj: Object, old: Object | None) -> list[FieldError]:
    if not is_protected(obj["spec"].get("group") or ""):
        return []
    state, words = approval(obj)
    if state in ("approved", "bypassed") or old is not None and approval(old)[0] == state:
        return []
    path = f"metadata.annotations[{APPROVAL}]"
    if state == "missing":
        return [errors.field_required(path, words)]
    return [errors.field_invalid(path, obj["metadata"]["annotations"][APPROVAL], words)]


# -- status and updates -------------------------------------------------------------------------------------------
def status(obj: Object) -> list[FieldError]:
    return accepted_names((obj.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames")


def stored_versions(obj: Object) -> list[FieldError]:
    stored = (obj.get("status") or {}).get("storedVersions")
    path, versions = "status.storedVersions", obj["spec"].get("versions") or ()
    if not stored:
        return [errors.field_invalid(path, stored, "must have at least one stored version")]
    known = {v.get("name") for v in versions}
    out = [errors.field_invalid(path, stored, f"must have the storage version {v.get('name')}")
           for v in versions if v.get("storage") and v.get("name") not in stored]
    for i, name in enumerate(stored):
        if name not in known:
            out.append(errors.field_invalid(
                f"{path}[{i}]", name, f"missing from spec.versions; {name} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains persisted in "
                f"{name} and removes {name} from status.storedVersions"))
    return out


def immutable(new: Any, old: Any, *, established: bool) -> list[FieldError]:
    out = []
    paths = [("scope",), ("names", "kind")] if established else []
    for path in (*paths, ("group",), ("names", "plural")):
        before, after = old, new
        for part in path:
            before, after = (before or {}).get(part), (after or {}).get(part)
        if before != after:
            out.append(errors.field_invalid("spec." + ".".join(path), after, validation.IMMUTABLE))
    return out
