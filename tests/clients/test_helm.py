"""helm's whole life of a release: a chart with a CRD, weighted hooks, tests, lookup, and what is to be kept."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from tests.clients import install
from tests.clients.serving import Program

from kubewheel.api.resource import Gvr

CHART = str(Path(__file__).with_name("chart"))
FLAVOURS = Gvr("shop.example.com", "v1", "flavours")
GO = "--wait --timeout 30s"


@pytest.fixture
def helm_of(served, namespace, tmp_path):
    return lambda version: Program(install.helm(version), served.config, tmp_path, namespace)


def names(served, resource, namespace, **options):
    items = served.do(served.cluster.client.list(resource, namespace=namespace, **options))["items"]
    return {i["metadata"]["name"] for i in items}


def history(helm, release):
    return [(r["revision"], r["status"], r["description"]) for r in helm(["history", release, "-o", "json"]).json]


@pytest.mark.parametrize("version", install.HELMS)
def test_the_life_of_a_release(served, namespace, helm_of, version):
    helm, since = helm_of(version), served.mark()
    said = helm(f"install a {CHART} {GO}")
    assert "STATUS: deployed" in said.out and "a says hello, revision 1." in said.out
    assert served.get("deployments.apps", "a", namespace=namespace)["status"]["readyReplicas"] == 2
    # The CRD was there before what is of its kind; its default came with it.
    assert served.get(FLAVOURS, "a", namespace=namespace)["spec"] == {"taste": "hello", "strength": 3}
    jobs = {n: served.get("jobs.batch", n, namespace=namespace) for n in names(served, "jobs.batch", namespace)}
    assert set(jobs) == {"a-first", "a-second"}, "the hook that succeeded is deleted, as its policy says"
    assert jobs["a-first"]["status"]["completionTime"] <= jobs["a-second"]["status"]["startTime"]  # by weight
    config = served.get("configmaps", "a", namespace=namespace)
    assert config["data"]["kubernetes"] == "v1.37.0" and config["data"]["flavours"] == "true"
    assert config["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert any(m["manager"] == "helm" and m["operation"] == "Apply" for m in config["metadata"]["managedFields"])

    said = helm(f"upgrade a {CHART} {GO} --set greeting=hi,replicas=1")
    assert 'Release "a" has been upgraded' in said.out and "a says hi, revision 2." in said.out
    served.wait_for("deployments.apps", "a", lambda d: d["status"].get("readyReplicas") == 1, namespace=namespace)
    data = served.get("configmaps", "a", namespace=namespace)["data"]
    assert data["greeting"] == "hi" and data["first"] == "hello", "lookup saw what the first release wrote"
    assert "Phase:          Succeeded" in helm("test a --timeout 30s").out
    assert "v1/Flavour" in helm("status a").out

    assert "Rollback was a success" in helm(f"rollback a 1 {GO}").out
    assert served.get("configmaps", "a", namespace=namespace)["data"]["greeting"] == "hello"
    assert history(helm, "a") == [(1, "superseded", "Install complete"), (2, "superseded", "Upgrade complete"),
                                  (3, "deployed", "Rollback to 1")]

    # Releases are Secrets, found by label.
    stored = served.get("secrets", "sh.helm.release.v1.a.v3", namespace=namespace)
    assert stored["type"] == "helm.sh/release.v1" and stored["metadata"]["labels"]["status"] == "deployed"
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(stored["data"]["release"]))))
    assert release["name"] == "a" and release["version"] == 3

    said = helm(f"uninstall a {GO}")
    assert 'release "a" uninstalled' in said.out and "[ConfigMap] a-kept" in said.out + said.err
    served.wait_gone("deployments.apps", "a", namespace=namespace)
    assert names(served, "configmaps", namespace) == {"kube-root-ca.crt", "a-kept"}
    assert names(served, "secrets", namespace) == set()
    assert names(served, "pods", namespace, label_selector="app=a") == set()
    assert "Error: uninstall: Release not loaded: a: release: not found" in helm("uninstall a", code=1).err
    # Nothing was refused but what was not there (yet), and the CRD that another release had brought.
    refused = [s for s in served.refused(since, "Helm") if s.status != 404]
    assert [s for s in refused if (s.status, s.path.rpartition("/")[2]) != (409, "customresourcedefinitions")] == []


def test_a_failed_hook_and_the_way_back(served, namespace, helm_of):
    helm = helm_of("4.2")
    failed = f"pre-upgrade hooks failed: resource Job/{namespace}/a-first not ready. status: Failed"
    helm(f"install a {CHART} {GO} --set replicas=1")
    assert failed in helm(f"upgrade a {CHART} {GO} --set hook.exitCode=1", code=1).err
    said = helm(f"upgrade a {CHART} {GO} --set hook.exitCode=1,greeting=no --rollback-on-failure", code=1)
    assert failed in said.err and "has been rolled back due to rollback-on-failure being set" in said.err
    assert [h[1] for h in history(helm, "a")] == ["superseded", "failed", "failed", "deployed"]
    assert served.get("configmaps", "a", namespace=namespace)["data"]["greeting"] == "hello"
    # A first release that fails leaves nothing of itself.
    said = helm(f"install b {CHART} {GO} --set hook.exitCode=1 --rollback-on-failure", code=1)
    assert "release b failed, and has been uninstalled due to rollback-on-failure being set" in said.err
    assert "b" not in names(served, "deployments.apps", namespace) and not names(
        served, "secrets", namespace, label_selector="name=b")


def test_server_side_apply_on_and_off(served, namespace, helm_of):
    helm = helm_of("4.2")

    def managers():
        found = served.get("configmaps", "a", namespace=namespace)["metadata"]["managedFields"]
        return {(m["manager"], m["operation"]) for m in found}

    helm(f"install a {CHART} --no-hooks --server-side=false")
    assert managers() == {("helm", "Update")}
    helm(f"upgrade a {CHART} --no-hooks --server-side=true --set greeting=two")
    assert ("helm", "Apply") in managers()
    helm(f"upgrade a {CHART} --no-hooks --server-side=false --set greeting=three")
    assert served.get("configmaps", "a", namespace=namespace)["data"]["greeting"] == "three"
    # Somebody else's field is a conflict, unless forced.
    served.do(served.cluster.client.patch("configmaps", "a", {"data": {"greeting": "mine"}}, namespace=namespace))
    said = helm(f"upgrade a {CHART} --no-hooks --server-side=true --set greeting=four", code=1)
    assert "conflict" in said.err and ".data.greeting" in said.err
    helm(f"upgrade a {CHART} --no-hooks --server-side=true --force-conflicts --set greeting=four")
    assert served.get("configmaps", "a", namespace=namespace)["data"]["greeting"] == "four"


def test_what_the_server_says_of_a_chart(served, namespace, helm_of):
    helm = helm_of("4.2")
    said = helm(f"install a {CHART} --dry-run=server")
    assert "STATUS: pending-install" in said.out and names(served, "secrets", namespace) == set()
    said = helm(f"install a {CHART} --no-hooks --set greeting={'x' * 21}", code=1)
    assert 'spec.taste: Too long: may not be more than 20 bytes' in said.err
