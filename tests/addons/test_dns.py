from kubewheel.addons import manager
from kubewheel.addons.dns import manifests


def test_dns_is_what_clients_of_upstream_look_for():
    objects = manifests.objects(image="i", cluster_ip="10.96.0.10")
    by_kind = {obj["kind"]: obj for obj in objects}
    assert by_kind["Service"]["metadata"]["name"] == "kube-dns"
    assert by_kind["Service"]["spec"]["clusterIP"] == "10.96.0.10"
    assert by_kind["Deployment"]["metadata"]["labels"]["k8s-app"] == "kube-dns"
    assert set(by_kind) <= set(manager.RESOURCES)


def test_available_means_the_newest_template_answers():
    deployment = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": {
        "observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}}
    assert not manager.is_available(deployment)
    deployment["status"]["observedGeneration"] = 2
    assert manager.is_available(deployment)
