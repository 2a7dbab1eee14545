from controllers_kit import pod, ready_for_pods

from kubewheel.controllers import resourceclaim
from kubewheel.testing import with_cluster

CLAIMS = resourceclaim.CLAIMS


def claim(*uids, owner="Pod", **meta):
    return {"metadata": {"name": "c", "ownerReferences": [{"kind": owner, "controller": True, "uid": "o", "name": "o"}],
                         **meta}, "status": {"allocation": {"devices": {}}, "reservedFor": [
                             {"resource": "pods", "name": u, "uid": u} for u in uids]}}


def test_reservations_end_with_their_pods():
    assert resourceclaim.settled(claim("a", "b"), {"b"})["status"]["reservedFor"] == [
        {"resource": "pods", "name": "a", "uid": "a"}]
    assert resourceclaim.settled(claim("a"), {"a"})["status"] == {}  # and is deallocated: it was the pod's own
    assert resourceclaim.settled(claim("a", owner="Job"), {"a"})["status"] == {"allocation": {"devices": {}}}
    same = claim("a")
    assert resourceclaim.settled(same, set()) is same


@with_cluster(virtual_time=True, nodes=1, scheduler=False, controllers="resourceclaim-controller")
async def test_a_claim_lives_as_long_as_its_pod(cluster):
    client = cluster.client
    await ready_for_pods(cluster)
    await client.create("pods", pod("p", restartPolicy="Never", resourceClaims=[
        {"name": "gpu", "resourceClaimTemplateName": "t"}]))
    await client.create(resourceclaim.TEMPLATES, {"metadata": {"name": "t", "namespace": "default"}, "spec": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"devices": {"requests": [
            {"name": "r", "exactly": {"deviceClassName": "c"}}]}}}})
    live = await cluster.wait_for("pods", "p", lambda p: (p.get("status") or {}).get("resourceClaimStatuses"))
    (entry,) = live["status"]["resourceClaimStatuses"]
    made = await client.get(CLAIMS, entry["resourceClaimName"], namespace="default")
    assert made["metadata"]["generateName"] == "p-gpu-" and made["metadata"]["labels"] == {"a": "b"}
    await client.update_status("pods", {**live, "status": {**live["status"], "phase": "Succeeded"}})
    await cluster.wait_gone(CLAIMS, entry["resourceClaimName"])
