"""The Node authorizer: a kubelet sees what its own pods need, and no more.

In: caches of pods, persistentvolumes, volumeattachments, resourceslices, podcertificaterequests; a node's user and a request.
Out: Decision. Called by: authz/modes.

How reachability is known: the pods cache is indexed by "node, kind, namespace, name" of everything a pod refers to,
so that each question is one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Decision, RequestInfo
from kubewheel.apiserver.authz import rbac, rules
from kubewheel.client.transport import Identity

PREFIX = "system:node:"
GROUP = "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
INDEX = "authz.node-references"
PV_INDEX = "authz.pv-secrets"
READS = ("get", "list", "watch")


def node_name(user: Identity) -> tuple[str, bool]:
    """(name, is a node): the identity of a kubelet's user."""
    if not user.name.startswith(PREFIX) or GROUP not in user.groups:
        return "", False
    return user.name[len(PREFIX):], True


def reference_key(node: str, kind: str, namespace: str, name: str) -> str:
    return f"{node}\0{kind}\0{namespace}\0{name}"


def pod_references(pod: Object) -> Iterator[tuple[str, str]]:
    """(kind, name) of all a pod needs from its namespace."""
    spec = pod.get("spec") or {}
    yield "pod", pod["metadata"]["name"]
    if "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {}):
        return  # a mirror pod gives its node nothing: the node itself wrote it
    if account := spec.get("serviceAccountName"):
        yield "serviceaccount", account
    for secret in spec.get("imagePullSecrets") or ():
        if name := secret.get("name"):
            yield "secret", name
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(part) or ():
            yield from _container_references(container)
    for volume in spec.get("volumes") or ():
        yield from _volume_references(pod, volume)
    for claim in spec.get("resourceClaims") or ():
        if name := claim.get("resourceClaimName"):
            yield "resourceclaim", name
    for claim in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if name := claim.get("resourceClaimName"):
            yield "resourceclaim", name
    extended = (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}
    if name := extended.get("resourceClaimName"):
        yield "resourceclaim", name


