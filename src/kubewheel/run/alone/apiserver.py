"""kube-apiserver alone: flags become Options, the store is opened, HTTPS is served.

In: options named as the flags (cli/component_flags/apiserver). Out: runs until cancelled. Called by: run/alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.run import components, health_server, serving_tls
from kubewheel.run.alone import common
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended
from kubewheel.run.settings import host_address

if TYPE_CHECKING:
    from kubewheel.storage.store import Store

log = logging.getLogger(__name__)


async def run(options: Options) -> None:
    from kubewheel.apiserver.server import Server
    from kubewheel.storage.store import StoreError

    told = server_options(options)
    context = await asyncio.to_thread(_tls, options, told)
    store = open_store(options)
    try:
        await store.start()
    except StoreError as e:  # another API server has the file
        raise Ended(str(e)) from e
    try:
        try:
            server = Server(store, clock=clocks.RealClock(), rng=random.SystemRandom(), options=told)
        except ValueError as e:  # a mode, a plugin or a key that is none
            raise Ended(str(e)) from e
        try:
            await server.start()
            await _serve(server, store, options, context)
        finally:
            await server.aclose()
    finally:
        await store.aclose()


async def _serve(server: Any, store: Store, options: Options, context: Any) -> None:
    address, port = options.bind_address, options.secure_port
    serving = components.serving(server, store, address=address, port=port, context=context,
                                 compact_every=options.etcd_compaction_interval)
    try:
        await serving.__aenter__()
    except OSError as e:
        raise common.no_listener(address, port, e) from e
    try:
        log.info("serving on https://%s:%d", server.options.advertise_address, port)
        await asyncio.Event().wait()
    finally:
        await serving.__aexit__(None, None, None)


def open_store(options: Options) -> Store:
    """Not started. Which one: --storage-path, or --etcd-servers with one of our schemes."""
    from kubewheel.storage.memory import MemoryStore
    from kubewheel.storage.sqlite import SqliteStore

    kind, path = storage_of(options)
    if kind == "memory":
        return MemoryStore()
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteStore(path)


def storage_of(options: Options) -> tuple[str, str]:
    """("memory", "") or ("sqlite", path)."""
    backend, path = options.storage_backend, options.storage_path
    if backend not in ("", "sqlite", "memory"):
        raise Ended(f'--storage-backend={backend} is not in kubewheel, allowed values: sqlite, memory')
    for server in options.etcd_servers:
        if server == "memory":
            backend = "memory"
        elif server.startswith("sqlite:"):
            path = server.removeprefix("sqlite:").removeprefix("//")
        else:
            raise Ended(f"--etcd-servers={server}: etcd is not in kubewheel; use --storage-path=FILE, "
                        "or --etcd-servers=sqlite:FILE or memory")
    if backend == "memory":
        if path:
            raise Ended("the memory backend has no --storage-path")
        return "memory", ""
    if not path:
        raise Ended("--storage-path must be specified (or --etcd-servers=memory)")
    return "sqlite", path


def check(options: Options) -> None:
    """What upstream's validation refuses, and the values that are not here."""
    for name in ("allow_privileged", "service_account_lookup", "watch_cache"):
        if not getattr(options, name):
            raise Ended(f"--{name.replace('_', '-')}=false is not in kubewheel")
    if options.endpoint_reconciler_type not in ("lease", "none"):
        raise Ended(f"--endpoint-reconciler-type={options.endpoint_reconciler_type} is not in kubewheel, "
                    "allowed values: lease, none")
    if not 1 <= options.secure_port <= 65535:
        raise Ended(f"--secure-port {options.secure_port} must be between 1 and 65535, inclusive. It cannot be turned off "
                    "with 0")
    for name in ("max_requests_inflight", "max_mutating_requests_inflight", "request_timeout", "min_request_timeout",
                 "shutdown_delay_duration"):
        if getattr(options, name) < 0:
            raise Ended(f"--{name.replace('_', '-')} can not be negative value")
    if options.livez_grace_period < 0:
        raise Ended("--livez-grace-period can not be a negative value")
    if not 0 <= options.goaway_chance <= 0.02:
        raise Ended("--goaway-chance can not be less than 0 or greater than 0.02")


