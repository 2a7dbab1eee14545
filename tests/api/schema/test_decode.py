"""Objects held against built-in types: what Go's decoding would keep, drop, name and refuse."""

import orjson
import pytest

from kubewheel.api import codec, quantity, schema
from kubewheel.api.schema import data, scalars

DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
SECRET = "io.k8s.api.core.v1.Secret"
CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"

POD = "io.k8s.api.core.v1.Pod"
HOOKS = "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration"
REVIEW = "io.k8s.api.authorization.v1.SubjectAccessReview"


def in_pod(**container):
    return {"spec": {"containers": [container]}}


def in_template(container):
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


@pytest.mark.parametrize(("name", "obj", "text"), [
    (DEPLOYMENT, {"spec": {"replicas": "x"}},
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"replicas": 99999999999}},
     "json: cannot unmarshal number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"replicas": 1.5}},
     "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (DEPLOYMENT, {"spec": {"paused": "yes"}},
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"),
    (DEPLOYMENT, in_template({"env": [{"name": "x", "value": 1}]}),
     "json: cannot unmarshal number into Go struct field "
     "EnvVar.spec.template.spec.containers.env.value of type string"),
    (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": {}}}}},
     "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"),
    (DEPLOYMENT, {"metadata": {"labels": {"a": 1}}},
     "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
    (DEPLOYMENT, {"metadata": {"creationTimestamp": "zz"}},
     'parsing time "zz" as "2006-01-02T15:04:05Z07:00": cannot parse "zz" as "2006"'),
    (DEPLOYMENT, {"metadata": {"creationTimestamp": 3}},
     "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"),
    (DEPLOYMENT, in_template({"resources": {"limits": {"cpu": "1x"}}}), quantity.FORMAT_ERROR),
    (DEPLOYMENT, in_template({"resources": {"limits": {"cpu": "1KK"}}}), "unable to parse quantity's suffix"),
    (SECRET, {"data": {"a": "YWI"}}, "illegal base64 data at input byte 0"),
    (SECRET, {"data": {"a": "YWJj!WJj"}}, "illegal base64 data at input byte 4"),
    (SECRET, {"data": {"a": 3}}, "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
    (SECRET, [], "json: cannot unmarshal array into Go value of type v1.Secret"),
    (SECRET, {"data": {"a": [1, "x"]}}, "json: cannot unmarshal string into Go struct field Secret.data of type uint8"),
    (SECRET, {"data": {"a": [256]}}, "json: cannot unmarshal number 256 into Go struct field Secret.data of type uint8"),
    (SECRET, {"type": 5}, "json: cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"),
    (SECRET, {"metadata": {"managedFields": [{"time": []}]}},
     "json: cannot unmarshal array into Go struct field ManagedFieldsEntry.metadata.managedFields.time of type string"),
    # What the type is called in Go, and the embedded structs on the way.
    (POD, {"metadata": {"uid": 5}}, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.uid of type types.UID"),
    (POD, in_pod(securityContext={"capabilities": {"add": "x"}}), "json: cannot unmarshal string into Go struct field "
     "Capabilities.spec.containers.securityContext.capabilities.add of type []v1.Capability"),
    (POD, in_pod(securityContext={"capabilities": {"add": [True]}}), "json: cannot unmarshal bool into Go struct field "
     "Capabilities.spec.containers.securityContext.capabilities.add of type v1.Capability"),
    (POD, in_pod(resources={"limits": []}), "json: cannot unmarshal array into Go struct field "
     "ResourceRequirements.spec.containers.resources.limits of type v1.ResourceList"),
    (POD, in_pod(ports=[{"protocol": {}}]), "json: cannot unmarshal object into Go struct field "
     "ContainerPort.spec.containers.ports.protocol of type v1.Protocol"),
    (POD, in_pod(livenessProbe={"tcpSocket": {"port": 5.5}}), "json: cannot unmarshal number 5.5 into Go struct field "
     "TCPSocketAction.spec.containers.livenessProbe.ProbeHandler.tcpSocket.port of type int32"),
    (POD, {"spec": {"volumes": [{"nfs": {"server": 5}}]}}, "json: cannot unmarshal number into Go struct field "
     "NFSVolumeSource.spec.volumes.VolumeSource.nfs.server of type string"),
    (POD, {"spec": {"ephemeralContainers": [{"restartPolicy": True}]}}, "json: cannot unmarshal bool into Go struct field "
     "EphemeralContainer.spec.ephemeralContainers.EphemeralContainerCommon.restartPolicy of type v1.ContainerRestartPolicy"),
    (HOOKS, {"webhooks": [{"rules": [{"scope": [[]]}]}]}, "json: cannot unmarshal array into Go struct field "
     "RuleWithOperations.webhooks.rules.Rule.scope of type v1.ScopeType"),
    (HOOKS, {"webhooks": [{"rules": [{"operations": [0]}]}]}, "json: cannot unmarshal number into Go struct field "
     "RuleWithOperations.webhooks.rules.operations of type v1.OperationType"),
    (REVIEW, {"spec": {"extra": {"a": 5}}}, "json: cannot unmarshal number into Go struct field "
     "SubjectAccessReviewSpec.spec.extra of type v1.ExtraValue"),
    (REVIEW, {"spec": {"extra": {"a": [5]}}}, "json: cannot unmarshal number into Go struct field "
     "SubjectAccessReviewSpec.spec.extra of type string"),
    (CRD, {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"additionalProperties": 5}}}]}},
     "boolean or JSON schema expected"),
    ("io.k8s.api.rbac.v1.RoleBinding", {"subjects": [{"kind": 1}]},
     "json: cannot unmarshal number into Go struct field Subject.subjects.kind of type string"),
    ("io.k8s.api.apps.v1.StatefulSet", {"spec": {"volumeClaimTemplates": [{"kind": 5}]}}, "json: cannot unmarshal number into Go "
     "struct field PersistentVolumeClaim.spec.volumeClaimTemplates.TypeMeta.kind of type string"),
])
def test_wrong_types(name, obj, text):
    with pytest.raises(schema.DecodeError) as caught:
        schema.check(schema.definition(name), obj)
    assert str(caught.value) == text


