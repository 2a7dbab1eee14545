import pytest
import security_fakes as fakes
from security_fakes import attributes, context, pod

from kubewheel.api import errors
from kubewheel.api import quota as usage
from kubewheel.apiserver import admission
from kubewheel.apiserver.admission import (
    certificates,
    chain,
    default_storage_class,
    default_tolerations,
    limit_ranger,
    namespace_lifecycle,
    node_restriction,
    pod_security,
    priority,
    resize,
    resource_quota,
    runtime_class,
    service_account,
    storage_in_use,
    taint_nodes,
)
from kubewheel.client.transport import Identity


def namespace(world, name="default", phase="Active", **labels):
    return world.put("namespaces", {"metadata": {"name": name, "labels": labels}, "status": {"phase": phase}})


def refusal(caught):
    return caught.value.code, caught.value.message


def test_plugins_are_chosen_by_name():
    on = chain.chosen((), ())
    assert on[0] == "NamespaceLifecycle" and on[-1] == "ResourceQuota" and "AlwaysPullImages" not in on
    assert chain.chosen(("AlwaysPullImages",), ("Priority",))[-1] == "ResourceQuota"
    assert "Priority" not in chain.chosen((), ("Priority",))
    with pytest.raises(ValueError, match='enable-admission-plugins plugin "Nope" is unknown'):
        chain.chosen(("Nope",), ())
    with pytest.raises(ValueError, match="EventRateLimit"):
        chain.chosen(("EventRateLimit",), ())
    assert all(plugin.name == name for name, plugin in admission.PLUGINS.items())


async def test_namespaces_must_be_there_and_stay():
    world = fakes.World()
    namespace(world), namespace(world, "dying", "Terminating")
    plugin = namespace_lifecycle.NamespaceLifecycle(context(world))
    await plugin.mutate(attributes(pod()))
    with pytest.raises(errors.StatusError) as caught:
        await plugin.mutate(attributes(pod(), namespace="absent"))
    assert refusal(caught) == (404, 'namespaces "absent" not found')
    with pytest.raises(errors.StatusError) as caught:
        await plugin.mutate(attributes(pod(), namespace="dying"))
    assert refusal(caught) == (403, 'pods "p" is forbidden: unable to create new content in namespace dying because it is '
                                    "being terminated")
    assert caught.value.status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    res = fakes.resource("namespaces", "Namespace", namespaced=False)
    with pytest.raises(errors.StatusError, match="this namespace may not be deleted"):
        await plugin.mutate(attributes(old={"metadata": {"name": "kube-system"}}, res=res, operation="DELETE", namespace=""))


async def test_pods_run_as_an_account_and_get_its_token():
    world = fakes.World()
    world.put("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"},
                                  "imagePullSecrets": [{"name": "pull"}]})
    plugin = service_account.ServiceAccount(context(world))
    obj = pod(initContainers=[{"name": "i", "image": "i"}])
    await plugin.mutate(attributes(obj))
    spec = obj["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    volume, = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-") + 5
    assert volume["projected"]["sources"] == [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    "path": "namespace"}]}}]
    mount = {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": volume["name"], "readOnly": True}
    assert spec["containers"][0]["volumeMounts"] == spec["initContainers"][0]["volumeMounts"] == [mount]
    await plugin.validate(attributes(obj))
    quiet = pod(automountServiceAccountToken=False)
    await plugin.mutate(attributes(quiet))
    assert "volumes" not in quiet["spec"]
    with pytest.raises(errors.StatusError) as caught:
        await plugin.mutate(attributes(pod(serviceAccountName="ghost")))
    assert refusal(caught) == (403, 'pods "p" is forbidden: error looking up service account default/ghost: serviceaccount '
                                    '"ghost" not found')


async def test_priority_becomes_a_number():
    world = fakes.World()
    plugin = priority.Priority(context(world))
    plain = pod()
    await plugin.mutate(attributes(plain))
    assert plain["spec"]["priority"] == 0 and plain["spec"]["preemptionPolicy"] == "PreemptLowerPriority"
    await priority.ensure_system_classes(world)
    critical = pod(priorityClassName="system-node-critical")
    await plugin.mutate(attributes(critical))
    assert critical["spec"]["priority"] == 2000001000
    world.put(priority.RESOURCE, {"metadata": {"name": "low"}, "value": -5, "globalDefault": True,
                                  "preemptionPolicy": "Never"})
    plain = pod()
    await plugin.mutate(attributes(plain))
    assert (plain["spec"]["priorityClassName"], plain["spec"]["priority"], plain["spec"]["preemptionPolicy"]) == (
        "low", -5, "Never")
    with pytest.raises(errors.StatusError, match="no PriorityClass with name nope was found"):
        await plugin.mutate(attributes(pod(priorityClassName="nope")))
    with pytest.raises(errors.StatusError, match="the integer value of priority .7. must not be provided"):
        await plugin.mutate(attributes(pod(priority=7)))


async def test_small_defaults():
    world = fakes.World()
    obj = pod()
    await default_tolerations.DefaultTolerationSeconds(context(world)).mutate(attributes(obj))
    assert [(t["key"], t["tolerationSeconds"]) for t in obj["spec"]["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300), ("node.kubernetes.io/unreachable", 300)]
    node = {"metadata": {"name": "n"}}
    await taint_nodes.TaintNodesByCondition(context(world)).mutate(
        attributes(node, res=fakes.resource("nodes", "Node", namespaced=False)))
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    claims = fakes.resource("persistentvolumeclaims", "PersistentVolumeClaim")
    for name, stamp in (("old", "2026-01-01T00:00:00Z"), ("new", "2026-01-02T00:00:00Z")):
        world.put("storageclasses.storage.k8s.io", {"metadata": {
            "name": name, "creationTimestamp": stamp,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}})
    claim = {"metadata": {"name": "c"}, "spec": {}}
    await default_storage_class.DefaultStorageClass(context(world)).mutate(attributes(claim, res=claims))
    await storage_in_use.StorageObjectInUseProtection(context(world)).mutate(attributes(claim, res=claims))
    assert claim["spec"]["storageClassName"] == "new"
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    bigger = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "new"}}
    smaller = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}},
               "status": {"phase": "Bound"}}
    with pytest.raises(errors.StatusError, match="must support resize"):
        await resize.PersistentVolumeClaimResize(context(world)).validate(
            attributes(bigger, smaller, res=claims, operation="UPDATE"))


