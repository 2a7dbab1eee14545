"""DELETE over the wire: options, preconditions, grace, policies, what is answered and what watchers see."""

import pytest
from tests.apiserver.wire import account, config_map, pod, send

from kubewheel.api.catalog import RESOURCES
from kubewheel.apiserver.verbs import delete
from kubewheel.client.transport import Identity
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CMS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"
UNSAFE = "ignoreStoreReadErrorWithClusterBreakingPotential"


def hub(plural):
    return next(r for r in RESOURCES if r.qualified == plural and r.hub in (None, r.gvr))


@pytest.mark.parametrize("before, options, after", [
    # (deletionTimestamp, grace, finalizers) -> the same and whether it is gone
    ((None, None, None), {}, ("1970-01-01T00:17:10Z", 30, None, False)),
    ((None, None, None), {"gracePeriodSeconds": 0}, ("1970-01-01T00:16:40Z", 0, None, True)),
    ((None, None, None), {"gracePeriodSeconds": -7}, ("1970-01-01T00:16:41Z", 1, None, False)),
    ((None, None, ["x/y"]), {"gracePeriodSeconds": 0}, ("1970-01-01T00:16:40Z", 0, ["x/y"], False)),
    (("1970-01-01T00:17:10Z", 30, None), {"gracePeriodSeconds": 5}, ("1970-01-01T00:16:45Z", 5, None, False)),
    (("1970-01-01T00:17:10Z", 30, None), {"gracePeriodSeconds": 60, "propagationPolicy": "Orphan"},
     ("1970-01-01T00:17:10Z", 30, None, False)),
    (("1970-01-01T00:17:10Z", 30, None), {}, ("1970-01-01T00:17:10Z", 30, None, False)),
    (("1970-01-01T00:16:40Z", 0, ["x/y"]), {"propagationPolicy": "Foreground"},
     ("1970-01-01T00:16:40Z", 0, ["x/y", "foregroundDeletion"], False)),
])
def test_how_a_pod_is_marked(before, options, after):
    stamp, grace, finalizers = before
    meta = {"name": "p", "deletionTimestamp": stamp, "deletionGracePeriodSeconds": grace, "finalizers": finalizers}
    old = {"metadata": {k: v for k, v in meta.items() if v is not None}, "spec": {"nodeName": "n"}, "status": {}}
    new, gone = delete.mark(hub("pods"), old, options, now=1000.0)
    meta = new["metadata"]
    assert (meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds"), meta.get("finalizers"), gone) == after


@pytest.mark.parametrize("plural, finalizers, options, kept", [
    ("configmaps", [], {}, None), ("configmaps", [], {"orphanDependents": True}, ["orphan"]),
    ("configmaps", ["orphan"], {}, ["orphan"]), ("configmaps", ["orphan"], {"propagationPolicy": "Background"}, None),
    ("configmaps", ["orphan", "a/b"], {"propagationPolicy": "Foreground"}, ["a/b", "foregroundDeletion"]),
    ("jobs.batch", [], {}, ["orphan"]), ("jobs.batch", [], {"propagationPolicy": "Background"}, None),
    ("jobs.batch", ["foregroundDeletion"], {}, ["foregroundDeletion"]), ("replicationcontrollers", [], {}, ["orphan"]),
    ("events", [], {"propagationPolicy": "Orphan"}, None),
])
def test_the_finalizer_of_the_policy(plural, finalizers, options, kept):
    old = {"metadata": {"name": "p", "generation": 4, **({"finalizers": finalizers} if finalizers else {})}}
    new, gone = delete.mark(hub(plural), old, options, now=1000.0)
    assert new["metadata"].get("finalizers") == kept and gone is (kept is None)
    assert new["metadata"]["generation"] == (4 if gone else 5), "what goes at once is not written again"


@bare
async def test_options_and_what_is_said_of_them(cluster):
    await cluster.client.create("configmaps", config_map("o"))
    whole = {"propagationPolicy": "Orphan", "orphanDependents": True}
    refused = await send(cluster, "DELETE", CMS + "/o", whole)
    assert refused.status == 422 and refused.json["message"] == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": '
        "orphanDependents and deletionPropagation cannot be both set")
    refused = await send(cluster, "DELETE", CMS + "/o", {UNSAFE: True, "gracePeriodSeconds": 1, "dryRun": ["All"]})
    assert [c["message"] for c in refused.json["details"]["causes"]] == [
        "Invalid value: true: cannot be set together with .dryRun",
        "Invalid value: true: cannot be set together with .gracePeriodSeconds"]
    refused = await send(cluster, "DELETE", CMS, {UNSAFE: True})
    assert "is not allowed with DELETECOLLECTION, try again after removing the option" in refused.json["message"]
    for wanted, text in (({"uid": "u"}, "the UID in the precondition (u) does not match the UID in record ("),
                         ({"resourceVersion": "1"}, "the ResourceVersion in the precondition (1) does not match the ")):
        refused = await send(cluster, "DELETE", CMS + "/o", {"preconditions": wanted})
        assert refused.status == 409 and refused.json["message"].startswith(
            f'Operation cannot be fulfilled on ConfigMap "o": {text}')
    kept = await send(cluster, "DELETE", CMS + "/o?propagationPolicy=Orphan", {"propagationPolicy": "Background"})
    assert kept.json["kind"] == "Status", "where there is a body, the query does not count"


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_deleting_the_unreadable_takes_a_permission(cluster):
    await cluster.server.bootstrap.wait_ready()
    await cluster.client.create("configmaps", config_map("o"))
    await cluster.client.create("clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": "deleter"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}]})
    await cluster.client.create("clusterrolebindings.rbac.authorization.k8s.io", {
        "metadata": {"name": "deleter"}, "subjects": [{"kind": "User", "name": "jane"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deleter"}})
    await cluster.server.watch_cache.fresh()
    jane = Identity("jane", groups=("system:authenticated",))
    await cluster.wait_for("configmaps", "o")
    refused = await send(cluster, "DELETE", CMS + "/o", {UNSAFE: True}, user=jane)
    assert refused.status == 403 and 'not permitted to do "unsafe-delete-ignore-read-errors"' in refused.json["message"]
    readable = await send(cluster, "DELETE", CMS + "/o", {UNSAFE: True})
    assert readable.status == 422 and readable.json["message"] == (
        f'configmaps "o" is invalid: {UNSAFE}: Invalid value: true: is exclusively used to delete corrupt object(s), try '
        "again by removing this option")
    store, key = cluster.server.store, "/registry/configmaps/default/o"
    await store.update(key, b"no JSON at all", expected=(await store.get(key)).revision)
    assert (await send(cluster, "DELETE", CMS + "/o")).status == 500
    assert (await send(cluster, "DELETE", CMS + "/o", {UNSAFE: True})).json["status"] == "Success"
    assert await store.get(key) is None
    cluster.server.options.feature_gates["AllowUnsafeMalformedObjectDeletion"] = False
    await cluster.client.create("configmaps", config_map("o"))
    assert (await send(cluster, "DELETE", CMS + "/o", {UNSAFE: True})).status == 200, "without the gate it says nothing"


@bare
async def test_what_is_answered(cluster):
    client = cluster.client
    made = await client.create("configmaps", config_map("a"))
    gone = (await send(cluster, "DELETE", CMS + "/a")).json
    assert gone == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}}
    again = await send(cluster, "DELETE", CMS + "/a")
    assert again.status == 404 and again.json["message"] == 'configmaps "a" not found'
    await client.create("configmaps", config_map("b", finalizers=["example.com/hold"]))
    kept = await send(cluster, "DELETE", CMS + "/b?orphanDependents=false")
    assert kept.status == 202 and kept.json["metadata"]["deletionGracePeriodSeconds"] == 0
    twice = await send(cluster, "DELETE", CMS + "/b")
    assert twice.status == 200 and twice.json["metadata"]["resourceVersion"] == kept.json["metadata"]["resourceVersion"]
    taken = await send(cluster, "POST", CMS, config_map("b"))
    assert taken.status == 409 and taken.json["message"] == 'object is being deleted: configmaps "b" already exists'
    moved = await send(cluster, "PATCH", CMS + "/b", {"metadata": {
        "deletionTimestamp": "2001-01-01T00:00:00Z", "labels": {"a": "b"}}}, content_type=MERGE)
    assert moved.json["metadata"]["deletionTimestamp"] == kept.json["metadata"]["deletionTimestamp"]
    last = await send(cluster, "PATCH", CMS + "/b", {"metadata": {"finalizers": []}}, content_type=MERGE)
    assert last.status == 200 and last.json["kind"] == "ConfigMap"
    assert last.json["metadata"]["resourceVersion"] == moved.json["metadata"]["resourceVersion"]
    assert await client.find("configmaps", "b", namespace="default") is None


@bare
async def test_jobs_keep_their_pods_unless_told_otherwise(cluster):
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    job = {"metadata": {"name": "j"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}
    assert (await send(cluster, "POST", jobs, job)).status == 201
    kept = await send(cluster, "DELETE", jobs + "/j")
    assert kept.json["metadata"]["finalizers"] == ["orphan"] and len(kept.warnings) == 1
    assert kept.warnings[0].startswith("child pods are preserved by default when jobs are deleted; set propagationPolicy=")
    gone = await send(cluster, "DELETE", jobs + "/j?propagationPolicy=Background")
    assert gone.json["status"] == "Success" and not gone.warnings


@bare
async def test_watchers_see_a_pod_marked_before_it_goes(cluster):
    await account(cluster)
    await cluster.client.create("pods", pod("p", nodeName="somewhere"))
    watch = await send(cluster, "GET", PODS + "?watch=1")
    first = (await send(cluster, "DELETE", PODS + "/p")).json["metadata"]
    gone = (await send(cluster, "DELETE", PODS + "/p?gracePeriodSeconds=0")).json
    events = await watch.lines(4)
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    graces = [e["object"]["metadata"].get("deletionGracePeriodSeconds") for e in events]
    assert graces == [None, 30, 0, 0] and first["deletionGracePeriodSeconds"] == 30
    assert gone["metadata"]["resourceVersion"] == events[3]["object"]["metadata"]["resourceVersion"]


@bare
async def test_collections(cluster):
    client = cluster.client
    for i in range(6):
        held = {"finalizers": ["example.com/hold"]} if i == 1 else {}
        await client.create("configmaps", config_map(f"c-{i}", labels={"l": "odd" if i % 2 else "even"}, **held))
    found = (await send(cluster, "DELETE", CMS + "?labelSelector=l%3Dodd&limit=2")).json
    assert [i["metadata"]["name"] for i in found["items"]] == ["c-1", "c-3"] and found["metadata"]["continue"]
    left = [c["metadata"]["name"] for c in (await client.list("configmaps", namespace="default"))["items"]]
    assert left == ["c-0", "c-1", "c-2", "c-4", "c-5"], "c-1 is held by its finalizer"
    refused = await send(cluster, "DELETE", CMS, {"preconditions": {"uid": "another"}})
    assert refused.status == 409
    assert (await send(cluster, "DELETE", CMS + "?fieldSelector=metadata.name%3Dc-0")).status == 200
    assert (await send(cluster, "DELETE", CMS + "?resourceVersionMatch=Exact")).status == 422
    assert await client.find("configmaps", "c-0", namespace="default") is None
    assert await client.find("configmaps", "c-2", namespace="default") is not None
    assert (await send(cluster, "DELETE", "/api/v1/namespaces")).status == 405


@bare
async def test_a_namespace_goes_in_two_steps(cluster):
    client = cluster.client
    await client.create("namespaces", {"metadata": {"name": "n"}})
    going = (await send(cluster, "DELETE", "/api/v1/namespaces/n?propagationPolicy=Foreground")).json
    assert going["status"]["phase"] == "Terminating" and "deletionGracePeriodSeconds" not in going["metadata"]
    assert going["metadata"]["finalizers"] == ["foregroundDeletion"] and going["spec"]["finalizers"] == ["kubernetes"]
    again = (await send(cluster, "DELETE", "/api/v1/namespaces/n")).json
    assert again["metadata"]["resourceVersion"] == going["metadata"]["resourceVersion"]
    late = await send(cluster, "POST", "/api/v1/namespaces/n/configmaps", config_map("x", "n"))
    assert late.status == 403 and late.json["details"]["causes"] == [{
        "reason": "NamespaceTerminating", "message": "namespace n is being terminated", "field": "metadata.namespace"}]
    nowhere = await send(cluster, "POST", "/api/v1/namespaces/none/configmaps", config_map("x", "none"))
    assert nowhere.status == 404 and nowhere.json["message"] == 'namespaces "none" not found'
