from controllers_kit import pod, ready_for_pods

from kubewheel.controllers import attachdetach
from kubewheel.testing import with_cluster

PVC, PV = "persistentvolumeclaims", "persistentvolumes"
NAMES = "persistentvolume-binder-controller,persistentvolume-attach-detach-controller,ephemeral-volume-controller"


def test_what_must_be_attached():
    def volume(driver):
        return {"metadata": {"name": "v"}, "spec": {"csi": {"driver": driver, "volumeHandle": "h"}}}

    user = pod("p", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}])
    free = {"d2": {"spec": {"attachRequired": False}}}

    def say(pods, pv):
        return set(attachdetach.wanted(pods, lambda ns, name: pv, free))

    assert say([user], volume("d1")) == {"kubernetes.io/csi/d1^h"}
    assert say([user], volume("d2")) == set() and say([user], None) == set()
    assert say([{**user, "status": {"phase": "Succeeded"}}], volume("d1")) == set()


@with_cluster(virtual_time=True, nodes=1, scheduler=False, controllers=NAMES)
async def test_an_ephemeral_claim_is_attached_and_detached(cluster):
    client = cluster.client
    await ready_for_pods(cluster)
    await client.create(PV, {"metadata": {"name": "v"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
        "csi": {"driver": "d1", "volumeHandle": "h"}}})
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}
    made = await client.create("pods", pod("p", nodeName="node-0", volumes=[
        {"name": "d", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": spec}}}]))
    claim = await cluster.wait_for(PVC, "p-d", lambda c: c["status"]["phase"] == "Bound")
    assert claim["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert claim["metadata"]["labels"] == {"a": "b"}

    async def attachments():
        return (await client.list(attachdetach.ATTACHMENTS))["items"]

    (attachment,) = await cluster.wait_until(attachments)
    assert attachment["spec"] == {"attacher": "d1", "nodeName": "node-0", "source": {"persistentVolumeName": "v"}}
    await client.update_status(attachdetach.ATTACHMENTS, {**attachment, "status": {"attached": True}})
    wanted = [{"name": "kubernetes.io/csi/d1^h", "devicePath": ""}]
    await cluster.wait_for("nodes", "node-0", lambda n: n["status"].get("volumesAttached") == wanted, namespace=None)
    await client.delete("pods", "p", namespace="default")

    async def none_left():
        return not await attachments()

    await cluster.wait_until(none_left)
    await cluster.wait_for("nodes", "node-0", lambda n: not n["status"].get("volumesAttached"), namespace=None)
