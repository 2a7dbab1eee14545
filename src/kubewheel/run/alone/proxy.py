"""kube-proxy alone.

In: options named as the flags, or the --config file. Out: runs until cancelled. Called by: run/alone.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from kubewheel.run import components, config_files, configz
from kubewheel.run.alone import common
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended


async def run(options: Options) -> None:
    from kubewheel.proxy.backends.nftables import Nftables
    from kubewheel.proxy.proxier import Options as ProxyOptions
    from kubewheel.proxy.proxier import Proxier

    values = proxy_values(options)
    backend = Nftables(cluster_cidr=values["cluster_cidr"])
    if options.cleanup:
        await backend.remove()
        return
    health, health_port = config_files.endpoint(values["healthz_bind_address"], port=10256)
    metrics_address, metrics_port = config_files.endpoint(values["metrics_bind_address"], port=10249)
    periods = {name: values[name] for name in ("sync_period", "min_sync_period") if name in values}
    node_name = values["hostname_override"] or socket.gethostname().lower()
    told = ProxyOptions(
        node_name=node_name, healthz_bind_address=health, healthz_port=health_port, metrics_bind_address=metrics_address,
        metrics_port=metrics_port, **periods)
    told.configz = configz.proxy(options, values, node_name=node_name, periods={
        "sync_period": told.sync_period, "min_sync_period": told.min_sync_period})
    async with components.connected(common.client_config(values["kubeconfig"], options.master), "kube-proxy") as (_, caches):
        try:
            await Proxier(caches, backend, told).run()
        except OSError as e:
            raise Ended(f"{e.strerror or e}") from e


def proxy_values(options: Options) -> dict[str, Any]:
    """Flags; with --config the file alone but for --hostname-override and --proxy-mode, as upstream has it."""
    names = ("hostname_override", "proxy_mode", "cluster_cidr", "healthz_bind_address", "metrics_bind_address",
             "kubeconfig")
    values = {name: getattr(options, name) for name in names}
    if options.config:
        values |= config_files.proxy(options.config)
        values |= {n: getattr(options, n) for n in ("hostname_override", "proxy_mode") if n in options.given}
    if values["proxy_mode"] not in ("", "nftables"):
        raise Ended(f"--proxy-mode={values['proxy_mode']} is not in kubewheel: only nftables is")
    if values["cluster_cidr"]:
        try:
            ipaddress.ip_network(values["cluster_cidr"], strict=False)
        except ValueError as e:
            raise Ended(f'clusterCIDR: Invalid value: "{values["cluster_cidr"]}": must be a valid CIDR') from e
    return values
