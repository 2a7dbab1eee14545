"""What admission policies share: which of them look at a request, with which parameters, and what expressions see.

In: policies and bindings out of the server's caches, Attributes. Out: Hits. Called by: validating_admission_policy,
mutating_admission_policy; `Scope` and `conditions` also by webhook (matchConditions).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kubewheel.api import cel, errors, selectors
from kubewheel.api.admissionregistration import expressions
from kubewheel.api.cel.authorizer import Authorizer, Query, ResourceCheck
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import results
from kubewheel.apiserver.admission import webhook_match
from kubewheel.apiserver.attributes import AdmissionContext, Attributes, RequestInfo
from kubewheel.apiserver.subresources import scale as scales
from kubewheel.client.transport import Identity

log = logging.getLogger(__name__)
EXCLUDED = {"tokenreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews",
            "subjectaccessreviews", "selfsubjectreviews"}


class PolicyError(Exception):
    """A policy could not be evaluated: failurePolicy decides."""


@dataclass(slots=True)
class Hit:
    """A policy and a binding of it that look at the request, with one of the binding's parameter objects."""

    policy: Object
    binding: Object | None  # None: the policy itself could not be configured
    resource: Resource  # the version the policy asked for
    params: Object | None = None
    error: str = ""  # the policy or the binding could not be configured


class Matcher:
    """Finds hits. `plural`: of the policies; bindings are called `…policybindings`."""

    def __init__(self, context: AdmissionContext, plural: str) -> None:
        self._context = context
        self._plural = plural

    async def _objects(self, plural: str) -> list[Object]:
        cache = self._context.caches.get(f"{plural}.{webhook_match.GROUP}")
        await cache.wait_synced()
        return sorted(cache.list(), key=lambda o: o["metadata"]["name"])

    async def hits(self, attributes: Attributes) -> list[Hit]:
        if webhook_match.is_exempt(attributes) or attributes.resource.plural in EXCLUDED:
            return []
        policies = await self._objects(self._plural)
        if not policies:
            return []
        bindings = await self._objects(self._plural.removesuffix("policies") + "policybindings")
        labels = webhook_match.namespace_labels(attributes, await namespace_of(self._context, attributes))
        versions = served_versions(self._context, attributes)
        out: list[Hit] = []
        for policy in policies:
            resource = matched((policy["spec"] or {}).get("matchConstraints"), attributes, versions, labels)
            if resource is None:
                continue
            kind = policy["spec"].get("paramKind")
            if kind and self._param_resource(kind) is None:
                out.append(Hit(policy, None, resource, error=(
                    "failed to configure policy: failed to find resource referenced by paramKind: "
                    f"'{kind['apiVersion']}, Kind={kind['kind']}'")))
                continue
            for binding in bindings:
                spec = binding["spec"]
                if spec.get("policyName") != policy["metadata"]["name"]:
                    continue
                if spec.get("matchResources") and not _also(spec["matchResources"], attributes, versions, labels):
                    continue
                out += await self._with_params(Hit(policy, binding, resource), attributes)
        return out

    async def _with_params(self, hit: Hit, attributes: Attributes) -> list[Hit]:
        assert hit.binding is not None
        kind, ref = hit.policy["spec"].get("paramKind"), hit.binding["spec"].get("paramRef")
        if not kind or not ref:
            return [hit]
        try:
            found = await self._params(kind, ref, attributes)
        except PolicyError as e:
            return [Hit(hit.policy, hit.binding, hit.resource, error=f"failed to configure binding: {e}")]
        if not found:
            if ref.get("parameterNotFoundAction", "Deny") == "Allow":
                return []
            return [Hit(hit.policy, hit.binding, hit.resource, error="failed to configure binding: no params found for "
                        "policy binding with `Deny` parameterNotFoundAction")]
        return [Hit(hit.policy, hit.binding, hit.resource, params) for params in found]

    def _param_resource(self, kind: Object) -> Resource | None:
        registry = self._context.options["server"].registry
        return next((r for r in registry.all() if r.kind == kind["kind"] and r.api_version == kind["apiVersion"] and r.verbs),
                    None)

    async def _params(self, kind: Object, ref: Object, attributes: Attributes) -> list[Object]:
        """Out of a cache that is kept from the first policy's first request on: nothing is asked for a request."""
        resource = self._param_resource(kind)
        assert resource is not None
        namespace = None
        if resource.namespaced:
            namespace = ref.get("namespace") or attributes.namespace
            if not namespace:
                raise PolicyError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
        elif ref.get("namespace"):
            raise PolicyError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        cache = self._context.caches.get(resource.gvr)
        await cache.wait_synced()
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        if ref.get("name"):
            found = cache.get(namespace, ref["name"])
            return [named | found] if found is not None else []
        selector = selectors.from_label_selector(ref.get("selector") or {})
        return [named | o for o in cache.list(namespace) if selector.matches(o["metadata"].get("labels") or {})]


