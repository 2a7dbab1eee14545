import pytest
import security_fakes as fakes

from kubewheel.api import errors
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.apiserver.authz import (
    default_policy,
    escalation,
    messages,
    modes,
    node,
    rbac,
    reconcile_policy,
    rules,
)
from kubewheel.client.transport import Identity

G = "rbac.authorization.k8s.io"


def ask(verb, plural, *, group="", namespace="", name="", sub="", fields=""):
    return RequestInfo(True, "", verb, "apis" if group else "api", group, "v1", namespace, plural, sub, name,
                       field_selector=fields)


async def allows(authorizer, user, info):
    return (await authorizer.authorize(user, info)).verdict == "allow"


async def policy():
    world = fakes.World()
    await reconcile_policy.reconcile(world)
    return world, modes.build(("Node", "RBAC"), world)


def bind(world, user, role, namespace="", kind="ClusterRole"):
    name = f"{user}-{role}"
    obj = {"metadata": {"name": name}, "roleRef": {"apiGroup": G, "kind": kind, "name": role},
           "subjects": [{"apiGroup": G, "kind": "User", "name": user}]}
    if namespace:
        obj["metadata"]["namespace"] = namespace
    world.put(f"rolebindings.{G}" if namespace else f"clusterrolebindings.{G}", obj)


async def test_the_built_in_policy_decides_as_upstream_does():
    _, authorizer = await policy()
    scheduler = Identity("system:kube-scheduler", groups=("system:authenticated",))
    assert await allows(authorizer, scheduler, ask("create", "pods", namespace="a", name="p", sub="binding"))
    assert not await allows(authorizer, scheduler, ask("create", "pods", namespace="a"))
    assert await allows(authorizer, scheduler, ask("update", "leases", group="coordination.k8s.io",
                                                   namespace="kube-system", name="kube-scheduler"))
    anonymous = Identity("system:anonymous", groups=("system:unauthenticated",))
    assert await allows(authorizer, anonymous, RequestInfo(False, "/healthz", "get"))
    assert not await allows(authorizer, anonymous, RequestInfo(False, "/apis", "get"))
    someone = Identity("someone", groups=("system:authenticated",))
    assert await allows(authorizer, someone, RequestInfo(False, "/apis/apps/v1", "get"))
    assert await allows(authorizer, Identity("x", groups=("system:masters",)), ask("delete", "anything"))
    deployer = Identity("system:serviceaccount:kube-system:deployment-controller", groups=("system:serviceaccounts",))
    assert await allows(authorizer, deployer, ask("create", "replicasets", group="apps", namespace="x"))
    assert await allows(authorizer, Identity("a", groups=("kubeadm:cluster-admins",)), ask("get", "secrets"))


