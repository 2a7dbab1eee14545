"""--tls-min-version, --tls-cipher-suites and --tls-sni-cert-key on a server's SSLContext.

In: flag values. Out: the context, changed; Ended with upstream's words. Called by: run/alone, run/health_server.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from kubewheel.lib import tls
from kubewheel.run.ended import Ended

VERSIONS = {"VersionTLS10": ssl.TLSVersion.TLSv1, "VersionTLS11": ssl.TLSVersion.TLSv1_1,
            "VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}
_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")  # always on
# IANA's names, as Go has them -> OpenSSL's
SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
}


def apply(context: ssl.SSLContext, *, min_version: str = "", suites: Iterable[str] = (), sni: Iterable[str] = (),
          client_ca: bytes | None = None) -> None:
    _limit(context, min_version, tuple(suites))
    others: dict[str, ssl.SSLContext] = {}
    for text in sni:
        pair, _, names = text.partition(":")
        cert, comma, key = pair.partition(",")
        if not comma or not cert or not key:
            raise Ended(f'invalid argument "{text}" for "--tls-sni-cert-key" flag: expected comma separated certificate '
                        "and key file paths")
        try:
            other = tls.server_context(Path(cert), Path(key), client_ca=client_ca)
            found = names.split(",") if names else tls.names_in(tls.load_bundle(Path(cert).read_bytes())[0])[0]
        except (OSError, ValueError) as e:
            raise Ended(f"failed to load SNI cert and key: {e}") from e
        _limit(other, min_version, tuple(suites))
        for name in found:
            others.setdefault(name.lower(), other)
    if others:
        context.sni_callback = chooser(others)


def chooser(others: dict[str, ssl.SSLContext]) -> Callable[[ssl.SSLObject, str, ssl.SSLContext], None]:
    """By the name the client asks for; `*.example.com` stands for one label."""
    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        asked = (name or "").lower()
        other = others.get(asked) or others.get("*." + asked.partition(".")[2])
        if other is not None:
            connection.context = other

    return choose


def _limit(context: ssl.SSLContext, min_version: str, suites: tuple[str, ...]) -> None:
    if min_version:
        if min_version not in VERSIONS:
            raise Ended(f'unknown tls version "{min_version}"')
        context.minimum_version = VERSIONS[min_version]
    if suites:
        for name in suites:
            if name not in SUITES and name not in _TLS13:
                raise Ended(f"Cipher suite {name} not supported or doesn't exist")
        if wanted := [SUITES[name] for name in suites if name in SUITES]:
            context.set_ciphers(":".join(wanted))
