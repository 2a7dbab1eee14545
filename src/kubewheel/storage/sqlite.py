"""The store in one SQLite file: durable, one process, no server.

In: the Store contract. Out: the same; an answered write survives kill -9 and power loss (synchronous=FULL).
Called by: run, apiserver through the contract.

How it works: the loop decides a write against the newest *accepted* state (committed plus in flight), gives
it its revision and hands it to the writer thread. The thread puts all that waits into one transaction (group
commit) and tells the loop, which applies the events to the in-memory index, feeds watchers and answers the
callers. So readers and watchers only ever see what is on disk.

The file holds one table, the log: a row per write, with the revision of the write it replaces. A row is
current while no other names it as `previous`. Compaction at r deletes the rows replaced at or below r, and
removals at or below r; everything needed to read at r or later stays.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kubewheel.storage.index import Index, plan_create, plan_replace
from kubewheel.storage.store import (
    Compacted,
    FutureRevision,
    KeyValue,
    Page,
    StoreError,
    StoreEvent,
)

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
_BATCH = 500  # writes per transaction: applying one must not hold the loop for long
_COMPACT_CHUNK = 2000  # revisions per transaction, so that writes never wait long behind a compaction


class StoreLocked(StoreError):
    """Another process has the file open."""


class StoreClosed(StoreError):
    """The store was closed, or broke (disk full …) before this call was on disk. The cause says which."""


class _Stop(enum.Enum):
    STOP = "stop"


@dataclass(slots=True, eq=False)
class _Write:
    event: StoreEvent
    done: asyncio.Future[int]


@dataclass(slots=True, eq=False)
class _Loaded:
    current: dict[str, KeyValue]
    revision: int
    compacted: int
    swept: int


@dataclass(slots=True, eq=False)
class _Job:
    """Other work for the thread that owns the connection."""

    run: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class SqliteStore:
    """`history_limit`: recent writes kept in memory; older reads and watches go to the file."""

    def __init__(self, path: str | Path, *, history_limit: int = 20_000) -> None:
        self.path = Path(path)
        self._index = Index(ring_limit=history_limit)
        self._compacted = 1
        self._swept = 1
        self._accepted = 1  # the last revision given out
        self._in_flight: dict[str, StoreEvent] = {}  # the newest write to each key that is not on disk yet
        self._work: queue.SimpleQueue[_Write | _Job | _Stop] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._broken: BaseException | None = None
        self._failed: asyncio.Future[BaseException] | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[_Loaded] = loop.create_future()
        thread = threading.Thread(target=self._run, args=(loop, opened), name="sqlite-store", daemon=True)
        thread.start()
        try:
            loaded = await opened
        except asyncio.CancelledError:
            self._work.put(_Stop.STOP)
            raise
        self._thread = thread
        self._failed = loop.create_future()
        self._compacted = loaded.compacted
        self._swept = loaded.swept
        self._accepted = loaded.revision
        self._index.load(loaded.current, revision=loaded.revision)

    async def aclose(self) -> None:
        """Writes already handed in still get on disk and are answered."""
        if self._thread is None:
            return
        self._work.put(_Stop.STOP)
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # the answers the thread left with the loop
        self._thread = None
        self._broken = self._broken or StoreClosed("the store is closed")
        self._index.close()

    def revision(self) -> int:
        return self._index.revision

    async def create(self, key: str, value: bytes) -> int:
        return await self._write(key, lambda newest, revision: plan_create(key, value, newest, revision=revision))

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        return await self._write(key, lambda newest, revision: plan_replace(
            key, value, newest, expected=expected, revision=revision))

    async def delete(self, key: str, *, expected: int) -> int:
        return await self._write(key, lambda newest, revision: plan_replace(
            key, None, newest, expected=expected, revision=revision))

    async def _write(self, key: str, plan: Callable[[KeyValue | None, int], StoreEvent]) -> int:
        self._must_be_open()
        try:
            event = plan(self._newest(key), self._accepted + 1)
        except StoreError:
            if key in self._in_flight:
                # Refused for a write that is not on disk yet: the refusal waits for it too, so that whoever tries
                # again reads what it lost against, and nobody learns of a write that a crash may still undo.
                await self._job(_nothing)
            raise
        return await self._commit(event)

    async def get(self, key: str) -> KeyValue | None:
        return self._index.get(key)

    async def range(self, prefix: str, *, revision: int = 0, limit: int = 0, start_after: str = "") -> Page:
        index = self._index
        if revision in (0, index.revision):
            return index.page(prefix, limit=limit, start_after=start_after)
        if revision > index.revision:
            raise FutureRevision(index.revision)
        older = await self._older(revision, prefix)
        undo = older + index.since(max(revision, index.floor), prefix)
        return index.page_before(undo, prefix, revision=revision, limit=limit, start_after=start_after)

    async def watch(self, prefix: str, *, after: int) -> AsyncGenerator[list[StoreEvent], None]:
        older = await self._older(after, prefix)
        watcher = self._index.register(prefix, after=max(after, self._index.floor))
        watcher.buffer[:0] = older
        try:
            async for batch in watcher.batches():
                yield batch
        finally:
            self._index.unregister(watcher)

    async def compact(self, revision: int) -> None:
        if revision > self._index.revision:
            raise FutureRevision(self._index.revision)
        if revision <= self._compacted:
            return
        self._compacted = revision
        self._index.trim(revision)
        # First the mark: after a crash half way, the missing rows are never asked for.
        await self._job(partial(_mark_compacted, revision))
        while self._swept < revision:
            high = min(self._swept + _COMPACT_CHUNK, revision)
            await self._job(partial(_delete_replaced, self._swept, high))
            self._swept = high
        await self._job(_shrink)

    async def failure(self) -> BaseException:
        self._must_be_started()
        assert self._failed is not None
        return await asyncio.shield(self._failed)

    def watcher_count(self) -> int:
        """How many watches are open; a metric, and how tests see that none leaks."""
        return len(self._index.watchers())

    # --- on the loop ------------------------------------------------------------------------------------

    def _must_be_open(self) -> None:
        if self._broken is not None:
            raise StoreClosed(f"{self.path}: {self._broken}") from self._broken
        self._must_be_started()

    def _must_be_started(self) -> None:
        if self._thread is None:
            raise StoreClosed(f"{self.path}: not started")

    def _newest(self, key: str) -> KeyValue | None:
        event = self._in_flight.get(key)
        if event is None:
            return self._index.get(key)
        return None if event.value is None else KeyValue(key, event.value, event.revision)

    async def _commit(self, event: StoreEvent) -> int:
        self._accepted = event.revision
        self._in_flight[event.key] = event
        write = _Write(event, asyncio.get_running_loop().create_future())
        self._work.put(write)
        return await write.done

    def _committed(self, batch: list[_Write]) -> None:
        for write in batch:
            event = write.event
            self._index.apply(event)
            if self._in_flight.get(event.key) is event:
                del self._in_flight[event.key]
            if not write.done.done():  # done: the caller was cancelled; the write happened all the same
                write.done.set_result(event.revision)

    def _break(self, batch: list[_Write], error: BaseException) -> None:
        """A commit failed. What is on disk is unknown until the file is opened anew, so nothing more is
        taken: the owner ends and is started again."""
        log.error("%s: a commit failed, the store takes no more writes: %s", self.path, error)
        self._broken = error
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(error)
        for write in batch:
            if not write.done.done():
                closed = StoreClosed(f"{self.path}: {error}")
                closed.__cause__ = error
                write.done.set_exception(closed)

    async def _job(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        self._must_be_open()
        job = _Job(run, asyncio.get_running_loop().create_future())
        self._work.put(job)
        return await job.done

    async def _older(self, after: int, prefix: str) -> list[StoreEvent]:
        """Events after `after` that the ring does not have any more, from the file. Compacted. On return the
        ring follows without a gap, and nothing has been awaited since."""
        events: list[StoreEvent] = []
        start = after
        while True:
            if after < self._compacted:
                raise Compacted(self._compacted)
            floor = self._index.floor
            if start >= floor:
                return events
            events += await self._job(partial(_read_log, prefix, start, floor))
            start = floor

    # --- on the writer thread ---------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[_Loaded]) -> None:
        def tell(callback: Callable[..., object], *args: object) -> None:
            try:
                loop.call_soon_threadsafe(callback, *args)
            except RuntimeError:  # the loop is gone, and with it everybody who waits
                log.warning("%s: the loop ended before the store was closed", self.path)

        try:
            db = _open(self.path)
        except (StoreError, sqlite3.Error, OSError) as e:
            tell(_answer, opened, None, e)
            return
        try:
            tell(_answer, opened, _load(db), None)
            self._serve(db, tell)
        finally:
            db.close()

    def _serve(self, db: sqlite3.Connection, tell: Callable[..., None]) -> None:
        failed: BaseException | None = None
        while True:
            writes, other = self._take()
            if writes:
                try:
                    if failed is not None:
                        raise failed
                    _append(db, writes)
                    tell(self._committed, writes)
                except sqlite3.Error as e:
                    failed = e
                    tell(self._break, writes, e)
            if isinstance(other, _Job):
                _run_job(other, db, tell)
            elif other is _Stop.STOP:
                return

    def _take(self) -> tuple[list[_Write], _Job | _Stop | None]:
        """All writes that wait, up to the first item that is none."""
        item: _Write | _Job | _Stop = self._work.get()
        writes: list[_Write] = []
        while isinstance(item, _Write):
            writes.append(item)
            if len(writes) == _BATCH:
                return writes, None
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return writes, None
        return writes, item


def _run_job(job: _Job, db: sqlite3.Connection, tell: Callable[..., None]) -> None:
    try:
        tell(_answer, job.done, job.run(db), None)
    except sqlite3.Error as e:
        tell(_answer, job.done, None, e)


def _answer(waiter: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """On the loop. A waiter that is done already was cancelled."""
    if waiter.done():
        return
    if error is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(result)


# --- the file -------------------------------------------------------------------------------------------


def _nothing(db: sqlite3.Connection) -> None:
    """A job that only keeps its place in the queue."""


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its -wal file the same mode
    os.chmod(path, 0o600)
    db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=67108864")
        db.execute("PRAGMA wal_autocheckpoint=4000")
        db.execute("BEGIN EXCLUSIVE")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            db.execute(
                "CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB,"
                " previous INTEGER NOT NULL)"
            )
            # `revision`: nothing older can be read. `swept`: how far the rows are really deleted.
            db.execute("CREATE TABLE compacted (revision INTEGER NOT NULL, swept INTEGER NOT NULL)")
            db.execute("INSERT INTO compacted VALUES (1, 1)")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif found != SCHEMA_VERSION:
            raise StoreError(f"{path}: format {found}, this version knows {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except sqlite3.OperationalError as e:
        db.close()
        if e.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreLocked(f"{path} is in use by another process") from e
        raise
    except BaseException:
        db.close()
        raise
    return db


def _load(db: sqlite3.Connection) -> _Loaded:
    current: dict[str, KeyValue] = {}
    revision = 1
    for revision, key, value in db.execute("SELECT revision, key, value FROM log ORDER BY revision"):
        if value is None:
            current.pop(key, None)
        else:
            current[key] = KeyValue(key, value, revision)
    compacted, swept = db.execute("SELECT revision, swept FROM compacted").fetchone()
    # The last write may have been a removal that is compacted away: its revision must not come again.
    return _Loaded(current, max(revision, compacted), compacted, swept)


def _append(db: sqlite3.Connection, batch: list[_Write]) -> None:
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO log VALUES (?, ?, ?, ?)",
        [(w.event.revision, w.event.key, w.event.value, w.event.previous_revision) for w in batch],
    )
    db.execute("COMMIT")


def _read_log(prefix: str, low: int, high: int, db: sqlite3.Connection) -> list[StoreEvent]:
    rows = db.execute(
        "SELECT l.key, l.revision, l.value, p.value, l.previous FROM log l LEFT JOIN log p"
        " ON p.revision = l.previous WHERE l.revision > ? AND l.revision <= ? ORDER BY l.revision",
        (low, high),
    )
    return [StoreEvent(*row) for row in rows if row[0].startswith(prefix)]


def _mark_compacted(revision: int, db: sqlite3.Connection) -> None:
    db.execute("UPDATE compacted SET revision = ?", (revision,))


def _delete_replaced(low: int, high: int, db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    db.execute(
        "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ?)",
        (low, high),
    )
    db.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND value IS NULL", (low, high))
    db.execute("UPDATE compacted SET swept = ?", (high,))
    db.execute("COMMIT")


def _shrink(db: sqlite3.Connection) -> None:
    """Give free pages back to the file system, a piece at a time."""
    # A script runs the pragma to its end; execute() would step it once, which frees a single page.
    db.executescript("PRAGMA incremental_vacuum(5000)")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
