"""JSON patch, merge patch, strategic merge patch."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.merge import nodes

from kubewheel.api.merge import json_patch, merge_patch, strategic
from kubewheel.api.merge.patch_error import PatchError


@pytest.mark.parametrize(("doc", "op", "wanted"), [
    ({"a": [1, 2]}, {"op": "add", "path": "/a/-", "value": 3}, {"a": [1, 2, 3]}),
    ({"a": [1, 2]}, {"op": "add", "path": "/a/0", "value": 3}, {"a": [3, 1, 2]}),
    ({"a": [1, 2]}, {"op": "remove", "path": "/a/-1"}, {"a": [1]}),
    ({"a": {"b~/": 1}}, {"op": "replace", "path": "/a/b~0~1", "value": 2}, {"a": {"b~/": 2}}),
    ({"a": 1}, {"op": "move", "from": "/a", "path": "/b"}, {"b": 1}),
    ({"a": {"x": 1}}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": {"x": 1}, "b": {"x": 1}}),
    ({"a": 1}, {"op": "test", "path": "/a", "value": 1}, {"a": 1}),
    ({"a": 1}, {"op": "test", "path": "/b", "value": None}, {"a": 1}),
    ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
    ({"a": 1}, {"op": "test", "path": "", "value": {"a": 1}}, {"a": 1}),
    # what the library lets pass though the RFC does not
    ({"a": 1}, {"op": "replace", "path": "/x", "value": 1}, {"a": 1, "x": 1}),
    ({"a": 1}, {"op": "copy", "from": "/x", "path": "/y"}, {"a": 1, "y": None}),
    ({"a": 1}, {"op": "add", "path": "/x"}, {"a": 1, "x": None}),
])
def test_json_patch(doc, op, wanted):
    before = copy.deepcopy(doc)
    assert json_patch.apply(doc, [op]) == wanted
    assert doc == before


@pytest.mark.parametrize("op", [
    {"op": "test", "path": "/a", "value": True},
    {"op": "remove", "path": "/x"},
    {"op": "replace", "path": "/l/0", "value": 1},
    {"op": "add", "path": "", "value": {}},
    {"op": "add", "path": "/x/y", "value": 1},
    {"op": "add", "path": "/l/5", "value": 1},
    {"op": "add", "path": "/l/x", "value": 1},
    {"op": "move", "from": "/x", "path": "/y"},
    {"op": "copy", "from": "/x/z", "path": "/y"},
    {"op": "copy", "path": "/y"},
    {"op": "add", "path": "x", "value": 1},
    {"op": "frob", "path": "/a"},
])
def test_json_patch_that_does_not_fit(op):
    with pytest.raises(PatchError) as error:
        json_patch.apply({"a": 1, "l": []}, [op])
    assert error.value.code == 422


def test_json_patch_that_is_none():
    with pytest.raises(PatchError) as error:
        json_patch.apply({}, {"a": 1})
    assert error.value.code == 400


JSON = st.recursive(st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
                    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8)


def test_merge_patch():
    assert merge_patch.apply({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2]}) == {
        "a": {"c": 2}, "l": [2]}
    assert merge_patch.apply({"a": 1}, {"b": {"c": None}}) == {"a": 1, "b": {}}


@given(JSON, JSON)
def test_merge_patch_is_idempotent_and_pure(doc, patch):
    before = copy.deepcopy((doc, patch))
    once = merge_patch.apply(doc, patch)
    assert merge_patch.apply(once, patch) == once
    assert (doc, patch) == before


def containers(*items, **more):
    return {"spec": {"template": {"spec": {"containers": list(items), **more}}}}


@pytest.mark.parametrize(("doc", "patch", "wanted"), [
    (containers({"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}),
     containers({"name": "a", "image": "2", "args": ["y"]}, {"name": "c"}),
     containers({"name": "a", "image": "2", "args": ["y"]}, {"name": "c"}, {"name": "b"})),
    (containers({"name": "a"}, {"name": "b"}), containers({"name": "c"}),
     containers({"name": "c"}, {"name": "a"}, {"name": "b"})),
    (containers({"name": "a"}, {"name": "b"}), containers({"name": "a", "$patch": "delete"}),
     containers({"name": "b"})),
    (containers({"name": "a"}, {"name": "b"}), containers({"$patch": "replace"}, {"name": "z"}),
     containers({"name": "z"})),
    (containers({"name": "a"}, {"name": "s"}, {"name": "b"}),
     containers({"name": "c"}, **{"$setElementOrder/containers": [{"name": n} for n in "bac"]}),
     containers({"name": "s"}, {"name": "b"}, {"name": "a"}, {"name": "c"})),
    ({"metadata": {"finalizers": ["a", "b"]}},
     {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c", "b"]}},
     {"metadata": {"finalizers": ["c", "b"]}}),
    ({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
     {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
     {"spec": {"strategy": {"type": "Recreate"}}}),
    ({"metadata": {"labels": {"a": "1", "b": "2"}}}, {"metadata": {"labels": {"a": None, "c": "3"}}},
     {"metadata": {"labels": {"b": "2", "c": "3"}}}),
    ({"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}},
     {"metadata": {"labels": {"b": "2"}}}),
])
def test_strategic(doc, patch, wanted):
    before = copy.deepcopy((doc, patch))
    assert strategic.apply(nodes.DEPLOYMENT, doc, patch) == wanted
    assert (doc, patch) == before


STRATEGY = {"metadata": {"labels": {"a": "1"}}, "spec": {
    "strategy": {"type": "RollingUpdate"}, "template": {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}}


@pytest.mark.parametrize(("patch", "code", "message"), [
    (containers({"image": "no name"}), 500, "map: map[image:no name] does not contain declared merge key: name"),
    (containers({"$patch": "delete"}), 500, "map: map[$patch:delete] does not contain declared merge key: name"),
    (containers({"name": "a", "$patch": "merge"}), 500, "merging lists cannot yet be specified in the patch"),
    (containers({"name": "a", "$patch": "x"}), 500, "unknown patch type: x in map: map[$patch:x name:a]"),
    (containers([1]), 500, "list element types are not identical: [[map[name:a] map[name:b]] [[1]]]"),
    ({"metadata": {"finalizers": [[1]], "$setElementOrder/finalizers": []}}, 422, "lists of lists are not supported"),
    (containers({"name": "b"}, {"name": "a"}, **{"$setElementOrder/containers": [{"name": n} for n in "ab"]}), 500,
     "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n"
     "[map[name:a] map[name:b]]\n"),
    (containers({"name": "b"}, **{"$setElementOrder/containers": {}}), 500,
     "expected a []interface {}, but received a map[string]interface {}"),
    (containers({"name": "a"}, {"$patch": "replace"}, **{"$setElementOrder/containers": [{"name": "a"}]}), 500,
     "The order in patch list:\n[map[name:a] map[$patch:replace]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"),
    (containers(**{"$setElementOrder/containers": [{}]}), 500, "map: map[] does not contain declared merge key: name"),
    (containers("x"), 500, "list element types are not identical: [[map[name:a] map[name:b]] [x]]"),
    ({"metadata": {"$setElementOrder/finalizers": ["a"], "finalizers": []}}, 500, "no elements in any of the given slices"),
    ({"metadata": {"$setElementOrder/nothing": ["a"]}}, 500,
     'unable to find api field in struct ObjectMeta for the json field "nothing"'),
    ({"metadata": {"labels": {"$patch": 5}}}, 500, "unknown patch type: %!s(int64=5) in map: map[$patch:5]"),
    ({"metadata": {"labels": {"$patch": None}}}, 500, "unknown patch type: %!s(<nil>) in map: map[$patch:<nil>]"),
    ({"metadata": {"labels": {"$patch": "merge"}}}, 500, "unknown patch type: merge in map: map[$patch:merge]"),
    ({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}, 400, "invalid patch format of retainKeys"),
    ({"spec": {"strategy": {"$retainKeys": "type"}}}, 400, "invalid patch format of retainKeys"),
])
def test_strategic_that_does_not_fit(patch, code, message):
    with pytest.raises(PatchError) as error:
        strategic.apply(nodes.DEPLOYMENT, STRATEGY, patch)
    assert (error.value.code, str(error.value)) == (code, message)


@pytest.mark.parametrize(("op", "words"), [  # in the words of the library
    ({"op": "add", "path": "/l/5", "value": 1},
     "error in add for path: '/l/5': Unable to access invalid index: 5: invalid index referenced"),
    ({"op": "add", "path": "/l/x", "value": 1}, "error in add for path: '/l/x': value was not a proper array index: 'x': "
     'strconv.Atoi: parsing "x": invalid syntax'),
    ({"op": "remove", "path": "/x"}, "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value"),
    ({"op": "remove", "path": "/x/y"}, 'remove operation does not apply: doc is missing path: "/x/y": missing value'),
    ({"op": "replace", "path": "/x/y", "value": 1}, "replace operation does not apply: doc is missing path: /x/y: missing value"),
    ({"op": "replace", "path": "/l/0", "value": 1}, "replace operation does not apply: doc is missing key: /l/0: missing value"),
    ({"op": "move", "from": "/x", "path": "/y"}, "error in move for path: 'x': Unable to remove nonexistent key: x: missing value"),
    ({"op": "move", "from": "/a", "path": "/x/y"},
     "move operation does not apply: doc is missing destination path: /x/y: missing value"),
    ({"op": "copy", "from": "/l/0", "path": "/y"},
     "error in copy for from: '/l/0': Unable to access invalid index: 0: invalid index referenced"),
    ({"op": "test", "path": "/x/y", "value": 1}, "test operation does not apply: is missing path: /x/y: missing value"),
])
def test_json_patch_words(op, words):
    with pytest.raises(PatchError) as error:
        json_patch.apply({"a": 1, "l": []}, [op])
    assert str(error.value) == words


def test_json_patch_root():
    assert json_patch.apply({"a": 1}, [{"op": "replace", "path": "", "value": 1}]) == {"a": 1}
    assert json_patch.apply({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 1}}]) == {"b": 1}


def test_json_patch_copies_are_bounded():
    doubling = [{"op": "add", "path": "/x", "value": ["y" * 1000]}, *({"op": "copy", "from": "/x", "path": "/x/-"},) * 20]
    with pytest.raises(PatchError, match="Unable to complete the copy, the accumulated size increase of copy is .*, exceeding the "
                                         "limit 3145728"):
        json_patch.apply({}, doubling)