@pytest.mark.parametrize(("name", "obj", "unknown", "kept"), [
    (DEPLOYMENT, {"foo": 1, "spec": {"bar": None, **in_template({"imagee": 3, "name": "z"})["spec"]}},
     ["foo", "spec.bar", "spec.template.spec.containers[0].imagee"], in_template({"name": "z"})),
    (DEPLOYMENT, {"metadata": {"creationTimestamp": None, "name": "a", "namespace": ""}}, [],
     {"metadata": {"name": "a"}}),
    (DEPLOYMENT, {"metadata": {"labels": {"a": None}}}, [], {"metadata": {"labels": {"a": ""}}}),
    (DEPLOYMENT, in_template({"args": [], "env": None, "resources": {}}), [], in_template({"resources": {}})),
    (DEPLOYMENT, in_template({"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}), [],
     in_template({"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}})),
    (DEPLOYMENT, in_template({"ports": [None], "livenessProbe": {"httpGet": {"port": "http"}}}), [],
     in_template({"ports": [{}], "livenessProbe": {"httpGet": {"port": "http"}}})),
    (DEPLOYMENT, {"metadata": {"creationTimestamp": "2020-01-01T00:00:00.5+02:00"}}, [],
     {"metadata": {"creationTimestamp": "2019-12-31T22:00:00Z"}}),
    (SECRET, {"data": {"a": "YWI=\n"}}, [], {"data": {"a": "YWI="}}),
    (CRD, {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"items": {"foo": 1},
                                                                "additionalProperties": True}}}]}},
     [],  # types that decode themselves are never strict
     {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"items": {}, "additionalProperties": True}}}]}}),
    (CRD, {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"foo": 1, "items": 5}}}]}},
     ["spec.versions[0].schema.openAPIV3Schema.foo"],
     {"spec": {"versions": [{"schema": {"openAPIV3Schema": {}}}]}}),
])
def test_what_is_kept(name, obj, unknown, kept):
    node = schema.definition(name)
    assert schema.check(node, obj) == [f'unknown field "{path}"' for path in unknown]
    assert obj == kept
    again = codec.copy(obj)
    assert schema.check(node, again) == [] and again == kept


