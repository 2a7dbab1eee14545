import asyncio

from kubewheel.lib.workqueue import WorkQueue


async def test_a_key_waits_once_and_comes_back_after_its_work():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_failures_wait_longer_each_time():
    queue: WorkQueue[str] = WorkQueue()
    assert [queue.add_rate_limited("a") for _ in range(3)] == [0.005, 0.01, 0.02]
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.close()
