"""x-kubernetes-validations: what a schema's CEL rules may see, compiled.

In: structural schemas. Out: Kinds and views of values (what `self` is), Rules (the tree of compiled rules), FieldErrors
of rules that do not compile. Called by: structural.py (creation of a CRD), apiserver/extension/crd/rules.py (values).
Source of the rule: "Validation rules" in the CustomResourceDefinition documentation.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import cel, errors
from kubewheel.api.cel import check as kinds
from kubewheel.api.cel import lexer, times
from kubewheel.api.cel.check import Kind
from kubewheel.api.cel.values import CelError, MapList, SetList
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]
View = Callable[[Any], Any]
EXTENSION = "x-kubernetes-validations"
REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_SCALARS = {"string": kinds.STRING, "integer": kinds.INT, "number": kinds.DOUBLE, "boolean": kinds.BOOL}
_FORMATS = {"date-time": "timestamp", "date": "timestamp", "duration": "duration", "byte": "bytes"}
_META = Kind("object", fields={"name": kinds.STRING, "generateName": kinds.STRING}, shown="selfType.metadata")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]")


@dataclass(slots=True)
class Rule:
    source: str
    program: cel.Program
    is_transition: bool
    optional_old: bool
    message: str = ""
    message_program: cel.Program | None = None
    reason: str = "FieldValueInvalid"
    field_path: str = ""


@dataclass(slots=True)
class Rules:
    """The rules of one schema and of those below it; absent where there are none."""

    type: str
    own: list[Rule] = field(default_factory=list)
    view: View | None = None  # None: values are seen as they are
    fields: dict[str, Rules] = field(default_factory=dict)
    values: Rules | None = None
    items: Rules | None = None
    keys: tuple[str, ...] = ()  # of a list of type map: its elements are found again in the old list
    has_transition: bool = False  # here or below


# -- what `self` is ---------------------------------------------------------------------------------------------------
def kind(schema: Schema, *, root: bool = False) -> Kind:
    type_ = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string") or not type_:
        return kinds.DYN
    if type_ == "string":
        return Kind(_FORMATS.get(schema.get("format", ""), "string"))
    if type_ in _SCALARS:
        return _SCALARS[type_]
    if type_ == "array":
        return Kind("list", kind(schema.get("items") or {}))
    extra = schema.get("additionalProperties")
    if extra and not schema.get("properties"):
        return Kind("map", kind(extra) if isinstance(extra, dict) else kinds.DYN)
    whole = root or schema.get("x-kubernetes-embedded-resource")
    if not schema.get("properties") and not whole and schema.get("x-kubernetes-preserve-unknown-fields"):
        return kinds.DYN
    fields = {name: kind(prop) for name, prop in (schema.get("properties") or {}).items()}
    if whole:
        fields |= {"apiVersion": kinds.STRING, "kind": kinds.STRING, "metadata": _META}
    return Kind("object", fields=fields, shown="object")


def view(schema: Schema) -> View | None:
    """How a JSON value becomes what rules see; None where it is the same."""
    type_ = schema.get("type", "")
    if type_ == "number":
        return lambda v: float(v) if type(v) is int else v
    if type_ == "string":
        return _string_view(schema.get("format", ""))
    if type_ == "array":
        return _list_view(schema)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and (inner := view(extra)) is not None:
        each = inner
        return lambda v: {k: each(i) for k, i in v.items()} if isinstance(v, dict) else v
    inners = {name: made for name, prop in (schema.get("properties") or {}).items() if (made := view(prop)) is not None}
    if not inners:
        return None
    return lambda v: {k: inners[k](i) if k in inners else i for k, i in v.items()} if isinstance(v, dict) else v


def _string_view(form: str) -> View | None:
    reader: Callable[[str], Any] | None = {
        "date-time": times.timestamp, "date": lambda t: times.timestamp(t + "T00:00:00Z"), "duration": times.duration,
        "byte": lambda t: base64.b64decode(t)}.get(form)
    if reader is None:
        return None
    read = reader

    def see(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read(value)
        except (CelError, binascii.Error):
            return value  # the format's own check says so

    return see


def _list_view(schema: Schema) -> View | None:
    each = view(schema.get("items") or {})
    list_type = schema.get("x-kubernetes-list-type")
    if list_type == "set":
        return lambda v: SetList(map(each, v) if each else v) if isinstance(v, list) else v
    if list_type == "map":
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        return lambda v: MapList(map(each, v) if each else v, keys) if isinstance(v, list) else v
    if each is None:
        return None
    one = each
    return lambda v: [one(i) for i in v] if isinstance(v, list) else v


# -- compiling --------------------------------------------------------------------------------------------------------
def mentions_old(source: str) -> bool:
    try:
        return any(t.kind == "ident" and t.value == "oldSelf" for t in lexer.tokens(source))
    except lexer.SyntaxProblem:
        return False


def _compile(rule: Schema, own: Kind) -> Rule:
    """ParseError."""
    optional = bool(rule.get("optionalOldSelf"))
    known = {"self": own, "oldSelf": Kind("optional", own) if optional else own}
    source = rule["rule"]
    made = Rule(source, cel.compile(source, ("self", "oldSelf"), kinds=known, wants=("bool",)), mentions_old(source),
                optional, (rule.get("message") or "").strip(), reason=rule.get("reason") or REASONS[0],
                field_path=rule.get("fieldPath") or "")
    if rule.get("messageExpression"):
        made.message_program = cel.compile(rule["messageExpression"], ("self", "oldSelf"), kinds=known, wants=("string",))
    return made


def tree(schema: Schema, *, root: bool = False) -> Rules | None:
    """The compiled rules. Schemas come checked: a rule that does not compile is an error of ours."""
    made = Rules(schema.get("type", ""), keys=tuple(
        schema.get("x-kubernetes-list-map-keys") or ()) if schema.get("x-kubernetes-list-type") == "map" else ())
    if schema.get(EXTENSION):
        own = kind(schema, root=root)
        made.own = [_compile(r, own) for r in schema[EXTENSION]]
        made.view = view(schema)
    for name, prop in (schema.get("properties") or {}).items():
        if (inner := tree(prop)) is not None:
            made.fields[name] = inner
    if isinstance(extra := schema.get("additionalProperties"), dict):
        made.values = tree(extra)
    if isinstance(items := schema.get("items"), dict):
        made.items = tree(items)
    below = [*made.fields.values(), *(r for r in (made.values, made.items) if r is not None)]
    if not made.own and not below:
        return None
    made.has_transition = any(r.is_transition for r in made.own) or any(r.has_transition for r in below)
    return made


# -- checking, when a CRD is written ----------------------------------------------------------------------------------
def check(schema: Schema, path: str, *, root: bool = False, blocked: str = "") -> list[FieldError]:
    """The findings of one schema's own rules. `blocked`: the list above that cannot be correlated, if any."""
    out: list[FieldError] = []
    declared = schema.get(EXTENSION)
    if not declared:
        return out
    own = kind(schema, root=root)
    for i, rule in enumerate(declared):
        at = f"{path}.{EXTENSION}[{i}]"
        source = rule.get("rule") or ""
        if not source.strip():
            out.append(errors.field_required(f"{at}.rule", "rule is not specified"))
            continue
        out += _texts(rule, at)
        out += _path_of(rule, schema, at)
        try:
            _compile({**rule, "messageExpression": ""}, own)
        except cel.ParseError as e:
            out.append(errors.field_invalid(f"{at}.rule", rule, _failure(str(e), "cel expression")))
            continue
        try:
            _compile(rule, own)
        except cel.ParseError as e:
            out.append(errors.field_invalid(f"{at}.messageExpression", rule,
                                            "messageExpression " + _failure(str(e), "messageExpression")))
        if blocked and mentions_old(source):
            out.append(errors.field_invalid(f"{at}.rule", source, "oldSelf cannot be used on the uncorrelatable portion "
                                            f"of the schema within {blocked}"))
        elif rule.get("optionalOldSelf") is not None and not mentions_old(source):
            out.append(errors.field_invalid(f"{at}.optionalOldSelf", rule["optionalOldSelf"],
                                            "may not be set if oldSelf is not used in rule"))
    return out


