"""`up`, `down`, `reset`: the cluster's life on this host.

In: flags. Out: a running cluster and a context in the user's kubeconfig; or none of both. One run at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kubewheel.cli.main import Failure, parser_of
from kubewheel.lib.clock import RealClock, parse_time
from kubewheel.run import containerd, host, images, oci, supervisor, system_image, teardown
from kubewheel.run.settings import Settings


def run(verb: str, args: list[str]) -> int:
    parser = parser_of(verb)
    supervisor.add_settings_flags(parser)
    parser.add_argument("--kubeconfig", type=Path, default=None, help="file to add our context to or take it from "
                        "(default: $KUBECONFIG or ~/.kube/config)")
    if verb == "up":
        parser.add_argument("--wait", default="120s", help="how long to wait until it is ready; 0 does not wait")
    options = parser.parse_args(args)
    settings = supervisor.settings_of(options)
    kubeconfig = options.kubeconfig or default_kubeconfig()
    try:
        host.require_root()
        with lock(settings):
            if verb == "up":
                return up(settings, kubeconfig, wait=seconds(options.wait))
            return stop(settings, kubeconfig, delete=verb == "reset")
    except (host.HostError, containerd.ContainerdError) as e:
        raise Failure(str(e)) from e


def default_kubeconfig() -> Path:
    """As kubectl: of several files in $KUBECONFIG, the last one takes what is new."""
    named = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return Path(named[-1]) if named else Path.home() / ".kube" / "config"


def seconds(text: str) -> float:
    from kubewheel.cli.flags import duration

    try:
        return duration(text)
    except ValueError as e:
        raise Failure(f"--wait: {e}") from e


@contextlib.contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Held on the parent of the run directory's name, so that `down` can remove the directory itself."""
    path = Path("/run/lock" if os.path.isdir("/run/lock") else "/tmp")
    name = str(settings.run_dir).strip("/").replace("/", "-")
    path = path / f"{name}.lock"
    with path.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another kubewheel up or down")
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def usable(kubeconfig: Path) -> Iterator[None]:
    """Failure in plain words where the file cannot be read, is something else, or cannot be written."""
    try:
        yield
    except OSError as e:
        raise Failure(f"kubeconfig {kubeconfig}: {e.strerror or e}") from e
    except ValueError as e:
        raise Failure(f"{e}; name another file with --kubeconfig") from e


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


# -- up -------------------------------------------------------------------------------------------------------------
def up(settings: Settings, kubeconfig: Path, *, wait: float) -> int:
    from kubewheel.run import components, kubeconfigs

    started = time.monotonic()
    with usable(kubeconfig):  # before anything is started
        kubeconfigs.load(kubeconfig)
    with ThreadPoolExecutor(2, thread_name_prefix="images") as pool:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        pause = pool.submit(images.pause_image, settings)
        system = pool.submit(images.build_system_image, settings)
        if supervisor.alive(settings) is None:
            taken = ports_taken(settings)
            if taken:
                raise Failure("\n".join(f"port {port} is in use; {flag} names another" for port, flag in taken))
        host.prepare(settings, say)
        pki = components.ensure_pki(settings)
        own_runtime = not settings.container_runtime_endpoint
        if own_runtime:
            containerd.prepare(settings)
        since = RealClock().now()
        spawned = supervisor.spawn(settings)
        if spawned:
            say("starting the control plane, the node and containerd")
        admin = pki.pair("admin")
        with usable(kubeconfig):
            kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kubeconfigs.merge_context(kubeconfig, server=settings.server_url, ca=pki.ca, cert=admin.cert, key=admin.key)
        if own_runtime:
            containerd.wait_ready(settings)
            load(settings, pause, "pause")
        loading = pool.submit(load, settings, system, "system") if own_runtime else None
        if wait > 0:
            wait_ready(settings, loading, since=since if spawned else 0.0, deadline=started + wait)
        elif loading is not None:
            loading.result()
    print_next(settings, time.monotonic() - started)
    return 0


