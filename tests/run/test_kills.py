"""An API server killed at random moments, over and over, under writers and watchers; then every promise is checked."""

import asyncio
import contextlib
import math
import random
import signal

import alone_support
import pytest

from kubewheel.api import errors
from kubewheel.client.client import MERGE_PATCH, Client
from kubewheel.client.http import Http, load_kubeconfig
from kubewheel.testing.histories import ACKNOWLEDGED, REFUSED, UNKNOWN, Listed, Seen, Watched, Write, check

KILLS, WRITERS, WATCHERS, KEYS = 4, 6, 3, 12
LOST = (OSError, TimeoutError, asyncio.IncompleteReadError)


@pytest.fixture
def host(tmp_path):
    one = alone_support.Host(tmp_path)
    yield one
    one.aclose()


def client_of(host):
    return Client(Http(load_kubeconfig(host.admin)))


async def write_for_ever(client, worker, rng, writes):
    """Creates, updates and deletes of its own keys, each naming the revision it replaces where it knows one."""
    loop = asyncio.get_running_loop()
    known: dict[str, int] = {}
    for number in range(10**6):
        key = f"k{worker}-{rng.randrange(KEYS)}"
        revision = known.get(key, 0)
        kind = "create" if not revision else rng.choice(("update", "update", "delete"))
        value = "" if kind == "delete" else f"{worker}-{number}"
        began = loop.time()
        outcome, got = UNKNOWN, 0
        try:
            got = await write(client, kind, key, value, revision)
            outcome = ACKNOWLEDGED
        except errors.StatusError as e:
            # The transport may send a PUT or DELETE twice, never a POST or PATCH: only their refusals are certain.
            outcome = REFUSED if kind != "delete" and e.code in (404, 409) else UNKNOWN
        except LOST:
            await asyncio.sleep(0.02)
        finally:  # a call that is cut off may have been carried out
            writes.append(Write(kind, key, value, began, loop.time() if outcome == ACKNOWLEDGED else math.inf, outcome,
                                got, revision))
        if outcome == ACKNOWLEDGED:
            known[key] = got
        else:
            known[key] = await revision_of(client, key)


async def write(client, kind, key, value, revision):
    if kind == "create":
        made = await client.create("configmaps", {"metadata": {"name": key}, "data": {"v": value}}, namespace="default")
    elif kind == "update":
        made = await client.patch("configmaps", key, {"metadata": {"resourceVersion": str(revision)}, "data": {"v": value}},
                                  namespace="default", type=MERGE_PATCH)
    else:
        await client.delete("configmaps", key, namespace="default", resource_version=str(revision))
        return 0
    return int(made["metadata"]["resourceVersion"])


async def revision_of(client, key):
    """What is there now, asked until somebody answers."""
    while True:
        try:
            found = await client.find("configmaps", key, namespace="default")
            return int(found["metadata"]["resourceVersion"]) if found else 0
        except (*LOST, errors.StatusError):
            await asyncio.sleep(0.02)


async def watch_for_ever(client, watched):
    """From its last event on, however often the connection is lost."""
    last = watched.start
    while True:
        with contextlib.suppress(*LOST):
            async for kind, obj in client.watch("configmaps", namespace="default", resource_version=str(last)):
                last = int(obj["metadata"]["resourceVersion"])
                if kind != "BOOKMARK":
                    watched.events.append(Seen(kind, obj["metadata"]["name"], obj.get("data", {}).get("v", ""), last))
        await asyncio.sleep(0.02)


async def listed(client):
    answer = await client.list("configmaps", namespace="default")
    return Listed(int(answer["metadata"]["resourceVersion"]), {
        c["metadata"]["name"]: (int(c["metadata"]["resourceVersion"]), c.get("data", {}).get("v", ""))
        for c in answer["items"]})


async def test_no_promise_is_broken_by_kills(host):
    rng = random.Random(7)
    server = await asyncio.to_thread(host.apiserver)
    clients = [client_of(host) for _ in range(WRITERS + WATCHERS)]
    reader = clients[-1]
    writes: list[Write] = []
    first = await listed(reader)
    watches = [Watched(first.revision, first.items) for _ in range(WATCHERS)]
    lists = []
    tasks = [asyncio.ensure_future(watch_for_ever(c, w)) for c, w in zip(clients[WRITERS:], watches, strict=True)]
    writers = [asyncio.ensure_future(write_for_ever(c, n, random.Random(n), writes)) for n, c in enumerate(clients[:WRITERS])]
    try:
        for _ in range(KILLS):
            before = sum(w.outcome == ACKNOWLEDGED for w in writes)
            async with asyncio.timeout(30):
                while sum(w.outcome == ACKNOWLEDGED for w in writes) < before + 50:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(rng.random() * 0.2)  # anywhere in a write
            lists.append(await listed(reader))
            await asyncio.to_thread(host.end, server, signal.SIGKILL)
            server = await asyncio.to_thread(host.apiserver)
        for task in writers:
            task.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        lists.append(last := await listed(reader))
        async with asyncio.timeout(30):
            while any(w.events[-1].revision < max(r for r, _ in last.items.values()) for w in watches if w.events):
                await asyncio.sleep(0.02)
    finally:
        for task in [*tasks, *writers]:
            task.cancel()
        await asyncio.gather(*tasks, *writers, return_exceptions=True)
        for client in clients:
            await client.aclose()
    broken = check(writes, watches, lists)
    assert not broken, "\n".join(broken[:20])
    assert sum(w.outcome == ACKNOWLEDGED for w in writes) >= 50 * KILLS
    assert await asyncio.to_thread(host.end, server) == 0
