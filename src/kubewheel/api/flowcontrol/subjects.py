"""Rules of FlowSchemas: who, and which requests.

In: parts of spec.rules. Out: FieldError lists. Called by: flowschema.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

_KINDS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")


def rule(given: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    subjects = given.get("subjects") or ()
    if not subjects:
        out.append(errors.field_required(f"{path}.subjects", "subjects must contain at least one value"))
    for i, subject in enumerate(subjects):
        out += _subject(subject, f"{path}.subjects[{i}]")
    if not given.get("resourceRules") and not given.get("nonResourceRules"):
        out.append(errors.field_required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for i, part in enumerate(given.get("resourceRules") or ()):
        out += _resources(part, f"{path}.resourceRules[{i}]")
    for i, part in enumerate(given.get("nonResourceRules") or ()):
        out += _paths(part, f"{path}.nonResourceRules[{i}]")
    return out


def _subject(subject: Object, path: str) -> list[FieldError]:
    kind = subject.get("kind") or ""
    if kind not in _KINDS:
        return [errors.field_not_supported(f"{path}.kind", kind, _KINDS)]
    field = _KINDS[kind]
    out: list[FieldError] = []
    given = subject.get(field)
    if given is None:
        out.append(errors.field_required(f"{path}.{field}", f"{field} is required when subject kind is '{kind}'"))
    elif not given.get("name"):
        out.append(errors.field_required(f"{path}.{field}.name"))
    elif kind == "ServiceAccount" and given["name"] != "*":
        out += validation.check(f"{path}.{field}.name", given["name"], names.subdomain(given["name"]))
    if kind == "ServiceAccount" and given is not None:
        if namespace := given.get("namespace"):
            out += validation.check(f"{path}.{field}.namespace", namespace, names.label(namespace))
        else:
            out.append(errors.field_required(f"{path}.{field}.namespace", "must specify namespace for service account"))
    out += [errors.field_forbidden(f"{path}.{other}", f"{other} is forbidden when subject kind is not '{of}'")
            for of, other in _KINDS.items() if of != kind and subject.get(other) is not None]
    return out


def _listed(values: list[str], path: str, *, missing: str, others: str) -> list[FieldError]:
    if not values:
        return [errors.field_required(path, missing)]
    if "*" in values and len(values) > 1:
        return [errors.field_invalid(path, values, f"if '*' is present, must not specify other {others}")]
    return []


def _verbs(part: Object, path: str) -> list[FieldError]:
    verbs = part.get("verbs") or []
    out = _listed(verbs, f"{path}.verbs", missing="verbs must contain at least one value", others="verbs")
    if verbs and "*" not in verbs and not set(verbs) <= set(_VERBS):
        out.append(errors.field_not_supported(f"{path}.verbs", verbs, _VERBS))
    return out


def _resources(part: Object, path: str) -> list[FieldError]:
    out = _verbs(part, path)
    out += _listed(part.get("apiGroups") or [], f"{path}.apiGroups", others="api groups",
                   missing="resource rules must supply at least one api group")
    out += _listed(part.get("resources") or [], f"{path}.resources", others="resources",
                   missing="resource rules must supply at least one resource")
    namespaces = part.get("namespaces") or []
    if not namespaces and not part.get("clusterScope"):
        out.append(errors.field_required(f"{path}.namespaces", (
            "resource rules that are not cluster scoped must supply at least one namespace")))
    elif "*" in namespaces:
        out += _listed(namespaces, f"{path}.namespaces", missing="", others="namespaces")
    else:
        for i, namespace in enumerate(namespaces):
            out += validation.check(f"{path}.namespaces[{i}]", namespace, names.label(namespace))
    return out


def _paths(part: Object, path: str) -> list[FieldError]:
    urls = part.get("nonResourceURLs") or []
    out = _verbs(part, path) + _listed(urls, f"{path}.nonResourceURLs", others="non-resource URLs",
                                       missing="nonResourceURLs must contain at least one value")
    if "*" in urls:
        return out
    for i, url in enumerate(urls):
        out += _url(url, f"{path}.nonResourceURLs[{i}]")
    return out


def _url(text: str, path: str) -> list[FieldError]:
    if not text:
        return [errors.field_invalid(path, text, "must not be empty")]
    if text == "/":
        return []
    if not text.startswith("/"):
        return [errors.field_invalid(path, text, "must start with slash")]
    if " " in text:
        return [errors.field_invalid(path, text, "must not contain white-space")]
    if "//" in text:
        return [errors.field_invalid(path, text, "must not contain double slash")]
    if "*" in text.removesuffix("/*"):
        return [errors.field_invalid(path, text, "wildcard can only do suffix matching")]
    return []
