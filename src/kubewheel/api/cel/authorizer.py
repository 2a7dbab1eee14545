"""`authorizer`: asking whether somebody may do something.

The decision itself is a hook: `Authorizer.decide(attributes)` answers (allowed, reason); it may be any synchronous
callable. In: the hook. Out: values; Called by: program (imported for its declarations), admission policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kubewheel.api.cel.registry import CLASSES, REGISTRY
from kubewheel.api.cel.values import Opaque

add = REGISTRY.add
AUTHORIZER_COST = 350_000


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `user` "" is the requester; else a service account's name."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: str = ""
    field_selector: str = ""
    label_selector: str = ""


Decide = Callable[[Query], tuple[bool, str, str]]  # (allowed, reason, error)


@dataclass(frozen=True, slots=True)
class Authorizer(Opaque):
    type_name = "kubernetes.authorization.Authorizer"
    decide: Decide
    user: str = ""


@dataclass(frozen=True, slots=True)
class PathCheck(Opaque):
    type_name = "kubernetes.authorization.PathCheck"
    decide: Decide
    query: Query


@dataclass(frozen=True, slots=True)
class GroupCheck(Opaque):
    type_name = "kubernetes.authorization.GroupCheck"
    decide: Decide
    query: Query


@dataclass(frozen=True, slots=True)
class ResourceCheck(Opaque):
    type_name = "kubernetes.authorization.ResourceCheck"
    decide: Decide
    query: Query


@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    type_name = "kubernetes.authorization.Decision"
    is_allowed: bool
    why: str
    failure: str


CLASSES |= {"authz": Authorizer, "pathcheck": PathCheck, "groupcheck": GroupCheck, "resourcecheck": ResourceCheck,
            "decision": Decision}
add("authz.path(string) pathcheck")(lambda a, p: PathCheck(a.decide, Query(path=p, user=a.user)))
add("authz.group(string) groupcheck")(lambda a, g: GroupCheck(a.decide, Query(group=g, user=a.user)))
add("authz.serviceAccount(string, string) authz")(
    lambda a, namespace, name: Authorizer(a.decide, f"system:serviceaccount:{namespace}:{name}"))
add("groupcheck.resource(string) resourcecheck")(
    lambda g, r: ResourceCheck(g.decide, replace(g.query, resource=r)))
for _field, _method in (("subresource", "subresource"), ("namespace", "namespace"), ("name", "name"),
                        ("field_selector", "fieldSelector"), ("label_selector", "labelSelector")):
    add(f"resourcecheck.{_method}(string) resourcecheck")(
        lambda r, text, field=_field: ResourceCheck(r.decide, replace(r.query, **{field: text})))
add("pathcheck.check(string) decision", "resourcecheck.check(string) decision", cost=lambda *_: AUTHORIZER_COST)(
    lambda c, verb: Decision(*c.decide(replace(c.query, verb=verb))))
add("decision.allowed() bool")(lambda d: d.is_allowed)
add("decision.reason() string")(lambda d: d.why)
add("decision.errored() bool")(lambda d: bool(d.failure))
add("decision.error() string")(lambda d: d.failure)