def server_options(options: Options) -> Any:
    """Flags -> apiserver/options.Options. Reads the files they name."""
    from kubewheel.apiserver.options import Options as ServerOptions

    check(options)
    common.note_gates(options)
    anonymous = options.anonymous_auth
    if anonymous and "AlwaysAllow" in options.authorization_mode:
        log.warning("AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false.")
        anonymous = False
    if not options.service_account_issuer:
        raise Ended("service-account-issuer is a required flag")
    issuer, *others = options.service_account_issuer
    signing_key, public_keys = _service_account_keys(options)
    return ServerOptions(
        advertise_address=_advertised(options), bind_address=options.bind_address, secure_port=options.secure_port,
        service_cluster_ip_range=_networks(options.service_cluster_ip_range),
        service_node_port_range=port_range(options.service_node_port_range),
        authorization_mode=options.authorization_mode, anonymous_auth=anonymous,
        enable_admission_plugins=options.enable_admission_plugins,
        disable_admission_plugins=options.disable_admission_plugins,
        client_ca=common.read(options.client_ca_file, "client-ca-file"),
        requestheader_client_ca=common.read(options.requestheader_client_ca_file, "requestheader-client-ca-file"),
        requestheader_allowed_names=options.requestheader_allowed_names,
        requestheader_username_headers=options.requestheader_username_headers,
        requestheader_uid_headers=options.requestheader_uid_headers,
        requestheader_group_headers=options.requestheader_group_headers,
        requestheader_extra_headers_prefix=options.requestheader_extra_headers_prefix,
        service_account_key=signing_key, service_account_public_keys=public_keys,
        service_account_issuer=issuer, service_account_other_issuers=tuple(others), api_audiences=options.api_audiences,
        service_account_max_token_expiration=options.service_account_max_token_expiration,
        service_account_extend_token_expiration=options.service_account_extend_token_expiration,
        enable_bootstrap_token_auth=options.enable_bootstrap_token_auth, token_auth_file=options.token_auth_file,
        kubelet_client_certificate=options.kubelet_client_certificate, kubelet_client_key=options.kubelet_client_key,
        kubelet_certificate_authority=options.kubelet_certificate_authority,
        kubelet_preferred_address_types=options.kubelet_preferred_address_types,
        proxy_client_certificate=options.proxy_client_cert_file, proxy_client_key=options.proxy_client_key_file,
        event_ttl=options.event_ttl, publish_kubernetes_service=options.endpoint_reconciler_type != "none",
        enable_aggregator_routing=options.enable_aggregator_routing,
        aggregator_reject_forwarding_redirects=options.aggregator_reject_forwarding_redirects,
        max_requests_inflight=options.max_requests_inflight,
        max_mutating_requests_inflight=options.max_mutating_requests_inflight, request_timeout=options.request_timeout,
        min_request_timeout=float(options.min_request_timeout), livez_grace_period=options.livez_grace_period,
        shutdown_delay=options.shutdown_delay_duration, profiling=options.profiling,
        runtime_config=options.runtime_config, external_hostname=options.external_hostname,
        service_account_jwks_uri=options.service_account_jwks_uri, feature_gates=options.feature_gates,
        flags=options.flagz)


def _advertised(options: Options) -> str:
    if options.advertise_address:
        return str(options.advertise_address)
    return host_address() if options.bind_address in ("0.0.0.0", "::", "", "127.0.0.1", "::1") else str(options.bind_address)


def _networks(text: str) -> str:
    """--service-cluster-ip-range: one network, or one of each family."""
    try:
        found = [ipaddress.ip_network(part, strict=False) for part in text.split(",")]
    except ValueError as e:
        raise Ended(f"specified --service-cluster-ip-range {text!r} is not a valid CIDR: {e}") from e
    if len(found) > 2 or len({n.version for n in found}) < len(found):
        raise Ended("--service-cluster-ip-range must contain one IPv4 and one IPv6 CIDR, or one CIDR alone")
    return ",".join(map(str, found))


def port_range(text: str) -> tuple[int, int]:
    """ "30000-32767", or "30000+100". """
    for sign in "-+":
        first, found, second = text.partition(sign)
        if found and first.isdigit() and second.isdigit():
            low, high = int(first), int(second) if sign == "-" else int(first) + int(second)
            if 0 < low <= high <= 65535:
                return low, high
    raise Ended(f'invalid argument "{text}" for "--service-node-port-range" flag: unable to parse port range')


def _service_account_keys(options: Options) -> tuple[bytes, tuple[bytes, ...]]:
    """(the PEM that signs, those that verify). Without a signing key one is made, once, in --cert-dir."""
    public = tuple(common.read(path, "service-account-key-file") for path in options.service_account_key_file)
    if options.service_account_signing_key_file:
        return common.read(options.service_account_signing_key_file, "service-account-signing-key-file"), public
    if (private := next((pem for pem in public if b"PRIVATE KEY" in pem), None)) is not None:
        return private, public
    path = Path(options.cert_dir) / "service-account.key"
    if not path.exists():
        log.warning("no --service-account-signing-key-file: made %s", path)
        tls.write_private(path, tls.new_rsa_key())
    return path.read_bytes(), public


def _tls(options: Options, told: Any) -> Any:
    """The certificate named, or a self-signed one kept in --cert-dir (upstream's apiserver.crt)."""
    authorities = told.client_ca + told.requestheader_client_ca
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        raise Ended("--tls-cert-file and --tls-private-key-file must be specified together")
    cert, key = Path(options.tls_cert_file), Path(options.tls_private_key_file)
    if not options.tls_cert_file:
        cert, key = Path(options.cert_dir) / "apiserver.crt", Path(options.cert_dir) / "apiserver.key"
        if not (cert.exists() and key.exists()):
            service = str(ipaddress.ip_network(told.service_cluster_ip_range.split(",")[0])[1])
            pair = health_server.self_signed("kubernetes", ips=(told.advertise_address, service))
            tls.write_private(key, pair.key)
            tls.write_atomic(cert, pair.cert)
            log.info("generated self-signed cert (%s, %s)", cert, key)
    try:
        context = tls.server_context(cert, key, client_ca=authorities or None)
    except (OSError, ValueError) as e:
        raise Ended(f"failed to load certificate {cert}: {e}") from e
    serving_tls.apply(context, min_version=options.tls_min_version, suites=options.tls_cipher_suites,
                      sni=options.tls_sni_cert_key, client_ca=authorities or None)
    return context
