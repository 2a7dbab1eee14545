"""What expressions of policies and of webhooks' matchConditions see, and compiling them with it. Pure.

In: expressions, a policy's variables. Out: Programs; the words of what does not compile. Called by: policies, match_rules,
type_check (writing), apiserver/admission (requests). Source of the rule: "Validation Expression" in the documentation of
ValidatingAdmissionPolicy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from kubewheel.api import cel, errors
from kubewheel.api.cel.kinds import BOOL, DYN, INT, STRING, TIMESTAMP, Kind, list_of, map_of
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

# the order in which programs take their values
VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "authorizer.requestResource",
             "variables")
Variables = tuple[tuple[str, str], ...]  # (name, expression) of a policy's variables, in their order


def _object(called: str, /, **fields: Kind) -> Kind:
    return Kind("object", shown=f"kubernetes.{called}", fields=fields)


_GVK = _object("GroupVersionKind", group=STRING, version=STRING, kind=STRING)
_GVR = _object("GroupVersionResource", group=STRING, version=STRING, resource=STRING)
REQUEST = _object(
    "AdmissionRequest", kind=_GVK, resource=_GVR, subResource=STRING, requestKind=_GVK, requestResource=_GVR,
    requestSubResource=STRING, name=STRING, namespace=STRING, operation=STRING, dryRun=BOOL, options=DYN,
    userInfo=_object("UserInfo", username=STRING, uid=STRING, groups=list_of(STRING), extra=map_of(STRING, list_of(STRING))))
NAMESPACE = _object(
    "Namespace", spec=_object("NamespaceSpec", finalizers=list_of(STRING)),
    status=_object("NamespaceStatus", phase=STRING, conditions=list_of(_object(
        "NamespaceCondition", status=STRING, type=STRING, lastTransitionTime=TIMESTAMP, message=STRING, reason=STRING))),
    metadata=_object(
        "NamespaceMetadata", name=STRING, generateName=STRING, namespace=STRING, labels=map_of(STRING, STRING),
        annotations=map_of(STRING, STRING), UID=STRING, creationTimestamp=TIMESTAMP, deletionGracePeriodSeconds=INT,
        deletionTimestamp=TIMESTAMP, generation=INT, resourceVersion=STRING, finalizers=list_of(STRING)))
_KNOWN: dict[str, Kind] = {
    "object": DYN, "oldObject": DYN, "request": REQUEST, "namespaceObject": NAMESPACE,
    "authorizer": Kind("kubernetes.authorization.Authorizer"),
    "authorizer.requestResource": Kind("kubernetes.authorization.ResourceCheck")}


def scope(*, params: bool, variables: Mapping[str, Kind] | None = None, known: Mapping[str, Kind] | None = None
          ) -> dict[str, Kind]:
    """Names and their types. `params`: has the policy a paramKind? `variables`: those it may use, None where there is no
    such thing; `known`: what is known better."""
    made = {**_KNOWN, **({"params": DYN} if params else {}), **(known or {})}
    if variables is not None:
        made["variables"] = Kind("object", shown="kubernetes.variables", fields=dict(variables))
    return made


def compiled(expression: str, kinds: Mapping[str, Kind], *wants: str, patches: bool = False) -> cel.Program:
    """ParseError, with upstream's words."""
    names = tuple(v for v in VARIABLES if v in kinds)
    try:
        return cel.compile(expression, names, kinds=kinds, wants=wants, patches=patches)
    except cel.ParseError as e:
        text = str(e)
        raise cel.ParseError(text if text.startswith(("must ", "program ")) else f"compilation failed: {text}") from e


@lru_cache(maxsize=256)
def kinds_of(variables: Variables, params: bool, patches: bool = False) -> dict[str, Kind]:
    """The types of a policy's variables; of one that does not compile nothing is known."""
    out: dict[str, Kind] = {}
    for name, expression in variables:
        try:
            out[name] = compiled(expression, scope(params=params, variables=out), patches=patches).kind
        except cel.ParseError:
            out[name] = DYN
    return out


@lru_cache(maxsize=2048)
def program(expression: str, variables: Variables, params: bool, patches: bool = False) -> cel.Program:
    """As a request runs it. ParseError."""
    whole = {**scope(params=params, variables=kinds_of(variables, params, patches)), "params": DYN}
    return compiled(expression, whole, patches=patches)


def checked(expression: str, path: str, kinds: Mapping[str, Kind], *wants: str, patches: bool = False
            ) -> tuple[Kind, list[FieldError]]:
    """The expression's type, and what is wrong with it."""
    try:
        return compiled(expression, kinds, *wants, patches=patches).kind, []
    except cel.ParseError as e:
        return DYN, [errors.field_invalid(path, expression, str(e))]


def condition(expression: str, path: str, *, params: bool = False) -> list[FieldError]:
    """Of matchConditions, in which a policy's variables are not known."""
    return checked(expression, path, scope(params=params), "bool")[1]


def declared(variables: Sequence[Object]) -> Variables:
    return tuple((v.get("name", ""), v.get("expression", "")) for v in variables)
