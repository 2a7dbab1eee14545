"""An hour passes in no time, in the right order, and threads are still waited for."""

import asyncio
import random
import subprocess
import sys
import threading
import time

import pytest

from kubewheel.lib import clock as clocks
from kubewheel.testing import virtual_time


def test_an_hour_costs_nothing():
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert virtual_time.run(main()) == pytest.approx(3600)
    assert time.perf_counter() - began < 600


def test_timers_fire_in_order_and_stamps_follow():
    async def main() -> list[tuple[int, str]]:
        clock, seen = clocks.LoopClock(), []
        clock.now()

        async def wait(seconds: int) -> None:
            await asyncio.sleep(seconds)
            seen.append((seconds, clocks.rfc3339(clock.now())))

        await asyncio.gather(*(wait(n) for n in (300, 10, 86_400 * 3)))
        return seen

    assert virtual_time.run(main()) == [
        (10, "2026-01-01T00:00:10Z"), (300, "2026-01-01T00:05:00Z"), (259_200, "2026-01-04T00:00:00Z")]


def test_time_does_not_move_while_a_thread_works():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        release = threading.Event()
        loop.call_soon(release.set)
        assert await asyncio.to_thread(release.wait, 5)
        return loop.time()

    assert virtual_time.run(main()) == 0


def test_threads_call_back_into_the_loop():
    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        threading.Thread(target=lambda: loop.call_soon_threadsafe(answer.set_result, "hello")).start()
        return await answer

    assert virtual_time.run(main()) == "hello"


def test_timeouts_fire_virtually():
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 500)
        assert asyncio.get_running_loop().time() == pytest.approx(500)

    virtual_time.run(main())


def test_hold_waits_for_a_process():
    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
        with loop.hold():
            process = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", "pass"], check=False)
        return process.returncode, loop.time()

    assert virtual_time.run(main()) == (0, 0)


def test_sockets_work_on_the_same_loop():
    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"to " + await reader.readline())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"you\n")
        got = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        await writer.wait_closed()
        server.close()
        return got

    assert virtual_time.run(main()) == b"to you\n"


def _history() -> list[tuple[str, float]]:
    async def main() -> list[tuple[str, float]]:
        rng, seen, loop = random.Random(7), [], asyncio.get_running_loop()

        async def walker(name: str) -> None:
            for _ in range(20):
                await asyncio.sleep(rng.random())
                seen.append((name, loop.time()))

        await asyncio.gather(*(walker(n) for n in "abc"))
        return seen

    return virtual_time.run(main())


def test_equal_runs_have_equal_histories():
    assert _history() == _history()


def test_a_deadlock_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(virtual_time, "PATIENCE", 0.01)

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual_time.Deadlock):
        virtual_time.run(main())
