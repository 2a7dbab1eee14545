"""Python clients by other hands: kubernetes_asyncio, kr8s, lightkube, pykube-ng. Each with its own idea of a watch."""

import asyncio
import threading

import kr8s
import kr8s.asyncio
import kubernetes_asyncio
import lightkube
import pykube
import pytest
from kr8s.asyncio import objects as kr8s_objects
from kubernetes_asyncio import client as aio
from kubernetes_asyncio import watch as aio_watch
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource, load_in_cluster_generic_resources
from lightkube.models.core_v1 import ServicePort, ServiceSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod, Service
from lightkube.types import CascadeType, PatchType
from tests.clients.serving import until

# Some leave the connection of a watch to the garbage collector.
pytestmark = [pytest.mark.usefixtures("no_leftovers"), pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore:Exception ignored in. <ssl:pytest.PytestUnraisableExceptionWarning")]

CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ships.sea.example.com"},
       "spec": {"group": "sea.example.com", "scope": "Namespaced",
                "names": {"plural": "ships", "singular": "ship", "kind": "Ship", "listKind": "ShipList"},
                "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {
                    "status": {}, "scale": {"specReplicasPath": ".spec.masts", "statusReplicasPath": ".status.masts"}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {"masts": {"type": "integer", "minimum": 1}}},
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


def web(namespace, replicas=2):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}}


@pytest.fixture(scope="module")
def ships(served):
    served.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
    served.wait_for("customresourcedefinitions.apiextensions.k8s.io", CRD["metadata"]["name"], lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in c.get("status", {}).get("conditions") or ()), namespace=None)


# -- kubernetes_asyncio ---------------------------------------------------------------------------------------------
async def test_kubernetes_asyncio(served, namespace):
    configuration = aio.Configuration()
    await kubernetes_asyncio.config.load_kube_config(served.config, client_configuration=configuration)
    async with aio.ApiClient(configuration) as api:
        core, apps = aio.CoreV1Api(api), aio.AppsV1Api(api)
        start = (await core.list_namespaced_pod(namespace)).metadata.resource_version

        async def first_ready(count):
            ready = set()
            async with aio_watch.Watch().stream(core.list_namespaced_pod, namespace, resource_version=start,
                                                timeout_seconds=20) as stream:
                async for event in stream:
                    pod = event["object"]
                    if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ()):
                        ready.add(pod.metadata.name)
                    if len(ready) == count:
                        return ready

        watching = asyncio.create_task(first_ready(2))
        await apps.create_namespaced_deployment(namespace, web(namespace))
        assert len(await asyncio.wait_for(watching, 20)) == 2
        said = await apps.patch_namespaced_deployment("web", namespace, {"spec": {"replicas": 1}})
        assert said.spec.replicas == 1
        with pytest.raises(aio.ApiException) as refused:
            await core.read_namespaced_pod("none", namespace)
        assert refused.value.status == 404 and '"NotFound"' in refused.value.body
        # Many at once over its connections.
        names = [f"c{n}" for n in range(40)]
        await asyncio.gather(*(core.create_namespaced_config_map(namespace, {"metadata": {"name": n}}) for n in names))
        listed = await core.list_namespaced_config_map(namespace)
        assert {c.metadata.name for c in listed.items} >= set(names)


# -- kr8s -------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:Kubernetes version v1.37.0 is not supported")
async def test_kr8s(served, namespace, ships):
    api = await kr8s.asyncio.api(kubeconfig=served.config, namespace=namespace)
    assert (await api.version())["gitVersion"] == "v1.37.0"
    assert await api.whoami() == "kubernetes-admin"
    kinds = {r["kind"] async for r in _each(api.api_resources())}
    assert {"Pod", "Deployment", "Ship"} <= kinds
    deployment = await kr8s_objects.Deployment(web(namespace), api=api)
    await deployment.create()
    await deployment.wait("condition=Available", timeout=20)
    assert await deployment.ready() and len(await deployment.pods()) == 2
    await deployment.scale(3)
    await deployment.refresh()
    assert deployment.replicas == 3
    await deployment.label({"seen": "yes"})
    await deployment.annotate({"note": "this"})
    assert deployment.labels["seen"] == "yes" and deployment.annotations["note"] == "this"
    ship_class = kr8s.asyncio.objects.new_class("Ship", "sea.example.com/v1", namespaced=True, scalable=True,
                                                scalable_spec="masts", asyncio=True)
    ship = await ship_class({"metadata": {"name": "ann", "namespace": namespace}, "spec": {"masts": 2}}, api=api)
    await ship.create()
    await ship.scale(3)
    await ship.patch({"status": {"masts": 3}}, subresource="status")
    await ship.refresh()
    assert ship.spec.masts == 3 and ship.status.masts == 3
    with pytest.raises(kr8s.ServerError) as refused:
        await ship.patch({"spec": {"masts": 0}})
    assert refused.value.response.status_code == 422
    found = [o async for o in api.get("ships.sea.example.com", namespace=namespace)]
    assert [o.name for o in found] == ["ann"]
    events = []
    async for kind, obj in api.watch("ships", namespace=namespace):
        events.append((kind, obj.name))
        if kind == "DELETED":
            break
        await ship.delete()
    assert events == [("ADDED", "ann"), ("DELETED", "ann")]
    node = [n async for n in api.get("nodes")][0]
    await node.cordon()
    await node.refresh()
    assert node.spec.unschedulable
    await node.uncordon()
    await deployment.delete(propagation_policy="Foreground")
    await deployment.wait("delete", timeout=20)
    assert not await deployment.exists()


