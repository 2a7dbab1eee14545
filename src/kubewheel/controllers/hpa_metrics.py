"""Reading the metrics APIs (metrics.k8s.io, custom.metrics.k8s.io, external.metrics.k8s.io).

In: a Client. Out: samples per pod, single values; NoMetric with upstream's words where there are none.
Called by: horizontalpodautoscaler.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from kubewheel.api import codec, errors, quantity
from kubewheel.api.resource import Object
from kubewheel.client.client import Client
from kubewheel.controllers import settings as flags
from kubewheel.controllers.hpa_replicas import NoMetric, Sample
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects

RESOURCES = "/apis/metrics.k8s.io/v1beta1"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


async def _get(client: Client, path: str, query: dict[str, Any], what: str, verb: str) -> Object:
    try:
        response = await client.raw("GET", path, query=query)
    except errors.StatusError as e:
        # What client-go makes of an answer that is no Status.
        missing = f"the server could not find the requested resource ({verb})"
        raise NoMetric(f"{what}: {missing if e.code == 404 else e.message}") from e
    return response.obj if response.obj is not None else codec.loads(response.body or b"{}")


async def resource(client: Client, namespace: str, selector: str, name: str, container: str = "") -> dict[str, Sample]:
    """pod -> use of a resource; a pod of which one container is unknown is left out."""
    listed = await _get(client, f"{RESOURCES}/namespaces/{namespace}/pods", {"labelSelector": selector},
                        "unable to fetch metrics from resource metrics API", "get pods.metrics.k8s.io")
    items = listed.get("items") or ()
    if not items:
        raise NoMetric("no metrics returned from resource metrics API")
    out = {}
    for item in items:
        parts = [c for c in item.get("containers") or () if not container or c["name"] == container]
        used = [(c.get("usage") or {}).get(name) for c in parts]
        if not used or any(u is None for u in used):
            continue
        out[item["metadata"]["name"]] = Sample(
            sum(quantity.milli(u) for u in used), clocks.parse_time(item["timestamp"]),
            flags.duration(item.get("window", "60s")))
    return out


async def of_pods(client: Client, namespace: str, selector: str, metric: Object) -> dict[str, Sample]:
    path = f"{CUSTOM}/namespaces/{namespace}/pods/{quote('*', safe='*')}/{quote(metric['name'])}"
    listed = await _get(client, path, _where(metric) | {"labelSelector": selector},
                        "unable to fetch metrics from custom metrics API", "get pods.custom.metrics.k8s.io")
    if not listed.get("items"):
        raise NoMetric("no metrics returned from custom metrics API")
    return {i["describedObject"]["name"]: Sample(
        quantity.milli(i["value"]), clocks.parse_time(i["timestamp"]), float(i.get("windowSeconds") or 60))
        for i in listed["items"]}


async def of_object(client: Client, namespace: str, plural: str, name: str, metric: Object) -> int:
    path = f"{CUSTOM}/namespaces/{namespace}/{plural}/{quote(name)}/{quote(metric['name'])}"
    listed = await _get(client, path, _where(metric), "unable to fetch metrics from custom metrics API",
                        f"get {plural}.custom.metrics.k8s.io")
    if not listed.get("items"):
        raise NoMetric("no metrics returned from custom metrics API")
    return quantity.milli(listed["items"][0]["value"])


async def external(client: Client, namespace: str, metric: Object) -> int:
    query = {"labelSelector": objects.format_selector(metric.get("selector"))} if metric.get("selector") else {}
    listed = await _get(client, f"{EXTERNAL}/namespaces/{namespace}/{quote(metric['name'])}", query,
                        "unable to fetch metrics from external metrics API", f"get {metric['name']}.external.metrics.k8s.io")
    if not listed.get("items"):
        raise NoMetric("no metrics returned from external metrics API")
    return sum(quantity.milli(i["value"]) for i in listed["items"])


def _where(metric: Object) -> dict[str, Any]:
    return {"metricLabelSelector": objects.format_selector(metric["selector"])} if metric.get("selector") else {}
