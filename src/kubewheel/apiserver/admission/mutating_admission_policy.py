"""MutatingAdmissionPolicy: users' own changes in CEL, as apply configurations or JSON patches.

In: Attributes. Out: the object changed; StatusError for a policy that cannot be evaluated (failurePolicy Fail). Policies
by name, bindings by name, one after the other, some of them again (reinvocation.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubewheel.api import cel, codec, errors, schema
from kubewheel.api.merge import json_patch
from kubewheel.api.resource import Object
from kubewheel.apiserver import results
from kubewheel.apiserver.admission import apply_configuration, policy_match, reinvocation
from kubewheel.apiserver.admission.policy_match import Hit, PolicyError, Scope
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes


class MutatingAdmissionPolicy(AdmissionPlugin):
    name = "MutatingAdmissionPolicy"

    def __init__(self, context: AdmissionContext) -> None:
        super().__init__(context)
        self._matcher = policy_match.Matcher(context, "mutatingadmissionpolicies")

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        hits = await self._matcher.hits(attributes)
        if not hits:
            return
        namespace = await policy_match.namespace_of(self.context, attributes)
        turn = reinvocation.Round(attributes, self.name)
        problems: list[_Problem] = []
        for number, hit in enumerate(hits):  # by policy, binding and parameters: in the same order every time
            name = f"{number}/{hit.policy['metadata']['name']}"
            if hit.error:
                problems.append(_Problem(hit, hit.error, "Forbidden"))
            elif not turn.leaves_out(name):
                changed = await self._one(hit, attributes, namespace, problems)
                if changed is not None:
                    turn.note(name, hit.policy["spec"].get("reinvocationPolicy"), changed=changed)
        turn.end()
        # what could not be configured is told before what failed
        told = sorted((p for p in problems if p.hit.policy["spec"].get("failurePolicy", "Fail") == "Fail"),
                      key=lambda p: p.reason != "Forbidden")
        if told:
            raise _refusal(attributes, told)

    async def _one(self, hit: Hit, attributes: Attributes, namespace: Object | None, problems: list[_Problem]) -> bool | None:
        """Did it change the object? None: its matchConditions do not hold, or cannot be evaluated."""
        spec, changed = hit.policy["spec"], False
        try:
            if not policy_match.conditions(await self._scope(hit, attributes, namespace), spec.get("matchConditions") or ()):
                return None
        except PolicyError as e:
            problems.append(_Problem(hit, str(e), "Invalid"))
            return None
        for mutation in spec.get("mutations") or ():
            try:  # each sees what the one before it made
                scope = await self._scope(hit, attributes, namespace)
                changed = await _mutate(mutation, scope, hit, attributes) or changed
            except PolicyError as e:
                problems.append(_Problem(hit, str(e), "Invalid"))
        return changed

    async def _scope(self, hit: Hit, attributes: Attributes, namespace: Object | None) -> Scope:
        return await policy_match.scope_of(self.context, attributes, hit.resource, namespace=namespace, params=hit.params,
                                           variables=hit.policy["spec"].get("variables") or (), patches=True)


async def _mutate(mutation: Object, scope: Scope, hit: Hit, attributes: Attributes) -> bool:
    patch = mutation.get("patchType") == "JSONPatch"
    expression = (mutation.get("jsonPatch" if patch else "applyConfiguration") or {}).get("expression", "")
    before = scope.values[0]
    try:
        value = scope.run(expression)
    except (cel.CelError, cel.CostExceeded) as e:
        raise PolicyError(policy_match.failure(expression, e)) from e
    try:
        after = _patched(before, value) if patch else apply_configuration.applied(hit.resource.node(), before, value)
    except (cel.CelError, apply_configuration.ConfigurationError) as e:
        raise PolicyError(str(e)) from e
    return await _take(attributes, hit, before, after)


def _patched(before: Object, value: Any) -> Object:
    try:
        after = json_patch.apply(codec.copy(before), [{"op": "", **cel.to_json(v)} for v in value])
    except json_patch.PatchError as e:
        if str(e).endswith("test failed"):
            return before  # a test that fails says that there is nothing to do
        raise PolicyError(f"JSON Patch: {e}") from e
    if not isinstance(after, dict):
        raise PolicyError("JSON Patch: the patch leaves no object")
    return after


@dataclass(frozen=True, slots=True)
class _Problem:
    hit: Hit
    message: str
    reason: str

    def __str__(self) -> str:
        policy = self.hit.policy["metadata"]["name"]
        if self.hit.binding is None:
            return f'policy "{policy}" denied request: {self.message}'
        return f"policy '{policy}' with binding '{self.hit.binding['metadata']['name']}' denied request: {self.message}"


def _refusal(attributes: Attributes, problems: list[_Problem]) -> errors.StatusError:
    """The first one's words; all of them are causes."""
    error = errors.forbidden(attributes.resource.plural, attributes.name, "", group=attributes.resource.group)
    error.status["message"], error.status["reason"] = str(problems[0]), problems[0].reason
    error.status.setdefault("details", {})["causes"] = [{"message": str(p)} for p in problems]
    return error


async def _take(attributes: Attributes, hit: Hit, before: Object, after: Object) -> bool:
    """The private object is changed in place: whoever holds it sees the change."""
    if after == before:
        return False
    hub, held = attributes.resource, attributes.obj
    assert held is not None
    try:
        schema.check(hit.resource.node(), after)  # what the kind does not know goes
        made = await results.stored_form(hit.resource, hub, after)
    except (errors.StatusError, schema.DecodeError) as e:
        raise PolicyError(str(e)) from e
    order = [k for k in held if k in made]
    held.clear()
    held.update({k: made[k] for k in order} | made)
    if not attributes.subresource:
        hub.defaults(held)
    return True
