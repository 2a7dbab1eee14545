"""Objects of every type by chance: the way there and back, against protobuf itself; bytes that are none; both decoders."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.protobuf_oracle import encoded, made, message_class, served, view

from kubewheel.api.protobuf import codec, decoder, encoder, table, walker
from kubewheel.lib.wire import uvarint

DEFINITIONS = sorted(table.messages())
chosen = st.sampled_from(DEFINITIONS)
chance = st.integers(0, 2**32).map(random.Random)


def check_both_ways(definition, obj):
    raw, expected = encoder.packer(definition)(obj), view(definition, obj)
    assert decoder.quick(definition)(raw, 0, len(raw), {}) == expected  # no need of the exact way
    assert walker.message(definition).unpack(raw, 0, len(raw), {}) == expected
    check_with_protobuf(definition, obj, raw)


def check_with_protobuf(definition, obj, raw):
    """Protobuf knows every field that we write, with the type and the length that it has; we know what it writes."""
    parsed = message_class(definition).FromString(raw)
    parsed.DiscardUnknownFields()
    assert parsed.ByteSize() == len(raw), definition
    for written in (parsed.SerializeToString(), encoded(definition, obj)):
        assert view(definition, decoder.unpack(definition, written, {})) == view(definition, obj)


def test_every_type_with_every_field():
    rng = random.Random(7)
    for definition in served():
        if has_doubles(definition):
            continue  # the quick way leaves them to the exact one: see below
        check_both_ways(definition, made(definition, rng, full=True, depth=3))


def has_doubles(definition):
    return "apiextensions" in definition


def test_json_schemas_with_every_field():
    for seed in range(2):
        for definition in filter(has_doubles, served()):
            obj = made(definition, random.Random(seed), full=True, depth=3)
            raw = encoder.packer(definition)(obj)
            assert decoder.unpack(definition, raw, {}) == view(definition, obj)
            check_with_protobuf(definition, obj, raw)


@settings(max_examples=100, deadline=None)
@given(chosen.filter(lambda d: not has_doubles(d)), chance)
def test_objects_by_chance(definition, rng):
    check_both_ways(definition, made(definition, rng))


# -- what Go's marshallers do not write --------------------------------------------------------------------------------
def outcome(how, *args):
    try:
        return how(*args)
    except (codec.ProtobufError, RecursionError) as e:
        return type(e)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["io.k8s.api.core.v1.Pod", "io.k8s.api.resource.v1.ResourceSlice", "io.k8s.api.core.v1.Secret",
                        "io.k8s.api.apps.v1.Deployment", "io.k8s.api.authorization.v1.SubjectAccessReview"]), chance)
def test_mangled_bytes_mean_the_same_to_both_decoders(definition, rng):
    raw = bytearray(encoder.packer(definition)(made(definition, rng, depth=1)))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw) + 1)
        how = rng.randrange(4)
        if how == 0:
            del raw[at:]
        elif how == 1:
            raw[at:at + 1] = bytes((rng.randrange(256),))
        elif how == 2:
            raw[at:at] = rng.randbytes(rng.randrange(1, 6))
        else:
            raw += raw[rng.randrange(at + 1):at]
    data = bytes(raw)
    exact = outcome(walker.message(definition).unpack, data, 0, len(data), {})
    assert outcome(decoder.unpack, definition, data, {}) == exact


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_bytes_by_chance_are_refused_or_read(data):
    for raw in (data, codec.MAGIC + data, codec.MAGIC + b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12" + uvarint(len(data)) + data):
        outcome(codec.decode, raw)


def test_the_last_value_counts_and_messages_are_merged():
    definition = "io.k8s.api.core.v1.Pod"
    first = encoder.packer(definition)({"metadata": {"name": "a", "generation": 3}, "spec": {"nodeName": "n"}})
    raw = first + b"\x0a\x05\x0a\x01b\x38\x00" + b"\xa0\x06\x01" + b"\xab\x06\x08\x01\xac\x06"  # and unknown fields, a group
    assert decoder.unpack(definition, raw, {})["metadata"] == {"name": "b"}
    assert decoder.unpack(definition, raw, {})["spec"]["nodeName"] == "n"


def test_lists_of_numbers_may_be_packed():
    definition = "io.k8s.api.resource.v1.DeviceAttribute"
    assert decoder.unpack(definition, b"\x32\x03\x01\xac\x02\x30\x05", {}) == {"ints": [1, 300, 5]}


def test_texts_that_are_no_utf8_are_mended():
    found = decoder.unpack("io.k8s.api.core.v1.ConfigMap", b"\x12\x08\x0a\x01k\x12\x03a\xffb", {})
    assert found == {"data": {"k": "a\ufffdb"}}


def test_depth_has_an_end():
    raw, definition = b"", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    for _ in range(3000):
        raw = b"\xe2\x01" + uvarint(len(raw)) + raw  # not: {not: …}
    with pytest.raises(codec.ProtobufError, match="exceeded max depth"):
        codec.decode(codec.envelope("v1", "X", b"\x12" + uvarint(len(raw)) + raw), lambda version, kind: definition)


@pytest.mark.parametrize("seconds", [1 << 40, -(1 << 62), (1 << 63) - 1])
def test_times_that_json_cannot_say(seconds):
    raw = b"\x42" + uvarint(len(uvarint(seconds)) + 1) + b"\x08" + uvarint(seconds)
    with pytest.raises(codec.ProtobufError, match="year outside of range"):
        decoder.unpack("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", raw, {})
