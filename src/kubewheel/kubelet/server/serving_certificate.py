"""The kubelet's own self-signed serving certificate, where none is configured (upstream's kubelet.crt in its pki dir).

In: directory, node name, addresses; Options. Out: paths of certificate and key; the server's context.
Called by: kubelet.py, run.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from kubewheel.kubelet.options import Options
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


def context(options: Options, ips: Iterable[str], now: float) -> ssl.SSLContext:
    """Of the configured certificate, or of one made for it; client certificates are looked at, not asked for."""
    cert, key = options.tls_cert_file, options.tls_private_key_file
    if not cert:
        cert, key = ensure(f"{options.root_dir}/pki", options.node_name, ips, now)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(cert, key)
    if options.client_ca_file:
        made.load_verify_locations(options.client_ca_file)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made
