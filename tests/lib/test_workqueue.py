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


async def test_a_named_queue_is_measured():
    from kubewheel.lib import metrics

    queue: WorkQueue[str] = WorkQueue(name="measured")
    queue.add("a")
    queue.add_rate_limited("b")
    assert await queue.get() == "a"
    text = metrics.REGISTRY.render()
    assert 'workqueue_adds_total{name="measured"} 1' in text and 'workqueue_retries_total{name="measured"} 1' in text
    assert 'workqueue_depth{name="measured"} 0' in text
    assert 'workqueue_unfinished_work_seconds{name="measured"} ' in text
    queue.done("a")
    assert 'workqueue_work_duration_seconds_count{name="measured"} 1' in metrics.REGISTRY.render()
    queue.close()
