"""Commands, logs and ports of simulated pods, as docs/testing.md shows them."""

import json
import shutil

from tests.apiserver.streams_support import kubectl


async def psql(process):
    if process.command[:2] == ["psql", "-c"]:
        await process.out(f"{process.env['PGUSER']}: {process.command[2]}\n")
        return 0
    async for line in process.lines():
        await process.err(f"no such thing: {line}\n")
    return 1


async def http(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    body = head.split(b" ")[1]
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def test_a_deployment_with_a_program(cluster):
    cluster.program("db-*", exec=psql, ports={80: http})
    await cluster.client.create("deployments.apps", {
        "metadata": {"name": "db"}, "spec": {"selector": {"matchLabels": {"app": "db"}}, "template": {
            "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [
                {"name": "postgres", "image": "x", "env": [{"name": "PGUSER", "value": "me"}]}]}}}}, namespace="default")
    await cluster.client.create("services", {"metadata": {"name": "db"}, "spec": {
        "selector": {"app": "db"}, "ports": [{"port": 80}]}}, namespace="default")
    await cluster.wait_for("deployments.apps", "db", lambda d: (d.get("status") or {}).get("readyReplicas") == 1)
    config = await cluster.kubeconfig()
    assert shutil.which("kubectl")
    assert await kubectl(config, "exec", "deployment/db", "--", "psql", "-c", "select 1") == (0, "me: select 1\n", "")
    code, _, err = await kubectl(config, "exec", "-i", "deployment/db", "--", "psql", stdin=b"a\nb")
    assert code == 1 and err.splitlines()[:2] == ["no such thing: a", "no such thing: b"]
    name = (await cluster.client.list("pods", namespace="default"))["items"][0]["metadata"]["name"]
    cluster.log(name, "ready")
    assert await kubectl(config, "logs", "deployment/db") == (0, "ready\n", "")

    async def through_the_service():
        return await kubectl(config, "get", "--raw", "/api/v1/namespaces/default/services/db/proxy/over/here")

    await cluster.wait_until(lambda: _is(through_the_service(), (0, "/over/here", "")), what="the service has an endpoint")
    # Nothing is started for clusters that nobody connects to, and what was started goes with the cluster.
    assert list(cluster._doors._servers) == ["node-0"]
    body = json.loads((await kubectl(config, "get", "--raw", "/api/v1/nodes/node-0/proxy/pods"))[1])
    assert [p["metadata"]["name"] for p in body["items"]] == [name]


async def _is(coro, wanted):
    return await coro == wanted
