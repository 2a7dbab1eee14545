"""What a CustomResourceDefinition may say: names, versions, subresources, columns, selectable fields, conversion.

In: definitions, on updates the old one. Out: FieldErrors with upstream's words and paths. Called by:
customresourcedefinition.py.

Upstream checks its internal type, where what all versions say alike stands once, at the top: a schema that all versions
(or the only one) share is `spec.validation.openAPIV3Schema` in messages, and so with subresources, columns and fields.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from kubewheel.api import errors, names, validation
from kubewheel.api.apiextensions import rules, schemas
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
    if obj["metadata"].get("name") != expected:
        out.append(errors.field_invalid("metadata.name", obj["metadata"].get("name", ""),
                                        'must be spec.names.plural+"."+spec.group'))
    out += _spec(spec, (old or {}).get("spec"))
    out += _approval(obj, old)
    if spec.get("preserveUnknownFields") and not (old or {"spec": {}})["spec"].get("preserveUnknownFields"):
        out.append(errors.field_invalid("spec.preserveUnknownFields", True, "cannot set to true, set "
                                        "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"))
    return out


def _spec(spec: Object, old: Object | None) -> list[FieldError]:
    out: list[FieldError] = []
    group, versions = spec.get("group") or "", spec.get("versions") or []
    if not group:
        out.append(errors.field_required("spec.group"))
    elif found := names.subdomain(group):
        out.append(errors.field_invalid("spec.group", group, ",".join(found)))
    elif "." not in group:
        out.append(errors.field_invalid("spec.group", group, "should be a domain with at least one dot"))
    out += validation.one_of(spec.get("scope"), ("Cluster", "Namespaced"), "spec.scope")
    out += _versions(versions, old)
    for field in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(field):
            out.append(errors.field_required(f"spec.names.{field}"))
    out += accepted_names(spec.get("names") or {}, "spec.names")
    return out + _conversion(spec.get("conversion") or {}, "spec.conversion")


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
def _versions(versions: Sequence[Object], old: Object | None) -> list[FieldError]:
    out: list[FieldError] = []
    before = {v.get("name"): v.get("schema") for v in (old or {}).get("versions") or ()}
    seen: set[str] = set()
    for i, version in enumerate(versions):
        path, name = f"spec.versions[{i}]", version.get("name") or ""
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            out.append(errors.field_required(f"{path}.schema.openAPIV3Schema", "schemas are required"))
        if found := names.label_1035(name):
            out.append(errors.field_invalid(f"{path}.name", name, ",".join(found)))
        out += _deprecation(version, path)
        seen.add(name)
    for version, at in _told(versions, "schema", "validation"):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema:
            out += schemas.check(schema, f"{at}.openAPIV3Schema", status="status" in (version.get("subresources") or {}),
                                 unchanged=before.get(version.get("name")) == version.get("schema"))
    for version, at in _told(versions, "subresources"):
        out += _scale((version.get("subresources") or {}).get("scale"), at)
    for version, at in _told(versions, "additionalPrinterColumns"):
        for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
            out += _column(column, f"{at}[{i}]")
    for version, at in _told(versions, "selectableFields"):
        out += _selectable(version, at)
    if len(seen) < len(versions):
        out.append(errors.field_invalid("spec.versions", _shown(versions), "must contain unique version names"))
    if sum(1 for v in versions if v.get("storage")) != 1:
        out.append(errors.field_invalid("spec.versions", _shown(versions),
                                        "must have exactly one version marked as storage version"))
    return out


def _shown(versions: Sequence[Object]) -> list[str]:
    return [v.get("name") or "" for v in versions]


def _told(versions: Sequence[Object], field: str, top: str = "") -> list[tuple[Object, str]]:
    """(version, path) of what is to be looked at: once, at the top, if all say the same."""
    if versions and all(v.get(field) == versions[0].get(field) for v in versions):
        return [(versions[0], f"spec.{top or field}")]
    return [(version, f"spec.versions[{i}].{field}") for i, version in enumerate(versions)]


def _deprecation(version: Object, path: str) -> list[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return []
    words = []
    if not version.get("deprecated"):
        words = ["can only be set for deprecated versions"]
    else:
        if len(text) > MAX_WARNING:
            words.append(f"must be <= {MAX_WARNING} characters long")
        if not text:
            words.append("must not be an empty string")
        at = next((i for i, c in enumerate(text) if not c.isprintable()), None)
        if at is not None:
            words.append(f"must only contain printable UTF-8 characters; non-printable character found at index {at}")
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


def _selectable(version: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    declared = version.get("selectableFields") or []
    if not declared:
        return []
    if not schema:
        return [errors.field_invalid(path, "", "may only be set when schema exists")]
    seen: set[str] = set()
    for i, entry in enumerate(declared):
        at, text = f"{path}[{i}]", entry.get("jsonPath") or ""
        if not text:
            out.append(errors.field_required(f"{at}.jsonPath"))
            continue
        found = rules.field_at(schema, text)
        if found is None:
            out.append(errors.field_invalid(f"{at}.jsonPath", text, "is an invalid path: does not refer to a valid field"))
            continue
        if re.match(r"\.metadata\b", text):
            out.append(errors.field_invalid(at, text, "must not point to fields in metadata"))
        if found.get("type") not in ("string", "boolean", "integer"):
            out.append(errors.field_invalid(at, text, "must point to a field of type string, boolean or integer. Enum "
                                                      "string fields and strings with allowed formats are supported."))
        if text in seen:
            out.append(errors.field_duplicate(at, text))
        seen.add(text)
    if len(seen) > MAX_SELECTABLE:
        out.append(errors.field_too_many(path, len(seen), MAX_SELECTABLE))
    return out


# -- conversion ---------------------------------------------------------------------------------------------------
def _conversion(conversion: Object, path: str) -> list[FieldError]:
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
        out += _client(config, f"{path}.webhookClientConfig")
    return out + _review_versions(versions, f"{path}.conversionReviewVersions")


def _client(config: Object, path: str) -> list[FieldError]:
    url, service = config.get("url"), config.get("service") or {}
    if (url is None) == (config.get("service") is None):
        return [errors.field_required(path, "exactly one of url or service is required")]
    if url is not None:
        return _url(url, f"{path}.url")
    out = [errors.field_required(f"{path}.service.{f}", f"service {f} is required")
           for f in ("name", "namespace") if not service.get(f)]
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        out.append(errors.field_invalid(f"{path}.service.port", port, "port is not valid: " + names.PORT_TEXT))
    return out


def _url(url: str, path: str) -> list[FieldError]:
    form = "; desired format: https://host[/path]"
    parts, words = urlsplit(url), []
    if parts.scheme != "https":
        words.append("'https' is the only allowed URL scheme" + form)
    if not parts.netloc:
        words.append("host must be specified" + form)
    if "@" in parts.netloc:
        words.append("user information is not permitted in the URL")
    if parts.fragment:
        words.append("fragments are not permitted in the URL")
    if parts.query:
        words.append("query parameters are not permitted in the URL")
    return [errors.field_invalid(path, url, w) for w in words]


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [errors.field_required(path)]
    out: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            out.append(errors.field_invalid(f"{path}[{i}]", version, "duplicate version"))
        elif found := names.label_1035(version):
            out.append(errors.field_invalid(f"{path}[{i}]", version, ",".join(found)))
    if not out and not {"v1", "v1beta1"} & set(versions):
        out.append(errors.field_invalid(path, versions, "must include at least one of v1, v1beta1"))
    return out


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
    stored = (obj.get("status") or {}).get("storedVersions") or []
    path, versions = "status.storedVersions", obj["spec"].get("versions") or ()
    known, out = {v.get("name") for v in versions}, []
    if not stored:
        out.append(errors.field_invalid(path, stored, "must have at least one stored version"))
    for i, name in enumerate(stored):
        if name not in known:
            out.append(errors.field_invalid(
                f"{path}[{i}]", name, f"missing from spec.versions; {name} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains persisted in "
                f"{name} and removes {name} from status.storedVersions"))
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            out.append(errors.field_invalid(path, stored, f"must have the storage version {version.get('name')}"))
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
