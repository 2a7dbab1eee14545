"""NodeRestriction: a kubelet changes only its own node, its own pods, and what belongs to them.

In: writes by users of system:nodes. Out: 403. (What it may read is the Node authorizer's matter.)
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes, RequestInfo
from kubewheel.apiserver.authz import node as node_authorizer

ALLOWED_LABELS = {
    "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", "kubernetes.io/os", "kubernetes.io/arch",
    "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
}
ALLOWED_LABEL_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
LEASES = "kube-node-lease"


class NodeRestriction(AdmissionPlugin):
    name = "NodeRestriction"

    async def mutate(self, attributes: Attributes) -> None:
        """Before anything is validated: who may not write at all is not told what is wrong with the object."""
        await self._check(attributes)

    async def _check(self, attributes: Attributes) -> None:
        node, is_node = node_authorizer.node_name(attributes.user)
        if not is_node:
            return
        if not node:
            raise _forbidden(attributes, f'could not determine node identity from user "{attributes.user.name}"')
        check = _CHECKS.get((attributes.resource.group, attributes.resource.plural))
        if check is not None:
            await check(self, attributes, node)

    # -- pods ---------------------------------------------------------------------------------------------------------
    async def _pod(self, a: Attributes, node: str) -> None:
        if a.subresource == "":
            if a.operation == "CREATE":
                await self._create_pod(a, node)
            elif a.operation == "DELETE":
                _must_be_on(a, a.old, node, "can only delete pods with spec.nodeName set to itself")
            else:
                raise _forbidden(a, f'unexpected operation "{a.operation}", node "{node}" can only create and delete '
                                    "mirror pods")
        elif a.subresource == "status":
            if a.operation != "UPDATE":
                raise _forbidden(a, f'unexpected operation "{a.operation}"')
            _must_be_on(a, a.old, node, "can only update pod status for pods with spec.nodeName set to itself")
            new, old = _labels(a.obj), _labels(a.old)
            if new != old:
                raise _forbidden(a, f'node "{node}" cannot update labels through pod status')
        elif a.subresource == "eviction":
            pod = await self.context.client.find("pods", a.name, namespace=a.namespace)
            if pod is not None:
                _must_be_on(a, pod, node, "can only evict pods with spec.nodeName set to itself")
        else:
            raise _forbidden(a, f'unexpected pod subresource "{a.subresource}", only \'status\' and \'eviction\' are '
                                "allowed")

    async def _create_pod(self, a: Attributes, node: str) -> None:
        pod = a.obj or {}
        spec = pod.get("spec") or {}
        if not pods.is_mirror(pod):
            raise _forbidden(a, f'pod does not have "{pods.MIRROR}" annotation, node "{node}" can only create mirror pods')
        if spec.get("nodeName") != node:
            raise _forbidden(a, f'node "{node}" can only create pods with spec.nodeName set to itself')
        owners = pod["metadata"].get("ownerReferences") or []
        if len(owners) != 1:
            raise _forbidden(a, f'node "{node}" can only create pods with a single owner reference set to itself')
        owner = owners[0]
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise _forbidden(a, f'node "{node}" can only create pods with an owner reference set to itself')
        if not owner.get("controller"):
            raise _forbidden(a, f'node "{node}" can only create pods with a controller owner reference set to itself')
        if owner.get("blockOwnerDeletion"):
            raise _forbidden(a, f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        live = await self.context.client.find("nodes", node)
        if live is None or live["metadata"].get("uid") != owner.get("uid"):
            raise _forbidden(a, f"node {node} UID mismatch: expected {owner.get('uid')} got "
                                f"{(live or {'metadata': {}})['metadata'].get('uid', '')}")
        if spec.get("serviceAccountName"):
            raise _forbidden(a, f'node "{node}" can not create pods that reference a service account')
        kinds = {kind for kind, _ in node_authorizer.pod_references({
            "metadata": {"name": pod["metadata"].get("name", "")}, "spec": spec}) if kind != "pod"}
        for kind, title in (("secret", "secrets"), ("configmap", "configmaps"), ("pvc", "persistentvolumeclaims"),
                            ("resourceclaim", "resourceclaims")):
            if kind in kinds:
                raise _forbidden(a, f'node "{node}" can not create pods that reference {title}')

    # -- nodes --------------------------------------------------------------------------------------------------------
    async def _node(self, a: Attributes, node: str) -> None:
        name = a.name or ((a.obj or {}).get("metadata") or {}).get("name", "")
        if name != node:
            raise _forbidden(a, f'node "{node}" is not allowed to modify node "{name}"')
        if a.operation == "CREATE":
            modified = {k for k, v in _labels(a.obj).items() if not may_set_label(k)}
            if modified:
                raise _forbidden(a, f'node "{node}" is not allowed to set the following labels: '
                                    f"{', '.join(sorted(modified))}")
            if (a.obj or {}).get("spec", {}).get("configSource"):
                raise _forbidden(a, f'node "{node}" is not allowed to create pods with a non-nil configSource')
        elif a.operation == "UPDATE" and a.obj is not None and a.old is not None:
            if (a.obj.get("spec") or {}).get("taints") != (a.old.get("spec") or {}).get("taints") \
                    and ((a.obj.get("spec") or {}).get("taints") or (a.old.get("spec") or {}).get("taints")):
                raise _forbidden(a, f'node "{node}" is not allowed to modify taints')
            new, old = _labels(a.obj), _labels(a.old)
            changed = {k for k in {**new, **old} if new.get(k) != old.get(k) and not may_set_label(k)}
            if changed:
                raise _forbidden(a, f'is not allowed to modify labels: {", ".join(sorted(changed))}')
            if a.obj["metadata"].get("ownerReferences") != a.old["metadata"].get("ownerReferences") and (
                    a.obj["metadata"].get("ownerReferences") or a.old["metadata"].get("ownerReferences")):
                raise _forbidden(a, f'node "{node}" is not allowed to modify ownerReferences')

    # -- what belongs to them -----------------------------------------------------------------------------------------
    async def _token(self, a: Attributes, node: str) -> None:
        if a.subresource != "token" or a.operation != "CREATE":
            return
        ref = ((a.obj or {}).get("spec") or {}).get("boundObjectRef") or {}
        if ref.get("apiVersion") != "v1" or ref.get("kind") != "Pod":
            raise _forbidden(a, "node requested token not bound to a pod" if not ref
                             else "node requested token bound to an object of another kind than Pod")
        if not ref.get("uid"):
            raise _forbidden(a, "node requested token bound to a pod without UID")
        pod = await self.context.client.find("pods", ref.get("name", ""), namespace=a.namespace)
        if pod is None:
            raise errors.not_found("pods", ref.get("name", ""))
        if pod["metadata"].get("uid") != ref["uid"]:
            raise _forbidden(a, f'the UID in the bound object reference ({ref["uid"]}) does not match the UID in record '
                                f'({pod["metadata"].get("uid")}). The object might have been deleted and then recreated')
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise _forbidden(a, "node requested token bound to a pod scheduled on a different node")
        await self._audience(a, pod)

    async def _audience(self, a: Attributes, pod: Object) -> None:
        """ServiceAccountNodeAudienceRestriction (KEP-4412): only an audience that the pod asks for, or that the node was
        granted by the verb request-serviceaccounts-token-audience on a resource of the audience's name."""
        audiences = ((a.obj or {}).get("spec") or {}).get("audiences") or [""]
        if len(audiences) > 1:
            raise _forbidden(a, "node may only request 0 or 1 audiences")
        audience = audiences[0]
        for volume in (pod.get("spec") or {}).get("volumes") or ():
            sources = (volume.get("projected") or {}).get("sources") or ()
            if any((s.get("serviceAccountToken") or {"audience": None}).get("audience", "") == audience for s in sources):
                return
            driver = await self._csi_driver(pod, volume)
            if driver and audience in await self._driver_audiences(driver):
                return
        info = RequestInfo(True, "", "request-serviceaccounts-token-audience", "api", "", "v1", a.namespace, audience, "", a.name)
        if not audience or (await self.context.authorizer.authorize(a.user, info)).verdict != "allow":
            raise _forbidden(a, f'audience "{audience}" not found in pod spec volume')

    async def _csi_driver(self, pod: Object, volume: Object) -> str:
        """The CSI driver behind a pod's volume, "" for none."""
        claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (
            f"{pod['metadata']['name']}-{volume['name']}" if "ephemeral" in volume else "")
        source: Object | None = volume
        if claim_name:
            claim = await self.context.client.find("persistentvolumeclaims", claim_name, namespace=pod["metadata"]["namespace"])
            bound = ((claim or {}).get("spec") or {}).get("volumeName")
            source = ((await self.context.client.find("persistentvolumes", bound) if bound else None) or {}).get("spec")
        return str(((source or {}).get("csi") or {}).get("driver") or "")

    async def _driver_audiences(self, name: str) -> list[str]:
        driver = await self.context.client.find("csidrivers.storage.k8s.io", name)
        return [t.get("audience", "") for t in ((driver or {}).get("spec") or {}).get("tokenRequests") or ()]

    async def _claim(self, a: Attributes, node: str) -> None:
        if a.operation != "UPDATE" or a.subresource != "status":
            raise _forbidden(a, f'unexpected operation "{a.operation}"' if a.operation != "UPDATE"
                             else "may only update PVC status")
        if (a.obj or {}).get("spec") != (a.old or {}).get("spec"):
            raise _forbidden(a, f'node "{node}" is not allowed to update fields other than status.quantity and '
                                "status.conditions")

    async def _lease(self, a: Attributes, node: str) -> None:
        if a.namespace != LEASES:
            return
        name = a.name or ((a.obj or {}).get("metadata") or {}).get("name", "")
        if name != node:
            raise _forbidden(a, "can only access node lease with the same name as the requesting node")

    async def _csi_node(self, a: Attributes, node: str) -> None:
        name = a.name or ((a.obj or {}).get("metadata") or {}).get("name", "")
        if name != node:
            raise _forbidden(a, "can only access CSINode with the same name as the requesting node")

    async def _certificate_request(self, a: Attributes, node: str) -> None:
        """Only for a real pod on the node, with the identities that it has (KEP-4317)."""
        if a.operation != "CREATE" or a.subresource:
            return
        spec, find = (a.obj or {}).get("spec") or {}, self.context.client.find
        if spec.get("nodeName") != node:
            raise _forbidden(a, f'PodCertificateRequest.Spec.NodeName="{spec.get("nodeName", "")}", which is not the '
                                f'requesting node "{node}"')
        pod = await find("pods", spec.get("podName", ""), namespace=a.namespace)
        if pod is None:
            raise _forbidden(a, "while retrieving pod named in the PodCertificateRequest: "
                                f'pod "{spec.get("podName", "")}" not found')
        _must_be_on(a, pod, node, "can only request certificates for pods with spec.nodeName set to itself")
        if pods.is_mirror(pod):
            raise _forbidden(a, f'pod "{spec["podName"]}" is a mirror pod')
        account = (pod.get("spec") or {}).get("serviceAccountName", "")
        owners = {"podUID": pod, "nodeUID": await find("nodes", node),
                  "serviceAccountUID": await find("serviceaccounts", account, namespace=a.namespace)}
        uids = {field: ((o or {}).get("metadata") or {}).get("uid", "") for field, o in owners.items()}
        for field, wanted in {"serviceAccountName": account, **uids}.items():
            if spec.get(field) != wanted:
                raise _forbidden(a, f'PodCertificateRequest.Spec.{field[0].upper()}{field[1:]} ("{spec.get(field, "")}") '
                                    f'differs from running pod ("{wanted}")')

    async def _slice(self, a: Attributes, node: str) -> None:
        obj = a.obj if a.operation == "CREATE" else a.old
        if ((obj or {}).get("spec") or {}).get("nodeName") != node:
            raise _forbidden(a, "can only create/delete ResourceSlice with the same NodeName as the requesting node")


