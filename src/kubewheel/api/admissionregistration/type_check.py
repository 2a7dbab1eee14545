"""Do a ValidatingAdmissionPolicy's expressions fit the types they are about? Told, never refused. Pure.

In: a policy; the types its matchConstraints name, as CEL sees them. Out: `status.typeChecking.expressionWarnings`.
Called by: controllers/validatingadmissionpolicy_status.py. Source of the rule: "Type checking" in the documentation of
ValidatingAdmissionPolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kubewheel.api import cel
from kubewheel.api.admissionregistration import expressions
from kubewheel.api.apiextensions import declared
from kubewheel.api.cel.check import BOOL, DOUBLE, DYN, INT, STRING, Kind
from kubewheel.api.resource import Object
from kubewheel.api.schema.node import Node

MAX_TYPES = 10
_SCALARS = {"string": STRING, "integer": INT, "number": DOUBLE, "boolean": BOOL, "quantity": STRING, "duration": STRING}


class _Fields(Mapping[str, Kind]):
    """A struct's fields, made when they are looked at: types may hold themselves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._names = {known: name for name in node.fields if (known := declared.escaped(name)) is not None}
        self._made: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if name not in self._made:
            self._made[name] = typed(self._node.fields[self._names[name]])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fields) and other._node is self._node

    __hash__ = None  # type: ignore[assignment]


def typed(node: Node) -> Kind:
    """A built-in's type. What JSON and CEL disagree about (times, bytes, either-ors) is anything."""
    if node.type == "object" and node.fields:
        return Kind("object", fields=_Fields(node), shown="object")
    if node.type == "list" and node.items is not None:
        return Kind("list", typed(node.items))
    if node.type == "map" and node.values is not None:
        return Kind("map", typed(node.values))
    return _SCALARS.get(node.type, DYN)


def named_types(policy: Object) -> list[tuple[str, str, str]]:
    """(group, version, plural) of what matchConstraints name in full; wildcards and subresources are not checked."""
    out: dict[tuple[str, str, str], None] = {}
    for rule in (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions, plurals = (rule.get(k) or () for k in ("apiGroups", "apiVersions", "resources"))
        if "*" in groups or "*" in versions:
            continue
        out |= dict.fromkeys((g, v, p) for g in groups for v in versions for p in plurals if "*" not in p and "/" not in p)
    return list(out)


def warnings(policy: Object, types: Sequence[tuple[str, Kind]], params: Kind = DYN) -> list[Object]:
    """`types`: (`apps/v1, Kind=Deployment`, its type)."""
    out: list[Object] = []
    for i, validation in enumerate(policy["spec"].get("validations") or ()):
        for field in ("expression", "messageExpression"):
            if not validation.get(field):
                continue
            found = [f"{name}: {why}" for name, kind in sorted(types, key=lambda t: t[0])[:MAX_TYPES]
                     if (why := _problem(policy, validation[field], kind, params))]
            if found:
                out.append({"fieldRef": f"spec.validations[{i}].{field}", "warning": "\n".join(found)})
    return out


def _problem(policy: Object, expression: str, kind: Kind, params: Kind) -> str:
    known: dict[str, Kind] = {}
    better = {"object": kind, "oldObject": kind, **({"params": params} if policy["spec"].get("paramKind") else {})}
    for variable in policy["spec"].get("variables") or ():
        try:
            known[variable["name"]] = expressions.compiled(
                variable["expression"], expressions.scope(params=False, variables=known, known=better)).kind
        except cel.ParseError:
            known[variable["name"]] = DYN  # told where it is used, if at all
    try:
        expressions.compiled(expression, expressions.scope(params=False, variables=known, known=better))
    except cel.ParseError as e:
        return str(e).removeprefix("compilation failed: ")
    return ""
