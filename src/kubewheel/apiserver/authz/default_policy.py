"""The roles and bindings every cluster has from its first second, as data.

In: nothing. Out: ClusterRoles, ClusterRoleBindings, Roles, RoleBindings (JSON dicts). Source: upstream's bootstrap
policy; KUBEADM is what `kubeadm init` adds. Called by: authz/reconcile_policy, authz/node.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.apiserver.authz import controller_policy, policy_text

API = "rbac.authorization.k8s.io"
AUTOUPDATE = f"{API.replace('k8s.io', 'kubernetes.io')}/autoupdate"
AGGREGATE = f"{API}/aggregate-to-"

# role -> the labels' target roles it is aggregated into
AGGREGATED_INTO = {
    "edit": "admin", "view": "edit", "system:aggregate-to-admin": "admin", "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}
AGGREGATES = ("admin", "edit", "view")  # these are filled by the clusterrole-aggregation controller

CLUSTER_ROLES: dict[str, str] = {
    "cluster-admin": """
        * *: *
        * *""",
    "system:discovery": """
        get /api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/""",
    "system:basic-user": """
        create authz: selfsubjectaccessreviews selfsubjectrulesreviews
        create authn: selfsubjectreviews""",
    "system:public-info-viewer": "get /healthz /livez /readyz /version /version/",
    "system:monitoring": """
        get /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*
        get /flagz
        get /statusz""",
    "system:aggregate-to-admin": """
        create authz: localsubjectaccessreviews
        readwrite rbac: rolebindings roles""",
    "system:aggregate-to-edit": """
        read core: pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy
        impersonate core: serviceaccounts
        write core: pods pods/attach pods/exec pods/portforward pods/proxy
        create core: pods/eviction
        write core: configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale \
secrets serviceaccounts services services/proxy
        create core: serviceaccounts/token
        write apps: daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
statefulsets statefulsets/scale
        write autoscaling: horizontalpodautoscalers
        write batch: cronjobs jobs
        write extensions: daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies \
replicasets replicasets/scale replicationcontrollers/scale
        write policy: poddisruptionbudgets
        write net: ingresses networkpolicies
        readwrite coord: leases
        write dra: resourceclaims resourceclaimtemplates""",
    "system:aggregate-to-view": """
        read core: configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods \
replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status
        read core: bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
resourcequotas resourcequotas/status
        read core: namespaces
        read discovery: endpointslices
        read apps: controllerrevisions daemonsets daemonsets/status deployments deployments/scale \
deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale \
statefulsets/status
        read autoscaling: horizontalpodautoscalers horizontalpodautoscalers/status
        read batch: cronjobs cronjobs/status jobs jobs/status
        read extensions: daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses \
ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale
        read policy: poddisruptionbudgets poddisruptionbudgets/status
        read net: ingresses ingresses/status networkpolicies
        read dra: resourceclaims resourceclaims/status resourceclaimtemplates""",
    "system:heapster": """
        read core: events namespaces nodes pods
        read extensions: deployments""",
    "system:node": """
        create authn: tokenreviews
        create authz: localsubjectaccessreviews subjectaccessreviews
        read core: services
        create,get,list,watch core: nodes
        patch,update core: nodes/status
        patch,update core: nodes
        create,patch,update core: events
        read core: pods
        create,delete core: pods
        patch,update core: pods/status
        create core: pods/eviction
        read core: configmaps secrets
        get core: persistentvolumeclaims persistentvolumes
        get core: endpoints
        create,get,list,watch certs: certificatesigningrequests
        create,delete,get,patch,update coord: leases
        get storage: volumeattachments
        create core: serviceaccounts/token
        get,patch,update core: persistentvolumeclaims/status
        read storage: csidrivers
        create,delete,get,patch,update storage: csinodes
        read node: runtimeclasses
        get dra: resourceclaims
        deletecollection dra: resourceslices
        read certs: clustertrustbundles
        get core: serviceaccounts
        create,get,list,watch certs: podcertificaterequests""",
    "system:node-problem-detector": """
        get core: nodes
        patch core: nodes/status
        events""",
    "system:kubelet-api-admin": """
        read core: nodes
        proxy core: nodes
        * core: nodes/log nodes/metrics nodes/proxy nodes/stats
        * core: nodes/configz nodes/healthz nodes/pods""",
    "system:node-bootstrapper": "create,get,list,watch certs: certificatesigningrequests",
    "system:auth-delegator": """
        create authn: tokenreviews
        create authz: subjectaccessreviews""",
    "system:kube-aggregator": "read core: endpoints services",
    "system:kube-controller-manager": """
        events
        create coord: leases
        get,update coord: leases = kube-controller-manager
        create core: secrets serviceaccounts
        delete core: secrets
        get core: configmaps namespaces secrets serviceaccounts
        update core: secrets serviceaccounts
        create authn: tokenreviews
        create authz: subjectaccessreviews
        list,watch *: *
        create core: serviceaccounts/token""",
    "system:kube-dns": "list,watch core: endpoints services",
    "system:kube-scheduler": """
        events
        create coord: leases
        get,list,update,watch coord: leases = kube-scheduler
        readwrite coord: leasecandidates
        read core: nodes
        delete,get,list,watch core: pods
        create core: bindings pods/binding
        patch,update core: pods/status
        read core: replicationcontrollers services
        read apps+extensions: replicasets
        read apps: statefulsets
        read policy: poddisruptionbudgets
        read core: persistentvolumeclaims persistentvolumes
        create authn: tokenreviews
        create authz: subjectaccessreviews
        read storage: csinodes
        read storage: volumeattachments
        read core: namespaces
        read storage: csidrivers
        read storage: csistoragecapacities
        read dra: deviceclasses
        create,delete,get,list,patch,update,watch dra: resourceclaims
        get,list,patch,update,watch dra: resourceclaims/status
        get,list,patch,update,watch core: pods/finalizers
        read dra: resourceslices
        read dra: devicetaintrules
        patch,update dra: resourceclaims/binding""",
    "system:node-proxier": """
        list,watch core: endpoints services
        read core: nodes
        events
        list,watch net: servicecidrs
        list,watch discovery: endpointslices""",
    "system:persistent-volume-provisioner": """
        create,delete,get,list,watch core: persistentvolumes
        get,list,update,watch core: persistentvolumeclaims
        read storage: storageclasses
        watch core: events
        events""",
    "system:volume-scheduler": """
        get,list,patch,update,watch core: persistentvolumes
        read storage: storageclasses
        get,list,patch,update,watch core: persistentvolumeclaims""",
    "system:service-account-issuer-discovery": """
        get /.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/""",
    "system:cluster-trust-bundle-discovery": "read certs: clustertrustbundles",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient":
        "create certs: certificatesigningrequests/nodeclient",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient":
        "create certs: certificatesigningrequests/selfnodeclient",
    **{f"system:certificates.k8s.io:{signer}-approver": f"approve certs: signers = kubernetes.io/{signer}"
       for signer in ("legacy-unknown", "kubelet-serving", "kube-apiserver-client-kubelet", "kube-apiserver-client")},
}

GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
# binding and role have the same name; subjects are (kind, name)
CLUSTER_BINDINGS: dict[str, list[tuple[str, str]]] = {
    "cluster-admin": [("Group", "system:masters")],
    "system:monitoring": [("Group", "system:monitoring")],
    "system:discovery": [("Group", GROUP_AUTHENTICATED)],
    "system:basic-user": [("Group", GROUP_AUTHENTICATED)],
    "system:public-info-viewer": [("Group", GROUP_AUTHENTICATED), ("Group", GROUP_UNAUTHENTICATED)],
    "system:node-proxier": [("User", "system:kube-proxy")],
    "system:kube-controller-manager": [("User", "system:kube-controller-manager")],
    "system:kube-dns": [("ServiceAccount", "kube-system/kube-dns")],
    "system:kube-scheduler": [("User", "system:kube-scheduler")],
    "system:volume-scheduler": [("User", "system:kube-scheduler")],
    "system:node": [],  # the Node authorizer stands in its place
    "system:service-account-issuer-discovery": [("Group", "system:serviceaccounts")],
    "system:cluster-trust-bundle-discovery": [("Group", "system:serviceaccounts")],
}
# binding -> (role, subject): what kubeadm's bootstrap adds
KUBEADM_BINDINGS: dict[str, tuple[str, tuple[str, str]]] = {
    "kubeadm:cluster-admins": ("cluster-admin", ("Group", "kubeadm:cluster-admins")),
    "kubeadm:kubelet-bootstrap":
        ("system:node-bootstrapper", ("Group", "system:bootstrappers:kubeadm:default-node-token")),
    "kubeadm:node-autoapprove-bootstrap":
        ("system:certificates.k8s.io:certificatesigningrequests:nodeclient",
         ("Group", "system:bootstrappers:kubeadm:default-node-token")),
    "kubeadm:node-autoapprove-certificate-rotation":
        ("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", ("Group", "system:nodes")),
    "kubeadm:get-nodes": ("kubeadm:get-nodes", ("Group", "system:bootstrappers:kubeadm:default-node-token")),
}

_LEADER = """
    create,get,list,update,watch coord: leases
    create,get,list,update,watch coord: leasecandidates"""
# (namespace, role) -> rules
ROLES: dict[tuple[str, str], str] = {
    ("kube-system", "extension-apiserver-authentication-reader"):
        "read core: configmaps = extension-apiserver-authentication",
    ("kube-system", "system:controller:bootstrap-signer"): "read core: secrets",
    ("kube-system", "system:controller:cloud-provider"): "create,get,list,watch core: configmaps",
    ("kube-system", "system:controller:token-cleaner"): """
        delete,get,list,watch core: secrets
        events""",
    ("kube-system", "system::leader-locking-kube-controller-manager"): _LEADER,
    ("kube-system", "system::leader-locking-kube-scheduler"): _LEADER,
    ("kube-public", "system:controller:bootstrap-signer"): """
        read core: configmaps
        update core: configmaps = cluster-info
        events""",
}
# (namespace, binding) -> (role, subjects)
ROLE_BINDINGS: dict[tuple[str, str], tuple[str, list[tuple[str, str]]]] = {
    ("kube-system", "system::extension-apiserver-authentication-reader"):
        ("extension-apiserver-authentication-reader",
         [("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")]),
    ("kube-system", "system::leader-locking-kube-controller-manager"):
        ("system::leader-locking-kube-controller-manager",
         [("User", "system:kube-controller-manager"), ("ServiceAccount", "kube-system/kube-controller-manager")]),
    ("kube-system", "system::leader-locking-kube-scheduler"):
        ("system::leader-locking-kube-scheduler",
         [("User", "system:kube-scheduler"), ("ServiceAccount", "kube-system/kube-scheduler")]),
    ("kube-system", "system:controller:bootstrap-signer"):
        ("system:controller:bootstrap-signer", [("ServiceAccount", "kube-system/bootstrap-signer")]),
    ("kube-system", "system:controller:cloud-provider"):
        ("system:controller:cloud-provider", [("ServiceAccount", "kube-system/cloud-provider")]),
    ("kube-system", "system:controller:token-cleaner"):
        ("system:controller:token-cleaner", [("ServiceAccount", "kube-system/token-cleaner")]),
    ("kube-public", "system:controller:bootstrap-signer"):
        ("system:controller:bootstrap-signer", [("ServiceAccount", "kube-system/bootstrap-signer")]),
}


def _meta(name: str, namespace: str = "", labels: dict[str, str] | None = None) -> Object:
    out: Object = {"name": name}
    if namespace:
        out["namespace"] = namespace
    return out | {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"} | (labels or {}),
                  "annotations": {AUTOUPDATE: "true"}}


def _cluster_role(name: str, rules: list[Object]) -> Object:
    labels = {f"{AGGREGATE}{AGGREGATED_INTO[name]}": "true"} if name in AGGREGATED_INTO else None
    return {"apiVersion": f"{API}/v1", "kind": "ClusterRole", "metadata": _meta(name, labels=labels), "rules": rules}


def _aggregate(name: str) -> Object:
    role = _cluster_role(name, [])
    del role["rules"]
    return role | {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {f"{AGGREGATE}{name}": "true"}}]}}


def _subject(kind: str, name: str) -> Object:
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": namespace}
    return {"apiGroup": API, "kind": kind, "name": name}


def _binding(kind: str, name: str, role: tuple[str, str], subjects: list[tuple[str, str]],
             namespace: str = "") -> Object:
    out: Object = {"apiVersion": f"{API}/v1", "kind": kind, "metadata": _meta(name, namespace),
                   "roleRef": {"apiGroup": API, "kind": role[0], "name": role[1]}}
    return out | ({"subjects": [_subject(*s) for s in subjects]} if subjects else {})


@cache
def node_rules() -> tuple[Object, ...]:
    """What the Node authorizer allows where it makes no finer difference."""
    return tuple(policy_text.parse(CLUSTER_ROLES["system:node"]))


def cluster_roles(controllers: Mapping[str, Any] | None = None) -> list[Object]:
    """`controllers`: further rules by controller name, added to upstream's."""
    out = [_cluster_role(name, _rules(text)) for name, text in CLUSTER_ROLES.items()]
    out += [_aggregate(name) for name in AGGREGATES]
    for name, rules in controller_rules(controllers).items():
        out.append(_cluster_role(f"system:controller:{name}", rules))
    return out


