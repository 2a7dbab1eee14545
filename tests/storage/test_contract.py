"""Every store passes this: what storage/store.py promises."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubewheel.storage.memory import MemoryStore
from kubewheel.storage.sqlite import SqliteStore
from kubewheel.storage.store import Compacted, Conflict, FutureRevision, KeyExists, Store, StoreEvent

KINDS = ("memory", "sqlite", "sqlite-small-ring")  # the small ring reads its history from the file


def build(kind: str, directory: Path) -> MemoryStore | SqliteStore:
    if kind == "memory":
        return MemoryStore()
    return SqliteStore(directory / "store.db", history_limit=2 if kind == "sqlite-small-ring" else 1000)


@pytest.fixture(params=KINDS)
async def store(request, tmp_path):
    it = build(request.param, tmp_path)
    await it.start()
    yield it
    await it.aclose()


async def take(store: Store, prefix: str, after: int, count: int) -> list[StoreEvent]:
    watch = store.watch(prefix, after=after)
    found: list[StoreEvent] = []
    async with asyncio.timeout(5):
        async for batch in watch:
            found += batch
            if len(found) >= count:
                break
    await watch.aclose()  # type: ignore[attr-defined]
    return found


async def opened(store) -> None:
    async with asyncio.timeout(5):
        while store.watcher_count() == 0:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def test_write_read_remove(store):
    assert store.revision() == 1
    assert await store.create("/a", b"1") == 2
    assert await store.update("/a", b"2", expected=2) == 3
    found = await store.get("/a")
    assert (found.value, found.revision) == (b"2", 3)
    assert await store.delete("/a", expected=3) == 4
    assert await store.get("/a") is None
    assert store.revision() == 4
    assert await store.create("/a", b"again") == 5


async def test_refusals_carry_what_is_there(store):
    await store.create("/a", b"1")
    with pytest.raises(KeyExists) as exists:
        await store.create("/a", b"2")
    assert exists.value.current.value == b"1"
    with pytest.raises(Conflict) as stale:
        await store.update("/a", b"2", expected=9)
    assert stale.value.current.revision == 2
    with pytest.raises(Conflict) as stale:
        await store.delete("/a", expected=1)
    assert stale.value.current.revision == 2
    with pytest.raises(Conflict) as absent:
        await store.update("/b", b"2", expected=0)
    assert absent.value.current is None
    assert store.revision() == 2


async def test_concurrent_updates_one_wins(store):
    await store.create("/a", b"0")
    results = await asyncio.gather(
        *(store.update("/a", b"%d" % i, expected=2) for i in range(10)), return_exceptions=True
    )
    assert [r for r in results if isinstance(r, int)] == [3]
    assert sum(isinstance(r, Conflict) for r in results) == 9


async def test_pages_are_one_snapshot(store):
    for i in range(7):
        await store.create(f"/p/{i}", b"old")
    await store.create("/q", b"other")
    first = await store.range("/p/", limit=3)
    assert [kv.key for kv in first.items] == ["/p/0", "/p/1", "/p/2"]
    assert (first.more, first.remaining) == (True, 4)
    await store.update("/p/4", b"new", expected=6)
    await store.delete("/p/5", expected=7)
    await store.create("/p/45", b"new")
    second = await store.range("/p/", revision=first.revision, limit=3, start_after="/p/2")
    assert [(kv.key, kv.value, kv.revision) for kv in second.items] == [
        ("/p/3", b"old", 5), ("/p/4", b"old", 6), ("/p/5", b"old", 7)]
    assert (second.more, second.remaining, second.revision) == (True, 1, first.revision)
    now = await store.range("/p/", start_after="/p/3")
    assert [kv.key for kv in now.items] == ["/p/4", "/p/45", "/p/6"]
    assert now.revision == store.revision() and not now.more


async def test_compacted_and_future(store):
    for i in range(6):
        await store.create(f"/{i}", b"x")
    await store.delete("/0", expected=2)
    await store.compact(5)
    with pytest.raises(Compacted) as gone:
        await store.range("/", revision=4)
    assert gone.value.oldest == 5
    with pytest.raises(Compacted):
        await take(store, "/", 4, 1)
    assert len((await store.range("/", revision=5)).items) == 4
    assert [e.revision for e in await take(store, "/", 5, 3)] == [6, 7, 8]
    with pytest.raises(FutureRevision):
        await store.range("/", revision=99)
    assert len((await store.range("/")).items) == 5


async def test_watch_history_then_live_with_previous_values(store):
    await store.create("/w/a", b"1")
    await store.create("/x/a", b"no")
    await store.update("/w/a", b"2", expected=2)
    watch = store.watch("/w/", after=2)
    found = await asyncio.wait_for(anext(watch), 5)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await store.delete("/w/a", expected=4)
    await store.create("/x/b", b"no")
    found += await asyncio.wait_for(waiting, 5)
    await watch.aclose()
    assert found == [StoreEvent("/w/a", 4, b"2", b"1", 2), StoreEvent("/w/a", 5, None, b"2", 4)]


async def test_watchers_each_see_all_and_a_slow_one_gets_a_longer_batch(store):
    watches = [store.watch(prefix, after=1) for prefix in ("", "/a/", "/a/b", "/")]
    for watch in watches:
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await store.create(f"/a/b{id(watch)}", b"x")
        await asyncio.wait_for(waiting, 5)
    await asyncio.gather(*(store.create(f"/a/b/{i}", b"x") for i in range(50)))
    for watch in watches:
        events: list[StoreEvent] = []
        while not events or events[-1].revision < store.revision():
            events += await asyncio.wait_for(anext(watch), 5)
        revisions = [e.revision for e in events]
        assert revisions == sorted(set(revisions)) and len(revisions) >= 50
        await watch.aclose()
    assert store.watcher_count() == 0


async def test_cancelling_frees_the_watcher(store):
    async def follow() -> None:
        async for _ in store.watch("/", after=1):
            pass

    task = asyncio.ensure_future(follow())
    await opened(store)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert store.watcher_count() == 0


async def test_closing_ends_watches(store):
    task = asyncio.ensure_future(anext(store.watch("/", after=1), None))
    await opened(store)
    await store.aclose()
    assert await asyncio.wait_for(task, 5) is None


OPS = st.lists(st.tuples(st.sampled_from("cudxk"), st.integers(0, 4)), max_size=25)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(ops=OPS)
@pytest.mark.parametrize("kind", ["memory", "sqlite-small-ring"])
def test_against_a_model(kind, ops):
    directory = Path(tempfile.mkdtemp())
    try:
        asyncio.run(_against_model(build(kind, directory), ops))
    finally:
        shutil.rmtree(directory)


async def _against_model(store, ops) -> None:
    await store.start()
    now: dict[str, tuple[bytes, int]] = {}
    snapshots = {1: dict(now)}
    oldest = 1
    for step, (op, number) in enumerate(ops):
        key = f"/m/{number}"
        there = now.get(key)
        value = b"%d" % step
        if op == "c" and there is None:
            now[key] = (value, await store.create(key, value))
        elif op == "u" and there is not None:
            now[key] = (value, await store.update(key, value, expected=there[1]))
        elif op == "d" and there is not None:
            await store.delete(key, expected=there[1])
            del now[key]
        elif op == "k" and number == 0:
            oldest = store.revision()
            await store.compact(oldest)
        snapshots[store.revision()] = dict(now)
    for revision, state in snapshots.items():
        if revision < oldest:
            continue
        page = await store.range("/m/", revision=revision)
        assert [(kv.key, kv.value, kv.revision) for kv in page.items] == [
            (k, *state[k]) for k in sorted(state)]
        if revision < store.revision():  # replaying the watch leads to the present
            for event in await take(store, "/m/", revision, store.revision() - revision):
                old = state.get(event.key)
                assert (event.previous, event.previous_revision) == (old or (None, 0))
                if event.value is None:
                    del state[event.key]
                else:
                    state[event.key] = (event.value, event.revision)
            assert state == now
    await store.aclose()
