"""A real cluster on this host: `up` on a machine that was set up before, to API ready, node Ready, pods Running.

Needs root. Uses the default directories and ports, so it refuses to run beside a cluster that is up; the data of a
cluster that is down stays. The cluster is taken down at the end.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kubewheel.api import errors
from kubewheel.client.client import Client
from kubewheel.client.http import Http, load_kubeconfig
from kubewheel.run import containerd, pidfile, supervisor
from kubewheel.run.settings import Settings
from kubewheel.testing.bench import processes
from kubewheel.testing.bench.figures import Aim, Figure, median

TURNS, PODS = 3, 30
PROCESSES = ("control-plane", "node", "containerd", "supervisor")
LIMIT = 120.0
AIMS = {"API ready": 1, "node Ready": 3, "first pod Running": 4}


def run() -> list[Figure]:
    settings = Settings()
    if os.geteuid() != 0:
        raise PermissionError("the benchmark `up` needs root")
    if supervisor.alive(settings) is not None:
        raise RuntimeError("a cluster is up on this host: take it down first")
    with tempfile.TemporaryDirectory(prefix="kubewheel-bench-") as folder:
        environment = {**os.environ, "KUBECONFIG": str(Path(folder) / "config")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed wheel is compiled

        def kw(*arguments: str) -> None:
            done = subprocess.run([sys.executable, "-m", "kubewheel.cli.main", *arguments], env=environment,
                                  capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")

        kw("up")  # sets the machine up
        kw("down")
        turns: list[dict[str, float]] = []
        try:
            for turn in range(TURNS):
                began = time.perf_counter()
                kw("up", "--wait", "0")
                turns.append(asyncio.run(_turn(settings, began, many=turn == TURNS - 1)))
                if turn < TURNS - 1:
                    kw("down")
        finally:
            kw("down")
    return _figures(turns)


def _figures(turns: list[dict[str, float]]) -> list[Figure]:
    found = [Figure(f"up: {title}", median([turn[title] for turn in turns]), "s", aim=Aim("<", aim))
             for title, aim in AIMS.items()]
    last = turns[-1]
    found.append(Figure(f"up: {PODS} pods Running", last[f"{PODS} pods"], "s", note="from their creation"))
    for when in ("idle", f"{PODS} pods"):
        for name in PROCESSES:
            if (key := f"{name} {when} MB") in last:
                found.append(Figure(f"memory: {name}, {when}", last[key], "MB",
                                    aim=Aim("<", 200) if key == "control-plane idle MB" else None))
    return found


async def _turn(settings: Settings, began: float, *, many: bool) -> dict[str, float]:
    client = Client(Http(load_kubeconfig(settings.admin_kubeconfig), user_agent="kubewheel-bench"))
    told: dict[str, float] = {}
    try:
        await _until(lambda: _api_ready(client))
        told["API ready"] = time.perf_counter() - began
        await _until(lambda: _node_ready(client))
        told["node Ready"] = time.perf_counter() - began
        await _until(lambda: client.create("pods", pod("first"), namespace="default"))
        await _until(lambda: _running(client, 1))
        told["first pod Running"] = time.perf_counter() - began
        if many:
            await asyncio.sleep(5)
            told |= _memory(settings, "idle")
            created = time.perf_counter()
            await asyncio.gather(*(client.create("pods", pod(f"p{n}"), namespace="default") for n in range(PODS - 1)))
            await _until(lambda: _running(client, PODS))
            told[f"{PODS} pods"] = time.perf_counter() - created
            await asyncio.sleep(2)
            told |= _memory(settings, f"{PODS} pods")
        await client.delete_collection("pods", namespace="default", label_selector="app=bench")
        await _until(lambda: _gone(client))
    finally:
        await client.aclose()
    return told


def pod(name: str) -> dict[str, Any]:
    """Out of an image that needs no registry."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}}, "spec": {
        "containers": [{"name": "main", "image": containerd.PAUSE_IMAGE, "imagePullPolicy": "Never"}],
        "terminationGracePeriodSeconds": 0}}


async def _until(done: Callable[[], Awaitable[Any]]) -> None:
    """Polls each 10 ms; a server that does not answer yet is no error before the limit."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                if await done():
                    return
            except (OSError, errors.StatusError):
                pass
            await asyncio.sleep(0.01)


async def _api_ready(client: Client) -> bool:
    return (await client.raw("GET", "/readyz")).status == 200


async def _node_ready(client: Client) -> bool:
    nodes = (await client.list("nodes"))["items"]
    return any(one["type"] == "Ready" and one["status"] == "True"
               for node in nodes for one in node["status"].get("conditions", ()))


async def _bench_pods(client: Client) -> list[Any]:
    return (await client.list("pods", namespace="default", label_selector="app=bench"))["items"]


async def _running(client: Client, count: int) -> bool:
    return sum(one["status"].get("phase") == "Running" for one in await _bench_pods(client)) >= count


async def _gone(client: Client) -> bool:
    return not await _bench_pods(client)


def _memory(settings: Settings, when: str) -> dict[str, float]:
    found = {}
    for name in PROCESSES:
        process = pidfile.read(supervisor.pid_path(settings, name))
        if process is not None:
            found[f"{name} {when} MB"] = processes.rss_mb(process.pid)
    return found