def test_fast_and_slow_walk_agree():
    obj = {"metadata": {"name": "x", "namespace": "", "labels": {}, "creationTimestamp": None},
           **in_template({"name": "a", "args": [], "env": [{"name": "x", "value": ""}],
                          "resources": {"requests": {"cpu": 1, "memory": "0.5Gi"}}})}
    slow = codec.copy(obj) | {"unknown": 1}
    node = schema.definition(DEPLOYMENT)
    assert schema.check(node, obj) == []
    assert schema.check(node, slow) == ['unknown field "unknown"']
    assert slow == obj


@pytest.mark.parametrize(("text", "canonical"), [
    ("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("100000", "100k"), ("1e3", "1e3"),
    ("12E6", "12E6"), ("12000E6", "12e9"), ("0", "0"), ("0Mi", "0"), ("-1", "-1"), ("0.1Ki", "102400m"),
    ("1.0001Ki", "1024102400u"), ("0.0000000001", "1n"), ("+5", "+5"), ("1E", "1E"), ("512Ki", "512Ki"), (".5", "500m"),
    # What upstream takes for canonical without a closer look, it prints as it came.
    ("1.", "1."), ("1.500", "1.500"), ("1.5000", "1500m"), ("+001.001", "+001.001"), ("1e300", "1e300"),
    ("999999.000000001", "999999.000000001"), ("+5Ki", "+5Ki"), ("10E3", "10E3"), ("1000E3", "1e6"),
    # Decimal numbers have no end, binary ones have; a unit alone is zero.
    ("9223372036854775808G", "9223372036854775808G"), ("9Ei", "9223372036854775807"), ("10.0000000001E", "10000000000100M"),
    ("1000000000000000000000000000000e+3", "1e33"), ("Ki", "0"), ("e300", "0"), ("+", "0"), (".", "0"), ("1000E", "1")])
def test_quantities(text, canonical):
    assert scalars.quantity(text) == canonical


@pytest.mark.parametrize(("obj", "kept"), [
    (in_pod(name="", image="", tty=False, args=[], resources={}), in_pod(name="", resources={})),
    (in_pod(livenessProbe={"initialDelaySeconds": 0, "terminationGracePeriodSeconds": 0}),
     in_pod(livenessProbe={"terminationGracePeriodSeconds": 0})),
    ({"spec": {"hostNetwork": False, "enableServiceLinks": False, "priority": 0, "schedulerName": ""}},
     {"spec": {"enableServiceLinks": False, "priority": 0}}),
    ({"metadata": {"creationTimestamp": "0001-01-01T00:00:00Z", "generation": 0, "uid": "", "managedFields": [{"manager": ""}]}},
     {"metadata": {"managedFields": [{}]}}),
    ({"status": {"conditions": [{"type": "", "status": "", "reason": ""}]}}, {"status": {"conditions": [{"type": "", "status": ""}]}}),
])
def test_zeros_go_where_go_leaves_them_out(obj, kept):
    """What a pointer holds stays, as do structs and fields without omitempty. Both walkers agree."""
    slow = codec.copy(obj) | {"unknown": 1}
    for one in (obj, slow):
        schema.check(schema.definition(POD), one)
        assert one == kept


def test_bytes_may_come_as_numbers():
    obj = {"data": {"a": [104, 105], "b": [], "c": [None]}}
    assert schema.check(schema.definition(SECRET), obj) == [] and obj["data"] == {"a": "aGk=", "b": "", "c": "AA=="}


TIME, MICRO = '" as "2006-01-02T15:04:05Z07:00": cannot parse "', '" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "'


@pytest.mark.parametrize(("given", "told"), [
    ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    ("2026-01-01T0:00:00Z", "2026-01-01T00:00:00Z"),
    ("2026-01-01T23:59:59,1Z", "2026-01-01T23:59:59Z"),
    ("2026-01-01T23:59:59-07:00", "2026-01-02T06:59:59Z"),
    ("2026-01-01T00:00:00+00:60", "2025-12-31T23:00:00Z"),
    ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    ("0001-01-01T00:00:00+01:00", "0000-12-31T23:00:00Z"),
    ("9999-12-31T23:59:59-01:00", "10000-01-01T00:59:59Z"),
    ("0001-01-01T00:00:00Z", ""),
    ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
    ("2026-13-01T00:00:00Z", 'parsing time "2026-13-01T00:00:00Z": month out of range'),
    ("2026-01-01T23:60:00Zx", 'parsing time "2026-01-01T23:60:00Zx": minute out of range'),
    ("2026-01-01T904:00:00Z", 'parsing time "2026-01-01T904:00:00Z": hour out of range'),
    ("2026-01-01T23:59:59+25:00", 'parsing time "2026-01-01T23:59:59+25:00": time zone offset hour out of range'),
    ("2026-01-01T00:00:00Zx", 'parsing time "2026-01-01T00:00:00Zx": extra text: "x"'),
    ("2026-01-01 23:59:59Z", f'parsing time "2026-01-01 23:59:59Z{TIME} 23:59:59Z" as "T"'),
    ("2026-1-01T00:00:00Z", f'parsing time "2026-1-01T00:00:00Z{TIME}1-01T00:00:00Z" as "01"'),
    ("2026-01-01T00:00:00+0000", f'parsing time "2026-01-01T00:00:00+0000{TIME}+0000" as "Z07:00"'),
    ('é"\n', r'parsing time "\xc3\xa9\"\x0a' + TIME + r'\xc3\xa9\"\x0a" as "2006"'),
])
def test_times(given, told):
    try:
        assert scalars.time(given) == told
    except scalars.ScalarError as e:
        assert str(e) == told


@pytest.mark.parametrize(("given", "told"), [
    ("2026-01-01T00:00:00.123456+02:00", "2025-12-31T22:00:00.123456Z"),
    ("0001-01-01T00:00:00.000000Z", ""),
    ("2026-01-01T00:00:00Z", f'parsing time "2026-01-01T00:00:00Z{MICRO}Z" as ".000000"'),
    ("2026-01-01T00:00:00.12Z", f'parsing time "2026-01-01T00:00:00.12Z{MICRO}.12Z" as ".000000"'),
    ("2026-01-01T00:00:00.1234567Z", f'parsing time "2026-01-01T00:00:00.1234567Z{MICRO}7Z" as "Z07:00"'),
    ("2026-01-01T24:00:00Z", 'parsing time "2026-01-01T24:00:00Z": hour out of range'),
])
def test_microtimes(given, told):
    try:
        assert scalars.microtime(given) == told
    except scalars.ScalarError as e:
        assert str(e) == told


@pytest.mark.parametrize("text", ["", "abc", "1 ", "1.1.1", "1x", "e-10", "--1"])
def test_no_quantities(text):
    if text == "1 ":  # outer blanks are trimmed
        assert scalars.quantity(text) == "1"
        return
    with pytest.raises(scalars.ScalarError):
        scalars.quantity(text)


def test_duplicates_are_named_where_go_decodes():
    raw = (b'{"spec":{"unknownDupe":1,"unknownDupe":2,"paused":true,"paused":false,"template":{"spec":{"containers":'
           b'[{"name":"a","imagePullPolicy":"Always","imagePullPolicy":"Never"}]}}}}')
    assert schema.duplicates(raw, schema.definition(DEPLOYMENT)) == [
        'duplicate field "spec.paused"', 'duplicate field "spec.template.spec.containers[0].imagePullPolicy"']
    assert schema.duplicates(raw)[0] == 'duplicate field "spec.unknownDupe"'
    assert schema.duplicates(orjson.dumps({"spec": {"paused": True}})) == []


def test_every_resource_has_a_definition():
    for fact in schema.resource_facts():
        names = [n for n in data.definitions() if n.endswith(f".{fact['version']}.{fact['kind']}")]
        assert names, fact
        assert any("metadata" in schema.definition(n).fields for n in names) or not fact["verbs"], fact
