"""Health, metrics and debug endpoints, as probes, scrapers and people read them."""

import asyncio
import gzip
import json

from tests.apiserver.wire import config_map, send

from kubewheel.api import features
from kubewheel.apiserver.limits import Limits
from kubewheel.apiserver.options import Options
from kubewheel.client.transport import Identity, Request
from kubewheel.lib import healthz, profiling, verbosity
from kubewheel.testing import with_cluster
from kubewheel.testing.cluster import cluster as new_cluster

HOOKS = ("rbac/bootstrap-roles", "start-cluster-authentication-info-controller", "kube-apiserver-autoregistration",
         "scheduling/bootstrap-system-priority-classes", "crd-informer-synced", "apiservice-registration-controller")


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_checks_are_named(cluster):
    await cluster.server.bootstrap.wait_ready()

    async def ready():
        return (await send(cluster, "GET", "/readyz")).status == 200

    await cluster.wait_until(ready)
    answer = await send(cluster, "GET", "/readyz?verbose")
    lines = answer.body.decode().splitlines()
    assert lines[:4] == ["[+]ping ok", "[+]log ok", "[+]etcd ok", "[+]etcd-readiness ok"]
    assert lines.index("[+]informer-sync ok") == lines.index("[+]poststarthook/generic-apiserver-start-informers ok") + 1
    assert {f"[+]poststarthook/{hook} ok" for hook in HOOKS} | {"[+]autoregister-completion ok"} <= set(lines)
    assert lines[-2:] == ["[+]shutdown ok", "readyz check passed"]
    assert (await send(cluster, "GET", "/livez")).body == b"ok"
    live = (await send(cluster, "GET", "/livez?verbose&exclude=etcd&exclude=nonsense")).body.decode()
    assert "[+]etcd excluded: ok" in live and "etcd-readiness" not in live and "shutdown" not in live
    assert 'warn: some health checks cannot be excluded: no matches for "nonsense"' in live
    assert (await send(cluster, "GET", "/healthz/poststarthook/rbac/bootstrap-roles")).body == b"ok"
    assert (await send(cluster, "GET", "/healthz/nonsense")).status == 404
    cluster.server.endpoints.health.stopping = True
    failing = await send(cluster, "GET", "/readyz")
    assert failing.status == 500
    assert failing.body.decode().endswith("[-]shutdown failed: reason withheld\nreadyz check failed\n")
    assert (await send(cluster, "GET", "/readyz/shutdown")).body == b"internal server error: process is shutting down\n"
    assert (await send(cluster, "GET", "/livez")).status == 200
    slis = (await send(cluster, "GET", "/metrics/slis")).body.decode()
    assert 'kubernetes_healthcheck{name="ping",type="livez"} 1' in slis
    assert 'kubernetes_healthcheck{name="shutdown",type="readyz"} 0' in slis


async def test_an_exclusion_saves_what_fails():
    async def slow():
        await asyncio.sleep(0)
        return "no"

    checks = {"ping": lambda: "", "store": slow}
    assert await healthz.answer("livez", checks, {}) == (500, "[+]ping ok\n[-]store failed: reason withheld\nlivez check failed\n")
    assert await healthz.answer("livez", checks, {"exclude": ["store"]}) == (200, "ok")


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_metrics_have_upstreams_names(cluster):
    await cluster.client.create("configmaps", config_map("counted"))
    await send(cluster, "GET", "/api/v1/namespaces/default/configmaps/counted")
    answer = await send(cluster, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert "# HELP apiserver_request_total [STABLE] Counter of apiserver requests" in text
    for line in ('apiserver_admission_step_admission_duration_seconds_count{operation="CREATE",rejected="false",type="admit"}',
                 'apiserver_admission_controller_admission_duration_seconds_count{name="NamespaceLifecycle",'
                 'operation="CREATE",rejected="false",type="admit"}',
                 'apiserver_storage_objects{resource="configmaps"} ', 'kubernetes_feature_enabled{name="WatchList",stage="BETA"} 1',
                 'apiserver_resource_objects{group="apps",resource="deployments"} 0', "process_start_time_seconds ",
                 "process_resident_memory_bytes ", 'kubernetes_build_info{build_date="",compiler="cpython"',
                 'apiserver_current_inflight_requests{request_kind="readOnly"} 1', "apiserver_response_sizes_bucket{"):
        assert line in text, line
    for line in text.splitlines():  # no nonsense: every sample is a number, every metric is announced
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])


