"""What is stored, kept as bytes beside a lazily decoded dict, and fanned out to watchers.

In: the store's watch of /registry/ (one task, one order). Out: entries, lists, watchers.
Called by: verbs (get, list, watch), server.

Invariants:
- `revision` of the whole cache only grows; when it is r, every write up to r is visible in every ResourceCache.
- An Entry never changes; its dict is shared and read-only.
- A CacheEvent's wire form is made once, however many watch.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.apiserver import frozen
from kubewheel.lib.supervise import Tasks
from kubewheel.storage import store as stores

ROOT = "/registry/"
HISTORY = 20_000  # events kept per resource for watches that resume
MAX_BEHIND = 50_000  # events a watcher may lag before it is ended


class Entry:
    """One object at one revision."""

    __slots__ = ("key", "revision", "data", "_obj", "shown", "kind_at", "item", "partial_item", "row")

    def __init__(self, key: str, revision: int, data: bytes) -> None:
        self.key = key
        self.revision = revision
        self.data = data  # JSON with resourceVersion inside
        self._obj: Object | None = None
        self.shown: tuple[Any, Entry | None] | None = None  # results.shown: as a resource shows it; None inside: as it is
        self.kind_at: int | None = None  # where data says its kind, once a list asked; negative: nowhere known
        self.item: bytes | None = None  # results.item: the object in protobuf, once somebody asked for that
        self.partial_item: bytes | None = None  # results.partial_item: its metadata
        self.row: Any = None  # results.row: its row in a Table

    @property
    def obj(self) -> Object:
        if self._obj is None:
            self._obj = frozen.loads(self.data)
        return self._obj

    def without_kind(self, mark: bytes) -> bytes:
        """The JSON less apiVersion and kind; `mark` as codec.kind_mark gives it for them."""
        if self.kind_at is None:
            self.kind_at = self.data.find(mark)
        at = self.kind_at
        return self.data if at < 0 else self.data[:at + 1] + self.data[at + len(mark):]

    def peek(self) -> Object:
        """The object for one look: a dict that was not there before is not kept."""
        return self._obj if self._obj is not None else frozen.loads(self.data)

    def forget(self) -> None:
        """A newer entry took its place: of the history only the JSON is kept, a fifth of the dicts."""
        self._obj = self.item = self.partial_item = self.row = None


class CacheEvent:
    """One write. `new` is None for a deletion; then `old` carries the deletion's revision when shown."""

    __slots__ = ("key", "revision", "old", "new", "_wire", "_gone")

    def __init__(self, key: str, revision: int, old: Entry | None, new: Entry | None) -> None:
        self.key = key
        self.revision = revision
        self.old = old
        self.new = new
        self._wire: dict[str, bytes] = {}
        self._gone: Entry | None = None

    def gone(self) -> Entry:
        """The last state of the object with this event's revision (what DELETED shows)."""
        if self._gone is None:
            assert self.old is not None
            self._gone = _restamp(self.old, self.revision)
        return self._gone

    def once(self, form: str, make: Callable[[], bytes]) -> bytes:
        """The event in a form that not all watchers want, made for the first who does."""
        made = self._wire.get(form)
        if made is None:
            made = self._wire[form] = make()
        return made

    def wire(self, kind: str, entry: Entry) -> bytes:
        line = self._wire.get(kind)
        if line is None:
            line = self._wire[kind] = b'{"type":"%s","object":%s}\n' % (kind.encode(), entry.data)
        return line


def _restamp(entry: Entry, revision: int) -> Entry:
    head = b'{"metadata":{"resourceVersion":"%d"' % entry.revision
    if entry.data.startswith(head):
        return Entry(entry.key, revision, b'{"metadata":{"resourceVersion":"%d"' % revision + entry.data[len(head):])
    obj = dict(entry.obj, metadata=dict(entry.obj["metadata"], resourceVersion=str(revision)))
    return Entry(entry.key, revision, codec.dumps(obj))


def _entry(key: str, value: bytes, revision: int) -> Entry:
    return Entry(key, revision, codec.splice(value, revision))


def _past_event(event: stores.StoreEvent) -> CacheEvent:
    old = None if event.previous is None else _entry(event.key, event.previous, event.previous_revision)
    new = None if event.value is None else _entry(event.key, event.value, event.revision)
    return CacheEvent(event.key, event.revision, old, new)


Filter = Callable[[Entry], bool]


