"""DefaultIngressClass: an Ingress that names no class gets the default one.

In: new ingresses. Out: spec.ingressClassName.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
LEGACY = "kubernetes.io/ingress.class"


class DefaultIngressClass(AdmissionPlugin):
    name = "DefaultIngressClass"
    resources = frozenset({"ingresses.networking.k8s.io"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if attributes.operation != "CREATE" or resource.plural != "ingresses" or resource.group != "networking.k8s.io" \
                or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or LEGACY in (attributes.obj["metadata"].get("annotations") or {}):
            return
        classes = (await self.context.caches.synced("ingressclasses.networking.k8s.io")).list()
        marked = [c for c in classes if (c["metadata"].get("annotations") or {}).get(ANNOTATION) == "true"]
        if marked:
            marked.sort(key=lambda c: c["metadata"]["name"])
            marked.sort(key=lambda c: c["metadata"].get("creationTimestamp") or "", reverse=True)
            spec["ingressClassName"] = marked[0]["metadata"]["name"]