def served_versions(context: AdmissionContext, attributes: Attributes) -> list[Resource]:
    """The request's own first, then those that are the same objects in another version."""
    first = attributes.requested or attributes.resource
    registry = context.options["server"].registry
    return [first, *(r for r in registry.all() if r.registry == first.registry and r.gvr != first.gvr and r.verbs)]


async def namespace_of(context: AdmissionContext, attributes: Attributes) -> Object | None:
    if not attributes.namespace or attributes.resource.plural == "namespaces":
        return None
    found: Object | None = context.caches.get("namespaces").get(None, attributes.namespace)
    return found or await context.client.find("namespaces", attributes.namespace)


def matched(match: Object | None, attributes: Attributes, versions: list[Resource], labels: dict[str, str] | None
            ) -> Resource | None:
    """The version of the resource that matchConstraints are about, or None."""
    match = match or {}
    if not match.get("resourceRules"):
        return None
    for rule in _named(match.get("excludeResourceRules") or (), attributes):
        if webhook_match.select({"rules": [rule], "matchPolicy": match.get("matchPolicy")}, attributes, versions, None):
            return None
    hook = {**match, "rules": _named(match["resourceRules"], attributes)}
    found = webhook_match.select(hook, attributes, versions, labels)
    return found.resource if found is not None else None


def _also(match: Object, attributes: Attributes, versions: list[Resource], labels: dict[str, str] | None) -> bool:
    """A binding's matchResources narrows: without rules, its selectors alone."""
    if not match.get("resourceRules"):
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*", "*"]}
        match = {**match, "resourceRules": [everything]}
    return matched(match, attributes, versions, labels) is not None


def _named(rules: Iterable[Object], attributes: Attributes) -> list[Object]:
    return [{**r, "operations": _operations(r)} for r in rules
            if not r.get("resourceNames") or attributes.name in r["resourceNames"]]


def _operations(rule: Object) -> list[str]:
    names = list(rule.get("operations") or ())
    return ["CREATE", "UPDATE", "DELETE", "CONNECT"] if "*" in names else names


# -- what expressions see ---------------------------------------------------------------------------------------------
class Scope:
    """One request as expressions see it: values in the order of VARIABLES, and the budget they share."""

    def __init__(self, context: AdmissionContext, attributes: Attributes, review: Object, *,
                 namespace: Object | None, params: Object | None = None, variables: Iterable[Object] = (),
                 budget: int = cel.BUDGET, patches: bool = False) -> None:
        """`review`: the request of an AdmissionReview, with the objects in the version the policy asked for."""
        obj, old = review["object"], review["oldObject"]
        request = {k: v for k, v in review.items() if k not in ("uid", "object", "oldObject") and v is not None}
        authorizer = Authorizer(_decider(context, attributes))
        own = ResourceCheck(authorizer.decide, _query(attributes))
        self.budget = budget
        self._declared = expressions.declared(tuple(variables))
        self._patches = patches
        self.values: list[Any] = [obj, old, request, params, namespace, authorizer, own, _Variables(self, self._declared)]

    def run(self, expression: str) -> Any:
        """CelError, CostExceeded. Expressions come checked; those of old objects may still not compile: CelError."""
        try:
            program = expressions.program(expression, self._declared, True, self._patches)
        except cel.ParseError as e:
            raise cel.CelError(f"compilation error: {e}") from e
        try:
            value, self.budget = program.run(self.values, self.budget)
        except cel.CostExceeded as e:
            if self.budget > cel.CALL_LIMIT:  # this expression's own limit: the others have theirs
                self.budget -= cel.CALL_LIMIT
                raise cel.CelError(str(e)) from e
            raise
        return value


class _Variables(cel.Fields):
    """`variables.x`: computed at its first use, an error kept as well."""

    def __init__(self, scope: Scope, declared: expressions.Variables) -> None:
        self._scope = scope
        self._expressions = dict(declared)
        self._known: dict[str, Any] = {}

    def select(self, field: str) -> Any:
        if field not in self._known:
            if field not in self._expressions:
                raise cel.CelError(f"no such key: {field}")
            try:
                self._known[field] = self._scope.run(self._expressions[field])
            except cel.CelError as e:
                self._known[field] = cel.CelError(f"composited variable \"{field}\" fails to evaluate: {e}")
        value = self._known[field]
        if isinstance(value, cel.CelError):
            raise cel.CelError(str(value))
        return value


