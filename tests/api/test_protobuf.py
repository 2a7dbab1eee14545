"""The tables are complete, and objects survive the way to protobuf and back; embedded Go structs stand inline in JSON."""

import pytest
from tests.api.protobuf_oracle import served, view

from kubewheel.api import catalog
from kubewheel.api.protobuf import codec, kinds, table
from kubewheel.api.protobuf.special import SPECIAL
from kubewheel.api.protobuf.table import BOOL, BYTES, DOUBLE, INT32, INT64, MAP, MESSAGE, REPEATED, STRING
from kubewheel.api.schema import data
from kubewheel.lib import wire

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
    "status": {},
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ts.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "ts", "kind": "T"},
             "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                 "type": "object", "properties": {
                     "a": {"type": "integer", "default": 3, "minimum": 0.0, "maxLength": 0, "enum": [1, None, "x"]},
                     "b": {"items": {"type": "string", "default": ""}, "type": "array", "x-kubernetes-list-type": "set"},
                     "c": {"additionalProperties": {"type": "string"}, "x-kubernetes-preserve-unknown-fields": False},
                     "d": {"additionalProperties": False, "not": {"anyOf": [{"required": ["x"]}]}},
                     "e": {"items": [{"type": "string"}, {}], "dependencies": {"p": ["q"], "r": {"type": "object"}},
                           "$ref": "#/x", "x-kubernetes-validations": [{"rule": "self > 0", "optionalOldSelf": False}]},
                 }}}, "subresources": {"status": {}, "scale": {
                     "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                 "selectableFields": [{"jsonPath": ".spec.a"}]}],
             "conversion": {"strategy": "None"}},
    "status": {"conditions": [{"type": "Established", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
               "acceptedNames": {"plural": "ts", "kind": "T"}},
}


def through(obj, definition=""):
    return codec.decode(codec.encode(obj, definition or kinds.known(obj["apiVersion"], obj["kind"])))


# -- the tables -----------------------------------------------------------------------------------------------------------
def test_every_field_of_every_served_type_has_a_number():
    """And none that the schema does not have; with the type that the schema says."""
    known = data.definitions()  # but for structs that are only ever embedded: their fields are checked where they stand
    for definition in filter(known.__contains__, served()):
        rows, fields = table.json_names(definition), dict(known[definition].get("properties", {}))
        if not {"apiVersion", "kind"} & rows.keys():
            fields.pop("apiVersion", None), fields.pop("kind", None)
        assert rows.keys() == fields.keys(), definition
        for name, schema in fields.items():
            assert_fits(definition, rows[name], schema)
    assert len(set(served()) & known.keys()) > 500


def assert_fits(definition, row, schema):
    where = (definition, row, schema)
    if row.type == MESSAGE and row.of in SPECIAL and schema.get("type") == "array" and row.mode != REPEATED:
        assert row.of.endswith(".Verbs"), where
        return
    if schema.get("type") == "array":
        assert row.mode == REPEATED, where
        schema = schema["items"]
    elif schema.get("type") == "object":
        assert row.mode == MAP, where
        schema = schema["additionalProperties"]
    else:
        assert row.mode not in (REPEATED, MAP), where
    if "$ref" in schema:
        assert (row.type, row.of) == (MESSAGE, schema["$ref"]), where
    elif schema["type"] == "array":
        assert row.of.endswith((".ExtraValue", ".AttestationValue")), where
    else:
        kind = {"string": STRING, "boolean": BOOL, "number": DOUBLE}.get(schema["type"])
        if schema["type"] == "string" and schema.get("format") == "byte":
            kind = BYTES
        if schema["type"] == "integer":
            kind = INT64 if schema.get("format") == "int64" else INT32
        assert row.type == kind, where


def test_lists_hold_their_items_as_field_two():
    """What lets one item stand in an envelope, a list and a watch event."""
    for resource in catalog.RESOURCES:
        if "list" in resource.verbs:
            rows = table.rows(kinds.known(resource.api_version, resource.list_kind))
            assert [(r.number, r.name, r.of) for r in rows] == [
                (1, "metadata", kinds.META + "ListMeta"), (2, "items", resource.definition)]
        first = table.rows(resource.definition)[0]
        assert (first.number, first.name) == (1, "metadata")
    unknown = codec.envelope("v1", "Pod", codec.item({}, "io.k8s.api.core.v1.Pod"))
    assert wire.fields(unknown, 4, len(unknown)).keys() == {1, 2, 3, 4}


# -- values ---------------------------------------------------------------------------------------------------------------
def test_a_pod_survives():
    assert through(POD) == {"apiVersion": "v1", "kind": "Pod", **view("io.k8s.api.core.v1.Pod", POD)}
    assert through(through(POD)) == through(POD)


def test_a_custom_resource_definition_survives():
    definition = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition"
    assert through(CRD) == {"apiVersion": CRD["apiVersion"], "kind": CRD["kind"], **view(definition, CRD)}


def test_binary_data_and_empty_values():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aGk=", "empty": ""}, "type": "Opaque"}
    assert through(secret) == secret


@pytest.mark.parametrize("name,value,written", [
    ("creationTimestamp", "2026-01-02T03:04:05Z", "420808a5ebdcca061000"),
    ("creationTimestamp", "1969-12-31T23:59:59Z", "420d08ffffffffffffffffff011000"),
    ("creationTimestamp", None, "4200"), ("deletionGracePeriodSeconds", 0, "5000"), ("deletionGracePeriodSeconds", None, ""),
    ("generation", -1, "38ffffffffffffffffff01"), ("generation", 0, "3800"), ("name", "ü", "0a02c3bc"), ("name", None, "0a00"),
    ("labels", {"b": "", "a": "1"}, "5a060a0161120131" "5a050a01621200"), ("finalizers", ["", "x"], "7200720178"),
])
def test_fields_are_written_as_go_writes_them(name, value, written):
    zero = {"name": "0a00", "generateName": "1200", "namespace": "1a00", "selfLink": "2200", "uid": "2a00",
            "resourceVersion": "3200", "generation": "3800", "creationTimestamp": "4200"}
    order = [*zero, "deletionGracePeriodSeconds", "labels", "finalizers"]
    expected = "".join(written if n == name else zero.get(n, "") for n in order)
    item = codec.item({name: value}, kinds.META + "ObjectMeta")
    assert item[2:].hex() == expected and item[:1] == b"\x12"


def test_zeros_of_plain_fields_are_written_and_those_that_json_keeps_come_back():
    status = {"name": "c", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": {}, "lastState": {}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}, "status": {"containerStatuses": [{"name": "c"}]}}
    assert through(pod)["status"]["containerStatuses"] == [status]
    started = {**pod, "status": {"containerStatuses": [{"name": "c", "started": False}]}}
    assert through(started)["status"]["containerStatuses"] == [{**status, "started": False}]


def test_times_of_any_precision_and_zone():
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": {}}
    for text, seen in (("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
                       ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
                       ("2026-01-02T04:04:05.5+01:00", "2026-01-02T03:04:05.500000Z"),
                       ("1950-01-02T03:04:05.999999Z", "1950-01-02T03:04:05.999999Z"),
                       ("2949-01-10T18:25:34.596907Z", "2949-01-10T18:25:34.596907Z")):
        assert through({**lease, "spec": {"renewTime": text}})["spec"] == {"renewTime": seen}
    for text, seen in (("2026-01-02T03:04:05.9Z", "2026-01-02T03:04:05Z"), ("2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05Z")):
        assert through({**lease, "metadata": {"creationTimestamp": text}})["metadata"] == {"creationTimestamp": seen}


def test_what_is_in_no_table_is_left_out():
    pod = {**POD, "unknown": {"a": 1}, "spec": {**POD["spec"], "unknown": [1], "hostname": None}}
    assert through(pod) == through(POD)


# -- envelopes ------------------------------------------------------------------------------------------------------------
def test_an_envelope_that_names_no_kind_is_of_the_one_expected():
    raw = codec.envelope("", "", codec.item(POD, "io.k8s.api.core.v1.Pod"))
    assert codec.decode(raw, default=("v1", "Pod")) == through(POD)
    with pytest.raises(codec.ProtobufError, match="Object 'Kind' is missing"):
        codec.decode(raw)


def test_a_list_is_joined_of_items():
    items = [codec.item({**POD, "metadata": {"name": n}}, "io.k8s.api.core.v1.Pod") for n in "ab"]
    found = codec.decode(codec.listing("v1", "PodList", {"resourceVersion": "7", "remainingItemCount": 3}, items))
    assert (found["kind"], found["metadata"]) == ("PodList", {"resourceVersion": "7", "remainingItemCount": 3})
    assert [i["metadata"]["name"] for i in found["items"]] == ["a", "b"]


def test_metadata_is_cut_out_of_an_item():
    for labels in ({}, {"a": "x" * 500}):
        item = codec.item({**POD, "metadata": {"name": "n", "labels": labels}}, "io.k8s.api.core.v1.Pod")
        assert codec.metadata_item(item) == codec.partial_item({"metadata": {"name": "n", "labels": labels}})
        envelope = codec.envelope("meta.k8s.io/v1", "PartialObjectMetadata", codec.metadata_item(item))
        assert codec.decode(envelope)["metadata"] == {"name": "n", **({"labels": labels} if labels else {})}


def test_events_stand_in_frames():
    made = codec.encode(POD, "io.k8s.api.core.v1.Pod")
    stream = codec.event("ADDED", made) + codec.event("DELETED", made)
    frames, rest = codec.read_frames(stream + b"\0\0")
    assert [codec.read_event(f) for f in frames] == [("ADDED", through(POD)), ("DELETED", through(POD))] and rest == b"\0\0"
    assert stream[:4] == (len(frames[0])).to_bytes(4, "big") and not frames[0].startswith(codec.MAGIC)


@pytest.mark.parametrize("raw,message", [
    (b"", "empty data"), (b"{}", "expected prefix"), (b"k8s", "expected prefix"), (b"k8s\0", "empty body"),
    (b"k8s\0\xff", "unexpected EOF"), (b"k8s\0\x0a\x05ab", "unexpected EOF"), (b"k8s\0\x07", "illegal wireType 7"),
    (b"k8s\0\x0a\x08\x0a\x02v1\x12\x02No\x12\x00", 'no kind "No" is registered for version "v1"'),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x08\x01", "wrong wireType = 0 for field Metadata"),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x01\x0c", "Pod: wiretype end group for non-group"),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x00\x00", "Pod: illegal tag 0"),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x0c\x0a\x0a\x38" + b"\xff" * 9, "unexpected EOF"),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x0f\x0a\x0d\x38" + b"\xff" * 11 + b"\x01", "integer overflow"),
    (b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x0b\x0a" + b"\xff" * 9 + b"\x01", "negative length"),
])
def test_garbage_is_refused_in_upstreams_words(raw, message):
    with pytest.raises(codec.ProtobufError, match=message):
        codec.decode(raw)
