"""Rules that the four RBAC kinds share.

In: roles, bindings. Out: defaults and FieldError lists. Called by: rbac/*.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import columns, errors, names, validation
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
    kinds = ("ClusterRole", "Role") if namespaced else ("ClusterRole",)
    if ref.get("apiGroup") != GROUP:
        out.append(errors.field_not_supported("roleRef.apiGroup", ref.get("apiGroup") or "", (GROUP,)))
    if ref.get("kind") not in kinds:
        out.append(errors.field_not_supported("roleRef.kind", ref.get("kind") or "", kinds))
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
        out.append(errors.field_not_supported(f"{path}.kind", kind, ("Group", "ServiceAccount", "User")))
    return out


def binding_update(new: Object, old: Object, *, namespaced: bool) -> list[FieldError]:
    out = binding(new, namespaced=namespaced)
    if new.get("roleRef") != old.get("roleRef"):
        out.append(errors.field_invalid("roleRef", new.get("roleRef"), "cannot change roleRef"))
    return out


CREATED = Column("Created At", columns.at("metadata", "creationTimestamp"), type="date",
                 description=".metadata.creationTimestamp")


def _subjects(kind: str):
    def cell(obj: Object, now: float) -> str:
        return ", ".join(f"{s['namespace']}/{s['name']}" if kind == "ServiceAccount" and s.get("namespace")
                         else s.get("name", "") for s in obj.get("subjects") or () if s.get("kind") == kind)

    return cell


BINDING_COLUMNS = (
    columns.NAME,
    Column("Role", lambda obj,
           now: f"{(obj.get('roleRef') or {}).get('kind')}/{(obj.get('roleRef') or {}).get('name')}",
           description=".roleRef"),
    columns.AGE,
    Column("Users", _subjects("User"), priority=1, description="Users in the roleBinding"),
    Column("Groups", _subjects("Group"), priority=1, description="Groups in the roleBinding"),
    Column("ServiceAccounts", _subjects("ServiceAccount"), priority=1,
           description="ServiceAccounts in the roleBinding"),
)
