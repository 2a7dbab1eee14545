"""Properties of server-side apply and of field sets, on objects and sets made up by hypothesis."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.merge import nodes

from kubewheel.api.errors import StatusError
from kubewheel.api.merge import apply, fields, managed, merging, typed

NODE = nodes.DEPLOYMENT
END = managed.Endpoint(NODE, "apps/v1")
few = settings(max_examples=40, deadline=None)


def container(name, image, env, ports):
    out = {"name": name}
    if image:
        out["image"] = image
    if env:
        out["env"] = [{"name": n, "value": v} for n, v in env.items()]
    if ports:
        out["ports"] = [{"containerPort": p, "protocol": proto} for p, proto in ports]
    return out


def config(labels, replicas, finalizers, selector, containers):
    spec = {"template": {"spec": {"containers": containers}}}
    if replicas is not None:
        spec["replicas"] = replicas
    if selector:
        spec["template"]["spec"]["nodeSelector"] = selector
    meta = {"name": "x"}
    if labels:
        meta["labels"] = labels
    if finalizers:
        meta["finalizers"] = finalizers
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


WORDS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
CONTAINERS = st.lists(st.builds(
    container, st.sampled_from("pqr"), st.sampled_from(["", "i", "j"]), WORDS,
    st.lists(st.tuples(st.sampled_from([80, 443]), st.sampled_from(["TCP", "UDP"])), unique=True, max_size=2)),
    unique_by=lambda c: c["name"], min_size=1, max_size=3)
CONFIGS = st.builds(config, WORDS, st.none() | st.integers(1, 2), st.lists(st.sampled_from(["f/1", "g/2"]), unique=True),
                    WORDS, CONTAINERS)


def applied(live, wanted, manager="me", *, force=True, now=0.0, end=END):
    made = apply.apply(end, live, wanted, manager=manager, force=force, now=now)
    return json.loads(json.dumps(merging.without_nulls(NODE, made)))


def members(fieldset, path=()):
    """A set as plain paths: the model the algebra is held against."""
    out = set()
    for element, below in fieldset.items():
        if element == ".":
            continue
        if not below or "." in below:
            out.add((*path, element))
        out |= members(below, (*path, element))
    return out


def owned(obj, manager):
    return set().union(*(members(e["fieldsV1"]) for e in obj["metadata"].get("managedFields", ()) if e["manager"] == manager))


def content(obj):
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


def leaves(obj):
    return members(typed.of(NODE).applied(managed.owned_part(obj)))


@few
@given(CONFIGS, CONFIGS, CONFIGS)
def test_what_is_applied_is_there_and_owned(first, second, wanted):
    live = applied(applied(None, first, "one"), second, "two")
    told = applied(live, wanted)
    assert leaves(wanted) == owned(told, "me") and leaves(wanted) <= leaves(told)
    assert applied(told, wanted, force=False, now=9.0) == told, "once is enough"
    for manager in ("one", "two"):
        assert owned(told, manager) <= owned(live, manager), "nobody gains by another's apply"


@few
@given(CONFIGS, CONFIGS, CONFIGS)
def test_what_nobody_wants_any_more_goes(other, before, after):
    live = applied(applied(None, other, "other"), before)
    told = applied(live, after)
    mine, theirs = leaves(after), owned(told, "other")
    for path in leaves(told):
        assert path in mine | theirs or any(path[:n] in theirs | mine for n in range(1, len(path)))
    assert theirs <= members(merging.held(NODE, managed.owned_part(told))), "what others want stays"


@few
@given(CONFIGS, CONFIGS)
def test_disjoint_appliers_commute(one, two):
    clash = {p for p in leaves(one) & leaves(two) if p[-1] != 'f:name' and not p[-1].startswith("k:")}
    both = applied(applied(None, one, "one"), two, "two")
    other = applied(applied(None, two, "two"), one, "one")
    if clash:
        return
    assert owned(both, "one") == owned(other, "one") == leaves(one) and owned(both, "two") == owned(other, "two")
    assert leaves(both) == leaves(other)


@few
@given(CONFIGS, CONFIGS)
def test_without_force_only_equal_values_are_shared(one, two):
    live = applied(None, one, "one")
    try:
        told = applied(live, two, "two", force=False)
    except StatusError as e:
        assert e.code == 409
        paths = {cause["field"] for cause in e.status["details"]["causes"]}
        assert paths and content(applied(live, two, "two")) != content(live)
        return
    assert owned(told, "one") == owned(live, "one"), "nothing of another's changed"


@few
@given(CONFIGS, CONFIGS, CONFIGS)
def test_names_of_versions_do_not_matter_where_fields_are_the_same(other, before, after):
    """The long way of pruning, through another version, ends where the short one does."""
    same = managed.Version(NODE, lambda obj: obj, lambda obj: obj)
    new = managed.Endpoint(NODE, "apps/v2", other=lambda version: same if version == "apps/v1" else None)
    live = applied(applied(None, other, "other"), before)
    here, there = applied(live, after), applied(live, {**after, "apiVersion": "apps/v2"}, end=new)
    assert {**content(here), "apiVersion": ""} == {**content(there), "apiVersion": ""}
    assert owned(here, "other") == owned(there, "other") and owned(here, "me") == owned(there, "me")


@few
@given(CONFIGS, CONFIGS)
def test_updates_own_what_they_change(old, new):
    first = {**old, "metadata": {**old["metadata"], "managedFields": managed.updated(END, None, old, manager="a", now=0.0)}}
    entries = managed.updated(END, first, {**new, "metadata": dict(new["metadata"])}, manager="b", now=1.0)
    told = {"metadata": {"managedFields": entries}}
    changed, removed = typed.compare(NODE, managed.owned_part(old), managed.owned_part(new))
    assert owned(told, "b") == members(changed)
    assert owned(told, "a") == owned(first, "a") - members(changed) - members(removed)
    assert bool(changed or removed) == (typed.compare(NODE, managed.owned_part(new), managed.owned_part(old)) != ({}, {}))


SETS = CONFIGS.map(lambda c: typed.of(NODE).added(managed.owned_part(c))).map(lambda s: {k: v for k, v in s.items() if k != "."})


@few
@given(SETS, SETS)
def test_set_algebra_is_that_of_paths(a, b):
    mine, theirs = members(a), members(b)
    assert members(fields.union(a, b)) == mine | theirs
    assert members(fields.difference(a, b)) == mine - theirs
    assert members(fields.intersection(a, b)) == mine & theirs
    for made in (fields.union(a, b), fields.difference(a, b), fields.intersection(a, b)):
        assert json.dumps(fields.canonical(made)) == json.dumps(made), "in the order of the wire"
        assert fields.canonical(json.loads(json.dumps(made))) == made
        assert len(list(fields.paths(made))) == len(members(made))


@few
@given(SETS)
def test_filters_drop_and_keep_whole_trees(a):
    reset = fields.of_paths((("spec", "replicas"), ("metadata", "labels")))
    gone = (("f:spec", "f:replicas"), ("f:metadata", "f:labels"))
    assert members(fields.exclude(a, reset)) == {p for p in members(a) if p[:2] not in gone}
    kept = fields.include(a, {"f:spec": {"f:template": {"f:spec": {"f:containers": {"*": {"f:env": {}}}}}}})
    assert members(kept) == {p for p in members(a) if len(p) > 5 and p[3] == "f:containers" and p[5] == "f:env"}
