"""RuntimeClass: a pod of a runtime class pays its overhead and goes where the class runs.

In: new pods that name a class. Out: spec.overhead, nodeSelector, tolerations; 403.
"""

from __future__ import annotations

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

RESOURCE = "runtimeclasses.node.k8s.io"


class RuntimeClass(AdmissionPlugin):
    name = "RuntimeClass"
    resources = frozenset({"pods"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes):
            return
        spec = (attributes.obj or {}).get("spec") or {}
        found = await self._class(attributes, spec)
        if found is None:
            return
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead:
            if spec.get("overhead") and spec["overhead"] != overhead:
                raise errors.forbidden("pods", attributes.name, "pod rejected: Pod's Overhead doesn't match RuntimeClass's "
                                       "defined Overhead")
            spec["overhead"] = codec.copy(overhead)
        scheduling = found.get("scheduling") or {}
        self._place(attributes, spec, scheduling)

    async def validate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes):
            return
        spec = (attributes.obj or {}).get("spec") or {}
        found = await self._class(attributes, spec)
        wanted = ((found or {}).get("overhead") or {}).get("podFixed")
        if found is not None and spec.get("overhead") and spec["overhead"] != wanted:
            raise errors.forbidden("pods", attributes.name, "pod rejected: Pod's Overhead doesn't match RuntimeClass's "
                                   "defined Overhead" if wanted else
                                   "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        if found is None and spec.get("overhead"):
            raise errors.forbidden("pods", attributes.name, "pod rejected: Pod Overhead set without corresponding "
                                                            "RuntimeClass defined Overhead")

    async def _class(self, attributes: Attributes, spec: Object) -> Object | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = self.context.caches.get(RESOURCE).get(None, name) or await self.context.client.find(RESOURCE, name)
        if found is None:
            raise errors.forbidden("pods", attributes.name, f'pod rejected: RuntimeClass "{name}" not found')
        return found

    def _place(self, attributes: Attributes, spec: Object, scheduling: Object) -> None:
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if (spec.get("nodeSelector") or {}).get(key, value) != value:
                raise errors.forbidden("pods", attributes.name, "conflict: runtimeClass.scheduling.nodeSelector["
                                       f"{key}] = {value}; pod.spec.nodeSelector[{key}] = {spec['nodeSelector'][key]}")
            spec.setdefault("nodeSelector", {})[key] = value
        have = spec.get("tolerations") or []
        more = [dict(t) for t in scheduling.get("tolerations") or () if t not in have]
        if more:
            spec["tolerations"] = [*have, *more]
