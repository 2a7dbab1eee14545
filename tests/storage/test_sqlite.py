"""What only the durable store promises."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys

import pytest

from kubewheel.storage.compaction import compact_every
from kubewheel.storage.memory import MemoryStore
from kubewheel.storage.sqlite import SqliteStore, StoreClosed, StoreLocked
from kubewheel.storage.store import Compacted

WRITER = """
import asyncio, sys
from kubewheel.storage.sqlite import SqliteStore

async def one(store, worker):
    i = 0
    while True:
        key = f"/{worker}/{i}"
        revision = await store.create(key, key.encode() * 20)
        sys.stdout.write(f"{revision} {key}\\n"); sys.stdout.flush()
        i += 1

async def main():
    store = SqliteStore(sys.argv[1])
    await store.start()
    await asyncio.gather(*(one(store, w) for w in range(4)))

asyncio.run(main())
"""


FULL = """
import asyncio, resource, sys
from kubewheel.storage.sqlite import SqliteStore, StoreClosed

async def main():
    store = SqliteStore(sys.argv[1])
    await store.start()
    failure = asyncio.ensure_future(store.failure())
    await store.create("/first", b"kept")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))  # a disk that is full soon
    try:
        for i in range(1000):
            assert not failure.done()
            await store.create(f"/{i}", bytes(65536))
    except StoreClosed:
        print("refused", (await failure) is not None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.aclose()
    store = SqliteStore(sys.argv[1])
    await store.start()
    print((await store.get("/first")).value, await store.create("/again", b"") > 0)
    await store.aclose()

asyncio.run(main())
"""


def test_a_disk_that_is_full_is_told_to_the_owner(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "s.db")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused True\nb'kept' True\n"), done.stderr


def test_kill_loses_nothing_acknowledged(tmp_path):
    path = tmp_path / "s.db"
    acknowledged: list[tuple[int, str]] = []
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while len(acknowledged) < 100:
            revision, key = child.stdout.readline().split()
            acknowledged.append((int(revision), key))
        os.kill(child.pid, signal.SIGKILL)
        for line in child.stdout:
            if line.endswith("\n"):
                revision, key = line.split()
                acknowledged.append((int(revision), key))

    async def check() -> None:
        store = SqliteStore(path)
        await store.start()
        for revision, key in acknowledged:
            found = await store.get(key)
            assert found is not None and (found.revision, found.value) == (revision, key.encode() * 20)
        page = await store.range("/")
        revisions = [kv.revision for kv in page.items]
        assert len(set(revisions)) == len(revisions) and max(revisions) == store.revision()
        assert await store.create("/next", b"") == store.revision() > max(r for r, _ in acknowledged)
        await store.aclose()

    asyncio.run(check())


async def test_history_outlives_a_restart_until_compacted(tmp_path):
    store = SqliteStore(tmp_path / "s.db")
    await store.start()
    await store.create("/a", b"1")
    await store.update("/a", b"2", expected=2)
    await store.delete("/a", expected=3)
    await store.aclose()
    with pytest.raises(StoreClosed):
        await store.create("/b", b"")

    store = SqliteStore(tmp_path / "s.db")
    await store.start()
    assert store.revision() == 4
    assert (await store.range("/", revision=3)).items[0].value == b"2"
    watch = store.watch("/", after=1)
    assert [(e.value, e.previous) for e in await anext(watch)] == [(b"1", None), (b"2", b"1"), (None, b"2")]
    await watch.aclose()
    await store.compact(4)
    await store.aclose()

    store = SqliteStore(tmp_path / "s.db")
    await store.start()
    assert store.revision() == 4  # though no row has it any more
    with pytest.raises(Compacted):
        await store.range("/", revision=3)
    assert await store.create("/a", b"3") == 5
    await store.aclose()


async def test_one_process_only_and_nobody_else_reads(tmp_path):
    path = tmp_path / "dir" / "s.db"
    store = SqliteStore(path)
    await store.start()
    await store.create("/a", b"1")
    assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}
    with pytest.raises(StoreLocked, match="in use by another process"):
        await SqliteStore(path).start()
    await store.aclose()


async def test_compaction_gives_space_back(tmp_path):
    store = SqliteStore(tmp_path / "s.db")
    await store.start()
    revision = await store.create("/a", b"x" * 100_000)
    for _ in range(30):
        revision = await store.update("/a", os.urandom(100_000), expected=revision)
    await store.compact(revision)
    assert (tmp_path / "s.db").stat().st_size < 1_000_000
    await store.aclose()


async def test_compact_every_keeps_one_interval():
    store = MemoryStore()
    await store.create("/a", b"1")
    task = asyncio.ensure_future(compact_every(store, 0.01))
    await asyncio.sleep(0)
    await store.create("/b", b"1")
    async with asyncio.timeout(5):
        while True:
            try:
                await store.range("/", revision=2)
                await asyncio.sleep(0.005)
            except Compacted as e:
                assert e.oldest == 3
                break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
