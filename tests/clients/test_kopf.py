"""A kopf operator with all that kopf has: handlers with retries, finalizers, timers, daemons, indices, admission."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clients.serving import until

from kubewheel.api import errors
from kubewheel.api.resource import Gvr
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

SHIPS = Gvr("sea.example.com", "v1", "ships")
OPERATOR = Path(__file__).with_name("operator_of_ships.py")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CRD = {"metadata": {"name": "ships.sea.example.com"}, "spec": {
    "group": "sea.example.com", "scope": "Namespaced",
    "names": {"plural": "ships", "singular": "ship", "kind": "Ship", "listKind": "ShipList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {
        "openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"name": {"type": "string"}, "crew": {"type": "integer"}}},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


@pytest.fixture(scope="module")
def operator(served, tmp_path_factory):
    """The diary of the operator, which runs; its log where it fails."""
    folder = tmp_path_factory.mktemp("kopf")
    served.create(CRDS, CRD)
    served.wait_for(CRDS, "ships.sea.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in c.get("status", {}).get("conditions") or ()), namespace=None)
    now = clocks.RealClock().now()
    ca = tls.make_ca("webhooks", now=now)
    pair = tls.issue(ca, "webhooks", now=now, ips=("127.0.0.1",), server=True)
    for name, data in (("ca.crt", ca.cert), ("tls.crt", pair.cert), ("tls.key", pair.key)):
        (folder / name).write_bytes(data)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--all-namespaces", "--standalone", "--verbose", str(OPERATOR)],
            stdout=log, stderr=log, cwd=folder, env={
                **os.environ, "KUBECONFIG": served.config, "DIARY": str(folder / "diary"), "WEBHOOK_PORT": str(port),
                "WEBHOOK_CERT": str(folder / "tls.crt"), "WEBHOOK_KEY": str(folder / "tls.key"),
                "WEBHOOK_CA": str(folder / "ca.crt")})

    def listening():
        assert process.poll() is None, (folder / "log").read_text()
        found = served.do(served.cluster.client.list("validatingwebhookconfigurations.admissionregistration.k8s.io"))["items"]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return found and found[0].get("webhooks")

    try:
        until(listening, what="the operator's webhooks")
        yield folder
    except BaseException:
        print((folder / "log").read_text()[-6000:])
        raise
    finally:
        process.terminate()
        process.wait(20)


def ship(name, /, **spec):
    return {"apiVersion": "sea.example.com/v1", "kind": "Ship", "metadata": {"name": name}, "spec": spec}


def test_the_life_of_a_ship(served, namespace, operator):
    client = served.cluster.client
    made = served.create(SHIPS, ship("ann"), namespace=namespace)
    assert made["spec"] == {"crew": 3}, "the mutating webhook's"
    wanted = {"phase": "afloat", "launched": {"by": "launched"}, "tries": 2, "ticked": True}
    found = served.wait_for(SHIPS, "ann", lambda s: wanted.items() <= s.get("status", {}).items(), namespace=namespace)
    assert found["metadata"]["finalizers"] == ["sea.example.com/ships"]
    assert found["metadata"]["generation"] == 1, "neither status nor metadata is a new generation"
    events = until(lambda: [e for e in served.do(client.list("events", namespace=namespace))["items"]
                            if e["reason"] == "Launched"], what="the event")
    assert events[0]["involvedObject"]["name"] == "ann" and events[0]["message"] == "it swims"
    assert events[0]["source"] == {"component": "kopf"}
    served.do(client.patch(SHIPS, "ann", {"spec": {"crew": 5}}, namespace=namespace))
    served.wait_for(SHIPS, "ann", lambda s: s["status"].get("crew") == "3 -> 5", namespace=namespace)
    served.do(client.delete(SHIPS, "ann", namespace=namespace))
    served.wait_gone(SHIPS, "ann", namespace=namespace)
    lines = (operator / "diary").read_text().splitlines()
    assert lines[0] == "watching ann" and {"not watching ann", f"sunk {namespace}/ann, ticked: True"} <= set(lines)


def test_the_admission_webhooks(served, namespace, operator):
    with pytest.raises(errors.StatusError) as refused:
        served.create(SHIPS, ship("bad", name="a cursed one"), namespace=namespace)
    assert refused.value.code == 403
    assert refused.value.message == 'admission webhook "name.spec.name.ships.sea.example.com" denied the request: no cursed ships'
    answer = served.do(served.cluster.client.raw(
        "POST", f"/apis/sea.example.com/v1/namespaces/{namespace}/ships", body=ship("good", name="Beagle")))
    assert list(answer.warnings) == ["a ship needs a crew: it gets one"]
    with pytest.raises(errors.StatusError):
        served.do(served.cluster.client.patch(SHIPS, "good", {"spec": {"name": "cursed"}}, namespace=namespace))
    # Fields that the handler does not ask for are nothing to it.
    served.do(served.cluster.client.patch(SHIPS, "good", {"metadata": {"labels": {"a": "cursed"}}}, namespace=namespace))


def test_events_of_others_and_an_index(served, namespace, operator):
    for n in range(2):
        served.create("configmaps", {"metadata": {"name": f"sea-{n}", "labels": {"sea": "north"}}}, namespace=namespace)
    served.create("pods", {"metadata": {"name": "sailor", "labels": {"ship": "ann"}}, "spec": {
        "containers": [{"name": "main", "image": "example/sailor:1"}]}}, namespace=namespace)
    found = served.wait_for("pods", "sailor", lambda p: p["metadata"]["labels"].get("boarded") == "yes", namespace=namespace)
    assert found["metadata"]["labels"]["seas"] in "012"


def test_nothing_it_asked_for_was_refused(served, operator):
    refused = [str(s) for s in served.refused(agent="kopf") if s.status not in (404, 409)]
    assert refused == []
