"""Priority: a pod's priority class becomes a number; only one class may be the default.

In: pods, priority classes. Out: spec.priority, priorityClassName, preemptionPolicy; 403/400. The two system classes are
made by the server at start (ensure_system_classes).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

RESOURCE = "priorityclasses.scheduling.k8s.io"
GROUP = "scheduling.k8s.io"
SYSTEM_CLASSES: tuple[Object, ...] = (
    {"apiVersion": f"{GROUP}/v1", "kind": "PriorityClass", "metadata": {"name": "system-node-critical"},
     "value": 2000001000, "preemptionPolicy": "PreemptLowerPriority",
     "description": "Used for system critical pods that must not be moved from their current node."},
    {"apiVersion": f"{GROUP}/v1", "kind": "PriorityClass", "metadata": {"name": "system-cluster-critical"},
     "value": 2000000000, "preemptionPolicy": "PreemptLowerPriority",
     "description": "Used for system critical pods that must run in the cluster, but can be moved to another node if "
                    "necessary."},
)
CRITICAL = {c["metadata"]["name"]: c for c in SYSTEM_CLASSES}


async def ensure_system_classes(client: Any) -> None:
    """Creates the two system classes where they are missing, and puts changed values back."""
    for wanted in SYSTEM_CLASSES:
        name = wanted["metadata"]["name"]
        live = await client.find(RESOURCE, name)
        try:
            if live is None:
                await client.create(RESOURCE, wanted)
            elif live.get("value") != wanted["value"]:
                await client.delete(RESOURCE, name)  # the value cannot be changed
                await client.create(RESOURCE, wanted)
        except errors.StatusError as e:
            if e.reason != "AlreadyExists":
                raise


class Priority(AdmissionPlugin):
    name = "Priority"
    resources = frozenset({"pods", f"priorityclasses.{GROUP}"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod(attributes) or attributes.obj is None:
            return
        if attributes.operation == "CREATE":
            await self._set(attributes, attributes.obj)
        elif attributes.operation == "UPDATE" and attributes.old is not None:
            old, spec = attributes.old.get("spec") or {}, attributes.obj.setdefault("spec", {})
            # an update that leaves them out (an old client) keeps what admission gave
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and old.get(field) is not None:
                    spec[field] = old[field]

    async def validate(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if resource.plural != "priorityclasses" or resource.group != GROUP \
                or attributes.operation not in ("CREATE", "UPDATE") or not (attributes.obj or {}).get("globalDefault"):
            return
        default = await self._default()
        if default is not None and default["metadata"]["name"] != attributes.name:
            raise errors.forbidden(resource.plural, attributes.name,
                                   f'PriorityClass {default["metadata"]["name"]} is already marked as default. Only one '
                                   "default can exist", group=GROUP)

    async def _set(self, attributes: Attributes, pod: Object) -> None:
        spec = pod.setdefault("spec", {})
        name = spec.get("priorityClassName") or ""
        if name:
            found = await self._class(name)
            if found is None:
                raise errors.forbidden("pods", attributes.name, f"no PriorityClass with name {name} was found")
            value, policy = found["value"], found.get("preemptionPolicy")
        else:
            default = await self._default()
            value, policy = 0, None
            if default is not None:
                spec["priorityClassName"] = default["metadata"]["name"]
                value, policy = default["value"], default.get("preemptionPolicy")
        if spec.get("priority") not in (None, value):
            raise errors.forbidden("pods", attributes.name, (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
                f"admission controller computed {value} from the given PriorityClass name"))
        spec["priority"] = value
        policy = policy or "PreemptLowerPriority"
        if spec.get("preemptionPolicy") not in (None, policy):
            raise errors.forbidden("pods", attributes.name, (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name"))
        spec["preemptionPolicy"] = policy

    async def _class(self, name: str) -> Object | None:
        if name in CRITICAL:
            return CRITICAL[name]
        found = self.context.caches.get(RESOURCE).get(None, name)
        return found if found is not None else await self.context.client.find(RESOURCE, name)

    async def _default(self) -> Object | None:
        marked = [c for c in (await self.context.caches.synced(RESOURCE)).list() if c.get("globalDefault")]
        return min(marked, key=lambda c: c["value"]) if marked else None  # two by a race: the lowest value counts