async def test_too_many_are_sent_away():
    limits = Limits(Options(max_requests_inflight=1, max_mutating_requests_inflight=0))
    limits.running["readOnly"] = 1
    assert limits.is_full("readOnly", Identity("jane"))
    assert not limits.is_full("readOnly", Identity("root", groups=("system:masters",)))
    assert not limits.is_full("mutating", Identity("jane"))  # 0: no limit
    assert limits.seconds(Request("GET", "/", query={"timeout": ["5s"]})) == 5
    assert limits.seconds(Request("GET", "/", query={"timeout": ["5h"]})) == 60


async def test_limits_hold_for_those_outside():
    async with new_cluster(nodes=0, controllers="", scheduler=False, options=Options(max_requests_inflight=1)) as cluster:
        await cluster.server.bootstrap.wait_ready()
        request = Request("GET", "/version", headers={"accept": "application/json"})
        cluster.server.chain.limits.running["readOnly"] = 1
        response = await cluster.server.chain(request)
        assert (response.status, response.headers["retry-after"]) == (429, "1")
        assert response.body == b"Too many requests, please try again later.\n"
        cluster.server.chain.limits.running["readOnly"] = 0
        assert (await cluster.server.chain(request)).status == 200
        slow = Request("GET", "/version", query={"timeout": ["nonsense"]})
        response = await cluster.server.chain(slow)
        assert response.status == 400 and b"invalid timeout specified in the request URL" in response.body


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_status_and_flags_pages(cluster):
    cluster.server.options.flags["secure-port"] = "6443"
    text = (await send(cluster, "GET", "/statusz", accept="text/plain")).body.decode()
    assert text.startswith("\nkube-apiserver statusz\nWarning: This endpoint is not meant to be machine parseable")
    assert "Paths: /flagz /healthz /livez /metrics /readyz /statusz /version\n" in text
    kind = "application/json;v=v1alpha1;g=config.k8s.io;as=Statusz"
    answer = await send(cluster, "GET", "/statusz", accept=kind)
    assert answer.json["kind"] == "Statusz" and answer.json["metadata"] == {"name": "kube-apiserver"}
    assert answer.json["uptimeSeconds"] >= 0 and "/livez" in answer.json["paths"]
    assert "secure-port=6443\n" in (await send(cluster, "GET", "/flagz", accept="*/*")).body.decode()
    answer = await send(cluster, "GET", "/flagz", accept="application/json;v=v1alpha1;g=config.k8s.io;as=Flagz")
    assert answer.json["flags"]["secure-port"] == "6443"
    assert (await send(cluster, "GET", "/flagz", accept="application/json")).status == 406
    assert (await send(cluster, "GET", "/configz")).status == 404
    paths = (await send(cluster, "GET", "/")).json["paths"]
    assert paths == sorted(paths) and {"/apis/apps/v1", "/healthz/ping", "/metrics/slis"} <= set(paths)


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_debug_pages(cluster):
    assert b"goroutine" in (await send(cluster, "GET", "/debug/pprof/")).body
    assert b"task bootstrap:events [waiting]" in (await send(cluster, "GET", "/debug/pprof/goroutine?debug=2")).body
    refused = await send(cluster, "GET", "/debug/pprof/heap")
    assert refused.status == 501 and b"the heap profile is not in kubewheel: CPython" in refused.body
    assert (await send(cluster, "GET", "/debug/pprof/nonsense")).status == 404
    assert (await send(cluster, "GET", "/debug/pprof/", user=Identity("jane", groups=("system:authenticated",)))).status == 403
    answer = await send(cluster, "PUT", "/debug/flags/v", b"nonsense")
    assert answer.status == 400 and b"failed set klog.logging.verbosity nonsense" in answer.body
    assert (await send(cluster, "GET", "/debug/flags/v")).status == 406
    cluster.server.options.profiling = False
    assert (await send(cluster, "GET", "/debug/pprof/")).status == 404


