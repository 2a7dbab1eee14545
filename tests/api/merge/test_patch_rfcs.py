"""The examples of RFC 6902 and RFC 7396, and properties of both patches."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubewheel.api.merge import json_patch, merge_patch
from kubewheel.api.merge.patch_error import PatchError

few = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(("doc", "patch", "wanted"), [  # RFC 7396, appendix A
    ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}), ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}), ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), (["a", "b"], ["c", "d"], ["c", "d"]), ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None), ({"a": "foo"}, "bar", "bar"), ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}), ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}})])
def test_rfc_7396(doc, patch, wanted):
    assert merge_patch.apply(doc, patch) == wanted


@pytest.mark.parametrize(("doc", "ops", "wanted"), [  # RFC 6902, appendix A; None: an error
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo", "foo": "bar"}),
    ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
     [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
     {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
    ({"foo": ["all", "grass", "cows", "eat"]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
     {"foo": ["all", "cows", "eat", "grass"]}),
    ({"baz": "qux", "foo": ["a", 2, "c"]}, [{"op": "test", "path": "/baz", "value": "qux"},
                                           {"op": "test", "path": "/foo/1", "value": 2}], {"baz": "qux", "foo": ["a", 2, "c"]}),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}], {"foo": "bar", "child": {"grandchild": {}}}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]})])
def test_rfc_6902(doc, ops, wanted):
    before = copy.deepcopy(doc)
    if wanted is None:
        with pytest.raises(PatchError) as error:
            json_patch.apply(doc, ops)
        assert error.value.code == 422
    else:
        assert json_patch.apply(doc, ops) == wanted
    assert doc == before


JSON = st.recursive(st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from("ab"),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/", "~c"]), inner),
                    max_leaves=10)
DOCS = st.dictionaries(st.sampled_from(["a", "b/", "~c"]), JSON)


def pointers(value, path=""):
    """(pointer, value) of everything in a document."""
    found = [(path, value)] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        found += pointers(member, path + "/" + str(key).replace("~", "~0").replace("/", "~1"))
    return found


@few
@given(DOCS, JSON, st.data())
def test_an_operation_does_what_the_next_test_expects(doc, value, data):
    found = pointers(doc)
    if not found:
        return
    path, old = data.draw(st.sampled_from(found))
    assert json_patch.apply(doc, [{"op": "test", "path": path, "value": old}]) == doc
    made = json_patch.apply(doc, [{"op": "replace", "path": path, "value": value}, {"op": "test", "path": path, "value": value}])
    assert json_patch.apply(made, [{"op": "replace", "path": path, "value": old}]) == doc
    gone = json_patch.apply(doc, [{"op": "remove", "path": path}])
    assert json_patch.same(json_patch.apply(gone, [{"op": "add", "path": path, "value": old}]), doc)
    moved = json_patch.apply(doc, [{"op": "move", "from": path, "path": "/new"}])
    assert json_patch.same(moved, json_patch.apply(gone, [{"op": "add", "path": "/new", "value": old}]))
    copied = json_patch.apply(doc, [{"op": "copy", "from": path, "path": "/new"}])
    assert json_patch.same(copied, {**doc, "new": old})


def difference(old, new):
    """A merge patch from one document to another, made without merge_patch."""
    out = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            out[key] = difference(old[key], value)
        elif key not in old or not json_patch.same(old[key], value):
            out[key] = value
    return out


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return value


@few
@given(DOCS.map(without_nulls), DOCS.map(without_nulls))
def test_a_merge_patch_leads_from_any_document_to_any_other(old, new):
    assert json_patch.same(merge_patch.apply(old, difference(old, new)), new)
