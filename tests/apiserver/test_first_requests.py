"""A server that has just begun: the first request that needs to know other objects knows them all."""

from tests.apiserver.wire import account, pod, send

from kubewheel.testing import cluster

DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true", "ingressclass.kubernetes.io/is-default-class": "true"}


async def test_what_admission_and_authentication_look_up_is_there():
    async with cluster(nodes=0, scheduler=False, controllers="") as c:
        await account(c)
        await c.server.bootstrap.wait_ready()  # who may see /version
        await c.client.create("storageclasses.storage.k8s.io", {"metadata": {"name": "fast", "annotations": DEFAULT}, "provisioner": "a"})
        await c.client.create("ingressclasses.networking.k8s.io", {"metadata": {"name": "edge", "annotations": DEFAULT}, "spec": {
            "controller": "example.com/a"}})
        await c.client.create("priorityclasses.scheduling.k8s.io", {"metadata": {"name": "usual"}, "value": 7, "globalDefault": True})
        await c.client.create("secrets", {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token",
                                          "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef",
                                                         "usage-bootstrap-authentication": "true"}}, namespace="kube-system")
        who = await send(c, "GET", "/version", user=None, authorization="Bearer abcdef.0123456789abcdef")
        assert who.status == 200, who.body
        claim = await c.client.create("persistentvolumeclaims", {"metadata": {"name": "a"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}, namespace="default")
        assert claim["spec"]["storageClassName"] == "fast"
        ingress = await c.client.create("ingresses.networking.k8s.io", {"metadata": {"name": "a"}, "spec": {
            "defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}, namespace="default")
        assert ingress["spec"]["ingressClassName"] == "edge"
        made = (await send(c, "POST", "/api/v1/namespaces/default/pods", pod("a"))).json
        assert made["spec"]["priorityClassName"] == "usual" and made["spec"]["priority"] == 7
        changed = await send(c, "PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}}, content_type="application/merge-patch+json")
        assert any("existing pods in namespace" in w for w in changed.warnings), changed.warnings
