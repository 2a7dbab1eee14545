"""The official Python client: generated classes over every field, its dynamic client, and its watch."""

import datetime
import threading

import kubernetes
import pytest
from kubernetes import client, dynamic, watch
from kubernetes.client import exceptions

pytestmark = pytest.mark.usefixtures("no_leftovers")

WEB = {"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
    "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}}


@pytest.fixture(scope="module")
def api(served):
    with kubernetes.config.new_client_from_config(served.config) as made:
        made.user_agent = "official-python"
        yield made


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"made": "here"}), data=data)


def test_typed_objects_and_every_kind_of_patch(served, namespace, api):
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    made = apps.create_namespaced_deployment(namespace, WEB)
    assert made.spec.strategy.rolling_update.max_surge == "25%" and made.metadata.generation == 1
    assert isinstance(made.metadata.creation_timestamp, datetime.datetime)
    scale = apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 3}})
    assert scale.spec.replicas == 3 and scale.status.selector == "app=web"
    served.wait_for("deployments.apps", "web", lambda d: d["status"].get("readyReplicas") == 3, namespace=namespace)
    read = apps.read_namespaced_deployment_status("web", namespace)
    assert {c.type: c.status for c in read.status.conditions} == {"Available": "True", "Progressing": "True"}
    # The generated client picks the content type by the body: strategic for objects, JSON patch for lists.
    said = apps.patch_namespaced_deployment("web", namespace, {"spec": {"template": {"spec": {"containers": [
        {"name": "main", "env": [{"name": "A", "value": "1"}]}]}}}})
    assert said.spec.template.spec.containers[0].image == "example/web:1"
    said = apps.patch_namespaced_deployment("web", namespace, [{"op": "replace", "path": "/spec/replicas", "value": 1}])
    assert said.spec.replicas == 1
    applied = core.patch_namespaced_config_map(
        "applied", namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}},
        field_manager="official", force=True, _content_type="application/apply-patch+yaml")
    assert applied.metadata.managed_fields[0].operation == "Apply"
    served.wait_for("deployments.apps", "web", lambda d: d["status"].get("observedGeneration") == d["metadata"]["generation"]
                    and d["status"].get("replicas") == d["status"].get("readyReplicas") == 1, namespace=namespace)
    pods = core.list_namespaced_pod(namespace, label_selector="app=web", field_selector="status.phase=Running")
    assert all(p.status.container_statuses[0].state.running.started_at for p in pods.items)
    (pod,) = [p.metadata.name for p in pods.items if p.metadata.deletion_timestamp is None]
    eviction, policy = client.V1Eviction(metadata=client.V1ObjectMeta(name=pod)), client.PolicyV1Api(api)
    policy.create_namespaced_pod_disruption_budget(namespace, {
        "metadata": {"name": "all"}, "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"app": "web"}}}})
    served.wait_for("poddisruptionbudgets.policy", "all", lambda b: b.get("status", {}).get("observedGeneration"),
                    namespace=namespace)
    with pytest.raises(exceptions.ApiException) as refused:
        core.create_namespaced_pod_eviction(pod, namespace, eviction)
    assert refused.value.status == 429
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.value.body
    policy.delete_namespaced_pod_disruption_budget("all", namespace)
    assert core.create_namespaced_pod_eviction(pod, namespace, eviction) is not None
    served.wait_gone("pods", pod, namespace=namespace)
    token = core.create_namespaced_service_account_token("default", namespace, client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=["me"], expiration_seconds=600)))
    review = client.AuthenticationV1Api(api).create_token_review(client.V1TokenReview(
        spec=client.V1TokenReviewSpec(token=token.status.token, audiences=["me"])))
    assert review.status.user.username == f"system:serviceaccount:{namespace}:default"
    assert client.VersionApi(api).get_code().git_version == "v1.37.0"


def test_errors_carry_a_status(namespace, api):
    core = client.CoreV1Api(api)
    with pytest.raises(exceptions.ApiException) as refused:
        core.read_namespaced_config_map("none", namespace)
    assert (refused.value.status, refused.value.reason) == (404, "Not Found")
    assert '"reason":"NotFound"' in refused.value.body.replace(" ", "")
    made = core.create_namespaced_config_map(namespace, config_map("one", a="1"))
    core.replace_namespaced_config_map("one", namespace, config_map("one", a="2"))
    with pytest.raises(exceptions.ApiException) as refused:
        core.replace_namespaced_config_map("one", namespace, made)
    assert refused.value.status == 409 and "the object has been modified" in refused.value.body
    with pytest.raises(exceptions.ApiException) as refused:
        core.delete_namespaced_config_map("one", namespace, body=client.V1DeleteOptions(
            preconditions=client.V1Preconditions(uid="other")))
    assert refused.value.status == 409 and "The object might have been deleted and then recreated" in refused.value.body
    with pytest.raises(exceptions.ApiException) as refused:
        core.create_namespaced_config_map(namespace, config_map("Bad_Name"))
    assert refused.value.status == 422


def test_pages_are_one_snapshot(namespace, api):
    core = client.CoreV1Api(api)
    for n in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"c{n}", n=str(n)))
    names, token, revisions = [], None, set()
    while True:
        page = core.list_namespaced_config_map(namespace, limit=2, _continue=token, label_selector="made=here")
        names += [c.metadata.name for c in page.items]
        revisions.add(page.metadata.resource_version)
        token = page.metadata._continue
        if not names[2:]:  # after the first page: what changes now is not seen
            core.delete_namespaced_config_map("c4", namespace)
        if not token:
            break
    assert names == ["c0", "c1", "c2", "c3", "c4"] and len(revisions) == 1
    gone = core.delete_collection_namespaced_config_map(namespace, label_selector="made=here")
    assert gone is not None and core.list_namespaced_config_map(namespace, label_selector="made=here").items == []


