"""managedFields and server-side apply."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.merge import nodes

from kubewheel.api.errors import StatusError
from kubewheel.api.merge import apply, fields, managed, typed

NODE = nodes.DEPLOYMENT
END = managed.Endpoint(NODE, "apps/v1")


def deployment(*, replicas=1, labels=None, containers=({"name": "c", "image": "a"},), **spec):
    out = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
        "name": "x", "labels": labels or {"a": "1"}},
           "spec": {"replicas": replicas, "template": {"spec": {"containers": list(containers)}}, **spec}}
    if replicas is None:
        del out["spec"]["replicas"]
    return out


def write(new, old=None, *, manager="kubectl", now=0.0, subresource=""):
    new = copy.deepcopy(new)
    end = managed.Endpoint(NODE, "apps/v1", subresource)
    new["metadata"]["managedFields"] = managed.updated(end, old, new, manager=manager, now=now)
    return new


def applied(live, config, *, manager="me", force=False, now=0.0):
    before = copy.deepcopy((live, config))
    out = apply.apply(END, live, config, manager=manager, force=force, now=now)
    assert (live, config) == before
    return out


def owned(obj, manager):
    return [p for e in obj["metadata"]["managedFields"] if e["manager"] == manager
            for p in fields.paths(e["fieldsV1"])]


def test_create_owns_all_but_identity():
    assert write(deployment())["metadata"]["managedFields"] == [{
        "manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "time": "1970-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}}}}}}]


def test_update_takes_what_it_changes_and_leaves_the_rest():
    old = write(deployment(labels={"a": "1", "b": "2"}))
    new = write(deployment(replicas=3), old, manager="scaler", now=60.0)
    assert owned(new, "scaler") == [".spec.replicas"]
    assert ".spec.replicas" not in owned(new, "kubectl") and ".metadata.labels.b" not in owned(new, "kubectl")
    assert [e["time"] for e in new["metadata"]["managedFields"]] == [
        "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"]


def test_update_without_effect_changes_nothing():
    old = write(deployment())
    assert write(deployment(), old, manager="other", now=60.0) == old


def test_status_is_its_own_entry():
    old = write(deployment())
    new = write({**old, "status": {"replicas": 1}}, old, manager="kubectl", subresource="status", now=1.0)
    assert [(e.get("subresource"), list(e["fieldsV1"])) for e in new["metadata"]["managedFields"]] == [
        (None, ["f:metadata", "f:spec"]), ("status", ["f:status"])]


def test_reset_stops_tracking_until_the_next_apply():
    old = write(deployment())
    new = copy.deepcopy(old)
    new["metadata"]["managedFields"] = [{}]
    bare = write(new, old)
    assert bare["metadata"]["managedFields"] == []
    again = write(deployment(replicas=2), bare)
    assert again["metadata"]["managedFields"] == []
    entries = applied(again, deployment(replicas=2))["metadata"]["managedFields"]
    assert [e["manager"] for e in entries] == ["me", "before-first-apply"]


def test_at_most_ten_updaters():
    obj = write(deployment())
    for i in range(15):
        obj = write(deployment(labels={**obj["metadata"]["labels"], f"l{i}": "x"}), obj, manager=f"m{i}",
                    now=float(i + 1))
    managers = [e["manager"] for e in obj["metadata"]["managedFields"]]
    assert len(managers) == 10 and managers[0] == "ancient-changes" and managers[-1] == "m14"


def test_conflicts_read_like_upstream():
    live = write(deployment(), manager="kubectl-client-side-apply")
    with pytest.raises(StatusError) as one:
        applied(live, deployment(replicas=2))
    assert one.value.code == 409 and one.value.reason == "Conflict"
    assert one.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: '
        '.spec.replicas')
    with pytest.raises(StatusError) as two:
        applied(live, deployment(replicas=2, containers=({"name": "c", "image": "b"},)))
    assert two.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n'
        '- .spec.replicas\n- .spec.template.spec.containers[name="c"].image')
    assert {c["reason"] for c in two.value.status["details"]["causes"]} == {"FieldManagerConflict"}


def test_force_takes_over_and_equal_values_are_shared():
    live = write(deployment())
    new = applied(live, deployment(replicas=2), force=True)
    assert new["spec"]["replicas"] == 2
    assert ".spec.replicas" in owned(new, "me") and ".spec.replicas" not in owned(new, "kubectl")
    image = '.spec.template.spec.containers[name="c"].image'
    assert image in owned(new, "me") and image in owned(new, "kubectl")


def test_what_is_no_longer_applied_goes_unless_shared():
    live = applied(None, deployment(labels={"a": "1", "b": "2"}, containers=(
        {"name": "c", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B"}]}, {"name": "d"})))
    live = applied(live, {"metadata": {"name": "x", "labels": {"b": "2"}}}, manager="other")
    live["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"  # a default nobody owns
    new = applied(live, deployment(labels={"a": "1"}, replicas=None, containers=(
        {"name": "c", "image": "a", "env": [{"name": "B"}]},)))
    assert new["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert new["spec"] == {"template": {"spec": {"containers": [
        {"name": "c", "image": "a", "env": [{"name": "B"}]}]}}}


def test_keyed_lists_merge_in_the_applied_order_and_atomic_ones_are_replaced():
    live = write(deployment(containers=({"name": "a", "args": ["1"]}, {"name": "s"}, {"name": "b"})))
    new = applied(live, deployment(containers=({"name": "b"}, {"name": "a", "args": ["2", "3"]})), force=True)
    items = new["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in items] == ["s", "b", "a"]
    assert items[2]["args"] == ["2", "3"]


def test_sets_merge():
    live = applied(None, {"metadata": {"name": "x", "finalizers": ["a/1"]}}, manager="one")
    live = applied(live, {"metadata": {"name": "x", "finalizers": ["b/2"]}}, manager="two")
    assert live["metadata"]["finalizers"] == ["a/1", "b/2"]
    gone = applied(live, {"metadata": {"name": "x"}}, manager="one")
    assert gone["metadata"]["finalizers"] == ["b/2"] and owned(gone, "one") == []


@pytest.mark.parametrize(("config", "code", "message"), [
    ({"metadata": {"name": "x", "managedFields": []}}, 400, "metadata.managedFields must be nil"),
    ({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "n"},
      "spec": {"foo": 1}}, 500,
     "failed to create typed patch object (n/x; apps/v1, Kind=Deployment): .spec.foo: "
     "field not declared in schema"),
    (deployment(containers=({"name": "c"}, {"name": "c"})), 500,
     'failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.template.spec.containers: '
     'duplicate entries for key [name="c"]'),
])
def test_refused(config, code, message):
    with pytest.raises(StatusError) as error:
        apply.apply(END, None, config, manager="m", force=False, now=0)
    assert (error.value.code, error.value.message) == (code, message)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
CONFIGS = st.builds(
    lambda labels, replicas, images: deployment(
        replicas=replicas, labels=labels, containers=[{"name": n, "image": i} for n, i in images.items()]),
    LABELS, st.none() | st.integers(1, 2), st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), min_size=1))


@given(CONFIGS, CONFIGS, CONFIGS)
def test_apply_twice_is_apply_once(base, first, second):
    live = applied(write(base), first, force=True, now=1.0)
    once = applied(live, second, force=True, now=2.0)
    assert applied(once, second, now=3.0) == once
    for item in second["spec"]["template"]["spec"]["containers"]:
        assert item in once["spec"]["template"]["spec"]["containers"]


@given(CONFIGS, CONFIGS)
def test_set_algebra(one, two):
    a, b = (typed.of(NODE).applied(managed.owned_part(x)) for x in (one, two))
    pa, pb = (set(fields.paths(x)) for x in (a, b))
    assert set(fields.paths(fields.union(a, b))) == pa | pb
    assert set(fields.paths(fields.difference(a, b))) == pa - pb
    assert set(fields.paths(fields.intersection(a, b))) == pa & pb
    assert fields.canonical(a) == a


@given(CONFIGS)
def test_a_new_object_is_one_that_was_empty(config):
    owned = managed.owned_part(config)
    changed, removed = typed.compare(NODE, {"metadata": {}}, owned)  # walks as an update does
    assert typed.compare(NODE, {}, owned) == (changed, removed)
    assert fields.canonical(changed) == changed and list(fields.paths(changed))