async def test_runtime_classes_bring_their_overhead():
    world = fakes.World()
    world.put(runtime_class.RESOURCE, {"metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "1"}},
                                       "scheduling": {"nodeSelector": {"vm": "yes"}}})
    plugin = runtime_class.RuntimeClass(context(world))
    obj = pod(runtimeClassName="vm")
    await plugin.mutate(attributes(obj))
    await plugin.validate(attributes(obj))
    assert obj["spec"]["overhead"] == {"cpu": "1"} and obj["spec"]["nodeSelector"] == {"vm": "yes"}
    with pytest.raises(errors.StatusError, match='pod rejected: RuntimeClass "nope" not found'):
        await plugin.mutate(attributes(pod(runtimeClassName="nope")))


async def test_limit_ranges_fill_in_and_hold_back():
    world = fakes.World()
    world.put("limitranges", {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"},
         "min": {"cpu": "50m"}}, {"type": "Pod", "max": {"memory": "1Gi"}}]}})
    plugin = limit_ranger.LimitRanger(context(world))
    obj = pod()
    await plugin.mutate(attributes(obj))
    assert obj["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}}
    assert obj["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c")
    with pytest.raises(errors.StatusError, match="maximum memory usage per Pod is 1Gi.  No limit is specified"):
        await plugin.validate(attributes(obj))
    obj["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2", "memory": "1Mi"},
                                                 "limits": {"cpu": "2", "memory": "1Mi"}}
    with pytest.raises(errors.StatusError) as caught:
        await plugin.validate(attributes(obj))
    assert refusal(caught) == (403, 'pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2')


def quota(world, hard, used, **spec):
    return world.put("resourcequotas", {"metadata": {"name": "q", "namespace": "default"},
                                        "spec": {"hard": hard} | spec, "status": {"hard": hard, "used": used}})


async def test_quota_is_taken_until_it_is_gone():
    world = fakes.World()
    quota(world, {"pods": "2", "requests.cpu": "1", "count/pods": "5"}, {"pods": "0", "requests.cpu": "0",
                                                                         "count/pods": "0"})
    plugin = resource_quota.ResourceQuota(context(world))

    def asking(name, cpu):
        return pod(name, containers=[{"name": "c", "resources": {"requests": {"cpu": cpu}}}])

    await plugin.validate(attributes(asking("a", "600m")))
    used = world.get("resourcequotas").get("default", "q")["status"]["used"]
    assert used == {"pods": "1", "requests.cpu": "600m", "count/pods": "1"}
    with pytest.raises(errors.StatusError) as caught:
        await plugin.validate(attributes(asking("b", "500m")))
    assert refusal(caught) == (403, 'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: '
                                    "requests.cpu=600m, limited: requests.cpu=1")
    with pytest.raises(errors.StatusError) as caught:
        await plugin.validate(attributes(pod("b")))
    assert caught.value.message == 'pods "b" is forbidden: failed quota: q: must specify requests.cpu for: c'
    await plugin.validate(attributes(asking("b", "400m"), dry_run=True))
    assert world.get("resourcequotas").get("default", "q")["status"]["used"]["pods"] == "1"
    await plugin.validate(attributes(asking("b", "400m")))
    with pytest.raises(errors.StatusError, match="requested: pods=1, used: pods=2, limited: pods=2"):
        await plugin.validate(attributes(asking("c", "0")))


