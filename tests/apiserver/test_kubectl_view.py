"""What a person sees: kubectl against the server's socket."""

import asyncio
import shutil

from kubewheel.testing import with_cluster

KUBECTL = shutil.which("kubectl") or "kubectl"  # of the project's development dependencies

CONFIG = """apiVersion: v1
kind: ConfigMap
metadata: {name: seen}
data: {a: "1"}
"""
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "example/web:1"}]}
"""


async def kubectl(config, *words, text="", code=0):
    process = await asyncio.create_subprocess_exec(
        KUBECTL, "--kubeconfig", str(config), *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(text.encode()), 30)
    assert process.returncode == code, (words, out, err)
    return (out + err).decode()


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_what_a_person_sees(cluster):
    config = await cluster.kubeconfig()
    assert "configmap/seen created" in await kubectl(config, "apply", "-f", "-", text=CONFIG)
    assert "configmap/seen unchanged" in await kubectl(config, "apply", "-f", "-", text=CONFIG)
    assert "configmap/seen configured" in await kubectl(config, "apply", "-f", "-", text=CONFIG.replace('"1"', '"2"'))
    clash = await kubectl(config, "apply", "--server-side", "--field-manager=me", "-f", "-", text=CONFIG, code=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.a' in clash
    # kubectl itself may take over what it last applied from the client
    assert "serverside-applied" in await kubectl(config, "apply", "--server-side", "-f", "-", text=CONFIG)
    await kubectl(config, "apply", "-f", "-", text=WEB)
    assert "deployment.apps/web scaled" in await kubectl(config, "scale", "deployment", "web", "--replicas=3")
    table = await kubectl(config, "get", "deployments")
    assert table.splitlines()[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"] and "0/3" in table
    for words, text, said in (
        (("get", "things"), "", 'error: the server doesn\'t have a resource type "things"'),
        (("get", "configmap", "none"), "", 'Error from server (NotFound): configmaps "none" not found'),
        (("create", "-f", "-"), CONFIG, 'Error from server (AlreadyExists): error when creating "STDIN": configmaps "seen" '
                                        "already exists"),
        (("apply", "-f", "-"), WEB.replace("replicas: 2", "replicsa: 2"),
         'strict decoding error: unknown field "spec.replicsa"'),
        (("create", "configmap", "Bad_Name"), "", "a lowercase RFC 1123 subdomain must consist of"),
        (("patch", "deployment", "web", "-p", '{"spec":{"selector":{"matchLabels":{"app":"x"}}}}'), "", "field is immutable"),
        (("patch", "configmap", "seen", "--type=json", "-p", '[{"op":"test","path":"/data/a","value":"x"}]'), "",
         "The request is invalid: the server rejected our request due to an error in our request"),
        (("get", "configmaps", "--field-selector", "spec.x=1"), "", '"spec.x" is not a known field selector'),
    ):
        assert said in await kubectl(config, *words, text=text, code=1), words
    dry = await kubectl(config, "create", "configmap", "dry", "--dry-run=server")
    assert "configmap/dry created (server dry run)" in dry
    assert "configmap/seen labeled" in await kubectl(config, "label", "configmap", "seen", "a=b")
    assert '"seen" deleted' in await kubectl(config, "delete", "configmap", "-l", "a=b")
    assert "v1.37" in await kubectl(config, "version")
    assert "yes" in await kubectl(config, "auth", "can-i", "create", "pods")
    assert "[+]ping ok" in await kubectl(config, "get", "--raw", "/readyz?verbose")
