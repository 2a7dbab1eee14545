"""The HTTP surface under nonsense: never a 500, never a hang, nothing left open."""

import asyncio
import json
import random

from tests.apiserver.wire import account, config_map, deployment, pod, send

from kubewheel.testing import with_cluster

PATHS = ("/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/configmaps/a", "/api/v1/pods",
         "/api/v1/namespaces/default/pods/p", "/api/v1/namespaces/default/pods/p/status", "/api/v1/nodes",
         "/api/v1/namespaces/default/pods/p/eviction", "/api/v1/namespaces/default/pods/p/binding",
         "/api/v1/namespaces/default/pods/p/ephemeralcontainers", "/api/v1/namespaces/default/pods/p/resize",
         "/api/v1/namespaces/default/services", "/api/v1/namespaces/default", "/api/v1/namespaces/default/finalize",
         "/apis/apps/v1/namespaces/default/deployments", "/apis/apps/v1/namespaces/default/deployments/d",
         "/apis/apps/v1/namespaces/default/deployments/d/scale", "/apis/apps/v1/namespaces/default/deployments/d/status",
         "/apis/authorization.k8s.io/v1/subjectaccessreviews", "/apis/authentication.k8s.io/v1/tokenreviews",
         "/api/v1/namespaces/default/serviceaccounts/default/token", "/apis", "/apis/apps", "/openapi/v3", "/version",
         "/apis/certificates.k8s.io/v1/certificatesigningrequests", "/api", "/", "//", "/api//v1", "/api/v1/watch/pods",
         "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
         "/apis/batch/v1/namespaces/default/cronjobs", "/apis/networking.k8s.io/v1/namespaces/default/ingresses")
QUERIES = ("limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector", "watch",
           "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "dryRun", "fieldManager", "fieldValidation", "force",
           "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "pretty", "includeObject", "exclude", "verbose")
VALUES = ("", "0", "1", "-1", "true", "x", "%00", "99999999999999999999", "a=b,c", "a in (", "!!", "metadata.name=a", "%F0%9F%98%80",
          "All", "Strict", "Exact", "eyJydiI6MX0", "None", "NotOlderThan")
TYPES = ("application/json", "application/yaml", "application/merge-patch+json", "application/json-patch+json",
         "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf",
         "text/plain", "", ";;;", "application/json; charset=utf-8")
ACCEPTS = ("application/json", "*/*", "", ",,;", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml;q=x",
           "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=Nope", "text/html",
           "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json",
           "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
LEAVES = (None, True, 0, -1, 1.5, 10 ** 19, "", "x", "é" * 3, [], {}, [None], {"": None}, [[]], {"a": {"a": {}}}, "\u0000")


def mangled(rng, value):
    """The value with one place in it made into something else."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(sorted(value))
        return {**value, key: mangled(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], mangled(rng, value[at]), *value[at + 1:]]
    return rng.choice(LEAVES)


def body_of(rng):
    docs = (config_map("a"), pod("p"), deployment("d"), {"spec": {"replicas": 1}}, {"kind": "DeleteOptions"},
            [{"op": "replace", "path": "/spec", "value": {}}], [{"op": "remove", "path": "/metadata/name"}],
            {"spec": {"ports": [{"port": 80}], "type": "NodePort"}, "metadata": {"name": "s"}},
            {"target": {"name": "n"}, "metadata": {"name": "p"}}, {"spec": {"user": "x", "resourceAttributes": {"verb": "get"}}},
            {"spec": {"token": "x"}}, {"spec": {"audiences": ["x"], "expirationSeconds": 600}},
            {"metadata": {"name": "x.y"}, "spec": {"group": "y", "names": {"plural": "x", "kind": "X"}, "scope": "Cluster",
                                                   "versions": [{"name": "v1", "served": True, "storage": True}]}},
            {"metadata": {"name": "j"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {}}}}}},
            {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]})
    chosen = rng.choice(docs)
    if rng.random() < 0.8:
        chosen = mangled(rng, chosen)
    raw = json.dumps(chosen).encode()
    if rng.random() < 0.15:
        at = rng.randrange(len(raw) + 1)
        raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + rng.randrange(2):]
    return raw


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_nonsense_is_refused_with_reason(cluster):
    await account(cluster)
    rng = random.Random(7)
    await cluster.server.bootstrap.wait_ready()
    wrong, opened = [], 0
    for _ in range(1500):
        if rng.random() < 0.03:
            for doc in (config_map("a"), pod("p"), deployment("d")):
                plural = doc["kind"].lower() + "s"
                prefix = "/api/v1" if doc["apiVersion"] == "v1" else "/apis/apps/v1"
                await send(cluster, "POST", f"{prefix}/namespaces/default/{plural}", doc)
        method = rng.choice(("GET", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO"))
        query = "&".join(f"{rng.choice(QUERIES)}={rng.choice(VALUES)}" for _ in range(rng.randrange(3)))
        url = rng.choice(PATHS) + ("?" + query if query else "")
        body = body_of(rng) if method not in ("GET", "HEAD") else None
        kind, accept = rng.choice(TYPES[:6] if rng.random() < 0.8 else TYPES), rng.choice(ACCEPTS[:2] if rng.random() < 0.8 else ACCEPTS)
        async with asyncio.timeout(10):
            answer = await send(cluster, method, url, body, content_type=kind, accept=accept)
        if answer.chunks is not None:
            await answer.chunks.aclose()
            opened += 1
        # 500 is what upstream says of an applied field the schema lacks, and of a resource version that is none; 504 of one to come.
        meant = any(text in answer.body for text in (
            b"failed to create typed patch object", b"Too large resource version", b"strconv.ParseUint: parsing"))
        if answer.status >= 500 and not meant:
            wrong.append((method, url, kind, body, answer.body[:300]))
    assert not wrong, wrong[:3]
    # Beside the server's own caches, which follow what they were asked for once, nobody watches any more.
    assert opened > 5
    own = len(cluster.server.caches._caches) + len(cluster.caches._caches)
    assert sum(len(c.watchers) for c in cluster.server.watch_cache._caches.values()) <= own