def ports_taken(settings: Settings) -> list[tuple[int, str]]:
    """(port, its flag) of the ports that somebody else listens on; a component of ours may run without its supervisor."""
    wanted = (("control-plane", settings.secure_port, "--secure-port"), ("node", settings.kubelet_port, "--kubelet-port"))
    return [(port, flag) for name, port, flag in wanted
            if supervisor.alive(settings, name) is None and not is_free(port)]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def load(settings: Settings, image: Future[oci.Image], name: str) -> None:
    if images.load(settings, image.result()):
        say(f"loaded the {name} image")


def wait_ready(settings: Settings, loading: Future[None] | None, *, since: float, deadline: float) -> None:
    """`since`: what the stored objects say of times before it (epoch seconds) is of a former life."""
    step = ["waiting for the API server"]

    async def all_steps() -> None:
        from kubewheel.addons import manager
        from kubewheel.addons.dns import manifests
        from kubewheel.run.components import http_client

        dns = manifests.objects(image=system_image.NAME, cluster_ip=settings.service_ip(10), domain=settings.domain)
        async with http_client(settings.admin_kubeconfig, "kubewheel") as (client, _):
            await _until(lambda: _ready(client))
            step[0] = "loading the system image"
            if loading is not None:
                await asyncio.wrap_future(loading)
            step[0] = "applying the add-ons"
            await manager.apply(client, dns)
            step[0] = f"waiting for the node {settings.node_name} to be Ready"
            await _until(lambda: _node_ready(client, settings.node_name, since))
            step[0] = "waiting for cluster DNS"
            await manager.wait_available(client, dns)
            await _until(lambda: _resolves(settings.service_ip(10), f"kubernetes.default.svc.{settings.domain}"))

    async def limited() -> None:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await all_steps()

    say("waiting for the API server, the node and cluster DNS")
    try:
        asyncio.run(limited())
    except TimeoutError as e:
        raise Failure(f"timed out {step[0]}; see `kubewheel status` and the logs in {settings.log_dir}") from e


async def _until(done: Any) -> None:
    """Polls; a server that does not answer yet, or not yet as it will, is no error before the deadline."""
    from kubewheel.api.errors import StatusError

    while True:
        try:
            if await done():
                return
        except (OSError, StatusError, TimeoutError):
            pass
        await asyncio.sleep(0.1)


async def _ready(client: Any) -> bool:
    return (await client.raw("GET", "/readyz")).status == 200


async def _node_ready(client: Any, name: str, since: float) -> bool:
    node = await client.get("nodes", name)
    return any(one["type"] == "Ready" and one["status"] == "True" and parse_time(one["lastHeartbeatTime"]) >= int(since)
               for one in node["status"].get("conditions", ()))


async def _resolves(server: str, name: str) -> bool:
    """Asked as a pod would ask, through the Service: a Deployment's status may be of a former life, too."""
    import dnslib

    question = dnslib.DNSRecord.question(name)
    answer = dnslib.DNSRecord.parse(await asyncio.to_thread(question.send, server, 53, timeout=1))
    return bool(answer.rr)


def print_next(settings: Settings, took: float) -> None:
    program = "./kw" if os.environ.get("KW") else "kubewheel"
    kubectl = "kubectl" if shutil.which("kubectl") else f"{program} kubectl"
    print(f"kubewheel is up after {took:.1f}s: {settings.server_url}, context kubewheel\n\n"
          f"  {kubectl} get nodes -o wide\n  {kubectl} get all -A\n  {program} status\n  {program} down")


# -- down -----------------------------------------------------------------------------------------------------------
def stop(settings: Settings, kubeconfig: Path, *, delete: bool) -> int:
    from kubewheel.run import kubeconfigs

    left = (teardown.reset if delete else teardown.down)(settings, say)
    try:
        with usable(kubeconfig):
            kubeconfigs.remove_context(kubeconfig)
            _remove_empty(kubeconfig)
    except Failure as e:
        left = [*left, f"the context in {e}"]
    if left:
        raise Failure("left on this host:\n  " + "\n  ".join(left))
    print("kubewheel is down" + (", its data deleted" if delete else f"; its data stays in {settings.data_dir}"))
    return 0


def _remove_empty(kubeconfig: Path) -> None:
    """A kubeconfig that only ever held our context goes too."""
    from kubewheel.run import kubeconfigs

    if kubeconfig.exists() and not any(kubeconfigs.load(kubeconfig).get(k) for k in ("clusters", "users", "contexts")):
        kubeconfig.unlink()


