"""PodSecurity: namespaces say by labels how far their pods may go; a pod past `enforce` is refused, past `warn` the
client hears of it, past `audit` the audit log does.

In: pods and workloads with pod templates. Out: 403, warnings, audit annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pod_security_checks as checks
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
# qualified resource -> where its pod template lies
TEMPLATES: dict[str, tuple[str, ...]] = {
    "replicationcontrollers": ("spec", "template"), "podtemplates": ("template",),
    "replicasets.apps": ("spec", "template"), "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"), "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"), "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}


class PodSecurity(AdmissionPlugin):
    name = "PodSecurity"
    resources = frozenset({"pods", "namespaces", *TEMPLATES})
    subresources = frozenset({"", "ephemeralcontainers"})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.obj is None:
            return
        if attributes.resource.plural == "namespaces" and not attributes.resource.group:
            if not attributes.subresource:
                await self._namespace(attributes, attributes.obj)
            return
        template = TEMPLATES.get(attributes.resource.qualified)
        if pods.is_pod(attributes):
            if attributes.subresource in ("", "ephemeralcontainers") and not _is_insignificant(attributes):
                await self._judge(attributes, attributes.obj, enforce=True)
        elif template is not None and not attributes.subresource:
            found: Object | None = attributes.obj
            for key in template:
                found = (found or {}).get(key)
            if found:
                await self._judge(attributes, found, enforce=False)

    async def _judge(self, attributes: Attributes, pod: Object, *, enforce: bool) -> None:
        labels = await self._labels(attributes.namespace)
        level, version = policy(labels, "enforce")
        if enforce:
            attributes.annotations[f"{PREFIX}enforce-policy"] = f"{level}:{version}"
            if (text := violations(pod, level)) is not None:
                raise errors.forbidden(attributes.resource.plural, attributes.name,
                                       f'violates PodSecurity "{level}:{version}": {text}')
        level, version = policy(labels, "audit")
        if (text := violations(pod, level)) is not None:
            attributes.annotations[f"{PREFIX}audit-violations"] = f'would violate PodSecurity "{level}:{version}": {text}'
        level, version = policy(labels, "warn")
        if (text := violations(pod, level)) is not None:
            attributes.warnings.append(f'would violate PodSecurity "{level}:{version}": {text}')

    async def _labels(self, namespace: str) -> dict[str, str]:
        cache = self.context.caches.get("namespaces")
        found = cache.get(None, namespace) if cache.is_synced() else None
        if found is None:
            found = await self.context.client.find("namespaces", namespace) or {"metadata": {}}
        return found["metadata"].get("labels") or {}

    async def _namespace(self, attributes: Attributes, namespace: Object) -> None:
        """Labels that are no levels are refused; pods that would not pass the new level are warned of."""
        labels = namespace["metadata"].get("labels") or {}
        findings = [errors.field_invalid(f"metadata.labels[{PREFIX}{mode}]", labels[f"{PREFIX}{mode}"],
                                         f"must be one of {', '.join(LEVELS)}")
                    for mode in ("enforce", "audit", "warn")
                    if labels.get(f"{PREFIX}{mode}") not in (None, *LEVELS)]
        if findings:
            raise errors.invalid("Namespace", attributes.name, findings)
        if attributes.operation != "UPDATE":
            return
        new = policy(labels, "enforce")
        if new == policy((attributes.old or {"metadata": {}})["metadata"].get("labels") or {}, "enforce"):
            return
        there = (await self.context.caches.synced("pods")).list(attributes.name)
        attributes.warnings.extend(_existing(there, attributes.name, *new))


def _existing(found: Iterable[Object], namespace: str, level: str, version: str) -> Iterator[str]:
    by_text: dict[str, list[str]] = {}
    for pod in found:
        if (text := violations(pod, level)) is not None:
            reasons = checks.short(pod, level)
            by_text.setdefault(", ".join(reasons), []).append(pod["metadata"]["name"])
    if by_text:
        yield f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}:{version}"'
        for text, names in sorted(by_text.items()):
            more = "" if len(names) == 1 else f" (and {len(names) - 1} other pod{'s' if len(names) > 2 else ''})"
            yield f"{min(names)}{more}: {text}"


def _is_insignificant(attributes: Attributes) -> bool:
    """An update that leaves what is judged as it was needs no new judgement."""
    if attributes.operation != "UPDATE" or attributes.old is None or attributes.obj is None:
        return False
    new, old = attributes.obj.get("spec") or {}, attributes.old.get("spec") or {}

    def judged(spec: Object) -> list[object]:
        return [[(c.get("image"), c.get("securityContext")) for c in pods.containers(spec, ephemeral=True)],
                spec.get("securityContext")]

    return judged(new) == judged(old)


def policy(labels: dict[str, str], mode: str) -> tuple[str, str]:
    level = labels.get(f"{PREFIX}{mode}", "privileged")
    if level not in LEVELS:
        level = "restricted"  # a label that is no level fails closed
    return level, labels.get(f"{PREFIX}{mode}-version", "latest")


def violations(pod: Object, level: str) -> str | None:
    """`reason (detail), reason (detail)` of what the level forbids; None if nothing."""
    found = checks.run(pod, level)
    if not found:
        return None
    return ", ".join(f"{f.reason} ({f.detail})" if f.detail else f.reason for f in found)
