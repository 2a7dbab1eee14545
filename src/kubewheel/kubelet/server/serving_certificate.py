"""The kubelet's own self-signed serving certificate, where none is configured (upstream's kubelet.crt in its pki dir).

In: directory, node name, addresses. Out: paths of certificate and key. Called by: server.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kubewheel.lib import tls


def ensure(directory: str, node_name: str, ips: Iterable[str], now: float) -> tuple[str, str]:
    base = Path(directory)
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    cert, key = base / "kubelet.crt", base / "kubelet.key"
    if not (cert.exists() and key.exists()):
        ca = tls.make_ca(f"{node_name}-ca", now=now)
        pair = tls.issue(ca, node_name, now=now, hosts=(node_name, "localhost"),
                         ips=tuple(dict.fromkeys((*ips, "127.0.0.1"))), server=True)
        tls.write_private(key, pair.key)
        tls.write_atomic(cert, pair.cert)
    return str(cert), str(key)