def controller_rules(more: Mapping[str, Any] | None = None) -> dict[str, list[Object]]:
    out = controller_policy.rules()
    for name, rules in (more or {}).items():
        known = out.setdefault(name, [])
        known += [dict(rule) for rule in rules if dict(rule) not in known]
    return out


def _rules(text: str) -> list[Object]:
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines[-1] == "* *":  # every verb on every path
        return [*policy_text.parse("\n".join(lines[:-1])), {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    return policy_text.parse(text)


def cluster_role_bindings(controllers: Mapping[str, Any] | None = None) -> list[Object]:
    out = [_binding("ClusterRoleBinding", name, ("ClusterRole", name), subjects)
           for name, subjects in CLUSTER_BINDINGS.items()]
    out += [_binding("ClusterRoleBinding", f"system:controller:{name}", ("ClusterRole", f"system:controller:{name}"),
                     [("ServiceAccount", f"kube-system/{name}")]) for name in controller_rules(controllers)]
    return out


def roles() -> list[Object]:
    return [{"apiVersion": f"{API}/v1", "kind": "Role", "metadata": _meta(name, namespace),
             "rules": policy_text.parse(text)} for (namespace, name), text in ROLES.items()]


def role_bindings() -> list[Object]:
    return [_binding("RoleBinding", name, ("Role", role), subjects, namespace)
            for (namespace, name), (role, subjects) in ROLE_BINDINGS.items()]


def kubeadm() -> tuple[list[Object], list[Object]]:
    """(ClusterRoles, ClusterRoleBindings) of a kubeadm cluster: admin.conf's group and node bootstrap."""
    made = [_cluster_role("kubeadm:get-nodes", policy_text.parse("get core: nodes"))]
    bindings = [_binding("ClusterRoleBinding", name, ("ClusterRole", role), [subject])
                for name, (role, subject) in KUBEADM_BINDINGS.items()]
    for obj in made + bindings:
        del obj["metadata"]["labels"], obj["metadata"]["annotations"]
    return made, bindings
