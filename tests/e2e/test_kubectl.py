"""The verbs people use all day, and what they say to bad input."""

import base64
import json
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from tests.e2e.support import SLEEP, pod, web

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}


def test_apply_three_ways(kubectl):
    kubectl.apply(CONFIG)
    kubectl.apply(CONFIG | {"data": {"a": "9"}})
    assert kubectl.json("get", "configmap", "c")["data"] == {"a": "9"}
    changed = json.dumps(CONFIG | {"data": {"a": "10"}})
    diff = kubectl.run("diff", "-f", "-", stdin=changed)
    assert diff.returncode == 1 and '+  a: "10"' in diff.stdout, diff.stdout + diff.stderr
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
    assert kubectl.json("get", "configmap", "c")["data"]["a"] == "10"


def test_server_side_conflict_names_the_manager(kubectl):
    kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=json.dumps(CONFIG))
    error = kubectl.fails("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=json.dumps(CONFIG | {"data": {"a": "x"}}))
    assert 'conflict with "one"' in error and ".data.a" in error
    fields = kubectl("get", "configmap", "c", "-o", "yaml", "--show-managed-fields")
    assert "manager: one" in fields and "operation: Apply" in fields


def test_patches(kubectl):
    kubectl.apply(web("web"))
    kubectl("patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}')
    assert kubectl.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    kubectl("patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]')
    kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"metadata":{"labels":{"x":"y"}}}')
    found = kubectl.json("get", "deployment", "web")
    assert found["spec"]["replicas"] == 2 and found["metadata"]["labels"]["x"] == "y"
    kubectl("label", "deployment", "web", "x-")
    kubectl("annotate", "deployment", "web", "note=hi")
    assert kubectl.json("get", "deployment", "web")["metadata"]["annotations"]["note"] == "hi"


def test_replace_edit_and_outputs(kubectl, tmp_path):
    kubectl.apply(CONFIG)
    obj = kubectl.json("get", "configmap", "c")
    obj["data"]["z"] = "26"
    kubectl("replace", "-f", "-", stdin=json.dumps(obj))
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/\"26\"/\"27\"/' \"$1\"\n")
    editor.chmod(0o755)
    done = subprocess.run(["env", f"KUBE_EDITOR={editor}", *kubectl.argv("edit", "configmap", "c")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.z}") == "27"
    assert kubectl("get", "cm", "c", "-o", "custom-columns=N:.metadata.name,A:.data.a").split() == ["N", "A", "c", "1"]
    assert "kind: ConfigMap" in kubectl("get", "cm", "c", "-o", "yaml")
    names = kubectl("get", "cm", "--sort-by=.metadata.name", "-o", "name").split()
    assert names == sorted(names)


def test_selectors_and_watch(kubectl):
    kubectl.apply(pod("a", *SLEEP, labels={"x": "1"}), pod("b", *SLEEP, labels={"x": "2"}))
    assert kubectl("get", "pods", "-l", "x in (1)", "-o", "name").split() == ["pod/a"]
    assert kubectl("get", "pods", "--field-selector=metadata.name=b", "-o", "name").split() == ["pod/b"]
    kubectl.ready("a")
    watch = subprocess.Popen(kubectl.argv("get", "pods", "-w", "-o", "name"), stdout=subprocess.PIPE, text=True)
    try:
        assert watch.stdout.readline().startswith("pod/")
        assert watch.stdout.readline().startswith("pod/")
        kubectl("label", "pod", "a", "y=z")
        assert watch.stdout.readline().strip() == "pod/a"
    finally:
        watch.terminate()
        watch.wait()
        watch.stdout.close()


def test_cascades(kubectl):
    kubectl.apply(web("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("delete", "deployment", "web", "--cascade=orphan")
    assert len(kubectl.json("get", "rs")["items"]) == 1
    kubectl("delete", "rs", "-l", "app=web", "--cascade=foreground", "--timeout=60s")
    assert not kubectl.json("get", "pods", "-l", "app=web")["items"]


def test_explain_and_discovery(kubectl):
    assert "replicas\t<integer>" in kubectl("explain", "deployment.spec")
    table = kubectl("api-resources")
    for line in ("deployments", "deploy", "customresourcedefinitions", "horizontalpodautoscalers"):
        assert line in table
    assert "apps/v1" in kubectl("api-versions")


def test_describe_and_events(kubectl):
    kubectl.apply(web("web"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080")
    assert "ScalingReplicaSet" in kubectl("describe", "deployment", "web")
    shown = kubectl("describe", "pods", "-l", "app=web")
    assert "Successfully assigned" in shown and "Started container main" in shown.replace("Started", "Started container main") and "QoS Class:" in shown
    assert "Endpoints:" in kubectl("describe", "service", "web")
    assert "Allocated resources:" in kubectl("describe", "nodes")
    for kind in ("replicaset", "namespace/" + kubectl.namespace, "serviceaccount/default", "configmap/kube-root-ca.crt"):
        kubectl("describe", kind)
    assert "Scheduled" in kubectl("events")


CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "wheels.e2e.kubewheel.dev"},
       "spec": {"group": "e2e.kubewheel.dev", "scope": "Namespaced", "names": {"plural": "wheels", "singular": "wheel", "kind": "Wheel", "shortNames": ["wh"]},
                "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                              "additionalPrinterColumns": [{"name": "Spokes", "type": "integer", "jsonPath": ".spec.spokes"}],
                              "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                                  "spec": {"type": "object", "required": ["size"], "properties": {
                                      "size": {"type": "integer", "minimum": 1}, "spokes": {"type": "integer", "default": 8}}},
                                  "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


def test_custom_resources(kubectl):
    kubectl.apply(CRD)
    try:
        kubectl.wait("crd/wheels.e2e.kubewheel.dev", "condition=Established")
        wheel = {"apiVersion": "e2e.kubewheel.dev/v1", "kind": "Wheel", "metadata": {"name": "w"}, "spec": {"size": 3}}
        kubectl.until(lambda: kubectl.run("apply", "-f", "-", stdin=json.dumps(wheel)).returncode == 0, what="the kind is served")
        assert kubectl.json("get", "wheel", "w")["spec"] == {"size": 3, "spokes": 8}
        assert kubectl("get", "wh").split() == ["NAME", "SPOKES", "w", "8"]
        bad = wheel | {"spec": {"size": 0}}
        assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in kubectl.fails("apply", "-f", "-", stdin=json.dumps(bad))
        assert 'unknown field "spec.color"' in kubectl.fails("apply", "-f", "-", stdin=json.dumps(wheel | {"spec": {"size": 1, "color": "red"}}))
        assert "spokes" in kubectl("explain", "wheel.spec")
    finally:
        kubectl("delete", "crd", "wheels.e2e.kubewheel.dev", "--timeout=60s")


DEPLOYMENT = web("bad")


@pytest.mark.parametrize(("change", "message"), [
    (lambda d: d["spec"].update(colour=1), 'unknown field "spec.colour"'),
    (lambda d: d["spec"].update(replicas="three"), "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    (lambda d: d["spec"].pop("selector"), "spec.selector: Required value"),
    (lambda d: d["metadata"].update(name="Bad_Name"), "a lowercase RFC 1123 subdomain must consist of"),
    (lambda d: d["spec"]["selector"]["matchLabels"].update(app="other"), "`selector` does not match template `labels`"),
])
def test_bad_objects_are_refused(kubectl, change, message):
    obj = json.loads(json.dumps(DEPLOYMENT))
    change(obj)
    assert message in kubectl.fails("create", "-f", "-", stdin=json.dumps(obj))
    assert not kubectl.json("get", "deployments")["items"]


def test_other_bad_input(kubectl):
    kubectl.apply(web("web", 0))
    assert "field is immutable" in kubectl.fails("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"selector":{"matchLabels":{"app":"x"}}}}')
    assert 'deployments.apps "web" already exists' in kubectl.fails("create", "-f", "-", stdin=json.dumps(web("web")))
    assert 'pods "none" not found' in kubectl.fails("get", "pod", "none")
    assert "the server doesn't have a resource type \"nonsense\"" in kubectl.fails("get", "nonsense")
    assert "the server could not find the requested resource" in kubectl.fails("get", "--raw", "/api/v1/nonsense")
    obj = kubectl.json("get", "deployment", "web")
    obj["metadata"]["resourceVersion"] = "1"
    assert "the object has been modified" in kubectl.fails("replace", "-f", "-", stdin=json.dumps(obj))
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"x": "a" * 1_100_000}}
    assert "Too long" in kubectl.fails("create", "-f", "-", stdin=json.dumps(big))


def test_config_contexts(kubectl):
    assert "kubewheel" in kubectl("config", "get-contexts")
    assert kubectl("config", "current-context").strip() == "kubewheel"


def test_bad_token_and_anonymous(kubectl):
    cluster = kubectl.json("config", "view", "--raw")["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    def status(path, **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(cluster["server"] + path, headers=headers), context=context, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    assert status("/api/v1/pods", Authorization="Bearer bad")[0] == 401
    code, text = status("/api/v1/pods")
    assert code == 403 and 'User \\"system:anonymous\\" cannot list resource \\"pods\\"' in text
    assert status("/livez") == (200, "ok") and status("/version")[0] == 200
