"""Objects survive the way to protobuf and back; embedded Go structs stand inline in JSON."""

from kubewheel.api import catalog
from kubewheel.api.protobuf import codec

POD = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "p", "namespace": "d", "labels": {"a": "b"}, "creationTimestamp": "2026-01-02T03:04:05Z",
                 "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {}}}]},
    "spec": {"containers": [{
        "name": "c", "image": "i", "command": ["a", "b"], "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}},
        "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "envFrom": [{"configMapRef": {"name": "cm"}}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3},
        "readinessProbe": {"tcpSocket": {"port": 8080}}}],
        "volumes": [{"name": "v", "configMap": {"name": "cm", "defaultMode": 420}}, {"name": "e", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 30},
}


def definition(api_version, kind):
    group, _, version = api_version.rpartition("/")
    return next((r.definition for r in catalog.RESOURCES if (r.group, r.version, r.kind) == (group, version, kind)), "")


def test_a_pod_survives():
    assert codec.decode(codec.encode(POD, "io.k8s.api.core.v1.Pod"), definition) == POD


def test_binary_data_and_empty_values():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aGk=", "empty": ""}, "type": "Opaque"}
    assert codec.decode(codec.encode(secret, "io.k8s.api.core.v1.Secret"), definition) == secret


def test_every_built_in_kind_has_a_table():
    missing = [r.qualified for r in catalog.RESOURCES if not codec.knows(r.definition)]
    # Kinds upstream serves without protobuf, or that newer versions than the packed table brought.
    assert set(missing) <= {"customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io",
                            "storageversionmigrations.storagemigration.k8s.io", "bindings",
                            "clustertrustbundles.certificates.k8s.io", "podcertificaterequests.certificates.k8s.io",
                            "mutatingadmissionpolicies.admissionregistration.k8s.io", "devicetaintrules.resource.k8s.io",
                            "mutatingadmissionpolicybindings.admissionregistration.k8s.io"}, missing


def test_garbage_is_refused():
    for raw in (b"", b"k8s", b"k8s\0\xff", b"k8s\0\x0a\x05ab", b"{}"):
        try:
            codec.decode(raw, definition)
        except ValueError:
            continue
        raise AssertionError(raw)
