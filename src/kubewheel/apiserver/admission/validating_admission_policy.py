"""ValidatingAdmissionPolicy: users' own rules in CEL.

In: Attributes. Out: warnings, audit annotations; StatusError for what a binding with the action Deny refuses, or for a
policy that cannot be evaluated (failurePolicy Fail). Order: policies and bindings by name, validations as written; the
first refusal is the answer. What the type checking of policies finds is not written to their status.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import cel, codec
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import policy_match
from kubewheel.apiserver.admission.policy_match import Hit, PolicyError, Scope
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes

FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
MAX_MESSAGE = 5 * 1024
MAX_AUDIT_VALUE = 10 * 1024


class ValidatingAdmissionPolicy(AdmissionPlugin):
    name = "ValidatingAdmissionPolicy"

    def __init__(self, context: AdmissionContext) -> None:
        super().__init__(context)
        self._matcher = policy_match.Matcher(context, "validatingadmissionpolicies")

    async def validate(self, attributes: Attributes) -> None:
        hits = await self._matcher.hits(attributes)
        if not hits:
            return
        namespace = await policy_match.namespace_of(self.context, attributes)
        run = _Run(attributes)
        for hit in hits:
            if hit.error:
                run.misconfigured(hit)
                continue
            try:
                scope = await policy_match.scope_of(self.context, attributes, hit.resource, namespace=namespace,
                                                    params=hit.params, variables=hit.policy["spec"].get("variables") or ())
            except PolicyError as e:
                run.failed(hit, str(e))
                continue
            run.one(hit, scope)
        run.end()


class _Run:
    """One request against all its policies."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._denials: list[tuple[str, str]] = []  # (message, reason)
        self._failures: list[Object] = []
        self._audit: dict[str, list[str]] = {}

    def one(self, hit: Hit, scope: Scope) -> None:
        spec = hit.policy["spec"]
        try:
            if not policy_match.conditions(scope, spec.get("matchConditions") or ()):
                return
        except PolicyError as e:
            self.failed(hit, str(e))
            return
        failures: list[tuple[str, str, int]] = []  # (message, reason, index)
        try:
            for index, validation in enumerate(spec.get("validations") or ()):
                if (found := self._validation(hit, scope, validation)) is not None:
                    failures.append((*found, index))
        except cel.CostExceeded as e:
            failures = [(policy_match.failure("", e), "", 0)] if self._fails(hit) else []
        for message, reason, index in failures:
            self._act(hit, message, reason, index)
        self._annotate(hit, scope)

    def _validation(self, hit: Hit, scope: Scope, validation: Object) -> tuple[str, str] | None:
        """(message, reason) of a refusal. CostExceeded."""
        expression = validation["expression"]
        try:
            value = scope.run(expression)
        except cel.CelError as e:
            return (policy_match.failure(expression, e), "") if self._fails(hit) else None
        if value is True:
            return None
        return _message(scope, validation, expression.strip()), validation.get("reason") or ""

    @staticmethod
    def _fails(hit: Hit) -> bool:
        return bool(hit.policy["spec"].get("failurePolicy", "Fail") == "Fail")

    def failed(self, hit: Hit, message: str) -> None:
        if self._fails(hit):
            self._act(hit, message, "", 0)

    def misconfigured(self, hit: Hit) -> None:
        """Refused whatever the binding's actions are."""
        if self._fails(hit):
            self._deny(hit, hit.error)

    def _deny(self, hit: Hit, message: str, reason: str = "") -> None:
        binding = f" with binding '{hit.binding['metadata']['name']}'" if hit.binding is not None else ""
        self._denials.append((
            f"ValidatingAdmissionPolicy '{hit.policy['metadata']['name']}'{binding} denied request: {message}", reason))

    def _act(self, hit: Hit, message: str, reason: str, index: int) -> None:
        assert hit.binding is not None
        policy, binding = hit.policy["metadata"]["name"], hit.binding["metadata"]["name"]
        actions = hit.binding["spec"].get("validationActions") or ["Deny"]
        if "Deny" in actions:
            self._deny(hit, message, reason)
        if "Warn" in actions:
            self._attributes.warnings.append(
                f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {message}")
        if "Audit" in actions:
            self._failures.append({"message": message, "policy": policy, "binding": binding, "expressionIndex": index,
                                   "validationActions": actions})

    def _annotate(self, hit: Hit, scope: Scope) -> None:
        scope.budget = cel.BUDGET  # annotations have one of their own
        for annotation in hit.policy["spec"].get("auditAnnotations") or ():
            key = f"{hit.policy['metadata']['name']}/{annotation['key']}"
            try:
                value = scope.run(annotation["valueExpression"])
            except (cel.CelError, cel.CostExceeded) as e:
                if self._fails(hit):  # whatever the binding's actions are
                    self._deny(hit, policy_match.failure(annotation["valueExpression"], e))
                continue
            if isinstance(value, str) and (text := value.strip()[:MAX_AUDIT_VALUE]):
                values = self._audit.setdefault(key, [])
                if text not in values:
                    values.append(text)

    def end(self) -> None:
        annotations = self._attributes.annotations
        for key, values in self._audit.items():
            annotations[key] = ", ".join(values)
        if self._failures:
            annotations[FAILURE_ANNOTATION] = codec.dumps(self._failures).decode()
        if self._denials:
            message, reason = self._denials[0]
            raise policy_match.denied(self._attributes, message, reason)


def _message(scope: Scope, validation: Object, expression: str) -> str:
    if validation.get("messageExpression"):
        text = _text(scope, validation["messageExpression"])
        if text and "\n" not in text and len(text) <= MAX_MESSAGE:
            return text
    return (validation.get("message") or "").strip() or f"failed expression: {expression}"


def _text(scope: Scope, expression: str) -> str:
    try:
        value: Any = scope.run(expression)
    except (cel.CelError, cel.CostExceeded):
        return ""  # the fixed message stands in for it
    return value.strip() if isinstance(value, str) else ""
