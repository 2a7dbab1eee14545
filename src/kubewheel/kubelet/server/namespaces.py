"""Connections made inside a pod's network namespace, for port-forward.

In: the namespace's path, a port. Out: a connected socket. Blocking. Called by: kubelet_host.py.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

CLONE_NEWNET = 0x40000000


def socket_in_namespace(path: str, port: int) -> socket.socket:
    """A TCP connection to 127.0.0.1:port (or ::1) made inside a network namespace. Blocking; run it in a thread of
    its own: setns moves only the calling thread, which is put back before it returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        _setns(libc, there)
        try:
            return _connect_local(port)
        finally:
            _setns(libc, home)
    finally:
        os.close(there)
        os.close(home)


def _connect_local(port: int) -> socket.socket:
    first: OSError | None = None
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.connect((host, port))
            return sock
        except OSError as e:
            sock.close()
            first = first or e
    raise first or OSError("no address")


def _setns(libc: Any, fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
