"""Which requests webhooks and policies match: rules, selectors, conditions.

In: parts of their specs. Out: defaults, FieldError lists. Called by: webhooks.py, policies.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
MAX_CONDITIONS = 64
_OTHERS = (("apiGroups", "API groups"), ("apiVersions", "API versions"))


def with_operations(rule: Object, path: str) -> list[FieldError]:
    operations: Any = rule.get("operations") or []
    out = [] if operations else [errors.field_required(f"{path}.operations")]
    if len(operations) > 1 and "*" in operations:
        out.append(errors.field_invalid(f"{path}.operations", operations,
                                        "if '*' is present, must not specify other operations"))
    out += [errors.field_not_supported(f"{path}.operations[{i}]", operation, _OPERATIONS)
            for i, operation in enumerate(operations) if operation not in _OPERATIONS]
    for field, word in _OTHERS:
        values = rule.get(field) or []
        if not values:
            out.append(errors.field_required(f"{path}.{field}"))
        if len(values) > 1 and "*" in values:
            out.append(errors.field_invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {word}"))
    out += [errors.field_required(f"{path}.apiVersions[{i}]")
            for i, version in enumerate(rule.get("apiVersions") or ()) if not version]
    out += _resources(rule.get("resources") or [], f"{path}.resources")
    if (scope := rule.get("scope")) is not None and scope not in _SCOPES:
        out.append(errors.field_not_supported(f"{path}.scope", scope, _SCOPES))
    return out


def _resources(given: list[str], path: str) -> list[FieldError]:
    if not given:
        return [errors.field_required(path)]
    out: list[FieldError] = []
    below: set[str] = set()  # pods/*
    everywhere: set[str] = set()  # */status
    plain = False
    for i, text in enumerate(given):
        if not text:
            out.append(errors.field_required(f"{path}[{i}]"))
            continue
        resource, slash, sub = text.partition("/")
        if not slash:
            plain = plain or text != "*"
            continue
        if text == "*/*":
            continue
        if resource in below:
            out.append(errors.field_invalid(f"{path}[{i}]", text,
                                            f"if '{resource}/*' is present, must not specify {text}"))
        if sub in everywhere:
            out.append(errors.field_invalid(f"{path}[{i}]", text, f"if '*/{sub}' is present, must not specify {text}"))
        if sub == "*":
            below.add(resource)
        if resource == "*":
            everywhere.add(sub)
    if len(given) > 1 and "*/*" in given:
        out.append(errors.field_invalid(path, given, "if '*/*' is present, must not specify other resources"))
    if "*" in given and plain:
        out.append(errors.field_invalid(
            path, given, "if '*' is present, must not specify other resources without subresources"))
    return out


def resources(match: Object, path: str) -> list[FieldError]:
    """MatchResources of a policy or its binding."""
    policy = match.get("matchPolicy")
    out = validation.one_of(policy, ("Equivalent", "Exact"), f"{path}.matchPolicy")
    for field in ("namespaceSelector", "objectSelector"):
        out += validation.validate_selector(match.get(field), f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for i, rule in enumerate(match.get(field) or ()):
            where = f"{path}.{field}[{i}]"
            out += with_operations(rule, where)
            named = rule.get("resourceNames") or []
            for j, name in enumerate(named):
                out += validation.check(f"{where}.resourceNames[{j}]", name, names.path_segment(name))
                if name in named[:j]:
                    out.append(errors.field_duplicate(f"{where}.resourceNames[{j}]", name))
    return out


def conditions(declared: Sequence[Object], path: str, compiled: Any) -> list[FieldError]:
    """matchConditions. `compiled(expression, path)`: what is wrong with an expression."""
    out: list[FieldError] = []
    if len(declared) > MAX_CONDITIONS:
        out.append(errors.field_too_many(path, len(declared), MAX_CONDITIONS))
    seen: set[str] = set()
    for i, condition in enumerate(declared):
        where, name, expression = f"{path}[{i}]", condition.get("name") or "", condition.get("expression") or ""
        if not expression.strip():
            out.append(errors.field_required(f"{where}.expression"))
        else:
            out += compiled(expression, f"{where}.expression")
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        else:
            out += validation.check(f"{where}.name", name, names.qualified(name))
            if name in seen:
                out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
    return out