def _container_references(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield from _named(source, "configMapRef", "configmap")
        yield from _named(source, "secretRef", "secret")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield from _named(source, "configMapKeyRef", "configmap")
        yield from _named(source, "secretKeyRef", "secret")


def _named(source: Object, field: str, kind: str) -> Iterator[tuple[str, str]]:
    if name := (source.get(field) or {}).get("name"):
        yield kind, name


def _volume_references(pod: Object, volume: Object) -> Iterator[tuple[str, str]]:
    if name := (volume.get("secret") or {}).get("secretName"):
        yield "secret", name
    yield from _named(volume, "configMap", "configmap")
    if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
        yield "pvc", name
    if "ephemeral" in volume:
        yield "pvc", f"{pod['metadata']['name']}-{volume['name']}"
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield from _named(source, "secret", "secret")
        yield from _named(source, "configMap", "configmap")
    for driver in ("cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"):
        yield from _named(volume.get(driver) or {}, "secretRef", "secret")
    yield from _named(volume.get("csi") or {}, "nodePublishSecretRef", "secret")
    if name := (volume.get("azureFile") or {}).get("secretName"):
        yield "secret", name


def _pod_index(pod: Object) -> list[str]:
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        return []
    namespace = pod["metadata"].get("namespace", "")
    return [reference_key(node, kind, namespace, name) for kind, name in set(pod_references(pod))]


def _pv_index(pv: Object) -> list[str]:
    spec = pv.get("spec") or {}
    claim_namespace = (spec.get("claimRef") or {}).get("namespace", "")
    out = []
    for source in spec.values():
        if not isinstance(source, dict):
            continue
        for field in ("secretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"):
            if name := (source.get(field) or {}).get("name"):
                out.append(f"{source[field].get('namespace') or claim_namespace}/{name}")
    azure = spec.get("azureFile") or {}
    if name := azure.get("secretName"):
        out.append(f"{azure.get('secretNamespace') or claim_namespace}/{name}")
    return out


class NodeAuthorizer:
    def __init__(self, caches: Any) -> None:
        from kubewheel.apiserver.authz import default_policy

        self._caches = caches
        self._ready = False
        self._rules = rules.compile_rules(default_policy.node_rules())

    async def start(self) -> None:
        """Fills the caches, on a node's first question (see Rbac.start)."""
        get = self._caches.get
        self._pods, self._volumes = get("pods"), get("persistentvolumes")
        self._attachments, self._slices = get("volumeattachments.storage.k8s.io"), get("resourceslices.resource.k8s.io")
        self._certificate_requests = get("podcertificaterequests.certificates.k8s.io")
        for source in (self._pods, self._volumes, self._attachments, self._slices, self._certificate_requests):
            await source.wait_synced()
        self._pods.add_index(INDEX, _pod_index)
        self._volumes.add_index(PV_INDEX, _pv_index)
        self._ready = True

    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        node, is_node = node_name(user)
        if not is_node:
            return rbac.NO_OPINION
        if not node:
            return Decision("no-opinion", f'unknown node for user "{user.name}"')
        if not self._ready:
            await self.start()
        if info.is_resource and (check := _CHECKS.get((info.group, info.plural))) is not None:
            reason = check(self, node, info)
            if reason is not None:
                return Decision("allow") if reason == "" else Decision("no-opinion", reason)
        resource = rules.resource_of(info)
        if any(rule.allows(info, resource) for rule in self._rules):
            return Decision("allow")
        return rbac.NO_OPINION

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        _, is_node = node_name(user)
        return [], [], is_node  # reachability cannot be told as rules

    # -- the checks: "" allows, a text is why not, None leaves it to the node's general rules ------------------------
    def _reaches(self, node: str, kind: str, namespace: str, name: str) -> bool:
        return bool(self._pods.by_index(INDEX, reference_key(node, kind, namespace, name)))

    def _related(self, node: str, kind: str, info: RequestInfo, *, verbs: tuple[str, ...]) -> str:
        if info.verb not in verbs:
            return f"can only {'/'.join(verbs)} this resource"
        name = _name_of(info)
        if not name:
            return "No Object name found"
        if self._reaches(node, kind, info.namespace, name) or (
                kind == "secret" and self._reaches_by_volume(node, info.namespace, name)):
            return ""
        return f"no relationship found between node '{node}' and this object"

    def _reaches_by_volume(self, node: str, namespace: str, secret: str) -> bool:
        return any(self._reaches_pv(node, pv) for pv in self._volumes.by_index(PV_INDEX, f"{namespace}/{secret}"))

    def _reaches_pv(self, node: str, pv: Object) -> bool:
        claim = (pv.get("spec") or {}).get("claimRef") or {}
        return bool(claim) and self._reaches(node, "pvc", claim.get("namespace", ""), claim.get("name", ""))

    def _secret(self, node: str, info: RequestInfo) -> str | None:
        return "cannot get subresource" if info.subresource else self._related(node, "secret", info, verbs=READS)

    def _configmap(self, node: str, info: RequestInfo) -> str | None:
        return "cannot get subresource" if info.subresource else self._related(node, "configmap", info, verbs=READS)

    def _claim(self, node: str, info: RequestInfo) -> str | None:
        if info.subresource == "status":
            return self._related(node, "pvc", info, verbs=("get", "update", "patch"))
        return self._related(node, "pvc", info, verbs=("get",))

    def _volume(self, node: str, info: RequestInfo) -> str | None:
        if info.verb != "get" or info.subresource:
            return "can only get individual resources of this type"
        pv = self._volumes.get("", info.name)
        if pv is not None and self._reaches_pv(node, pv):
            return ""
        return f"no relationship found between node '{node}' and this object"

    def _resource_claim(self, node: str, info: RequestInfo) -> str | None:
        return self._related(node, "resourceclaim", info, verbs=("get",))

    def _attachment(self, node: str, info: RequestInfo) -> str | None:
        if info.verb != "get" or info.subresource:
            return "can only get individual resources of this type"
        found = self._attachments.get("", info.name)
        if found is not None and (found.get("spec") or {}).get("nodeName") == node:
            return ""
        return f"no relationship found between node '{node}' and this object"

    def _service_account(self, node: str, info: RequestInfo) -> str | None:
        if info.subresource == "token" and info.verb == "create":
            return self._related(node, "serviceaccount", info, verbs=("create",))
        if info.subresource == "" and info.verb == "get":
            return self._related(node, "serviceaccount", info, verbs=("get",))
        return "can only create tokens for individual service accounts"

    def _lease(self, node: str, info: RequestInfo) -> str | None:
        if info.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a node lease"
        if info.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        if info.verb != "create" and info.name != node:  # a create has no name yet: NodeRestriction looks at it
            return "can only access node lease with the same name as the requesting node"
        return ""

    def _csi_node(self, node: str, info: RequestInfo) -> str | None:
        if info.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a CSINode"
        if info.subresource:
            return "cannot authorize CSINode subresources"
        if info.verb != "create" and info.name != node:
            return "can only access CSINode with the same name as the requesting node"
        return ""

    def _slice(self, node: str, info: RequestInfo) -> str | None:
        if info.subresource:
            return "cannot authorize ResourceSlice subresources"
        if info.verb == "create":
            return ""
        if info.verb in ("get", "update", "patch", "delete"):
            found = self._slices.get("", info.name)
            if found is not None and (found.get("spec") or {}).get("nodeName") == node:
                return ""
            return f"no relationship found between node '{node}' and this object"
        if selects(info.field_selector, "spec.nodeName", node):
            return ""
        return "can only list/watch/deletecollection resourceslices with nodeName field selector"

    def _certificate_request(self, node: str, info: RequestInfo) -> str | None:
        """Pod certificates (KEP-4317): NodeRestriction looks at what is created."""
        if info.subresource:
            return "nodes may not access the status subresource of PodCertificateRequests"
        if info.verb == "create":
            return ""
        if info.verb == "get":
            found = self._certificate_requests.get(info.namespace, info.name)
            if found is not None and (found.get("spec") or {}).get("nodeName") == node:
                return ""
            return f"no relationship found between node '{node}' and this object"
        if info.verb not in READS:
            return f"nodes may not {info.verb} podcertificaterequests"
        if selects(info.field_selector, "spec.nodeName", node):
            return ""
        return "can only list/watch podcertificaterequests with nodeName field selector"

    def _node(self, node: str, info: RequestInfo) -> str | None:
        if info.subresource or info.verb not in READS:
            return None
        if _name_of(info) == node:
            return ""
        return f"node '{node}' cannot read '{info.name}', only its own Node object" if info.name else (
            f"node '{node}' cannot read all nodes, only its own Node object")

    def _pod(self, node: str, info: RequestInfo) -> str | None:
        if info.subresource or info.verb not in READS:
            return None
        if info.verb != "get" and selects(info.field_selector, "spec.nodeName", node):
            return ""
        name = _name_of(info)
        if name and self._reaches(node, "pod", info.namespace, name):
            return ""
        if name:
            return f"no relationship found between node '{node}' and this object"
        return "can only list/watch pods with spec.nodeName field selector"


_CHECKS = {
    ("", "secrets"): NodeAuthorizer._secret,
    ("", "configmaps"): NodeAuthorizer._configmap,
    ("", "persistentvolumeclaims"): NodeAuthorizer._claim,
    ("", "persistentvolumes"): NodeAuthorizer._volume,
    ("", "serviceaccounts"): NodeAuthorizer._service_account,
    ("", "nodes"): NodeAuthorizer._node,
    ("", "pods"): NodeAuthorizer._pod,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer._resource_claim,
    ("resource.k8s.io", "resourceslices"): NodeAuthorizer._slice,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer._attachment,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_node,
    ("certificates.k8s.io", "podcertificaterequests"): NodeAuthorizer._certificate_request,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
}


def selects(field_selector: str, field: str, value: str) -> bool:
    """Does the selector hold `field=value` among its terms (all of which must hold)?"""
    return any(term.strip() in (f"{field}={value}", f"{field}=={value}") for term in field_selector.split(","))


def _name_of(info: RequestInfo) -> str:
    """The one object a request is about: by path, or a list/watch selecting metadata.name."""
    if info.name or info.verb == "get":
        return info.name
    for term in info.field_selector.split(","):
        field, _, value = term.strip().replace("==", "=").partition("=")
        if field == "metadata.name":
            return value
    return ""
