import asyncio
from pathlib import Path

from controllers_kit import pod, ready_for_pods

from kubewheel.controllers.persistentvolume import match, protection, reclaim
from kubewheel.testing import with_cluster

NAMES = ",".join(("persistentvolume-binder-controller", "persistentvolume-protection-controller",
                  "persistentvolumeclaim-protection-controller", "persistentvolume-expander-controller"))
PV, PVC = "persistentvolumes", "persistentvolumeclaims"


def volume(name, size="1Gi", *, phase="Available", labels=None, **spec):
    return {"metadata": {"name": name, "labels": labels or {}}, "status": {"phase": phase}, "spec": {
        "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/none/" + name},
        "storageClassName": "", **spec}}


def claim(name, size="1Gi", **spec):
    return {"metadata": {"name": name, "namespace": "default", "uid": "u-" + name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "", **spec}}


def without_uid(obj):
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "uid"}}


def test_the_smallest_that_fits():
    volumes = [volume("big", "10Gi"), volume("mid", "5Gi"), volume("small", "1Gi"), volume("used", "4Gi", claimRef={
        "namespace": "default", "name": "other", "uid": "x"}), volume("unknown", "3Gi", phase="Pending"),
        volume("red", "20Gi", labels={"color": "red"}), volume("many", "4Gi", storageClassName="x")]

    def say(**kwargs):
        late = kwargs.pop("late", False)
        found = match.find(claim("c", **kwargs), volumes, late=late)
        return found and found["metadata"]["name"]

    assert say(size="2Gi") == "mid" and say(size="1Gi") == "small" and say(size="50Gi") is None
    assert say(size="1Gi", selector={"matchLabels": {"color": "red"}}) == "red"
    assert say(size="1Gi", accessModes=["ReadWriteMany"]) is None and say(size="1Gi", volumeMode="Block") is None
    assert say(size="1Gi", storageClassName="x") == "many" and say(size="1Gi", late=True) is None
    volumes.append(volume("mine", "9Gi", claimRef={"namespace": "default", "name": "c"}))
    assert say(size="1Gi") == "mine" and say(size="1Gi", late=True) == "mine"


def test_finalizers_and_deleters():
    going = {"metadata": {"name": "c", "deletionTimestamp": "x", "finalizers": ["kubernetes.io/pvc-protection"]}}
    assert protection.plan(going, protection.CLAIM_FINALIZER, True) is None
    assert protection.plan(going, protection.CLAIM_FINALIZER, False)["metadata"]["finalizers"] == []
    assert protection.plan({"metadata": {}}, "f", False)["metadata"]["finalizers"] == ["f"]
    assert reclaim.deletable(volume("a")) == ("path", "/tmp/none/a")
    assert reclaim.deletable(volume("a", hostPath={"path": "/tmp/../etc"}))[0] == "no"
    assert reclaim.deletable(volume("a", hostPath=None, csi={"driver": "d"}))[0] == "external"


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=NAMES)
async def test_bind_keep_while_used_release_delete(cluster, tmp_path):
    client = cluster.client
    await ready_for_pods(cluster)
    await client.create(PVC, without_uid(claim("data")))
    await cluster.wait_for(PVC, "data", lambda c: c["status"]["phase"] == "Pending")
    await client.create(PV, volume("v", persistentVolumeReclaimPolicy="Delete"))
    bound = await cluster.wait_for(PVC, "data", lambda c: c["status"]["phase"] == "Bound")
    assert bound["spec"]["volumeName"] == "v" and bound["status"]["capacity"] == {"storage": "1Gi"}
    assert bound["metadata"]["annotations"][match.BIND_COMPLETED] == "yes"
    await cluster.wait_for(PV, "v", lambda v: v["status"]["phase"] == "Bound", namespace=None)

    await client.create("pods", pod("p", nodeName="n", volumes=[
        {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]))
    await client.delete(PVC, "data", namespace="default")
    await client.delete(PV, "v")
    await asyncio.sleep(30)
    assert await client.find(PVC, "data", namespace="default") and await client.find(PV, "v")
    await client.delete("pods", "p", namespace="default", grace=0)
    await cluster.wait_gone(PVC, "data")
    await cluster.wait_gone(PV, "v", namespace=None)


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=NAMES)
async def test_retain_lost_and_named(cluster):
    client = cluster.client
    await client.create(PV, volume("kept", persistentVolumeReclaimPolicy="Retain"))
    await client.create(PV, volume("bad", persistentVolumeReclaimPolicy="Delete", hostPath={"path": "/var/x"}))
    for name, target in (("a", "kept"), ("b", "bad")):
        await client.create(PVC, without_uid(claim(name, volumeName=target)))
        await cluster.wait_for(PVC, name, lambda c: c["status"]["phase"] == "Bound")
        await client.delete(PVC, name, namespace="default")
    await cluster.wait_for(PV, "kept", lambda v: v["status"]["phase"] == "Released", namespace=None)
    failed = await cluster.wait_for(PV, "bad", lambda v: v["status"]["phase"] == "Failed", namespace=None)
    assert "only supports /tmp/" in failed["status"]["message"]

    await client.create(PV, volume("gone"))
    await client.create(PVC, without_uid(claim("c", volumeName="gone")))
    await cluster.wait_for(PVC, "c", lambda c: c["status"]["phase"] == "Bound")
    live = await client.get(PV, "gone")
    await client.update(PV, {**live, "metadata": {**live["metadata"], "finalizers": []}})
    await client.delete(PV, "gone")
    found = await client.find(PV, "gone")
    if found is not None:  # the finalizer came back first
        await client.patch(PV, "gone", {"metadata": {"finalizers": None}})
    await cluster.wait_for(PVC, "c", lambda c: c["status"]["phase"] == "Lost")


