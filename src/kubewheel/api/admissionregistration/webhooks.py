"""What validating and mutating webhook configurations share.

In: configurations. Out: defaults and FieldError lists. Called by: the two configurations' files.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, hook_clients, names, shape, validation
from kubewheel.api.admissionregistration import expressions, match_rules
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object


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
        service = shape.struct(hook, "clientConfig").get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443


def validate(obj: Object, *, mutating: bool) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        where, name = f"webhooks[{i}]", hook.get("name") or ""
        out += _hook(hook, where, mutating=mutating)
        out += _review_versions(hook.get("admissionReviewVersions") or [], f"{where}.admissionReviewVersions")
        if name and name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
    return out


def _name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [errors.field_required(path)]
    if found := names.subdomain(name):
        return [errors.field_invalid(path, name, ",".join(found))]
    if name.count(".") < 2:
        return [errors.field_invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [errors.field_required(path, "must specify one of v1, v1beta1")]
    out: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            out.append(errors.field_invalid(f"{path}[{i}]", version, "duplicate version"))
        else:
            out += validation.check(f"{path}[{i}]", version, names.label_1035(version))
    if not {"v1", "v1beta1"} & set(versions):
        out.append(errors.field_invalid(path, versions, "must include at least one of v1, v1beta1"))
    return out


def _hook(hook: Object, where: str, *, mutating: bool) -> list[FieldError]:
    out = _name(hook.get("name") or "", f"{where}.name")
    for i, rule in enumerate(hook.get("rules") or ()):
        out += match_rules.with_operations(rule, f"{where}.rules[{i}]")
    out += validation.one_of(hook.get("failurePolicy"), ("Fail", "Ignore"), f"{where}.failurePolicy", required=False)
    out += validation.one_of(hook.get("matchPolicy"), ("Equivalent", "Exact"), f"{where}.matchPolicy", required=False)
    effects = hook.get("sideEffects")
    if effects is None:
        out.append(errors.field_required(f"{where}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in ("None", "NoneOnDryRun"):
        out.append(errors.field_not_supported(f"{where}.sideEffects", effects, ("None", "NoneOnDryRun")))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        out.append(errors.field_invalid(f"{where}.timeoutSeconds", seconds,
                                        "the timeout value must be between 1 and 30 seconds"))
    out += validation.validate_selector(hook.get("namespaceSelector"), f"{where}.namespaceSelector")
    out += validation.validate_selector(hook.get("objectSelector"), f"{where}.objectSelector")
    if mutating:
        out += validation.one_of(hook.get("reinvocationPolicy"), ("IfNeeded", "Never"),
                                 f"{where}.reinvocationPolicy", required=False)
    out += hook_clients.check(hook.get("clientConfig") or {}, f"{where}.clientConfig")
    return out + match_rules.conditions(hook.get("matchConditions") or (), f"{where}.matchConditions",
                                        expressions.condition)


COLUMNS = (
    columns.NAME,
    Column("Webhooks", lambda obj, now: len(obj.get("webhooks") or ()), type="integer",
           description="Webhooks indicates the number of webhooks registered in this configuration"),
    columns.AGE,
)