class Trigger(NamedTuple):
    """An equality that every object a watch shows must fulfil: most events are none of its business, and never reach it."""

    field: str  # metadata.name, spec.nodeName …
    read: Callable[[Object], str] | None  # None: the name, which the key tells
    value: str


class Watcher:
    """One open watch: `await batch()` gives [(type, entry, event)], [] when nothing came within the timeout."""

    def __init__(self, cache: ResourceCache, prefix: str, matches: Filter | None, *, after: int = 0,
                 trigger: Trigger | None = None) -> None:
        self._after = after  # may lie in the future
        self.trigger = trigger
        self._cache = cache
        self._prefix = prefix
        self._matches = matches
        self._waiting: list[CacheEvent] = []
        self._behind_at_start = 0
        self._idle: asyncio.Future[None] | None = None  # what batch waits for
        self.closed = False
        self.overrun = False

    def offer(self, event: CacheEvent, *, at_once: bool = False) -> None:
        """`at_once`: what happened before the watch began, which makes no watcher slow."""
        if event.revision > self._after and event.key.startswith(self._prefix):
            self._waiting.append(event)
            if at_once:
                self._behind_at_start += 1
            elif len(self._waiting) > MAX_BEHIND + self._behind_at_start:
                self.overrun = self.closed = True
            self._wake()

    async def batch(self, timeout: float | None) -> list[tuple[str, Entry, CacheEvent]]:
        if not self._waiting and not self.closed:
            loop = asyncio.get_running_loop()
            self._idle = loop.create_future()
            timer = None if timeout is None else loop.call_later(timeout, self._wake)
            try:
                await self._idle  # no Event, no asyncio.timeout: with many watchers they cost more than the event's bytes
            finally:
                self._idle = None
                if timer is not None:
                    timer.cancel()
        events, self._waiting = self._waiting, []
        return [seen for event in events if (seen := self._see(event)) is not None]

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _see(self, event: CacheEvent) -> tuple[str, Entry, CacheEvent] | None:
        matches = self._matches
        was = event.old is not None and (matches is None or matches(event.old))
        now = event.new is not None and (matches is None or matches(event.new))
        if now:
            assert event.new is not None
            return ("MODIFIED" if was else "ADDED"), event.new, event
        return ("DELETED", event.gone(), event) if was else None

    def close(self) -> None:
        self.closed = True
        self._cache.unsubscribe(self)
        self._wake()


class FieldIndex:
    """Which objects have which value of a field. Made when a list first selects by it, and kept from then on."""

    __slots__ = ("_read", "_values", "keys")

    def __init__(self, read: Callable[[Object], str], entries: Iterable[Entry]) -> None:
        self._read = read
        self._values: dict[str, str] = {}  # by key
        self.keys: dict[str, set[str]] = {}  # by value
        for entry in entries:
            self._put(entry.key, read(entry.peek()))

    def _put(self, key: str, value: str) -> None:
        self._values[key] = value
        self.keys.setdefault(value, set()).add(key)

    def change(self, key: str, new: Entry | None) -> None:
        before = self._values.pop(key, None)
        if before is not None:
            self.keys[before].discard(key)
            if not self.keys[before]:
                del self.keys[before]
        if new is not None:
            self._put(key, self._read(new.obj))


