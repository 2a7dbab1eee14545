"""`status` and `version`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
from typing import Any

from kubewheel.cli.main import parser_of
from kubewheel.run import supervisor
from kubewheel.run.settings import Settings

PROCESSES = ("supervisor", "containerd", "control-plane", "node")


def run(verb: str, args: list[str]) -> int:
    if verb == "version":
        print(f"kubewheel {importlib.metadata.version('kubewheel')}")
        return 0
    parser = parser_of(verb)
    supervisor.add_settings_flags(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(args)
    found = status(supervisor.settings_of(options))
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0 if found["ready"] else 1


def status(settings: Settings) -> dict[str, Any]:
    """Processes by name (pid or None), and what the API says; `ready` when all of it is well."""
    pids = {name: found.pid if (found := supervisor.alive(settings, name)) else None for name in PROCESSES
            if not (name == "containerd" and settings.container_runtime_endpoint)}
    cluster: dict[str, Any] = asyncio.run(_cluster(settings)) if pids["control-plane"] else {"api": "not running"}
    nodes = cluster.get("nodes", [])
    ready = all(pids.values()) and bool(nodes) and all(node["ready"] for node in nodes)
    return {"ready": ready, "processes": pids, "server": settings.server_url, **cluster}


async def _cluster(settings: Settings) -> dict[str, Any]:
    from kubewheel.api.errors import StatusError
    from kubewheel.run.components import http_client

    try:
        async with asyncio.timeout(5), http_client(settings.admin_kubeconfig, "kubewheel") as (client, _):
            await client.raw("GET", "/readyz")
            nodes = (await client.list("nodes"))["items"]
            pods = (await client.list("pods"))["items"]
    except (OSError, StatusError, TimeoutError) as e:
        return {"api": f"not ready: {str(e) or type(e).__name__}"}
    phases: dict[str, int] = {}
    for pod in pods:
        phase = pod.get("status", {}).get("phase", "Unknown")
        phases[phase] = phases.get(phase, 0) + 1
    return {"api": "ready", "pods": phases, "nodes": [
        {"name": node["metadata"]["name"], "ready": any(
            one["type"] == "Ready" and one["status"] == "True" for one in node["status"].get("conditions", ()))}
        for node in nodes]}


def _print(found: dict[str, Any]) -> None:
    for name, pid in found["processes"].items():
        print(f"{name:16}{f'running, pid {pid}' if pid else 'not running'}")
    print(f"{'API server':16}{found['api']}, {found['server']}")
    for node in found.get("nodes", ()):
        print(f"{'node':16}{node['name']}: {'Ready' if node['ready'] else 'NotReady'}")
    if phases := found.get("pods"):
        print(f"{'pods':16}{', '.join(f'{count} {phase}' for phase, count in sorted(phases.items()))}")
