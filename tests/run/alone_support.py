"""Real component processes on free ports, their PKI and kubeconfigs in one directory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kubewheel.lib import clock as clocks
from kubewheel.run import certificates, kubeconfigs


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(check: Any, *, timeout: float = 20.0, what: str = "") -> Any:
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or check} did not hold in {timeout:g}s")
        time.sleep(0.05)


def run(*args: str, timeout: float = 20.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kubewheel.cli.main", *args], capture_output=True, text=True,
                          timeout=timeout, check=False)


class Host:
    """One directory, one PKI, any number of processes; `aclose` ends them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.pki = certificates.ensure(directory / "pki", ips=("127.0.0.1", "10.96.0.1"), clock=clocks.RealClock(),
                                       node_name="node-a")
        (directory / "conf").mkdir()
        self.kubeconfigs = kubeconfigs.write_all(directory / "conf", self.pki, server=self.url)
        self.admin = self.kubeconfigs["admin.conf"]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: dict[int, Path] = {}

    def start(self, verb: str, *args: str) -> subprocess.Popen[bytes]:
        path = self.directory / f"{verb}-{len(self._processes)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "kubewheel.cli.main", verb, *args], stdout=log,
                                       stderr=subprocess.STDOUT, cwd=self.directory)
        self._processes.append(process)
        self._logs[process.pid] = path
        return process

    def log(self, process: subprocess.Popen[bytes]) -> str:
        return self._logs[process.pid].read_text()

    def apiserver(self, *args: str) -> subprocess.Popen[bytes]:
        pki = self.pki
        process = self.start(
            "apiserver", f"--storage-path={self.directory}/store.db", f"--secure-port={self.port}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--tls-cert-file={pki.cert('apiserver')}",
            f"--tls-private-key-file={pki.key('apiserver')}", f"--client-ca-file={pki.cert('ca')}",
            f"--service-account-key-file={pki.directory / 'sa.pub'}",
            f"--service-account-signing-key-file={pki.directory / 'sa.key'}",
            "--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", *args)
        until(lambda: self.is_ready(process), what=f"API server {self.log(process)}")
        return process

    def is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log(process)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return self.kubectl("get", "--raw=/readyz", check=False) == "ok"
        return False

    def kubectl(self, *args: str, check: bool = True, stdin: str = "") -> str:
        done = subprocess.run(["kubectl", f"--kubeconfig={self.admin}", *args], capture_output=True, text=True,
                              input=stdin, timeout=60, check=False,
                              env={**os.environ, "HOME": str(self.directory)})
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.kubectl(*args, "-o", "json"))

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(timeout=15)

    def aclose(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
        for process in self._processes:
            process.wait(timeout=15)
