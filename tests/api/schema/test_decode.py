"""Objects held against built-in types: what Go's decoding would keep, drop, name and refuse."""

import orjson
import pytest

from kubewheel.api import codec, quantity, schema
from kubewheel.api.schema import data, scalars

DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
SECRET = "io.k8s.api.core.v1.Secret"
CRD = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"


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
    (DEPLOYMENT, {"metadata": {"creationTimestamp": 3}}, "json: cannot unmarshal number into Go value of type string"),
    (DEPLOYMENT, in_template({"resources": {"limits": {"cpu": "1x"}}}), quantity.FORMAT_ERROR),
    (DEPLOYMENT, in_template({"resources": {"limits": {"cpu": "1KK"}}}), "unable to parse quantity's suffix"),
    (SECRET, {"data": {"a": "YWI"}}, "illegal base64 data at input byte 0"),
    (SECRET, {"data": {"a": "YWJj!WJj"}}, "illegal base64 data at input byte 4"),
    (SECRET, {"data": {"a": 3}}, "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"),
    (SECRET, [], "json: cannot unmarshal array into Go value of type v1.Secret"),
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
     ["spec.versions[0].schema.openAPIV3Schema.items.foo"],
     {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"items": {}, "additionalProperties": True}}}]}}),
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
    ("12E6", "12e6"), ("0", "0"), ("0Mi", "0"), ("-1", "-1"), ("0.1Ki", "102400m"), ("1.0001Ki", "1024102400u"),
    ("0.0000000001", "1n"), ("+5", "5"), ("1E", "1E"), ("512Ki", "512Ki"), (".5", "500m"), ("1.", "1")])
def test_quantities(text, canonical):
    assert scalars.quantity(text) == canonical


@pytest.mark.parametrize("text", ["", "abc", "1 ", "1.1.1", "1x", "Ki", "--1"])
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
