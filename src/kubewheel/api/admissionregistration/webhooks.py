"""What validating and mutating webhook configurations share.

In: configurations. Out: defaults and FieldError lists. Called by: the two configurations' files.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.admissionregistration import policies
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def defaults(obj: Object, *, mutating: bool) -> None:
    for hook in obj.get("webhooks") or ():
        for key, value in (("failurePolicy", "Fail"), ("matchPolicy", "Equivalent"), ("timeoutSeconds", 10)):
            if hook.get(key) is None:
                hook[key] = value
        for key in ("namespaceSelector", "objectSelector"):
            if hook.get(key) is None:
                hook[key] = {}
        if mutating and hook.get("reinvocationPolicy") is None:
            hook["reinvocationPolicy"] = "Never"
        for rule in hook.get("rules") or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443


def validate(obj: Object, *, mutating: bool) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        where, name = f"webhooks[{i}]", hook.get("name") or ""
        out += _name(name, f"{where}.name")
        if name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
        out += _hook(hook, where)
        if mutating:
            out += validation.one_of(hook.get("reinvocationPolicy"), ("IfNeeded", "Never"),
                                     f"{where}.reinvocationPolicy", required=False)
    return out


def _name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    if found := names.subdomain(name):
        return validation.check(path, name, found)
    if name.count(".") < 2:
        return [errors.field_invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _hook(hook: Object, where: str) -> list[FieldError]:
    out: list[FieldError] = []
    versions = hook.get("admissionReviewVersions") or ()
    if not versions:
        out.append(errors.field_required(f"{where}.admissionReviewVersions",
                                         "must specify one of v1, v1beta1"))
    elif not {"v1", "v1beta1"} & set(versions):
        out.append(errors.field_invalid(f"{where}.admissionReviewVersions", list(versions),
                                        "must include at least one of v1, v1beta1"))
    for i, rule in enumerate(hook.get("rules") or ()):
        out += rule_with_operations(rule, f"{where}.rules[{i}]")
    out += policies.match_conditions(hook.get("matchConditions") or (), f"{where}.matchConditions")
    effects = hook.get("sideEffects")
    if effects is None:
        out.append(errors.field_required(f"{where}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in ("None", "NoneOnDryRun"):
        out.append(errors.field_not_supported(f"{where}.sideEffects", effects, ("None", "NoneOnDryRun")))
    out += validation.one_of(hook.get("failurePolicy"), ("Fail", "Ignore"), f"{where}.failurePolicy", required=False)
    out += validation.one_of(hook.get("matchPolicy"), ("Equivalent", "Exact"), f"{where}.matchPolicy", required=False)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        out.append(errors.field_invalid(f"{where}.timeoutSeconds", seconds,
                                        "the timeout value must be between 1 and 30 seconds"))
    out += validation.validate_selector(hook.get("namespaceSelector"), f"{where}.namespaceSelector")
    out += validation.validate_selector(hook.get("objectSelector"), f"{where}.objectSelector")
    return out + _client(hook.get("clientConfig") or {}, f"{where}.clientConfig")


def _client(config: Object, path: str) -> list[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [errors.field_required(path, "exactly one of url or service is required")]
    if url is not None:
        if not url.startswith("https://"):
            return [errors.field_invalid(f"{path}.url", url,
                                         "'https' is the only allowed URL scheme; desired format: https://host[/path]")]
        return []
    return [errors.field_required(f"{path}.service.{f}", f"service {f} is required")
            for f in ("name", "namespace") if not (service or {}).get(f)]


def rule_with_operations(rule: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    operations: Any = rule.get("operations") or ()
    if not operations:
        out.append(errors.field_required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        out.append(errors.field_invalid(f"{path}.operations", list(operations),
                                        "if '*' is present, must not specify other operations"))
    for i, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            out.append(errors.field_not_supported(f"{path}.operations[{i}]", operation, _OPERATIONS))
    for field in ("apiGroups", "apiVersions", "resources"):
        values = rule.get(field) or ()
        if not values:
            out.append(errors.field_required(f"{path}.{field}"))
        if len(values) > 1 and "*" in values:
            out.append(errors.field_invalid(f"{path}.{field}", list(values),
                                            f"if '*' is present, must not specify other {_WORDS[field]}"))
    return out + validation.one_of(rule.get("scope"), ("*", "Cluster", "Namespaced"), f"{path}.scope", required=False)


_WORDS = {"apiGroups": "API groups", "apiVersions": "API versions", "resources": "resources"}

COLUMNS = (
    columns.NAME,
    Column("Webhooks", lambda obj, now: len(obj.get("webhooks") or ()), type="integer",
           description="Webhooks indicates the number of webhooks configured in this object"),
    columns.AGE,
)
