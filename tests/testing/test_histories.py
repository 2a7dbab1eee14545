"""The checker itself: a true history passes, and each kind of lie is found."""

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from kubewheel.testing.histories import ACKNOWLEDGED, REFUSED, UNKNOWN, Listed, Seen, Watched, Write, check

OPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("write", "delete")),
                         st.sampled_from((ACKNOWLEDGED, UNKNOWN))), min_size=1, max_size=20)


def true_history(ops):
    """A store with one client: writes, the events they make, the state at each revision."""
    state, writes, events, lists = {}, [], [], []
    revision = 10
    for number, (key, what, outcome) in enumerate(ops):
        there = key in state
        if what == "delete" and not there:
            continue
        revision += 1 + number % 3  # others write, too
        kind = "delete" if what == "delete" else "update" if there else "create"
        value = "" if what == "delete" else f"v{number}"
        expected = state[key][0] if there else 0
        ended = number + 0.5 if outcome == ACKNOWLEDGED else math.inf
        named = outcome == ACKNOWLEDGED and kind != "delete"  # answers to deletes name no revision
        writes.append(Write(kind, key, value, number, ended, outcome, revision if named else 0, expected))
        if kind == "delete":
            events.append(Seen("DELETED", key, state.pop(key)[1], revision))
        else:
            events.append(Seen("MODIFIED" if there else "ADDED", key, value, revision))
            state[key] = (revision, value)
        lists.append(Listed(revision, dict(state)))
    return writes, events, lists


@given(OPS)
def test_a_true_history_passes(ops):
    writes, events, lists = true_history(ops)
    writes.append(Write("create", "z", "never", 0, 1, REFUSED))
    half = len(events) // 2
    later = Watched(lists[half - 1].revision, lists[half - 1].items, events[half:]) if half else Watched(10, {}, events)
    assert check(writes, [Watched(10, {}, events), later], lists) == []


@given(OPS, st.data())
def test_every_lie_is_found(ops, data):
    writes, events, lists = true_history(ops)
    if not events:
        return
    at = data.draw(st.integers(0, len(events) - 1))
    one, first = events[at], Watched(10, {}, events)
    assert check(writes, [first, Watched(10, {}, events[:at] + events[at + 1:] + [
        Seen("ADDED", "other", "x", 999)])], lists), "an event of another watch is missed, one invented"
    assert check(writes, [Watched(10, {}, [*events[:at + 1], one, *events[at + 1:]])], lists), "an event twice"
    assert check([w for w in writes if (w.key, w.value) != (one.key, one.value)] if one.kind != "DELETED" else
                 [w for w in writes if w.kind != "delete" or w.key != one.key], [first], lists), "nobody wrote it"
    assert check(writes, [Watched(10, {}, [*events[:at], dataclasses.replace(one, revision=5), *events[at + 1:]])], lists)
    assert check([*writes, Write("create", "lost", "lost", 0, 99, ACKNOWLEDGED, 5000)], [first], lists), "lost"
    assert check(writes, [first], [Listed(one.revision, {**lists[at].items, "ghost": (1, "x")})]), "a ghost in a list"


def test_a_later_write_with_an_earlier_revision():
    events = [Seen("ADDED", "a", "1", 11), Seen("ADDED", "b", "2", 12)]
    late = Write("create", "a", "1", 5, 6, ACKNOWLEDGED, 11)
    assert check([Write("create", "b", "2", 0, 1, ACKNOWLEDGED, 12), late], [Watched(10, {}, events)], []) == [
        f"{late} began after {Write('create', 'b', '2', 0, 1, ACKNOWLEDGED, 12)} was acknowledged"]


def test_a_lost_update():
    events = [Seen("ADDED", "a", "1", 11), Seen("MODIFIED", "a", "2", 12), Seen("MODIFIED", "a", "3", 13)]
    writes = [Write("create", "a", "1", 0, 1, ACKNOWLEDGED, 11), Write("update", "a", "2", 2, 5, ACKNOWLEDGED, 12, 11),
              Write("update", "a", "3", 3, 5, ACKNOWLEDGED, 13, 11)]
    assert check(writes, [Watched(10, {}, events)], []) == [f"{writes[2]} replaced revision 12"]
