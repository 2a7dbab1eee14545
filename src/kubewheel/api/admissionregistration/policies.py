"""What admission policies and their bindings share: defaults of match rules.

In: policies, bindings. Out: the same, defaulted. Called by: the policies' files.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import cel, columns, errors
from kubewheel.api.cel.check import Kind
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object

# what expressions of policies see, in this order
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")


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


def binding_defaults(obj: Object) -> None:
    spec = obj.get("spec") or {}
    match_defaults(spec.get("matchResources"))
    ref = spec.get("paramRef")
    if ref is not None and ref.get("parameterNotFoundAction") is None and "Validating" in obj.get("kind", ""):
        ref["parameterNotFoundAction"] = "Deny"


def validate_policy(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if spec.get("matchConstraints") is None:
        out.append(errors.field_required("spec.matchConstraints"))
    elif not spec["matchConstraints"].get("resourceRules"):
        out.append(errors.field_required("spec.matchConstraints.resourceRules"))
    body = "mutations" if obj.get("kind", "").startswith("Mutating") else "validations"
    if not spec.get(body) and not spec.get("auditAnnotations"):
        also = " or auditAnnotations" if body == "validations" else ""
        out.append(errors.field_required(f"spec.{body}", f"{body}{also} must contain at least one item"))
    for i, rule in enumerate(spec.get("validations") or ()):
        if not (rule.get("expression") or "").strip():
            out.append(errors.field_required(f"spec.validations[{i}].expression", "expression is not specified"))
    return out + _expressions(spec)


def _expressions(spec: Object) -> list[errors.FieldError]:
    """Every expression compiles; `variables` holds those declared before."""
    out: list[errors.FieldError] = []
    known: dict[str, Kind] = {}
    scope = tuple(v for v in VARIABLES if v != "params" or spec.get("paramKind"))

    def check(expression: str | None, path: str, *wants: str) -> Kind:
        if not (expression or "").strip():
            return Kind("dyn")
        try:
            return cel.compile(expression or "", scope, wants=wants, kinds={
                "variables": Kind("object", fields=dict(known), shown="kubernetes.variables")}).kind
        except cel.ParseError as e:
            text = str(e) if str(e).startswith("must") else f"compilation failed: {e}"
            out.append(errors.field_invalid(path, expression, text))
            return Kind("dyn")

    conditions = spec.get("matchConditions") or ()
    for i, condition in enumerate(conditions):
        check(condition.get("expression"), f"spec.matchConditions[{i}].expression", "bool")
    for i, variable in enumerate(spec.get("variables") or ()):
        known[variable.get("name", "")] = check(variable.get("expression"), f"spec.variables[{i}].expression")
    for i, rule in enumerate(spec.get("validations") or ()):
        check(rule.get("expression"), f"spec.validations[{i}].expression", "bool")
        check(rule.get("messageExpression"), f"spec.validations[{i}].messageExpression", "string")
    for i, annotation in enumerate(spec.get("auditAnnotations") or ()):
        check(annotation.get("valueExpression"), f"spec.auditAnnotations[{i}].valueExpression", "string", "null")
    for i, mutation in enumerate(spec.get("mutations") or ()):
        out += _mutation(mutation, f"spec.mutations[{i}]")
        check((mutation.get("applyConfiguration") or {}).get("expression"),
              f"spec.mutations[{i}].applyConfiguration.expression", "object")
        check((mutation.get("jsonPatch") or {}).get("expression"), f"spec.mutations[{i}].jsonPatch.expression", "list")
    return out


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Object, path: str) -> list[errors.FieldError]:
    kind = mutation.get("patchType")
    if not kind:
        return [errors.field_required(f"{path}.patchType")]
    if kind not in _PATCHES:
        return [errors.field_not_supported(f"{path}.patchType", kind, _PATCHES)]
    if not ((mutation.get(_PATCHES[kind]) or {}).get("expression") or "").strip():
        return [errors.field_required(f"{path}.{_PATCHES[kind]}.expression", "expression is not specified")]
    return []


def match_conditions(declared: Sequence[Object], path: str) -> list[errors.FieldError]:
    """A webhook's matchConditions."""
    out: list[errors.FieldError] = []
    scope = ("object", "oldObject", "request", "authorizer")
    for i, condition in enumerate(declared):
        expression = condition.get("expression") or ""
        if not expression.strip():
            out.append(errors.field_required(f"{path}[{i}].expression"))
            continue
        try:
            cel.compile(expression, scope, wants=("bool",))
        except cel.ParseError as e:
            text = str(e) if str(e).startswith("must") else f"compilation failed: {e}"
            out.append(errors.field_invalid(f"{path}[{i}].expression", expression, text))
    return out


def validate_binding(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if not spec.get("policyName"):
        out.append(errors.field_required("spec.policyName"))
    if obj.get("kind", "").startswith("Validating") and not spec.get("validationActions"):
        out.append(errors.field_required("spec.validationActions", "at least one validation action is required"))
    return out


def _param_kind(obj: Object, now: float) -> str:
    kind = dig(obj, "spec", "paramKind")
    return f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else columns.UNSET


def policy_columns(what: str, field: str) -> tuple[Column, ...]:
    return (
        columns.NAME,
        Column(what, lambda obj, now: len(dig(obj, "spec", field) or ()), type="integer",
               description=f".spec.{field}"),
        Column("ParamKind", _param_kind, description=".spec.paramKind"),
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
    Column("PolicyName", columns.at("spec", "policyName"), description=".spec.policyName"),
    Column("ParamRef", _param_ref, description=".spec.paramRef"),
    columns.AGE,
)
