"""What the API server tells of itself and its store, beside what is counted of requests (request_metrics.py).

In: the server. Out: metrics in lib/metrics.REGISTRY, read when they are asked for. Called by: server.py, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubewheel.api import build, features
from kubewheel.lib import metrics, process_metrics

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


def register(server: Server) -> None:
    process_metrics.register()
    build.record()
    features.record(server.options.feature_gates)

    def objects() -> dict[tuple[str, ...], float]:
        return {(resource.qualified,): float(len(server.watch_cache.resource(resource.registry).entries))
                for resource in server.registry.all()
                if not resource.not_stored and resource.registry and server.registry.hub_of(resource) is resource}

    def by_group() -> dict[tuple[str, ...], float]:
        return {(name.partition(".")[2], name.partition(".")[0]): count for (name,), count in objects().items()}

    def received() -> dict[tuple[str, ...], float]:
        return {(name.partition(".")[2], name.partition(".")[0]): float(cache.changes)
                for name, cache in ((r.qualified, server.watch_cache.resource(r.registry)) for r in server.registry.all()
                                    if not r.not_stored and r.registry and server.registry.hub_of(r) is r)
                if cache.changes}

    registry = metrics.REGISTRY
    registry.samples(
        "apiserver_storage_objects", "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] "
        "Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be "
        "-1.", ("resource",), objects)
    registry.samples(
        "apiserver_resource_objects", "[ALPHA] Number of stored objects at the time of last check split by kind. In case of "
        "a fetching error, the value will be -1.", ("group", "resource"), by_group)
    registry.samples(
        "apiserver_watch_cache_resource_version", "[ALPHA] Current resource version of watch cache broken by resource type. "
        "This is truncated to the 15 least significant digits.", ("group", "resource"),
        lambda: dict.fromkeys(by_group(), float(server.watch_cache.revision)))
    registry.samples(
        "apiserver_storage_events_received_total", "[BETA] Number of etcd events received split by kind.",
        ("group", "resource"), received, kind="counter")
    registry.samples(
        "apiserver_watch_cache_events_received_total", "[ALPHA] Counter of events received in watch cache broken by resource "
        "type.", ("group", "resource"), received, kind="counter")
    registry.samples(
        "registered_metrics_total", "[BETA] The count of registered metrics broken by stability level and deprecation "
        "version.", ("stability_level", "deprecated_version"), _registered, kind="counter")
    for name in ("hidden", "disabled"):
        registry.counter(f"{name}_metrics_total", f"[BETA] The count of {name} metrics.").inc(by=0)


def _registered() -> dict[tuple[str, ...], float]:
    """By what stands in brackets before the help; what has none is the client libraries'."""
    return {(level, ""): float(count) for level, count in metrics.REGISTRY.stabilities().items()}
