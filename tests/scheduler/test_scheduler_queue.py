"""Who comes next, who waits, and what wakes them."""

from scheduling import pod

from kubewheel.scheduler.podinfo import podinfo
from kubewheel.scheduler.queue import Queue


class Time:
    now = 0.0

    def __call__(self):
        return self.now


async def make(**options):
    time = Time()
    wants = {("NodeResourcesFit", "AssignedPod/Delete"), ("TaintToleration", "Node/UpdateTaint")}
    return time, Queue(time, wants=lambda scheduler, plugin, event: (plugin, event) in wants, **options)


async def test_priority_then_order():
    time, queue = await make()
    for name, priority in (("a", 0), ("b", 5), ("c", 5)):
        queue.add(podinfo(pod(name, priority=priority)))
        time.now += 1
    assert [queue.pop_nowait().info.name for _ in range(3)] == ["b", "c", "a"]
    assert queue.pop_nowait() is None


async def test_only_what_helps_wakes_after_the_backoff():
    time, queue = await make()
    queue.add(podinfo(pod("a")))
    queue.unschedulable(queue.pop_nowait(), frozenset({"NodeResourcesFit"}))
    queue.event("Node/UpdateTaint")
    assert queue.counts()["unschedulable"] == 1
    queue.event("AssignedPod/Delete")
    assert queue.counts()["backoff"] == 1
    assert queue.pop_nowait().info.name == "a"  # nothing else to do: no need to wait


async def test_errors_wait_out_their_backoff():
    time, queue = await make()
    queue.add(podinfo(pod("a")))
    for wait in (1, 2, 4, 8, 10, 10):
        queue.failed(queue.pop_nowait())
        time.now += wait - 0.5
        assert queue.pop_nowait() is None
        time.now += 0.5
    assert queue.pop_nowait().attempts == 7


async def test_what_happens_in_flight_is_not_missed():
    time, queue = await make()
    queue.add(podinfo(pod("a")))
    item = queue.pop_nowait()
    queue.event("AssignedPod/Delete")
    queue.unschedulable(item, frozenset({"NodeResourcesFit"}))
    assert queue.counts()["backoff"] == 1


async def test_flush_after_five_minutes():
    time, queue = await make()
    queue.add(podinfo(pod("a")))
    queue.unschedulable(queue.pop_nowait(), frozenset({"NodeResourcesFit"}))
    time.now = 290
    assert queue.pop_nowait() is None
    time.now = 331
    assert queue.pop_nowait().info.name == "a"


async def test_gates_hold():
    _, queue = await make(gate=lambda info: "gated" if info.gates else None)
    queue.add(podinfo(pod("a", schedulingGates=[{"name": "g"}])))
    assert queue.pop_nowait() is None and queue.counts()["gated"] == 1
    queue.update(podinfo(pod("a")), "Pod/UpdateSchedulingGates")
    assert queue.pop_nowait().info.name == "a"


async def test_a_removed_pod_is_forgotten():
    _, queue = await make()
    queue.add(podinfo(pod("a")))
    item = queue.pop_nowait()
    queue.remove("uid-a")
    queue.failed(item)
    assert sum(queue.counts().values()) == 0