def test_a_watch_resumes_where_it_was(namespace, api):
    core = client.CoreV1Api(api)
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("one", a="1"))
    seen = []
    first = watch.Watch()
    for event in first.stream(core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        first.stop()
    core.patch_namespaced_config_map("one", namespace, {"data": {"a": "2"}})
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"made": "elsewhere"}}})
    core.delete_namespaced_config_map("one", namespace)
    # The same Watch remembers the revision it came to; nothing between the two streams is lost.
    for event in first.stream(core.list_namespaced_config_map, namespace, resource_version=first.resource_version,
                              timeout_seconds=20):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            first.stop()
    assert seen == [("ADDED", "one"), ("MODIFIED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    # With a selector, what leaves it is deleted to the watcher.
    core.create_namespaced_config_map(namespace, config_map("two"))
    listed = core.list_namespaced_config_map(namespace, label_selector="made=here")
    core.patch_namespaced_config_map("two", namespace, {"metadata": {"labels": {"made": None}}})
    second = watch.Watch()
    for event in second.stream(core.list_namespaced_config_map, namespace, label_selector="made=here",
                               resource_version=listed.metadata.resource_version, timeout_seconds=20):
        assert (event["type"], event["object"].metadata.name) == ("DELETED", "two")
        second.stop()
    # A watch that has had its time ends in good order.
    assert list(watch.Watch().stream(core.list_namespaced_config_map, namespace, label_selector="made=nowhere",
                                     timeout_seconds=1)) == []


def test_the_dynamic_client_discovers(served, namespace, api):
    found = dynamic.DynamicClient(api)
    crds = found.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    crds.create(body={"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                      "metadata": {"name": "boats.sea.example.com"}, "spec": {
                          "group": "sea.example.com", "scope": "Namespaced",
                          "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "shortNames": ["bt"]},
                          "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                                            "spec": {"type": "object", "properties": {"sails": {"type": "integer", "default": 2}}},
                                            "status": {"type": "object", "properties": {"afloat": {"type": "boolean"}}}}}}}]}})
    served.wait_for("customresourcedefinitions.apiextensions.k8s.io", "boats.sea.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in c["status"]["conditions"] or ()), namespace=None)
    boats = found.resources.get(api_version="sea.example.com/v1", kind="Boat")
    assert boats.name == "boats" and boats.namespaced and set(boats.subresources) == {"status"}
    made = boats.create(namespace=namespace, body={
        "apiVersion": "sea.example.com/v1", "kind": "Boat", "metadata": {"name": "ann"}, "spec": {}})
    assert made.spec.sails == 2
    boats.status.patch(name="ann", namespace=namespace, body={"status": {"afloat": True}},
                       content_type="application/merge-patch+json")
    assert boats.get(name="ann", namespace=namespace).status.afloat is True
    applied = boats.server_side_apply(namespace=namespace, name="ann", field_manager="dynamic", force_conflicts=True, body={
        "apiVersion": "sea.example.com/v1", "kind": "Boat", "metadata": {"name": "ann"}, "spec": {"sails": 3}})
    assert applied.spec.sails == 3
    events = []
    for event in boats.watch(namespace=namespace, timeout=10, resource_version="0"):
        events.append((event["type"], event["object"].metadata.name))
        break
    assert events == [("ADDED", "ann")]
    pods = found.resources.get(api_version="v1", kind="Pod")
    assert pods.get(namespace=namespace, label_selector="none=here").items == []
    with pytest.raises(dynamic.exceptions.ResourceNotFoundError):
        found.resources.get(api_version="sea.example.com/v1", kind="Whale")
    assert boats.delete(name="ann", namespace=namespace).status == "Success"


def test_an_informer_of_lists_and_watches(served, namespace, api):
    """List, then watch from there, for as long as it takes; a store that is the same as the server's in the end."""
    core, store, done = client.CoreV1Api(api), {}, threading.Event()

    def inform():
        listed = core.list_namespaced_config_map(namespace)
        store.update({c.metadata.name: c for c in listed.items})
        revision = listed.metadata.resource_version
        while not done.is_set():
            follower = watch.Watch()
            for event in follower.stream(core.list_namespaced_config_map, namespace, resource_version=revision,
                                         allow_watch_bookmarks=True, timeout_seconds=1):
                revision = event["raw_object"]["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                found = event["object"]
                store.pop(found.metadata.name, None) if event["type"] == "DELETED" else store.update({found.metadata.name: found})
                if found.metadata.name == "end":
                    done.set()
                    return

    thread = threading.Thread(target=inform)
    thread.start()
    for n in range(30):
        core.create_namespaced_config_map(namespace, config_map(f"c{n % 10}-{n // 10}", n=str(n)))
        if n >= 10:
            core.delete_namespaced_config_map(f"c{n % 10}-{n // 10 - 1}", namespace)
    core.create_namespaced_config_map(namespace, config_map("end"))
    thread.join(20)
    there = {c.metadata.name: c.metadata.resource_version for c in core.list_namespaced_config_map(namespace).items}
    assert {k: v.metadata.resource_version for k, v in store.items()} == there