class ResourceCache:
    """All objects below one registry path, e.g. /registry/pods/."""

    def __init__(self, prefix: str, *, since: int) -> None:
        self.prefix = prefix
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.since = since  # watches may start after this revision
        self.changes = 0  # events from the store so far: for metrics, and for those who derive something from all of it
        self.history: deque[CacheEvent] = deque()
        self._reading_past = asyncio.Lock()
        self.watchers: dict[Watcher, None] = {}  # in order, so that equal runs wake in equal order
        # The same once more, by what can concern them: an event costs a look-up for each field in use and not a call
        # for each watcher. Thousands of kubelets watch the pods of their node, and secrets and config maps by name.
        self._unaddressed: dict[Watcher, None] = {}
        self._addressed: dict[str, dict[str, dict[Watcher, None]]] = {}  # by field, by value
        self._fields: dict[str, FieldIndex] = {}

    def load(self, items: list[Entry]) -> None:
        for entry in items:
            self.entries[entry.key] = entry
        self.keys = sorted(self.entries)

    def apply(self, event: stores.StoreEvent) -> None:
        old = self.entries.get(event.key)
        new = None
        if event.value is None:
            if old is None:
                return
            del self.entries[event.key]
            del self.keys[bisect_left(self.keys, event.key)]
        else:
            new = _entry(event.key, event.value, event.revision)
            if old is None:
                insort(self.keys, event.key)
            self.entries[event.key] = new
        self.changes += 1
        change = CacheEvent(event.key, event.revision, old, new)
        for index in self._fields.values():
            index.change(event.key, new)
        concerned = self._concerned(change)  # while the old object is still decoded
        if old is not None:
            old.forget()
        self.history.append(change)
        if len(self.history) > HISTORY:
            self.since = self.history.popleft().revision
        for watcher in concerned:
            watcher.offer(change)

    def _concerned(self, change: CacheEvent) -> list[Watcher]:
        """The watchers whose trigger the object fulfils, or fulfilled before the change; and those without any."""
        concerned = list(self._unaddressed)
        for by_value in self._addressed.values():
            read = next(iter(next(iter(by_value.values())))).trigger.read  # type: ignore[union-attr]
            if read is None:
                values = {change.key.rpartition("/")[2]: None}
            else:
                values = {read(entry.obj): None for entry in (change.old, change.new) if entry is not None}
            for value in values:
                concerned += by_value.get(value, ())
        return concerned

    def subscribe(self, watcher: Watcher) -> None:
        self.watchers[watcher] = None
        trigger = watcher.trigger
        if trigger is None:
            self._unaddressed[watcher] = None
        else:
            self._addressed.setdefault(trigger.field, {}).setdefault(trigger.value, {})[watcher] = None

    def unsubscribe(self, watcher: Watcher) -> None:
        if self.watchers.pop(watcher, self) is self:
            return
        trigger = watcher.trigger
        if trigger is None:
            del self._unaddressed[watcher]
            return
        by_value = self._addressed[trigger.field]
        del by_value[trigger.value][watcher]
        if not by_value[trigger.value]:
            del by_value[trigger.value]
        if not by_value:
            del self._addressed[trigger.field]

    def under(self, prefix: str) -> list[Entry]:
        """Entries whose key begins with `prefix`, in key order."""
        keys = self.keys
        if prefix == self.prefix:
            return [self.entries[k] for k in keys]
        low = bisect_left(keys, prefix)
        high = bisect_right(keys, prefix + "\U0010ffff", lo=low)
        return [self.entries[k] for k in keys[low:high]]

    def has_after(self, prefix: str, key: str) -> bool:
        """Whether an entry below `prefix` follows a key in key order."""
        at = bisect_right(self.keys, key)
        return at < len(self.keys) and self.keys[at].startswith(prefix)

    def chosen(self, prefix: str, trigger: Trigger | None) -> list[Entry]:
        """Entries whose key begins with `prefix` and that fulfil the trigger, in key order."""
        if trigger is None:
            return self.under(prefix)
        if trigger.read is None:
            suffix = f"/{trigger.value}"
            return [e for e in self.under(prefix) if e.key.endswith(suffix)]
        index = self._fields.get(trigger.field)
        if index is None:
            index = self._fields[trigger.field] = FieldIndex(trigger.read, self.entries.values())
        return [self.entries[k] for k in sorted(index.keys.get(trigger.value, ())) if k.startswith(prefix)]

    async def watch(self, store: stores.Store, prefix: str, *, after: int, matches: Filter | None,
                    trigger: Trigger | None = None) -> Watcher:
        """Events older than what is kept here come out of the store. Raises Compacted if it has them no more.
        Nothing is awaited where no old events are asked for, nor between the look-up and the subscription."""
        past = await self._past(store, after) if after < self.since else []
        watcher = Watcher(self, prefix, matches, after=after, trigger=trigger)
        for event in (*past, *self._history_after(max(after, self.since))):
            watcher.offer(event, at_once=True)
        self.subscribe(watcher)
        return watcher

    async def _past(self, store: stores.Store, after: int) -> list[CacheEvent]:
        """Events after `after` up to `since`. They are kept as far as there is room: after a restart of the server
        every watcher asks for them."""
        past: list[CacheEvent] = []
        async with self._reading_past:
            last = after
            if last >= self.since:
                return past
            # Each revision is one write somewhere below the root, so this stream reaches `since`.
            async with contextlib.aclosing(store.watch(ROOT, after=after)) as stream:
                async for batch in stream:
                    past += [_past_event(e) for e in batch
                             if e.key.startswith(self.prefix) and after < e.revision <= self.since]
                    if (last := batch[-1].revision) >= self.since:
                        break
            if room := HISTORY - len(self.history):
                self.history.extendleft(reversed(past[-room:]))
                self.since = after if len(past) <= room else past[-room - 1].revision
                past = past[:-room]
        return past

    def _history_after(self, after: int) -> list[CacheEvent]:
        out: list[CacheEvent] = []
        for event in reversed(self.history):
            if event.revision <= after:
                break
            out.append(event)
        out.reverse()
        return out


