from controllers_kit import pod, ready_for_pods

from kubewheel.controllers import resourcequota
from kubewheel.testing import with_cluster


def quota_of(hard, **spec):
    return {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard, **spec}}


def test_names_tell_what_is_counted():
    for name, wanted in {"pods": ("pods", ""), "limits.cpu": ("pods", ""),
                         "requests.storage": ("persistentvolumeclaims", ""),
                         "services.nodeports": ("services", ""), "count/jobs.batch": ("jobs", "batch"),
                         "count/widgets.x.example.com": ("widgets", "x.example.com"), "secrets": ("secrets", ""),
                         "fast.storageclass.storage.k8s.io/requests.storage": ("persistentvolumeclaims", "")}.items():
        assert resourcequota.resource_of(name) == wanted


def test_sums_leave_out_ended_pods_and_other_scopes():
    ended = pod("c") | {"status": {"phase": "Succeeded"}}
    items = {("pods", ""): [pod("a"), pod("b", cpu="1"), ended]}
    assert resourcequota.used_by(quota_of({"pods": "5", "requests.cpu": "2", "count/pods": "9"}), items) == {
        "pods": "2", "requests.cpu": "1100m", "count/pods": "3"}
    assert resourcequota.used_by(quota_of({"pods": "5"}, scopes=["BestEffort"]), items) == {"pods": "0"}
    assert resourcequota.used_by(quota_of({"pods": "5", "count/jobs.batch": "1"}), items) == {"pods": "2"}


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="resourcequota-controller")
async def test_usage_is_counted_and_given_back(cluster):
    client = cluster.client
    await ready_for_pods(cluster)
    await client.create("pods", pod("first"))
    await client.create("resourcequotas", quota_of({"pods": "2", "count/configmaps": "10", "count/jobs.batch": "1"}))
    found = await cluster.wait_for("resourcequotas", "q", lambda q: (q.get("status") or {}).get("used"))
    assert found["status"]["hard"] == {"pods": "2", "count/configmaps": "10", "count/jobs.batch": "1"}
    assert found["status"]["used"]["pods"] == "1" and found["status"]["used"]["count/jobs.batch"] == "0"
    before = int(found["status"]["used"]["count/configmaps"])
    await client.create("pods", pod("second"))
    await client.create("configmaps", {"metadata": {"name": "c", "namespace": "default"}})
    await cluster.wait_for("resourcequotas", "q", lambda q: q["status"]["used"]["pods"] == "2")
    await client.delete("configmaps", "c", namespace="default")
    await client.delete("pods", "first", namespace="default", grace=0)
    await cluster.wait_for("resourcequotas", "q", lambda q: q["status"]["used"] == {
        "pods": "1", "count/configmaps": str(before), "count/jobs.batch": "0"})
