"""Certificates by name, versions and suites of TLS, asked for by a real handshake."""

import asyncio
import ssl

import pytest

from kubewheel.api import catalog
from kubewheel.apiserver import runtime_config
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.run import serving_tls
from kubewheel.run.ended import Ended


def issued(tmp_path, name, *hosts):
    now = clocks.RealClock().now()
    pair = tls.issue(tls.make_ca("ca", now=now), name, now=now, hosts=hosts, server=True)
    tls.write_private(tmp_path / f"{name}.key", pair.key)
    tls.write_atomic(tmp_path / f"{name}.crt", pair.cert)
    return tmp_path / f"{name}.crt", tmp_path / f"{name}.key"


async def shake(context, name, **limits):
    """(common name of the certificate shown, TLS version, suite)."""
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    for key, value in limits.items():
        setattr(client, key, value)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=client, server_hostname=name)
        made = writer.get_extra_info("ssl_object")
        from cryptography import x509
        shown = tls.subject_of(x509.load_der_x509_certificate(made.getpeercert(True))).common_name
        found = shown, made.version(), made.cipher()[0]
        writer.close()
        return found


async def test_names_choose_certificates(tmp_path):
    context = tls.server_context(*issued(tmp_path, "main", "main.example.com"))
    other, wide = issued(tmp_path, "other", "other.example.com"), issued(tmp_path, "wide", "x.example.com")
    serving_tls.apply(context, sni=(f"{other[0]},{other[1]}", f"{wide[0]},{wide[1]}:*.wide.example.com"))
    assert (await shake(context, "main.example.com"))[0] == "main"
    assert (await shake(context, "other.example.com"))[0] == "other"
    assert (await shake(context, "a.wide.example.com"))[0] == "wide"
    assert (await shake(context, "a.b.wide.example.com"))[0] == "main"
    with pytest.raises(Ended, match="expected comma separated certificate and key file paths"):
        serving_tls.apply(context, sni=("alone.crt",))


async def test_versions_and_suites(tmp_path):
    pair = issued(tmp_path, "main", "main.example.com")
    context = tls.server_context(*pair)
    serving_tls.apply(context, suites=("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"))
    found = await shake(context, "x", maximum_version=ssl.TLSVersion.TLSv1_2)
    assert found[1] == "TLSv1.2" and found[2].endswith("AES128-GCM-SHA256")
    serving_tls.apply(context, min_version="VersionTLS13")
    with pytest.raises(OSError):  # SSLError, or the connection reset before its alert was read
        await shake(context, "x", maximum_version=ssl.TLSVersion.TLSv1_2)


def test_runtime_config_takes_versions_and_resources_away():
    def served(**config):
        return {(r.api_version, r.plural) for r in runtime_config.served(catalog.RESOURCES, config) if r.verbs}

    everything = served()
    assert everything - served(**{"autoscaling/v1": False}) == {("autoscaling/v1", "horizontalpodautoscalers")}
    assert everything - served(**{"apps/v1/deployments": False}) == {("apps/v1", "deployments")}
    assert {v for v, _ in served(**{"api/all": False, "v1": True})} == {"v1"}
    with pytest.raises(ValueError, match="unknown api groups nope"):
        served(**{"nope/v1": True})
    with pytest.raises(ValueError, match="runtime-config invalid key api/some"):
        served(**{"api/some": True})
