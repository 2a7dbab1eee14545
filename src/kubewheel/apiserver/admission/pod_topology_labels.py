"""PodTopologyLabels: a pod that is bound to a node takes over the labels that say where the node is (KEP-4742).

In: pods/binding, and pods that are created with a node; nodes. Out: labels of the Binding (which become the pod's) or of
the pod.
"""

from __future__ import annotations

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


class PodTopologyLabels(AdmissionPlugin):
    name = "PodTopologyLabels"
    resources = frozenset({"pods"})
    subresources = frozenset({"", "binding"})

    async def mutate(self, attributes: Attributes) -> None:
        obj = attributes.obj
        if attributes.operation != "CREATE" or attributes.resource.group or attributes.resource.plural != "pods" or obj is None:
            return
        if attributes.subresource == "binding":
            target = obj.get("target") or {}
            name = target.get("name") if target.get("kind") in ("Node", "", None) else None
        else:
            name = None if attributes.subresource else (obj.get("spec") or {}).get("nodeName")
        node = await self._node(name) if name else None
        found = {k: v for k, v in (((node or {}).get("metadata") or {}).get("labels") or {}).items() if k in LABELS}
        if found:
            meta = obj.setdefault("metadata", {})
            meta["labels"] = {**(meta.get("labels") or {}), **found}

    async def _node(self, name: str) -> Object | None:
        """A binding to a node that is not there is not refused: the pod's garbage collector sees to it."""
        cached: Object | None = self.context.caches.get("nodes").get(None, name)
        return cached if cached is not None else await self.context.client.find("nodes", name)
