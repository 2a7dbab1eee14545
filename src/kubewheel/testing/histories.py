"""Holds what clients saw of a store against what a store may do: revisions, acknowledgements, watches, lists.

In: Write, Seen and Listed records that clients made while the server was killed, restarted, cut off. Out: `check`
returns every broken promise as a sentence, [] where there is none. Pure. Called by: tests; of use to whoever writes a
store or a client.

The promises (the API concepts page, etcd's guarantees):
- an acknowledged write happened, once, at the revision its answer names; a refused one did not; of an unanswered one
  both may be true;
- a write that began after another was acknowledged has the higher revision;
- a watch shows every write after the revision it started from, once, in order of revision, resumed or not, and all
  watches agree; ADDED, MODIFIED, DELETED say whether the object was there before;
- a list at a revision is what the writes up to it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


@dataclass(frozen=True, slots=True)
class Write:
    """One call. `value` tells what was written and is never used twice; "" for a delete."""

    kind: str  # create | update | delete
    key: str
    value: str
    began: float
    ended: float  # when its answer came; infinity where none did
    outcome: str  # ACKNOWLEDGED | REFUSED | UNKNOWN
    revision: int = 0  # of an acknowledged write; 0 for a delete whose answer names none
    expected: int = 0  # the revision an update or delete was told to replace; 0: any


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a watch."""

    kind: str  # ADDED | MODIFIED | DELETED
    key: str
    value: str
    revision: int


@dataclass(slots=True)
class Watched:
    """What one watcher saw: from an initial state at a revision, through all its reconnections."""

    start: int
    initial: Mapping[str, tuple[int, str]]  # key -> (revision, value)
    events: list[Seen] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Listed:
    revision: int
    items: Mapping[str, tuple[int, str]]  # key -> (revision, value)


def check(writes: Sequence[Write], watches: Sequence[Watched], lists: Iterable[Listed]) -> list[str]:
    """`watches` must not be empty, and the first one began before the first write and saw the last."""
    out: list[str] = []
    for number, watched in enumerate(watches):
        out += [f"watch {number}: {text}" for text in _order(watched)]
    history = watches[0]
    for number, watched in enumerate(watches[1:], 1):
        out += [f"watch {number}: {text}" for text in _agreement(history, watched)]
    writes = _resolved(writes, history)
    out += _truth(writes, history)
    out += _real_time(writes)
    for listed in lists:
        out += _replayed(history, listed)
    return out


def _order(watched: Watched) -> list[str]:
    """Revisions grow, and each event fits the state before it."""
    out, last = [], watched.start
    state = dict(watched.initial)
    for event in watched.events:
        if event.revision <= last:
            out.append(f"{event} came after revision {last}")
        last = max(last, event.revision)
        was = event.key in state
        if (event.kind == "ADDED") is was:
            out.append(f"{event}, but the object was {'there' if was else 'not there'}")
        if event.kind == "DELETED":
            state.pop(event.key, None)
        else:
            state[event.key] = (event.revision, event.value)
    return out


def _agreement(history: Watched, watched: Watched) -> list[str]:
    expected = {e.revision: e for e in history.events if e.revision > watched.start}
    got = {e.revision: e for e in watched.events}
    end = max(got, default=watched.start)
    out = [f"missed {e}" for r, e in expected.items() if r <= end and r not in got]
    out += [f"saw {e}, which the first did not" for r, e in got.items() if r not in expected]
    return out + [f"saw {e} where the first saw {expected[r]}" for r, e in got.items()
                  if r in expected and expected[r] != e]


def _resolved(writes: Sequence[Write], history: Watched) -> list[Write]:
    """Answers to deletes name no revision: it is that of the event that took the revision they expected."""
    current = {key: revision for key, (revision, _) in history.initial.items()}
    took: dict[tuple[str, int], int] = {}
    for event in history.events:
        if event.kind == "DELETED":
            took[(event.key, current.get(event.key, 0))] = event.revision
        current[event.key] = event.revision
    return [replace(w, revision=took.get((w.key, w.expected), 0))
            if w.kind == "delete" and w.outcome == ACKNOWLEDGED and not w.revision else w for w in writes]


def _truth(writes: Sequence[Write], history: Watched) -> list[str]:
    by_revision = {e.revision: e for e in history.events}
    out: list[str] = []
    claimed: dict[int, Write] = {}
    for write in writes:
        if write.outcome != ACKNOWLEDGED:
            continue
        event = by_revision.get(write.revision)
        if write.revision in claimed:
            out.append(f"{write} and {claimed[write.revision]} were given one revision")
        claimed[write.revision] = write
        if event is None:
            out.append(f"lost: {write}")
        elif not _is_of(event, write):
            out.append(f"{write} was acknowledged, but its revision shows {event}")
    out += _expectations(writes, history)
    possible = {(w.key, w.value) for w in writes if w.outcome != REFUSED and w.kind != "delete"}
    deleted = {w.key for w in writes if w.outcome != REFUSED and w.kind == "delete"}
    for event in history.events:
        if event.kind == "DELETED":
            if event.key not in deleted:
                out.append(f"nobody asked for {event}")
        elif (event.key, event.value) not in possible:
            out.append(f"nobody wrote {event}")
    values = [e.value for e in history.events if e.kind != "DELETED"]
    return out + [f"{v} was written more than once" for v in {v for v in values if values.count(v) > 1}]


def _is_of(event: Seen, write: Write) -> bool:
    if event.key != write.key:
        return False
    if write.kind == "delete":
        return event.kind == "DELETED"
    return event.value == write.value and (event.kind == "ADDED") == (write.kind == "create")


def _expectations(writes: Sequence[Write], history: Watched) -> list[str]:
    """A write that named the revision it replaces replaced just that one."""
    current = {key: revision for key, (revision, _) in history.initial.items()}
    replaced: dict[int, int] = {}
    for event in history.events:
        replaced[event.revision] = current.get(event.key, 0)
        current[event.key] = event.revision
    return [f"{w} replaced revision {replaced[w.revision]}" for w in writes
            if w.outcome == ACKNOWLEDGED and w.expected and replaced.get(w.revision, w.expected) != w.expected]


def _real_time(writes: Sequence[Write]) -> list[str]:
    """One pass over beginnings and ends in time: what begins has a higher revision than all that had ended."""
    known = [w for w in writes if w.outcome == ACKNOWLEDGED and w.revision]
    moments = [(w.ended, 0, w) for w in known] + [(w.began, 1, w) for w in known]
    out: list[str] = []
    newest: Write | None = None
    for _, begins, write in sorted(moments, key=lambda m: m[:2]):
        if begins and newest is not None and write.revision <= newest.revision:
            out.append(f"{write} began after {newest} was acknowledged")
        elif not begins and (newest is None or write.revision > newest.revision):
            newest = write
    return out


def _replayed(history: Watched, listed: Listed) -> list[str]:
    state = dict(history.initial)
    for event in history.events:
        if event.revision > listed.revision:
            break
        if event.kind == "DELETED":
            state.pop(event.key, None)
        else:
            state[event.key] = (event.revision, event.value)
    keys = state.keys() | listed.items.keys()
    return [f"the list at {listed.revision} shows {key} as {listed.items.get(key)}, the writes left {state.get(key)}"
            for key in sorted(keys) if state.get(key) != listed.items.get(key)]