@with_cluster(virtual_time=True, nodes=1, controllers="serviceaccount-controller,node-lifecycle-controller," + NAMES)
async def test_late_claims_wait_for_the_scheduler(cluster):
    client = cluster.client
    await client.create("storageclasses.storage.k8s.io", {"metadata": {"name": "local"},
                        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"})
    await client.create("storageclasses.storage.k8s.io", {"metadata": {"name": "outside"}, "provisioner": "example.com/x"})
    await client.create(PV, volume("v", storageClassName="local"))
    await client.create(PVC, without_uid(claim("data", storageClassName="local")))
    await client.create(PVC, without_uid(claim("other", storageClassName="outside")))
    await cluster.wait_for("serviceaccounts", "default")

    async def events():
        found = (await client.list("events", namespace="default"))["items"]
        return {"WaitForFirstConsumer", "ExternalProvisioning"} <= {e["reason"] for e in found}

    await cluster.wait_until(events)
    assert (await client.get(PVC, "data", namespace="default"))["status"]["phase"] == "Pending"
    other = await client.get(PVC, "other", namespace="default")
    assert other["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"] == "example.com/x"
    await client.create("pods", pod("p", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]))
    await cluster.wait_for(PVC, "data", lambda c: c["status"]["phase"] == "Bound")
    await cluster.wait_for("pods", "p", lambda p: p["spec"].get("nodeName") == "node-0")


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=NAMES,
              controller_options={"enable-hostpath-provisioner": True})
async def test_a_host_path_is_made_and_removed(cluster):
    client = cluster.client
    await client.create("storageclasses.storage.k8s.io", {"metadata": {"name": "host"},
                                                          "provisioner": "kubernetes.io/host-path"})
    await client.create(PVC, without_uid(claim("data", storageClassName="host")))
    bound = await cluster.wait_for(PVC, "data", lambda c: c["status"]["phase"] == "Bound")
    name = bound["spec"]["volumeName"]
    path = Path((await client.get(PV, name))["spec"]["hostPath"]["path"])
    assert path.is_dir() and name == f"pvc-{bound['metadata']['uid']}"
    await client.delete(PVC, "data", namespace="default")
    await cluster.wait_gone(PV, name, namespace=None)
    assert not path.exists()


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="volumeattributesclass-protection-controller")
async def test_an_attributes_class_stays_while_it_is_named(cluster):
    client = cluster.client
    await client.create(protection.ATTRIBUTES, {"metadata": {"name": "fast"}, "driverName": "d", "parameters": {"a": "b"}})
    await client.create(PVC, without_uid(claim("data", volumeAttributesClassName="fast")))
    await client.delete(protection.ATTRIBUTES, "fast")
    await asyncio.sleep(30)
    assert await client.find(protection.ATTRIBUTES, "fast")
    await client.patch(PVC, "data", {"metadata": {"finalizers": None}}, namespace="default")
    await client.delete(PVC, "data", namespace="default")
    await cluster.wait_gone(protection.ATTRIBUTES, "fast", namespace=None)
