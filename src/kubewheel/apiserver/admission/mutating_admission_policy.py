"""MutatingAdmissionPolicy: users' own changes in CEL, as apply configurations or JSON patches.

In: Attributes. Out: the object changed; StatusError for a policy that cannot be evaluated (failurePolicy Fail). Policies
by name, bindings by name, one after the other, some of them again (reinvocation.py).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import cel, codec, errors, schema
from kubewheel.api.cel.values import Message
from kubewheel.api.merge import json_patch, merging
from kubewheel.api.resource import Object
from kubewheel.apiserver import results
from kubewheel.apiserver.admission import policy_match, reinvocation
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
        for number, hit in enumerate(hits):  # by policy, binding and parameters: in the same order every time
            name = f"{number}/{hit.policy['metadata']['name']}"
            if not turn.leaves_out(name):
                changed = await self._one(hit, attributes, namespace)
                if changed is not None:
                    turn.note(name, hit.policy["spec"].get("reinvocationPolicy"), changed=changed)
        turn.end()

    async def _one(self, hit: Hit, attributes: Attributes, namespace: Object | None) -> bool | None:
        """Did it change the object? None: its matchConditions do not hold."""
        spec, changed = hit.policy["spec"], False
        try:
            if hit.error:
                raise PolicyError(hit.error)
            if not policy_match.conditions(await self._scope(hit, attributes, namespace), spec.get("matchConditions") or (),
                                           hit.policy["metadata"]["name"]):
                return None
            for mutation in spec.get("mutations") or ():
                # each sees what the one before it made
                scope = await self._scope(hit, attributes, namespace)
                changed = await _mutate(mutation, scope, hit, attributes) or changed
        except PolicyError as e:
            if spec.get("failurePolicy", "Fail") == "Fail":
                raise policy_match.denied(attributes, (
                    f"MutatingAdmissionPolicy '{hit.policy['metadata']['name']}' with binding "
                    f"'{hit.binding['metadata']['name']}' denied request: {e}")) from e
        return changed

    async def _scope(self, hit: Hit, attributes: Attributes, namespace: Object | None) -> Scope:
        return await policy_match.scope_of(self.context, attributes, hit.resource, namespace=namespace, params=hit.params,
                                           variables=hit.policy["spec"].get("variables") or (), patches=True)


async def _mutate(mutation: Object, scope: Scope, hit: Hit, attributes: Attributes) -> bool:
    patch = mutation.get("patchType") == "JSONPatch"
    expression = (mutation.get("jsonPatch" if patch else "applyConfiguration") or {}).get("expression", "")
    try:
        value = scope.run(expression)
        before = scope.values[0]
        after = _patched(before, value) if patch else _applied(hit, before, value)
    except (cel.CelError, cel.CostExceeded, json_patch.PatchError) as e:
        raise PolicyError(f"expression '{expression.strip()}' resulted in error: {e}") from e
    return await _take(attributes, hit, before, after)


def _patched(before: Object, value: Any) -> Object:
    if not isinstance(value, list) or not all(isinstance(v, Message) and v.name == "JSONPatch" for v in value):
        raise PolicyError("type mismatch: JSONPatchType.expression must evaluate to list(JSONPatch)")
    after = json_patch.apply(codec.copy(before), [cel.to_json(v) for v in value])
    if not isinstance(after, dict):
        raise PolicyError("the patch leaves no object")
    return after


def _applied(hit: Hit, before: Object, value: Any) -> Object:
    if not isinstance(value, Message) or value.name != "Object":
        raise PolicyError("must evaluate to Object")
    configuration = cel.to_json(value)
    for field in ("apiVersion", "kind"):
        if field in configuration and configuration[field] != before.get(field):
            raise PolicyError(f"invalid ApplyConfiguration: may not change {field}")
    node = hit.resource.node()
    return codec.copy(merging.without_nulls(node, merging.merge(node, before, configuration)))


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
