"""Rules that the four RBAC kinds share.

In: roles, bindings. Out: defaults and FieldError lists. Called by: rbac/*.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object

GROUP = "rbac.authorization.k8s.io"


def policy_rules(rules: Any, *, namespaced: bool) -> list[FieldError]:
    out: list[FieldError] = []
    for i, rule in enumerate(rules or ()):
        where = f"rules[{i}]"
        if not rule.get("verbs"):
            out.append(errors.field_required(f"{where}.verbs", "verbs must contain at least one value"))
        if urls := rule.get("nonResourceURLs"):
            if namespaced:
                out.append(errors.field_invalid(f"{where}.nonResourceURLs", urls,
                                                "namespaced rules cannot apply to non-resource URLs"))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                out.append(errors.field_invalid(f"{where}.nonResourceURLs", urls, (
                    "rules cannot apply to both regular resources and non-resource URLs")))
            continue
        if not rule.get("apiGroups"):
            out.append(errors.field_required(f"{where}.apiGroups",
                                             "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            out.append(errors.field_required(f"{where}.resources", "resource rules must supply at least one resource"))
    return out


def role_defaults(obj: Object) -> None:
    """No rules are `rules: null`."""
    shape.nullable(obj, "rules")


def cluster_role(obj: Object) -> list[FieldError]:
    out = policy_rules(obj.get("rules"), namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return out
    path, selectors = "aggregationRule.clusterRoleSelectors", aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        out.append(errors.field_required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for i, selector in enumerate(selectors):
        out += validation.validate_selector(selector, f"{path}[{i}]")
    return out


def binding_defaults(obj: Object) -> None:
    ref = obj.get("roleRef")
    if ref is not None and not ref.get("apiGroup"):
        ref["apiGroup"] = GROUP
    for subject in obj.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = GROUP


def binding(obj: Object, *, namespaced: bool) -> list[FieldError]:
    ref = obj.get("roleRef") or {}
    out: list[FieldError] = []
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if ref.get("apiGroup") != GROUP:
        out.append(errors.field_not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,)))
    if ref.get("kind") not in kinds:
        out.append(errors.field_not_supported("roleRef.kind", ref.get("kind") or "", kinds, ordered=True))
    if not ref.get("name"):
        out.append(errors.field_required("roleRef.name"))
    else:
        out += validation.check("roleRef.name", ref["name"], names.path_segment(ref["name"]))
    for i, subject in enumerate(obj.get("subjects") or ()):
        out += _subject(subject, f"subjects[{i}]", namespaced=namespaced)
    return out


def _subject(subject: Object, path: str, *, namespaced: bool) -> list[FieldError]:
    out: list[FieldError] = []
    name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
    if not name:
        out.append(errors.field_required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            out += validation.check(f"{path}.name", name, names.subdomain(name))
        if group:
            out.append(errors.field_not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            out.append(errors.field_required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != GROUP:
            out.append(errors.field_not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        out.append(errors.field_not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"), ordered=True))
    return out


def binding_update(new: Object, old: Object, *, namespaced: bool) -> list[FieldError]:
    out = binding(new, namespaced=namespaced)
    if new.get("roleRef") != old.get("roleRef"):
        ref = new.get("roleRef") or {}
        shown = {go: ref.get(field) or "" for go, field in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))}
        out.append(errors.field_invalid("roleRef", shown, validation.IMMUTABLE))
    return out


CREATED = Column("Created At", columns.at("metadata", "creationTimestamp"), type="date",
                 description=".metadata.creationTimestamp")


def _subjects(kind: str, where: str) -> Column:
    def cell(obj: Object, now: float) -> str:
        return ", ".join(f"{s.get('namespace', '')}/{s.get('name', '')}" if kind == "ServiceAccount"
                         else s.get("name", "") for s in obj.get("subjects") or () if s.get("kind") == kind)

    return Column(f"{kind}s", cell, priority=1, description=f"{kind}s in the {where}")


def _role(obj: Object, now: float) -> str:
    ref = obj.get("roleRef") or {}
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def binding_columns(where: str) -> tuple[Column, ...]:
    """`where`: what the descriptions call the binding."""
    return (columns.NAME, Column("Role", _role, description=".roleRef"), columns.AGE,
            *(_subjects(kind, where) for kind in ("User", "Group", "ServiceAccount")))
