"""TaintNodesByCondition: a new node is tainted not-ready until its kubelet says otherwise.

In: new nodes. Out: spec.taints.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(AdmissionPlugin):
    name = "TaintNodesByCondition"
    resources = frozenset({"nodes"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation != "CREATE" or attributes.resource.plural != "nodes" or attributes.resource.group \
                or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == TAINT["key"] and t.get("effect") == TAINT["effect"] for t in taints):
            spec["taints"] = [*taints, dict(TAINT)]
