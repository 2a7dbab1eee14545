"""kubelet alone.

In: options named as the flags, and the --config file under them. Out: runs until cancelled. Called by: run/alone.
"""

from __future__ import annotations

import dataclasses
import random
import socket
from typing import Any

from kubewheel.lib import clock as clocks
from kubewheel.run import components, config_files
from kubewheel.run.alone import common
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended
from kubewheel.run.settings import host_address


async def run(options: Options) -> None:
    from kubewheel.client.events import Recorder
    from kubewheel.kubelet.kubelet import Kubelet

    if not options.kubeconfig:
        raise Ended("--kubeconfig must be specified: a kubelet without an API server is not in kubewheel")
    told = kubelet_options(options)
    clock = clocks.RealClock()
    async with components.connected(common.client_config(options.kubeconfig), "kubelet") as (client, caches):
        recorder = Recorder(client, clock, component="kubelet", host=told.node_name)
        try:
            await Kubelet(client, caches, clock, random.SystemRandom(), recorder, told).run()
        except OSError as e:
            raise Ended(f"failed to run Kubelet: {e}") from e
        finally:
            await recorder.aclose()


def kubelet_options(options: Options) -> Any:
    """Defaults, under the --config file, under flags of the command line -> kubelet/options.Options."""
    from kubewheel.kubelet import options as own

    values: dict[str, Any] = config_files.kubelet(options.config) if options.config else {}
    known = {f.name for f in dataclasses.fields(own.Options)}
    values |= {name: getattr(options, name) for name in options.given & known}
    name = options.hostname_override or socket.gethostname().lower()
    values |= {"node_name": name, "node_ip": options.node_ip or host_address(), "root_dir": options.root_dir}
    if "register_with_taints" in options.given:
        values["register_with_taints"] = tuple(taint(text) for text in options.register_with_taints)
    if isinstance(values.get("container_log_max_size"), str):
        values["container_log_max_size"] = config_files.size(values["container_log_max_size"])
    if not values.get("cgroup_root"):
        values["cgroup_root"] = "/"
    if values.get("healthz_port") == 0:
        values["healthz_port"] = -1  # off; 0 would be any free port
    if values.get("authorization_mode", "Webhook") not in ("Webhook", "AlwaysAllow"):
        raise Ended(f"invalid kubelet authorization mode {values['authorization_mode']!r}")
    made = own.Options(**values)
    if not made.tls_cert_file:
        from kubewheel.kubelet.server import serving_certificate

        made.tls_cert_file, made.tls_private_key_file = serving_certificate.ensure(
            options.cert_dir if "cert_dir" in options.given else f"{options.root_dir}/pki", name, (made.node_ip,),
            clocks.RealClock().now())
    return made


def taint(text: str) -> dict[str, str]:
    """key=value:effect or key:effect."""
    pair, colon, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    if not colon or not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise Ended(f'invalid argument "{text}" for "--register-with-taints" flag: invalid taint spec: {text}')
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