def test_what_objects_use():
    obj = pod(containers=[{"name": "a", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}],
              initContainers=[{"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                              {"name": "init", "resources": {"requests": {"cpu": "3"}}}], overhead={"cpu": "100m"})
    shown = {k: str(v) for k, v in usage.of_pod(obj).items()}
    assert shown["requests.cpu"] == shown["cpu"] == "3600m" and shown["limits.cpu"] == "2100m"
    service = {"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": [{}, {}]}}
    assert {k: str(v) for k, v in usage.of_service(service).items()} == {
        "count/services": "1", "services": "1", "services.loadbalancers": "1", "services.nodeports": "2"}
    assert list(usage.of_object("widgets", "example.com", {})) == ["count/widgets.example.com"]
    best = pod()
    scoped = {"spec": {"scopes": ["BestEffort", "NotTerminating"]}}
    assert usage.matches_scopes(scoped, "pods", "", best)
    assert not usage.matches_scopes(scoped, "pods", "", pod(activeDeadlineSeconds=5))
    assert not usage.matches_scopes(scoped, "services", "", {})


async def test_pod_security_levels():
    world = fakes.World()
    namespace(world, **{"pod-security.kubernetes.io/enforce": "restricted"})
    namespace(world, "base", **{"pod-security.kubernetes.io/enforce": "baseline",
                                "pod-security.kubernetes.io/warn": "restricted"})
    plugin = pod_security.PodSecurity(context(world))
    with pytest.raises(errors.StatusError) as caught:
        await plugin.validate(attributes(pod()))
    assert refusal(caught) == (403, (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" '
        'must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set '
        'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'))
    warned = attributes(pod(), namespace="base")
    await plugin.validate(warned)
    assert warned.warnings[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation')
    wild = pod(hostNetwork=True, volumes=[{"name": "h", "hostPath": {"path": "/"}}],
               containers=[{"name": "c", "ports": [{"hostPort": 80}], "securityContext": {"privileged": True}}])
    with pytest.raises(errors.StatusError) as caught:
        await plugin.validate(attributes(wild, namespace="base"))
    assert caught.value.message.endswith(
        'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true), hostPath volumes (volume "h"), hostPort '
        '(container "c" uses hostPort 80), privileged (container "c" must not set securityContext.privileged=true)')
    good = pod(securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, containers=[
        {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}])
    await plugin.validate(attributes(good))


async def test_kubelets_touch_only_their_own():
    world = fakes.World()
    world.put("nodes", {"metadata": {"name": "n1", "uid": "nu"}})
    plugin = node_restriction.NodeRestriction(context(world))
    n1 = Identity("system:node:n1", groups=("system:nodes",))
    nodes = fakes.resource("nodes", "Node", namespaced=False)

    async def refused(match, *args, **kwargs):
        with pytest.raises(errors.StatusError, match=match) as caught:
            asked = attributes(*args, user=n1, **kwargs)
            await plugin.mutate(asked)
            await plugin.validate(asked)
        assert caught.value.code == 403

    await refused('node "n1" is not allowed to modify node "n2"', {"metadata": {"name": "n2"}}, res=nodes, namespace="")
    await refused("not allowed to set the following labels: x.node-restriction.kubernetes.io/y",
                  {"metadata": {"name": "n1", "labels": {"x.node-restriction.kubernetes.io/y": "", "mine/z": "",
                                                         "kubernetes.io/hostname": "n1"}}}, res=nodes, namespace="")
    await refused("can only create mirror pods", pod(node="n1"))
    mirror = pod(node="n1")
    mirror["metadata"] |= {"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [
        {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "nu", "controller": True}]}
    await plugin.validate(attributes(mirror, user=n1))
    await refused("can only delete pods with spec.nodeName set to itself", None, pod(node="n2"), operation="DELETE")
    await plugin.validate(attributes(None, pod(node="n1"), operation="DELETE", user=n1))
    world.put("pods", pod(node="n2"))
    request = {"metadata": {"name": "sa"}, "spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p",
                                                                       "uid": "uid-p"}}}
    await refused("scheduled on a different node", request, sub="token",
                  res=fakes.resource("serviceaccounts", "ServiceAccount"))


async def test_certificate_requests_need_the_right_to_their_signer():
    asked = []

    class Nobody(fakes.AllowAll):
        async def authorize(self, user, info):
            asked.append((info.verb, info.plural, info.name))
            return fakes_decision("no-opinion")

    from kubewheel.apiserver.attributes import Decision as fakes_decision

    plugin = certificates.CertificateApproval(context(fakes.World(), Nobody()))
    res = fakes.resource("certificatesigningrequests", "CertificateSigningRequest", "certificates.k8s.io", namespaced=False)
    obj = {"metadata": {"name": "c"}, "spec": {"signerName": "example.com/a"}}
    with pytest.raises(errors.StatusError, match='user not permitted to approve requests with signerName "example.com/a"'):
        await plugin.validate(attributes(obj, obj, res=res, operation="UPDATE", sub="approval", namespace="",
                                         user=Identity("jane")))
    assert asked == [("approve", "signers", "example.com/a"), ("approve", "signers", "example.com/*")]
