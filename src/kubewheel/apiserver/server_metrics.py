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

    registry = metrics.REGISTRY
    registry.samples(
        "apiserver_storage_objects", "[STABLE] (Deprecated since 1.34.0) Number of stored objects at the time of last check "
        "split by kind. In case of a fetching error, the value will be -1.", ("resource",), objects)
    registry.samples(
        "apiserver_resource_objects", "[ALPHA] Number of stored objects at the time of last check split by kind. In case of "
        "a fetching error, the value will be -1.", ("group", "resource"), by_group)
    registry.samples(
        "apiserver_watch_cache_resource_version", "[ALPHA] Current resource version of watch cache broken by resource type.",
        ("group", "resource"), lambda: {("", ""): float(server.watch_cache.revision)})