class WatchCache:
    def __init__(self, store: stores.Store) -> None:
        self.store = store
        self.revision = 0
        self._loaded: dict[str, list[Entry]] = {}  # by first path part, what no ResourceCache took yet
        self._caches: dict[str, ResourceCache] = {}
        self._progress: list[tuple[int, asyncio.Future[None]]] = []
        self._tasks = Tasks("watch-cache")

    async def start(self) -> None:
        page = await self.store.range(ROOT)
        self.revision = page.revision
        groups: dict[str, list[Entry]] = {}
        for item in page.items:
            entry = _entry(item.key, item.value, item.revision)
            groups.setdefault(self._registry_of(item.key), []).append(entry)
        self._loaded = groups
        self._tasks.spawn("follow", self._follow())

    async def aclose(self) -> None:
        for cache in self._caches.values():
            for watcher in list(cache.watchers):
                watcher.close()
        await self._tasks.aclose()

    def resource(self, registry: str) -> ResourceCache:
        """The cache of /registry/<registry>/; made on first use from what was loaded or seen since."""
        prefix = f"{ROOT}{registry}/"
        cache = self._caches.get(prefix)
        if cache is None:
            cache = self._caches[prefix] = ResourceCache(prefix, since=self.revision)
            for root in list(self._loaded):
                if f"{ROOT}{root}/".startswith(prefix) or prefix.startswith(f"{ROOT}{root}/"):
                    entries = self._loaded[root]
                    cache.load([e for e in entries if e.key.startswith(prefix)] + list(cache.entries.values()))
                    self._loaded[root] = [e for e in entries if not e.key.startswith(prefix)]
        return cache

    async def fresh(self) -> None:
        """Returns when everything committed before the call is visible here."""
        await self.reach(self.store.revision())

    async def reach(self, revision: int, *, timeout: float | None = None) -> bool:
        if self.revision >= revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._progress.append((revision, future))
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        return True

    async def _follow(self) -> None:
        async for batch in self.store.watch(ROOT, after=self.revision):
            for event in batch:
                cache = self._cache_of(event.key)
                if cache is not None:
                    cache.apply(event)
                else:
                    self._remember(event)
            self.revision = batch[-1].revision
            if self._progress:
                self._wake()

    def _wake(self) -> None:
        waiting, self._progress = self._progress, []
        for revision, future in waiting:
            if revision > self.revision:
                self._progress.append((revision, future))
            elif not future.done():
                future.set_result(None)

    def _cache_of(self, key: str) -> ResourceCache | None:
        # Registry paths are one or two parts: /registry/pods/…, /registry/services/specs/…, /registry/<group>/<plural>/…
        first = key.find("/", len(ROOT))
        cache = self._caches.get(key[: first + 1])
        if cache is not None:
            return cache
        second = key.find("/", first + 1)
        return self._caches.get(key[: second + 1])

    def _registry_of(self, key: str) -> str:
        return key[len(ROOT):].split("/", 1)[0]

    def _remember(self, event: stores.StoreEvent) -> None:
        """A write below a path that nobody serves yet (a CRD's leftovers): kept for the cache made later."""
        entries = self._loaded.setdefault(self._registry_of(event.key), [])
        entries[:] = [e for e in entries if e.key != event.key]
        if event.value is not None:
            entries.append(_entry(event.key, event.value, event.revision))


def selector_filter(label: Callable[[dict[str, str]], bool] | None,
                    fields: Callable[[Any], bool] | None) -> Filter | None:
    """One predicate on entries out of a label selector and a field selector; None where both are empty."""
    if label is None and fields is None:
        return None

    def matches(entry: Entry) -> bool:
        obj = entry.obj
        if label is not None and not label(obj["metadata"].get("labels") or {}):
            return False
        return fields is None or fields(obj)

    return matches
