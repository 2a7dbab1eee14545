"""A cluster in a process of its own, with HTTPS on the loopback; and scenarios that are measured inside one.

In: `python -m kubewheel.testing.bench.child serve '{options}'` or `… child <module> '{arguments}'`.
Out: `served()` (a running server's URL, pid and credentials) and `measured()` (what `<module>.inside()` returns).
Called by: the benchmarks.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import json
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubewheel.lib import garbage


@dataclass(frozen=True, slots=True)
class Served:
    host: str
    port: int
    pid: int
    kubeconfig: Path
    context: ssl.SSLContext


@contextlib.contextmanager
def served(*, store: str = "memory", nodes: int = 0, controllers: str = "",
           scheduler: bool = False) -> Iterator[Served]:
    """An API server (and what is asked for with it) until the block ends."""
    arguments = json.dumps({"store": store, "nodes": nodes, "controllers": controllers, "scheduler": scheduler})
    process = subprocess.Popen([sys.executable, "-m", __name__, "serve", arguments],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start: exit status {process.wait()}")
        told = json.loads(line)
        yield Served("127.0.0.1", told["port"], process.pid, Path(told["kubeconfig"]), _context(told["kubeconfig"]))
    finally:
        process.stdin.close()  # tells it to end
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _context(kubeconfig: str) -> ssl.SSLContext:
    config = yaml.safe_load(Path(kubeconfig).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile(prefix="kubewheel-bench-") as pem:
        pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        pem.flush()
        context.load_cert_chain(pem.name)
    return context


def measured(module: str, **arguments: Any) -> Any:
    """Runs `module.inside(**arguments)` in a fresh process; its result came through JSON."""
    done = subprocess.run([sys.executable, "-m", __name__, module, json.dumps(arguments)],
                          stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


# -- inside the child ---------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def _cluster(arguments: dict[str, Any], folder: str) -> AsyncIterator[Any]:
    from kubewheel.storage.memory import MemoryStore
    from kubewheel.storage.sqlite import SqliteStore
    from kubewheel.testing.cluster import cluster

    store = SqliteStore(Path(folder) / "store.db") if arguments["store"] == "sqlite" else MemoryStore()
    async with cluster(nodes=arguments["nodes"], controllers=arguments["controllers"],
                       scheduler=arguments["scheduler"], store=store) as made:
        yield made


async def make_ready(made: Any) -> None:
    """Pods can be created in `default`: its service account is there, made by us where no controller is on."""
    await made.server.bootstrap.wait_ready()
    if made.control_plane.selected:
        await made.wait_for("serviceaccounts", "default")
    else:
        await made.client.create("serviceaccounts", {"metadata": {"name": "default"}}, namespace="default")


async def _serve(arguments: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory(prefix="kubewheel-bench-") as folder:
        async with _cluster(arguments, folder) as made:
            kubeconfig = await made.kubeconfig()
            await make_ready(made)
            print(json.dumps({"port": int(made.url.rpartition(":")[2]), "kubeconfig": str(kubeconfig)}), flush=True)
            with profiled():
                await asyncio.to_thread(sys.stdin.read)  # until our parent closes it


@contextlib.contextmanager
def profiled() -> Iterator[None]:
    """With KUBEWHEEL_PROFILE=file a cProfile of the block is written there."""
    import os

    path = os.environ.get("KUBEWHEEL_PROFILE")
    if not path:
        yield
        return
    import cProfile

    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)


async def _inside(module: str, arguments: dict[str, Any]) -> None:
    with profiled():
        result = await importlib.import_module(module).inside(**arguments)
    print(json.dumps(result), flush=True)


def main() -> None:
    import uvloop

    garbage.collect_rarely()  # as `up` does
    what, arguments = sys.argv[1], json.loads(sys.argv[2])
    uvloop.run(_serve(arguments) if what == "serve" else _inside(what, arguments))


if __name__ == "__main__":
    main()
