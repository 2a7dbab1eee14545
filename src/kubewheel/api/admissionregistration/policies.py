"""What admission policies and their bindings share: defaults, rules, columns.

In: policies, bindings. Out: the same, defaulted; FieldError lists. Called by: the policies' files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubewheel.api import columns, errors, names, shape, validation
from kubewheel.api.admissionregistration import expressions, match_rules
from kubewheel.api.cel.check import Kind
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object


def match_defaults(match: Object | None) -> None:
    if match is None:
        return
    if match.get("matchPolicy") is None:
        match["matchPolicy"] = "Equivalent"
    for key in ("namespaceSelector", "objectSelector"):
        if match.get(key) is None:
            match[key] = {}
    for key in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(key) or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"


def policy_defaults(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("failurePolicy") is None:
        spec["failurePolicy"] = "Fail"
    if obj.get("kind") == "MutatingAdmissionPolicy" and spec.get("reinvocationPolicy") is None:
        spec["reinvocationPolicy"] = "Never"
    match_defaults(spec.get("matchConstraints"))
    if obj.get("kind") == "ValidatingAdmissionPolicy":
        shape.struct(obj, "status")


def binding_defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    match_defaults(spec.get("matchResources"))
    ref = spec.get("paramRef")
    if ref is not None and ref.get("parameterNotFoundAction") is None:
        ref["parameterNotFoundAction"] = "Deny"


def validate_policy(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    mutating = obj.get("kind", "").startswith("Mutating")
    out = validation.one_of(spec.get("failurePolicy"), ("Fail", "Ignore"), "spec.failurePolicy")
    if (kind := spec.get("paramKind")) is not None:
        out += _of_params(kind, "spec.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        out.append(errors.field_required("spec.matchConstraints"))
    else:
        out += match_rules.resources(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            out.append(errors.field_required("spec.matchConstraints.resourceRules"))
    out += _variables(spec.get("variables") or ())
    if mutating:
        out += validation.one_of(spec.get("reinvocationPolicy"), ("IfNeeded", "Never"), "spec.reinvocationPolicy")
        if not spec.get("mutations"):
            out.append(errors.field_required("spec.mutations", "mutations must contain at least one item"))
    elif not spec.get("validations") and not spec.get("auditAnnotations"):
        out.append(errors.field_required("spec.validations",
                                         "validations or auditAnnotations must contain at least one item"))
    for i, rule in enumerate(spec.get("validations") or ()):
        out += _validation(rule, f"spec.validations[{i}]")
    out += _annotations(spec.get("auditAnnotations") or [], obj)
    return out + _expressions(spec)


def _of_params(kind: Object, path: str) -> list[FieldError]:
    version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    out: list[FieldError] = []
    if not version:
        out.append(errors.field_required(f"{path}.apiVersion"))
    elif version.count("/") > 1:
        out.append(errors.field_invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    if not name:
        out.append(errors.field_required(f"{path}.kind"))
    elif found := names.label_1035(name.lower()):
        out.append(errors.field_invalid(f"{path}.kind", name, (
            "may have mixed case, but should otherwise match: " + ",".join(found))))
    return out


_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)


def _variables(variables: Sequence[Object]) -> list[FieldError]:
    out: list[FieldError] = []
    for i, variable in enumerate(variables):
        path, name = f"spec.variables[{i}]", variable.get("name") or ""
        if not name.strip():
            out.append(errors.field_required(f"{path}.name", "name is not specified"))
        elif not _IDENTIFIER.fullmatch(name):
            out.append(errors.field_invalid(f"{path}.name", name, "name is not a valid CEL identifier"))
        if not (variable.get("expression") or "").strip():
            out.append(errors.field_required(f"{path}.expression", "expression is not specified"))
    return out


_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")


def _validation(rule: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    expression, message, computed = (rule.get(f) or "" for f in ("expression", "message", "messageExpression"))
    if not expression.strip():
        out.append(errors.field_required(f"{path}.expression", "expression is not specified"))
    if computed and not computed.strip():
        out.append(errors.field_invalid(f"{path}.messageExpression", computed, "must be non-empty if specified"))
    if message and not message.strip():
        out.append(errors.field_invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip():
        out.append(errors.field_invalid(f"{path}.message", message, "message must not contain line breaks"))
    elif "\n" in expression.strip() and not message:
        out.append(errors.field_required(f"{path}.message", "message must be specified if expression contains line breaks"))
    if (reason := rule.get("reason")) is not None and reason not in _REASONS:
        out.append(errors.field_not_supported(f"{path}.reason", reason, _REASONS))
    return out


MAX_ANNOTATIONS = 20


def _annotations(declared: list[Object], obj: Object) -> list[FieldError]:
    path = "spec.auditAnnotations"
    out: list[FieldError] = []
    if len(declared) > MAX_ANNOTATIONS:
        out.append(errors.field_invalid(path, declared, f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"))
    keys = [annotation.get("key") or "" for annotation in declared]
    for i, key in enumerate(keys):
        if not key:
            out.append(errors.field_required(f"{path}[{i}].key"))
        else:
            whole = f"{obj['metadata'].get('name', '')}/{key}"
            out += [errors.field_invalid(f"{path}[{i}].key", key, m) for m in names.qualified(whole)]
        if not (declared[i].get("valueExpression") or "").strip():
            out.append(errors.field_required(f"{path}[{i}].valueExpression", "valueExpression must be non-empty"))
        if key and key in keys[:i]:
            out.append(errors.field_duplicate(f"{path}[{i}].key", key))
    return out


def _expressions(spec: Object) -> list[FieldError]:
    """Every expression compiles; `variables` holds those declared before."""
    out: list[FieldError] = []
    known: dict[str, Kind] = {}
    params, patches = bool(spec.get("paramKind")), bool(spec.get("mutations"))

    def check(expression: str | None, path: str, *wants: str) -> Kind:
        if not (expression or "").strip():
            return Kind("dyn")
        kind, found = expressions.checked(expression or "", path, expressions.scope(params=params, variables=known), *wants,
                                          patches=patches)
        out.extend(found)
        return kind

    out += match_rules.conditions(spec.get("matchConditions") or (), "spec.matchConditions",
                                  lambda e, path: expressions.condition(e, path, params=params))
    for i, variable in enumerate(spec.get("variables") or ()):
        known[variable.get("name", "")] = check(variable.get("expression"), f"spec.variables[{i}].expression")
    for i, rule in enumerate(spec.get("validations") or ()):
        check(rule.get("expression"), f"spec.validations[{i}].expression", "bool")
        check(rule.get("messageExpression"), f"spec.validations[{i}].messageExpression", "string")
    for i, annotation in enumerate(spec.get("auditAnnotations") or ()):
        check(annotation.get("valueExpression"), f"spec.auditAnnotations[{i}].valueExpression", "string", "null_type")
    for i, mutation in enumerate(spec.get("mutations") or ()):
        out += _mutation(mutation, f"spec.mutations[{i}]")
        check((mutation.get("applyConfiguration") or {}).get("expression"),
              f"spec.mutations[{i}].applyConfiguration.expression", "Object")
        check((mutation.get("jsonPatch") or {}).get("expression"), f"spec.mutations[{i}].jsonPatch.expression",
              "list(JSONPatch)")
    return out


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Object, path: str) -> list[FieldError]:
    kind = mutation.get("patchType")
    if not kind:
        return [errors.field_required(f"{path}.patchType")]
    if kind not in _PATCHES:
        return [errors.field_not_supported(f"{path}.patchType", kind, _PATCHES)]
    if not ((mutation.get(_PATCHES[kind]) or {}).get("expression") or "").strip():
        return [errors.field_required(f"{path}.{_PATCHES[kind]}.expression", "expression is not specified")]
    return []


def validate_binding(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    policy, out = spec.get("policyName") or "", []
    if not policy:
        out.append(errors.field_required("spec.policyName"))
    else:
        out += validation.check("spec.policyName", policy, names.subdomain(policy))
    if (ref := spec.get("paramRef")) is not None:
        out += _reference(ref, "spec.paramRef")
    if (match := spec.get("matchResources")) is not None:
        out += match_rules.resources(match, "spec.matchResouces")  # as upstream spells it
    if obj.get("kind", "").startswith("Validating"):
        out += _actions(spec.get("validationActions") or [], "spec.validationActions")
    return out


def _reference(ref: Object, path: str) -> list[FieldError]:
    name, selector = ref.get("name") or "", ref.get("selector")
    out = validation.check(f"{path}.name", name, names.path_segment(name)) if name else []
    if name and selector is not None:
        out.append(errors.field_forbidden(f"{path}.name", "name and selector are mutually exclusive"))
    if not name and selector is None:
        out.append(errors.field_required(path, "one of name or selector must be specified"))
    out += validation.validate_selector(selector, f"{path}.selector")
    return out + validation.one_of(ref.get("parameterNotFoundAction"), ("Allow", "Deny"),
                                   f"{path}.parameterNotFoundAction")


_ACTIONS = ("Audit", "Deny", "Warn")


def _actions(actions: list[str], path: str) -> list[FieldError]:
    if not actions:
        return [errors.field_required(path, "at least one validation action is required")]
    out: list[FieldError] = []
    for i, action in enumerate(actions):
        if action not in _ACTIONS:
            out.append(errors.field_not_supported(path, action, _ACTIONS))
        if action in actions[:i]:
            out.append(errors.field_duplicate(path, action))
    if "Deny" in actions and "Warn" in actions:
        out.append(errors.field_invalid(path, actions, (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response "
            "and headers serves no purpose)")))
    return out


def _param_kind(obj: Object, now: float) -> str:
    kind = dig(obj, "spec", "paramKind")
    return f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else columns.UNSET


def policy_columns(what: str, field: str, description: str) -> tuple[Column, ...]:
    return (
        columns.NAME,
        Column(what, lambda obj, now: len(dig(obj, "spec", field) or ()), type="integer", description=description),
        Column("ParamKind", _param_kind,
               description="ParamKind specifies the kind of resources used to parameterize this policy"),
        columns.AGE,
    )


def _param_ref(obj: Object, now: float) -> str:
    ref = dig(obj, "spec", "paramRef")
    if not ref:
        return columns.UNSET
    if ref.get("name"):
        return f"{ref['namespace']}/{ref['name']}" if ref.get("namespace") else f"*/{ref['name']}"
    return columns.UNSET if not ref.get("selector") else columns.label_selector(ref["selector"])


BINDING_COLUMNS = (
    columns.NAME,
    Column("PolicyName", columns.at("spec", "policyName"),
           description="PolicyName indicates the policy definition which the policy binding binded to"),
    Column("ParamRef", _param_ref,
           description="ParamRef indicates the param resource which sets the configration param"),
    columns.AGE,
)