async def scope_of(context: AdmissionContext, attributes: Attributes, resource: Resource, *, namespace: Object | None,
                   params: Object | None = None, variables: Iterable[Object] = (), patches: bool = False) -> Scope:
    """With the objects in the version of `resource`; PolicyError if they cannot be converted."""
    review = (await review_of(attributes, webhook_match.Invocation({}, resource), uid=""))["request"]
    return Scope(context, attributes, review, namespace=namespace, params=params, variables=variables,
                 patches=patches)


async def review_of(attributes: Attributes, invocation: webhook_match.Invocation, *, uid: str) -> Object:
    """The AdmissionReview for an invocation, its objects in the version it asked for."""
    resource = invocation.resource
    try:
        obj, old = await shown(resource, attributes, attributes.obj), await shown(resource, attributes, attributes.old)
    except errors.StatusError as e:
        raise PolicyError(str(e)) from e
    if attributes.operation == "DELETE":
        obj = None
    return webhook_match.review(invocation, attributes, uid=uid, obj=obj, old=old,
                                request_resource=attributes.requested or attributes.resource)


async def shown(resource: Resource, attributes: Attributes, obj: Object | None) -> Object | None:
    if obj is None or attributes.operation == "CONNECT" or attributes.subresource in ("binding", "eviction", "token"):
        return obj
    if attributes.subresource == "scale":
        return scales.of(resource, await results.seen(resource, obj))
    return {"apiVersion": resource.api_version, "kind": resource.kind} | await results.seen(resource, obj)


def _query(attributes: Attributes) -> Query:
    verb = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}.get(attributes.operation, "")
    return Query(verb=verb, group=attributes.resource.group, resource=attributes.resource.plural,
                 subresource=attributes.subresource, namespace=attributes.namespace, name=attributes.name)


def _decider(context: AdmissionContext, attributes: Attributes) -> Callable[[Query], tuple[bool, str, str]]:
    def decide(query: Query) -> tuple[bool, str, str]:
        user = attributes.user
        if query.user:
            _, _, namespace, name = query.user.split(":")
            user = Identity(query.user, groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}",
                                                "system:authenticated"))
        info = RequestInfo(not query.path, query.path, query.verb, api_prefix="apis" if query.group else "api",
                           group=query.group, version="*", namespace=query.namespace, plural=query.resource,
                           subresource=query.subresource, name=query.name, field_selector=query.field_selector)
        # our authorizers decide from memory: their coroutines end without waiting for anything
        asked = context.authorizer.authorize(user, info).__await__()
        try:
            next(asked)
        except StopIteration as e:
            return e.value.verdict == "allow", e.value.reason, ""
        except errors.StatusError as e:
            return False, "", str(e)
        asked.close()
        return False, "", "the authorizer cannot be asked from an expression"

    return decide


def conditions(scope: Scope, declared: Iterable[Object]) -> bool:
    """Do all matchConditions hold? PolicyError if one fails to evaluate and none is false."""
    problems = []
    for condition in declared:
        expression = condition["expression"]
        try:
            value = scope.run(expression)
        except (cel.CelError, cel.CostExceeded) as e:
            problems.append(failure(expression, e))
            if isinstance(e, cel.CostExceeded):
                break
            continue
        if value is False:
            return False
    if problems:
        told = list(dict.fromkeys(problems))
        raise PolicyError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    return True


def failure(expression: str, error: Exception) -> str:
    """What is told of an expression without a value."""
    if isinstance(error, cel.CostExceeded):
        return "validation failed due to running out of cost budget, no further validation rules will be run"
    return f"expression '{expression}' resulted in error: {error}"


def denied(attributes: Attributes, message: str, reason: str = "") -> errors.StatusError:
    """The refusal: forbidden's words with the reason the policy names (Invalid if none)."""
    reason = reason or "Invalid"
    code = {"Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413, "Unauthorized": 401}.get(reason, 422)
    error = errors.forbidden(attributes.resource.plural, attributes.name or (
        (attributes.obj or {}).get("metadata") or {}).get("name", ""), message, group=attributes.resource.group)
    error.status["code"], error.status["reason"] = code, reason
    error.status.setdefault("details", {})["causes"] = [{"message": message}]
    return error
