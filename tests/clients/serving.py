"""A cluster in a thread of its own, with a log of what came over the network, and programs run against it."""

import asyncio
import contextlib
import json
import os
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from kubewheel.api import errors
from kubewheel.testing import cluster

PATIENCE = 60.0  # seconds that anything may take on a machine that does other things, too


@dataclass
class Seen:
    """One request that came over the network, and the status of its answer."""

    method: str
    path: str
    agent: str
    accept: str
    content_type: str
    status: int
    query: dict[str, list[str]]
    answer: str = ""  # the body, of refusals only

    def __str__(self) -> str:
        return f"{self.status} {self.method} {self.path} {self.query} [{self.agent}] {self.answer}"


class Listening:
    """The server's chain with an ear on what is not in-process."""

    def __init__(self, chain) -> None:
        self.chain, self.seen = chain, []

    async def __call__(self, request):
        response = await self.chain(request)
        if request.user is None or request.hijack is not None:
            body = response.body[:600].decode(errors="replace") if response.status >= 400 and response.body else ""
            self.seen.append(Seen(request.method, request.path, request.headers.get("user-agent", ""),
                                  request.headers.get("accept", ""), request.headers.get("content-type", ""),
                                  response.status, request.query, body))
        return response


class Served:
    def __init__(self, **options) -> None:
        self._options, self._ready, self._failed = options, threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="served", daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(PATIENCE), "the cluster did not start"
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the cluster did not stop"

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            try:
                self.cluster = await stack.enter_async_context(cluster(**self._options))
                self.cluster.server.chain = self._ear = Listening(self.cluster.server.chain)
                self.url = await self.cluster.serve()
                self.config = str(await self.cluster.kubeconfig())
            except BaseException as e:  # noqa: BLE001 - told to the thread that waits
                self._failed = e
                self._ready.set()
                return
            self._ready.set()
            await self._stop.wait()

    # -- for the tests, from their own thread ---------------------------------------------------------------------------
    def do(self, coroutine, timeout=PATIENCE):
        """Runs it in the cluster's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def wait_for(self, resource, name, condition=bool, *, namespace="default", timeout=30.0):
        return self.do(self.cluster.wait_for(resource, name, condition, namespace=namespace, timeout=timeout))

    def wait_gone(self, resource, name, *, namespace="default"):
        self.do(self.cluster.wait_gone(resource, name, namespace=namespace))

    def get(self, resource, name, *, namespace="default"):
        return self.do(self.cluster.client.get(resource, name, namespace=namespace))

    def create(self, resource, obj, *, namespace=None):
        return self.do(self.cluster.client.create(resource, obj, namespace=namespace))

    def namespace(self, name) -> None:
        try:
            self.create("namespaces", {"metadata": {"name": name}})
        except errors.StatusError as e:
            if e.code != 409:
                raise
        self.wait_for("serviceaccounts", "default", namespace=name)

    def kubeconfig(self, user, *groups) -> str:
        return str(self.do(self.cluster.kubeconfig(user, *groups)))

    # -- what came over the network ---------------------------------------------------------------------------------------
    def mark(self) -> int:
        return len(self._ear.seen)

    def seen(self, since=0, agent=""):
        return [s for s in self._ear.seen[since:] if agent in s.agent]

    def refused(self, since=0, agent=""):
        """Requests answered 4xx or 5xx."""
        return [s for s in self.seen(since, agent) if s.status >= 400]


def until(condition, *, what="condition", timeout=30.0):
    """Polls a plain function; what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout:g}s; last: {value!r}"
        time.sleep(0.05)


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Program:
    """A client program with a kubeconfig and a namespace; `words` is one string as in a shell, or a list."""

    def __init__(self, path, config, home: Path, namespace="default", *, flags=()) -> None:
        self.path, self.config, self.home, self.namespace, self.flags = str(path), str(config), home, namespace, list(flags)

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KUBE", "HELM"))}
        return {**kept, "KUBECONFIG": self.config, "HOME": str(self.home), "TZ": "UTC"}

    def argv(self, words):
        return [self.path, *self.flags, "--namespace", self.namespace, *(shlex.split(words) if isinstance(words, str) else words)]

    def __call__(self, words, *, text="", code=0, timeout=PATIENCE, env=None) -> Said:
        done = subprocess.run(self.argv(words), input=text, capture_output=True, text=True, timeout=timeout,
                              env={**self.environment(), **(env or {})}, cwd=self.home, check=False)
        said = Said(done.returncode, done.stdout, done.stderr)
        assert code is None or done.returncode == code, f"{words}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return said

    @contextlib.contextmanager
    def running(self, words):
        """Runs beside the test, to the end of the block; a function that gives the lines it has printed."""
        path = self.home / "running.out"
        with path.open("wb") as out:
            process = subprocess.Popen(self.argv(words), stdout=out, stderr=out, env=self.environment(), cwd=self.home)
        try:
            yield lambda: path.read_text().splitlines()
        finally:
            process.terminate()
            process.wait(PATIENCE)
