"""An operator written with kopf, tested against a cluster inside the test; docs/testing.md shows this file."""

import asyncio
import contextlib
import os
import sys

import pytest

from kubewheel.api.resource import Gvr

pytest.importorskip("kopf")

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
FOOS = Gvr("example.com", "v1", "foos")

OPERATOR = '''
import kopf
import kubernetes


@kopf.on.startup()
def configure(settings, **_):
    settings.posting.enabled = False
    kubernetes.config.load_kube_config()


@kopf.on.create("example.com", "v1", "foos")
def create_deployment(spec, name, namespace, **_):
    labels = {"foo": name}
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "example/foo:1"}]}}}}
    kopf.adopt(deployment)
    kubernetes.client.AppsV1Api().create_namespaced_deployment(namespace, deployment)
    return {"deployment": name}


@kopf.on.field("example.com", "v1", "foos", field="spec.replicas")
def scale(old, new, name, namespace, **_):
    if old is not None:
        kubernetes.client.AppsV1Api().patch_namespaced_deployment(name, namespace, {"spec": {"replicas": new}})
'''

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "foos.example.com"},
    "spec": {"group": "example.com", "scope": "Namespaced",
             "names": {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"},
             "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                 "type": "object", "properties": {
                     "spec": {"type": "object", "required": ["replicas"],
                              "properties": {"replicas": {"type": "integer", "minimum": 0}}},
                     "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


@contextlib.asynccontextmanager
async def operator(kubeconfig, folder):
    """`kopf run` as users run it: a process with nothing but a kubeconfig."""
    (folder / "operator.py").write_text(OPERATOR)
    with (folder / "operator.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kopf", "run", "--namespace", "default", "--standalone", str(folder / "operator.py"),
            env={**os.environ, "KUBECONFIG": str(kubeconfig)}, stdout=asyncio.subprocess.DEVNULL, stderr=log)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.kubewheel(nodes=2)
async def test_a_foo_becomes_running_pods(cluster, tmp_path):
    client = cluster.client
    await client.create(CRDS, CRD)
    await cluster.wait_for(CRDS, "foos.example.com", established, namespace=None)

    async with operator(await cluster.kubeconfig(), tmp_path):
        await client.create(FOOS, {
            "apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "web"}, "spec": {"replicas": 3}},
            namespace="default")
        try:
            await cluster.wait_for("deployments.apps", "web", ready(3), timeout=30)
            foo = await cluster.wait_for(FOOS, "web", lambda f: f.get("status"))
            assert foo["status"]["create_deployment"] == {"deployment": "web"}
            assert foo["metadata"]["annotations"]["kopf.zalando.org/last-handled-configuration"]

            pods = (await client.list("pods", namespace="default", label_selector="foo=web"))["items"]
            assert {p["spec"]["nodeName"] for p in pods} == {"node-0", "node-1"}

            await client.patch(FOOS, "web", {"spec": {"replicas": 1}}, namespace="default")
            await cluster.wait_for("deployments.apps", "web", lambda d: d["spec"]["replicas"] == 1 and ready(1)(d))
        except TimeoutError as e:
            raise AssertionError((tmp_path / "operator.log").read_text()) from e

        # the Deployment is the Foo's: it goes with it
        await client.delete(FOOS, "web", namespace="default")
        await cluster.wait_gone("deployments.apps", "web")


def ready(count):
    return lambda d: (d.get("status") or {}).get("readyReplicas") == count


def established(crd):
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
