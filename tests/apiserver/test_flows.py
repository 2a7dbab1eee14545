"""Which FlowSchema and priority level a request belongs to, and that the answer says so."""

import ssl

import pytest
from tests.apiserver import raw_http

from kubewheel.apiserver import flows
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Identity
from kubewheel.lib import tls
from kubewheel.lib.clock import RealClock
from kubewheel.testing.cluster import cluster

WIDGETS = ("list", "apis", "example.com", "v1", "default", "widgets")
LEASE = ("get", "apis", "coordination.k8s.io", "v1", "default", "leases", "", "x")


def of(verb, prefix, group, version, namespace, plural, sub="", name=""):
    return RequestInfo(True, "", verb, prefix, group, version, namespace, plural, sub, name)


def page(path, verb="get"):
    return RequestInfo(False, path, verb)


# As upstream's generic API server 0.36 classified them, with the default FlowSchemas.
CASES = [
    ("admin", ("system:masters",), of(*WIDGETS), "exempt"),
    ("system:kube-controller-manager", ("system:masters",), of(*WIDGETS), "exempt"),
    ("joe", ("system:authenticated",), of(*WIDGETS), "global-default"),
    ("joe", ("system:authenticated",), page("/version"), "global-default"),
    ("joe", ("system:authenticated",), page("/healthz"), "probes"),
    ("joe", ("system:authenticated",), page("/livez/ping"), "probes"),
    ("joe", ("system:authenticated",), page("/healthzz"), "global-default"),
    ("joe", ("system:authenticated",), page("/healthz", "post"), "global-default"),
    ("system:anonymous", ("system:unauthenticated",), page("/readyz"), "probes"),
    ("system:anonymous", ("system:unauthenticated",), of(*WIDGETS), "global-default"),
    ("nobody", (), of(*WIDGETS), "catch-all"),
    ("system:node:n", ("system:nodes",), of(*WIDGETS), "system-nodes"),
    ("system:node:n", ("system:nodes",), of(*LEASE), "system-node-high"),
    ("system:node:n", ("system:nodes",), of("update", "api", "", "v1", "", "nodes", "status", "n"), "system-node-high"),
    ("system:node:n", ("system:nodes",), of("get", "api", "", "v1", "", "nodes", "proxy", "n"), "system-nodes"),
    ("system:kube-controller-manager", (), of(*LEASE), "system-leader-election"),
    ("system:kube-controller-manager", (), of("delete", *LEASE[1:]), "kube-controller-manager"),
    ("system:kube-scheduler", (), of(*WIDGETS), "kube-scheduler"),
    ("system:serviceaccount:kube-system:x", (), of(*WIDGETS), "kube-system-service-accounts"),
    ("system:serviceaccount:kube-system:x", (), of(*LEASE), "system-leader-election"),
    ("system:serviceaccount:kube-system:endpoint-controller", (), of("get", "api", "", "v1", "default", "endpoints", "", "x"),
     "endpoint-controller"),
    ("system:serviceaccount:default:x", ("system:serviceaccounts",), of(*WIDGETS), "service-accounts"),
]


async def test_the_first_flow_that_matches():
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.server.bootstrap.wait_ready()
        await c.server.watch_cache.fresh()
        schemas, levels = (c.server.watch_cache.resource(p) for p in ("flowschemas", "prioritylevelconfigurations"))
        names = {e.obj["metadata"]["uid"]: e.obj["metadata"]["name"] for e in (*schemas.entries.values(), *levels.entries.values())}
        known = flows.Flows(c.server.watch_cache)
        found = [names[known.headers(Identity(name, groups=groups), info)[flows.SCHEMA_HEADER]] for name, groups, info, _ in CASES]
        assert found == [wanted for *_, wanted in CASES]
        assert known.headers(Identity(*CASES[0][:1], groups=CASES[0][1]), CASES[0][2]) is known.headers(
            Identity("admin", groups=("system:masters",)), of(*WIDGETS)), "looked up, not asked again"

        await c.client.delete("flowschemas.flowcontrol.apiserver.k8s.io", "global-default")
        await c.server.watch_cache.fresh()
        headers = known.headers(Identity("joe", groups=("system:authenticated",)), of(*WIDGETS))
        assert names[headers[flows.SCHEMA_HEADER]] == "catch-all" == names[headers[flows.LEVEL_HEADER]]


@pytest.mark.parametrize("url, path, under", [
    ("*", "/x", True), ("/livez", "/livez", True), ("/livez", "/livez/ping", True), ("/livez", "/livezz", False),
    ("/livez/*", "/livez/ping", True), ("/livez/*", "/livez", False), ("/a*", "/a/b", True), ("/a*", "/ab", False)])
def test_paths_below_paths(url, path, under):
    rule = {"verbs": ["*"], "nonResourceURLs": [url]}
    spec = {"rules": [{"subjects": [{"kind": "Group", "group": {"name": "*"}}], "nonResourceRules": [rule]}]}
    assert flows.matches(spec, Identity("x"), page(path)) is under


async def test_answers_over_the_network_name_their_flow_and_an_id():
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.server.bootstrap.wait_ready()
        ca = c.authority()
        port, folder = int((await c.serve()).rpartition(":")[2]), c.folder()
        pair = tls.issue(ca, "kubernetes-admin", organizations=("system:masters",), now=RealClock().now(), client=True)
        (folder / "c.crt").write_bytes(pair.cert)
        tls.write_private(folder / "c.key", pair.key)
        admin, nobody = (ssl.create_default_context(cadata=ca.cert.decode()) for _ in range(2))
        admin.load_cert_chain(folder / "c.crt", folder / "c.key")

        async def ask(path, *lines, context=admin):
            head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""])
            return await raw_http.ask(port, context, head.encode())

        answer = await ask("/api/v1/namespaces/default/configmaps")
        assert answer.headers["x-kubernetes-pf-flowschema-uid"] and answer.headers["x-kubernetes-pf-prioritylevel-uid"]
        assert len(answer.headers["audit-id"]) == 36 and "server" not in answer.headers
        missing = await ask("/api/v1/namespaces/default/configmaps/none", "Audit-ID: mine")
        assert missing.status == 404 and missing.headers["audit-id"] == "mine" and missing.body.endswith(b"}\n")
        assert missing.headers["x-kubernetes-pf-flowschema-uid"] == answer.headers["x-kubernetes-pf-flowschema-uid"]
        refused = await ask("/api", "Authorization: Bearer none", context=nobody)
        assert refused.status == 401 and "x-kubernetes-pf-flowschema-uid" not in refused.headers
        forbidden = await ask("/api/v1/secrets", context=nobody)
        assert forbidden.status == 403 and forbidden.headers["x-content-type-options"] == "nosniff"
        assert forbidden.headers["x-kubernetes-pf-flowschema-uid"] != answer.headers["x-kubernetes-pf-flowschema-uid"]
        dropped = await ask("/api/v1/namespaces/default/configmaps?limit=x;y&labelSelector=%zz")
        assert dropped.status == 200, "pairs that are none are not there"
        for name, why in ((".", "be '.'"), ("..", "be '..'"), ("a%25b", "contain '%'")):
            none = await ask(f"/api/v1/namespaces/default/configmaps/{name}")
            assert none.status == 400 and none.json["message"].endswith(f": may not {why}")
        assert (await ask("//api/v1/namespaces/default/configmaps")).status == 404