async def test_a_profile_is_one():
    async def busy():
        while True:
            sum(range(1000))
            await asyncio.sleep(0)

    task = asyncio.ensure_future(busy())
    status, _, body = await profiling.page("profile", {"seconds": ["0.5"]})
    task.cancel()
    raw = gzip.decompress(body)
    assert status == 200 and b"samples" in raw and b"busy" in raw


def test_verbosity_is_set(caplog):
    import logging

    before = logging.getLogger().level
    try:
        assert verbosity.put("PUT", b"5") == (200, "successfully set klog.logging.verbosity to 5")
        assert logging.getLogger().level == logging.DEBUG
    finally:
        logging.getLogger().setLevel(before)


def test_feature_gates():
    assert features.parse({"WatchList": "true", "kube:AllAlpha": "false"}) == {"WatchList": True, "AllAlpha": False}
    assert features.effective({"AllAlpha": True})["MemoryQoS"] and not features.effective({})["MemoryQoS"]
    for pairs, said in (({"Nonsense": "true"}, "unrecognized feature gate: Nonsense"),
                        ({"NodeSwap": "false"}, "cannot set feature gate NodeSwap to false, feature is locked to true"),
                        ({"WatchList": "maybe"}, 'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe": '
                                                 "invalid syntax")):
        try:
            features.parse(pairs)
        except features.GateError as e:
            assert str(e) == said
        else:
            raise AssertionError(pairs)


async def test_openapi_protobuf_is_what_gnostic_reads():
    from tests.apiserver.gnostic import document

    async with new_cluster(nodes=0, controllers="", scheduler=False) as cluster:
        kind = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        answer = await send(cluster, "GET", "/openapi/v2", accept=kind)
        assert answer.headers["content-type"] == kind.replace("@v1.0", ".v1.0")
        found = document(answer.body)
        plain = (await send(cluster, "GET", "/openapi/v2")).json
        assert found["swagger"] == "2.0" and found["info"]["title"] == "Kubernetes"
        assert set(found["definitions"]) == set(plain["definitions"]) and set(found["paths"]) == set(plain["paths"])
        pod, wanted = (d["definitions"]["io.k8s.api.core.v1.PodSpec"] for d in (found, plain))
        assert set(pod["properties"]) == set(wanted["properties"]) and pod["required"] == wanted["required"]
        containers = pod["properties"]["containers"]
        assert containers["type"] == ["array"] and containers["x-kubernetes-patch-merge-key"] == "name"
        assert containers["items"]["$ref"] == "#/definitions/io.k8s.api.core.v1.Container"
        patch = found["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
        assert patch["operationId"] == "patchCoreV1NamespacedPod"
        shared = found["parameters"]
        assert set(shared) == set(plain["parameters"])
        named = {(shared[p["$ref"].rpartition("/")[2]] if "$ref" in p else p)["name"] for p in patch["parameters"]}
        assert named == {"body", "dryRun", "fieldManager", "fieldValidation", "force"}
        # kubectl looks for these two in the operation itself
        assert {"dryRun", "fieldValidation"} <= {p.get("name") for p in patch["parameters"]}
        assert json.loads(json.dumps(patch["x-kubernetes-group-version-kind"]))["kind"] == "Pod"
        assert (await send(cluster, "GET", "/openapi/v2", accept="text/html")).status == 406


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_openapi_v3_is_hashed_and_immutable(cluster):
    index = (await send(cluster, "GET", "/openapi/v3")).json["paths"]
    url = index["apis/apps/v1"]["serverRelativeURL"]
    answer = await send(cluster, "GET", url)
    assert answer.headers["cache-control"] == "public, immutable" and answer.headers["vary"] == "Accept"
    assert url.endswith(answer.headers["etag"].strip('"'))
    assert (await send(cluster, "GET", url, if_none_match=answer.headers["etag"])).status == 304
    moved = await send(cluster, "GET", "/openapi/v3/apis/apps/v1?hash=OLD")
    assert (moved.status, moved.headers["location"]) == (301, url)
    kind = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    raw = await send(cluster, "GET", url, accept=kind)
    assert raw.headers["content-type"] == kind.replace("@v1.0", ".v1.0")
    assert b"io.k8s.api.apps.v1.Deployment" in raw.body and raw.body != answer.body
    assert (await send(cluster, "GET", "/openapi/v3/apis/none/v1")).status == 404