async def test_bindings_follow_their_objects():
    world, authorizer = await policy()
    jane = Identity("jane", groups=("system:authenticated",))
    info = ask("list", "pods", namespace="dev")
    assert not await allows(authorizer, jane, info)
    world.put(f"roles.{G}", {"metadata": {"name": "reader", "namespace": "dev"}, "rules": [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get"]}]})
    bind(world, "jane", "reader", "dev", kind="Role")
    decision = await authorizer.authorize(jane, info)
    assert decision.verdict == "allow"
    assert decision.reason == 'RBAC: allowed by RoleBinding "jane-reader/dev" of Role "reader" to User "jane"'
    assert not await allows(authorizer, jane, ask("list", "pods", namespace="other"))
    assert await allows(authorizer, jane, ask("get", "pods", namespace="dev", name="p", sub="log"))
    assert await allows(authorizer, jane, ask("get", "configmaps", namespace="dev", name="one"))
    assert not await allows(authorizer, jane, ask("get", "configmaps", namespace="dev", name="two"))
    world.get(f"rolebindings.{G}").remove("dev", "jane-reader")
    assert not await allows(authorizer, jane, info)


def test_refusals_read_as_upstreams():
    jane = Identity("jane")
    assert messages.forbidden(jane, ask("list", "pods", namespace="default")).message == (
        'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"')
    assert messages.forbidden(jane, ask("get", "nodes", name="n")).message == (
        'nodes "n" is forbidden: User "jane" cannot get resource "nodes" in API group "" at the cluster scope')
    error = messages.forbidden(jane, ask("create", "deployments", group="apps", namespace="a", sub="scale", name="d"))
    assert error.message == ('deployments.apps "d" is forbidden: User "jane" cannot create resource "deployments/scale" in '
                             'API group "apps" in the namespace "a"')
    assert messages.forbidden(jane, RequestInfo(False, "/metrics", "get")).message == (
        'forbidden: User "jane" cannot get path "/metrics"')


async def test_the_policy_is_mended_but_never_cut():
    world = fakes.World()
    await reconcile_policy.reconcile(world)
    roles = world.get(f"clusterroles.{G}")
    before = len(roles.items)
    view = roles.get("", "system:kube-scheduler")
    roles.put(view | {"rules": [{"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}]})
    frozen = roles.get("", "system:node")
    frozen["metadata"]["annotations"][default_policy.AUTOUPDATE] = "false"
    frozen["rules"] = []
    await reconcile_policy.reconcile(world)
    mended = roles.get("", "system:kube-scheduler")["rules"]
    assert {"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]} in mended
    wanted = next(r for r in default_policy.cluster_roles() if r["metadata"]["name"] == "system:kube-scheduler")
    assert rules.uncovered(mended, wanted["rules"]) == []
    assert roles.get("", "system:node")["rules"] == []
    assert len(roles.items) == before
    versions = {k: o["metadata"]["resourceVersion"] for k, o in roles.items.items()}
    await reconcile_policy.reconcile(world)
    assert versions == {k: o["metadata"]["resourceVersion"] for k, o in roles.items.items()}


async def test_controllers_of_our_own_get_a_role():
    world = fakes.World()
    rule = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["get"]}
    await reconcile_policy.reconcile(world, {"my-controller": [rule]})
    assert world.get(f"clusterroles.{G}").get("", "system:controller:my-controller")["rules"] == [rule]
    assert world.get(f"clusterrolebindings.{G}").get("", "system:controller:my-controller")["subjects"] == [
        {"kind": "ServiceAccount", "name": "my-controller", "namespace": "kube-system"}]


async def test_nobody_grants_what_they_do_not_hold():
    world, authorizer = await policy()
    plugin = escalation.Escalation(fakes.context(world, authorizer))
    world.put(f"clusterroles.{G}", {"metadata": {"name": "rolemaker"}, "rules": [
        {"apiGroups": [G], "resources": ["roles"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})
    bind(world, "jane", "rolemaker")
    jane = Identity("jane", groups=("system:authenticated",))
    res = fakes.resource("clusterroles", "ClusterRole", G, namespaced=False)

    async def write(rule, user=jane):
        await plugin.validate(fakes.attributes({"metadata": {"name": "r"}, "rules": [rule]}, res=res, user=user,
                                               namespace=""))

    await write({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]})
    with pytest.raises(errors.StatusError) as caught:
        await write({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]})
    assert caught.value.message == (
        f'clusterroles.{G} "r" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}')
    await write({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, user=fakes.ADMIN)
    binding = {"metadata": {"name": "b"}, "roleRef": {"apiGroup": G, "kind": "ClusterRole", "name": "cluster-admin"}}
    res = fakes.resource("clusterrolebindings", "ClusterRoleBinding", G, namespaced=False)
    with pytest.raises(errors.StatusError, match="not currently held"):
        await plugin.validate(fakes.attributes(binding, res=res, user=jane, namespace=""))


async def test_a_node_sees_what_its_pods_need():
    world = fakes.World()
    world.put("pods", fakes.pod("p", node="n1", serviceAccountName="sa", volumes=[
        {"name": "s", "secret": {"secretName": "mine"}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "j", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}]))
    world.put("pods", fakes.pod("q", node="n2"))
    world.put("persistentvolumes", {"metadata": {"name": "pv"}, "spec": {
        "claimRef": {"namespace": "default", "name": "data"},
        "csi": {"nodePublishSecretRef": {"namespace": "store", "name": "key"}}}})
    authorizer = node.NodeAuthorizer(world)
    n1, n2 = (Identity(f"system:node:{n}", groups=("system:nodes",)) for n in ("n1", "n2"))
    for info in (ask("get", "secrets", namespace="default", name="mine"),
                 ask("watch", "configmaps", namespace="default", name="kube-root-ca.crt"),
                 ask("get", "persistentvolumeclaims", namespace="default", name="data"),
                 ask("get", "persistentvolumes", name="pv"),
                 ask("get", "secrets", namespace="store", name="key"),
                 ask("create", "serviceaccounts", namespace="default", name="sa", sub="token"),
                 ask("get", "pods", namespace="default", name="p"),
                 ask("list", "pods", fields="spec.nodeName=n1"),
                 ask("get", "nodes", name="n1"),
                 ask("update", "leases", group="coordination.k8s.io", namespace="kube-node-lease", name="n1")):
        assert await allows(authorizer, n1, info), info
        assert not await allows(authorizer, n2, info), info
    assert not await allows(authorizer, n1, ask("list", "secrets", namespace="default"))
    assert not await allows(authorizer, n1, ask("list", "pods"))
    assert await allows(authorizer, n1, ask("list", "services"))
    assert await allows(authorizer, n1, ask("patch", "nodes", name="n1", sub="status"))
    assert (await authorizer.authorize(Identity("jane"), ask("get", "nodes", name="n1"))) == rbac.NO_OPINION


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match='authorization-mode "Magic" is not a valid mode'):
        modes.build(("RBAC", "Magic"), fakes.World())
