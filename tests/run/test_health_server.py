"""The health server of the controller manager and the scheduler, asked as a scraper asks it."""

import aiohttp
import pytest
from tests.run.alone_support import free_port

from kubewheel.run import health_server
from kubewheel.testing.cluster import cluster as new_cluster


@pytest.fixture
async def ask():
    async with new_cluster(nodes=0, controllers="", scheduler=False) as cluster:
        await cluster.server.bootstrap.wait_ready()
        port = free_port()
        server = health_server.HealthServer(
            health_server.Options(bind_address="127.0.0.1", port=port, flags={"secure-port": str(port)},
                                  always_allow_paths=("/healthz", "/livez", "/readyz", "/metrics/*", "/statusz", "/flagz")),
            name="kube-scheduler", tokens=cluster.client, access=cluster.client, checks={"leader": lambda: "none yet"})
        await server.start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
            async def get(path, **headers):
                async with session.get(f"https://127.0.0.1:{port}{path}", headers=headers) as answer:
                    return answer.status, await answer.text()

            yield get
        await server.aclose()


async def test_checks_and_slis(ask):
    assert await ask("/healthz?exclude=leader&verbose") == (
        200, "[+]ping ok\n[+]leader excluded: ok\nhealthz check passed\n")
    assert await ask("/readyz") == (500, "[+]ping ok\n[-]leader failed: reason withheld\nreadyz check failed\n")
    status, text = await ask("/metrics/slis")
    assert status == 200 and 'kubernetes_healthcheck{name="leader",type="readyz"} 0' in text


async def test_pages_and_who_may_see_them(ask):
    status, text = await ask("/statusz")
    assert status == 200 and text.startswith("\nkube-scheduler statusz\n")
    assert "secure-port=" in (await ask("/flagz", Accept="text/plain"))[1]
    for path in ("/metrics", "/debug/pprof/", "/debug/pprof/goroutine"):
        status, text = await ask(path)
        assert status == 403 and 'cannot get path' in text
