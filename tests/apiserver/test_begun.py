"""Requests that are run as far as they go before they get a timer; and which plugins a write is shown to."""

from __future__ import annotations

import asyncio

import pytest

from kubewheel.api import catalog, codec
from kubewheel.apiserver import admission
from kubewheel.apiserver.limits import Begun
from kubewheel.testing.cluster import Cluster


async def _waits(seconds: float, seen: list[str]) -> str:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
    finally:
        seen.append("ended")
    await asyncio.sleep(0)
    return "done"


async def test_what_needs_no_waiting_is_done_at_once():
    async def work() -> int:
        return 7

    begun = Begun(work())
    assert begun.is_done
    assert await begun == 7


async def test_what_it_raises_is_raised_at_once():
    async def work() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        Begun(work())


async def test_what_waits_goes_on_when_awaited():
    seen: list[str] = []
    begun = Begun(_waits(0.001, seen))
    assert not begun.is_done
    assert seen == []
    assert await begun == "done"
    assert seen == ["ended"]


async def test_a_timeout_reaches_where_it_waits():
    seen: list[str] = []
    begun = Begun(_waits(60, seen))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await begun
    assert seen == ["cancelled", "ended"]


async def test_a_timeout_within_it_is_its_own():
    async def work() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "its own"
        return "none"

    async with asyncio.timeout(60):
        assert await Begun(work()) == "its own"


def test_plugins_name_resources_that_there_are():
    known = {resource.qualified for resource in catalog.RESOURCES}
    named = {name: plugin.resources for name, plugin in admission.PLUGINS.items() if plugin.resources is not None}
    assert len(named) > 10
    assert all(resources <= known for resources in named.values()), named


async def test_an_update_that_keeps_the_template_has_its_other_rules(cluster: Cluster):
    labels = {"app": "a"}
    made = await cluster.client.create("deployments.apps", {
        "metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}, namespace="default")
    resource = catalog.resource("deployments.apps")
    for path, value, field in ((("spec", "replicas"), -1, "spec.replicas"),
                               (("spec", "selector"), {"matchLabels": {"app": "b"}}, "spec.template.metadata.labels"),
                               (("spec", "template", "spec", "restartPolicy"), "Never", "spec.template.spec.restartPolicy"),
                               (("spec", "template", "spec", "dnsPolicy"), "x", "spec.template.spec.dnsPolicy")):
        changed = codec.copy(made)
        at = changed
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        assert field in {f.field for f in resource.validate_update(changed, made)}
    assert resource.validate_update(codec.copy(made), made) == []