def _failure(text: str, what: str) -> str:
    if text.startswith("must evaluate"):
        return f"{what} must evaluate to a bool" if "bool" in text else f"{what} {text.replace('to ', 'to a ')}"
    return f"compilation failed: {text}"


def _texts(rule: Schema, at: str) -> list[FieldError]:
    out = []
    message = rule.get("message") or ""
    if message and not message.strip():
        out.append(errors.field_invalid(f"{at}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip() or "\r" in message.strip():
        out.append(errors.field_invalid(f"{at}.message", message, "message must not contain line breaks"))
    elif not message and "\n" in rule["rule"].strip():
        out.append(errors.field_required(f"{at}.message", "message must be specified if rule contains line breaks"))
    if rule.get("messageExpression") and not rule["messageExpression"].strip():
        out.append(errors.field_required(f"{at}.messageExpression", "must be non-empty if specified"))
    if rule.get("reason") and rule["reason"] not in REASONS:
        out.append(errors.field_not_supported(f"{at}.reason", rule["reason"], REASONS))
    return out


def steps(path: str) -> list[str] | None:
    """The names of a fieldPath (`.spec.foo`, `['a.b']`); None if it is none."""
    out, end = [], 0
    for found in _STEP.finditer(path):
        if found.start() != end:
            return None
        out.append(found[1] or found[2])
        end = found.end()
    return out if out and end == len(path) else None


def _path_of(rule: Schema, schema: Schema, at: str) -> list[FieldError]:
    path = rule.get("fieldPath")
    if not path:
        return []
    names = steps(path)
    for name in names or ():
        extra = schema.get("additionalProperties")
        schema = (schema.get("properties") or {}).get(name) or (extra if isinstance(extra, dict) else None) or {}
        if not schema:
            names = None
            break
    if names is None:
        return [errors.field_invalid(f"{at}.fieldPath", path, "fieldPath must be a valid path: does not refer to a valid field")]
    return []


def blocked_below(schema: Schema, path: str, blocked: str) -> str:
    """Where elements are no more found again in the old value: below lists that are not of type map."""
    if blocked or schema.get("type") != "array" or schema.get("x-kubernetes-list-type") == "map":
        return blocked
    return f"{path}.items"


def joined(path: str, rule: Rule) -> str:
    for name in steps(rule.field_path) or () if rule.field_path else ():
        path = f"{path}.{name}" if path else name
    return path