Check = Callable[[NodeRestriction, Attributes, str], Coroutine[Any, Any, None]]
_CHECKS: dict[tuple[str, str], Check] = {
    ("", "pods"): NodeRestriction._pod,
    ("", "nodes"): NodeRestriction._node,
    ("", "serviceaccounts"): NodeRestriction._token,
    ("", "persistentvolumeclaims"): NodeRestriction._claim,
    ("certificates.k8s.io", "podcertificaterequests"): NodeRestriction._certificate_request,
    ("coordination.k8s.io", "leases"): NodeRestriction._lease,
    ("storage.k8s.io", "csinodes"): NodeRestriction._csi_node,
    ("resource.k8s.io", "resourceslices"): NodeRestriction._slice,
}


def may_set_label(key: str) -> bool:
    """May a kubelet set this label on its own node?"""
    if key in ALLOWED_LABELS:
        return True
    domain = key.partition("/")[0] if "/" in key else ""
    if domain == "node-restriction.kubernetes.io" or domain.endswith(".node-restriction.kubernetes.io"):
        return False
    if not any(domain == d or domain.endswith("." + d) for d in ("kubernetes.io", "k8s.io")):
        return True
    return any(domain == d or domain.endswith("." + d) for d in ALLOWED_LABEL_DOMAINS)


def _labels(obj: Object | None) -> dict[str, str]:
    return ((obj or {}).get("metadata") or {}).get("labels") or {}


def _must_be_on(a: Attributes, pod: Object | None, node: str, why: str) -> None:
    if ((pod or {}).get("spec") or {}).get("nodeName") != node:
        raise _forbidden(a, f'node "{node}" {why}')


def _forbidden(a: Attributes, why: str) -> errors.StatusError:
    return errors.forbidden(a.resource.plural, a.name, why, group=a.resource.group)