async def _each(value):
    for item in await value:
        yield item


# -- lightkube --------------------------------------------------------------------------------------------------------
def test_lightkube(served, namespace, ships):
    config = lightkube.KubeConfig.from_file(served.config)
    client = lightkube.Client(config, namespace=namespace, field_manager="lightkube")
    service = client.create(Service(metadata=ObjectMeta(name="web"), spec=ServiceSpec(
        selector={"app": "web"}, ports=[ServicePort(port=80)])))
    assert service.spec.clusterIP.startswith("10.96.") and service.spec.ports[0].protocol == "TCP"
    made = client.apply(Deployment.from_dict(web(namespace)))
    assert made.metadata.managedFields[0].operation == "Apply"
    client.wait(Deployment, "web", for_conditions=["Available"])
    client.patch(Deployment.Scale, "web", {"spec": {"replicas": 1}})
    assert client.get(Deployment.Scale, "web").spec.replicas == 1
    with pytest.raises(ApiError) as refused:
        client.apply(Deployment.from_dict(web(namespace, 5)), field_manager="other")
    assert refused.value.status.code == 409 and refused.value.status.details.causes[0].field == ".spec.replicas"
    patched = client.patch(Deployment, "web", {"metadata": {"labels": {"a": "b"}}}, patch_type=PatchType.MERGE)
    assert patched.metadata.labels == {"a": "b"}
    patched = client.patch(Deployment, "web", [{"op": "remove", "path": "/metadata/labels/a"}], patch_type=PatchType.JSON)
    assert not patched.metadata.labels
    pods = list(client.list(Pod, labels={"app": ("web", "other")}, fields={"status.phase": "Running"}))
    assert pods and all(p.status.podIP for p in pods)

    ship = create_namespaced_resource("sea.example.com", "v1", "Ship", "ships")
    client.create(ship(metadata=ObjectMeta(name="ann"), spec={"masts": 2}))
    client.replace(ship.Status(metadata=ObjectMeta(
        name="ann", namespace=namespace, resourceVersion=client.get(ship, "ann").metadata.resourceVersion),
        status={"masts": 2}))
    found = client.get(ship, "ann")
    assert found.spec == {"masts": 2} and found.status == {"masts": 2}
    load_in_cluster_generic_resources(client)
    seen = []
    for kind, obj in client.watch(ship, server_timeout=20):
        seen.append((kind, obj.metadata.name))
        if kind == "DELETED":
            break
        client.delete(ship, "ann")
    assert seen == [("ADDED", "ann"), ("DELETED", "ann")]
    for n in range(3):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"c{n}", labels={"of": "many"})))
    assert [c.metadata.name for c in client.list(ConfigMap, labels={"of": "many"}, chunk_size=1)] == ["c0", "c1", "c2"]
    client.deletecollection(ConfigMap)
    served.wait_for("configmaps", "kube-root-ca.crt", namespace=namespace)  # its controller makes it anew
    assert not list(client.list(ConfigMap, labels={"of": "many"}))
    client.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
    served.wait_gone("deployments.apps", "web", namespace=namespace)


# -- pykube-ng --------------------------------------------------------------------------------------------------------
def test_pykube(served, namespace, ships):
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(served.config))
    try:
        assert api.version == ("1", "37")
        pykube.Deployment(api, web(namespace)).create()
        deployment = pykube.Deployment.objects(api).filter(namespace=namespace).get(name="web")
        served.wait_for("deployments.apps", "web", lambda d: d["status"].get("readyReplicas") == 2, namespace=namespace)
        deployment.reload()
        assert deployment.ready
        deployment.scale(1)
        assert deployment.replicas == 1
        config = pykube.ConfigMap(api, {"metadata": {"name": "one", "namespace": namespace}, "data": {"a": "1"}})
        config.create()
        config.obj["data"]["a"] = "2"
        config.update()
        config.reload()
        assert config.obj["data"] == {"a": "2"}
        ship = pykube.object_factory(api, "sea.example.com/v1", "Ship")
        ship(api, {"apiVersion": "sea.example.com/v1", "kind": "Ship", "metadata": {"name": "ann", "namespace": namespace}, "spec": {"masts": 1}}).create()
        (found,) = ship.objects(api, namespace=namespace)
        found.patch({"status": {"masts": 1}}, subresource="status")
        found.reload()
        assert found.obj["status"] == {"masts": 1}
        seen = []

        def watching():
            for event in ship.objects(api, namespace=namespace).watch():
                seen.append((event.type, event.object.name))
                if event.type == "DELETED":
                    return

        thread = threading.Thread(target=watching)
        thread.start()
        until(lambda: seen == [("ADDED", "ann")], what="what is there, as a watch without a revision begins with")
        found.delete()
        thread.join(20)
        assert seen[1:] == [("DELETED", "ann")]
        with pytest.raises(pykube.exceptions.HTTPError) as refused:
            pykube.ConfigMap(api, {"metadata": {"name": "Bad_Name", "namespace": namespace}}).create()
        assert refused.value.code == 422 and "RFC 1123" in str(refused.value)
        with pytest.raises(pykube.exceptions.ObjectDoesNotExist):
            pykube.Pod.objects(api, namespace=namespace).get(name="none")
    finally:
        api.session.close()
