"""Golden cells of the main kinds' Tables."""

from __future__ import annotations

import pytest
from tests.api.test_catalog import EXAMPLES, NOW, resource_of

from kubewheel.api import catalog, codec, conditions, durations, table

GOLDEN = {
    "Pod": ["a", "1/1", "Running", "3 (10s ago)", "10m", "10.244.0.5", "n1", "<none>", "<none>"],
    "Deployment": ["a", "2/3", 3, 2, "10m", "c", "nginx", "app=a"],
    "Service": ["a", "NodePort", "10.96.0.7", "<none>", "80:30080/TCP", "10m", "app=a"],
    "Endpoints": ["a", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...", "10m"],
    "Node": ["n1", "Ready,SchedulingDisabled", "control-plane", "10m", "v1.37.0", "192.0.2.1", "<none>", "<unknown>",
             "<unknown>", "<unknown>"],
    "ConfigMap": ["a", 1, "10m"],
    "Secret": ["a", "Opaque", 1, "10m"],
    "CronJob": ["a", "*/5 * * * *", "<none>", "False", 0, "<none>", "10m", "c", "nginx", "<none>"],
    "PodDisruptionBudget": ["a", "50%", "N/A", 0, "10m"],
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_cells(kind: str):
    doc = codec.copy(next(d for d in EXAMPLES if d["kind"] == kind))
    resource = resource_of(doc)
    resource.defaults(doc)
    out = table.render(resource, [doc], NOW, include="Metadata", list_meta={"resourceVersion": "7"})
    assert out["rows"][0]["cells"] == GOLDEN[kind]
    assert out["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert out["columnDefinitions"][0]["name"] == "Name"
    assert out["columnDefinitions"][0]["description"].startswith("Name must be unique within a namespace.")


def pod(status: dict, **spec) -> str:
    obj = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}], **spec}, "status": status}
    return table.render(catalog.resource("pods"), [obj], NOW)["rows"][0]["cells"][2]


def test_pod_words():
    assert pod({"phase": "Pending"}) == "Pending"
    assert pod({"phase": "Pending", "containerStatuses": [
        {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]}) == "ContainerCreating"
    assert pod({"phase": "Running", "containerStatuses": [
        {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}) == "CrashLoopBackOff"
    assert pod({"phase": "Succeeded", "containerStatuses": [
        {"name": "c", "state": {"terminated": {"reason": "Completed"}}}]}) == "Completed"
    assert pod({"phase": "Failed", "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 3}}}]}
               ) == "ExitCode:3"
    assert pod({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]},
               initContainers=[{"name": "i"}]) == "Init:0/1"


def test_ages():
    for seconds, text in ((5, "5s"), (119, "119s"), (125, "2m5s"), (600, "10m"), (3 * 3600, "3h"), (9000, "150m"),
                          (5 * 3600 + 60, "5h1m"), (50 * 3600, "2d2h"), (30 * 86400, "30d"), (800 * 86400, "2y70d")):
        assert durations.human(seconds) == text
    assert durations.go(5400) == "1h30m0s"
    assert durations.parse("1h30m") == 5400


def test_conditions_move_only_with_their_status():
    old = [{"type": "A", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    assert conditions.replaced(old, {"type": "A", "status": "True"}, NOW)[0]["lastTransitionTime"] == (
        "2026-01-01T00:00:00Z")
    assert conditions.replaced(old, {"type": "A", "status": "False"}, NOW)[0]["lastTransitionTime"] == (
        "2026-01-01T00:10:00Z")


def test_a_kept_row_ages():
    """A row is made once and shown at any time: it must be what a new one would be then, in every built-in kind."""
    aged = set()
    for example in EXAMPLES:
        doc = codec.copy(example)
        resource = resource_of(doc)
        resource.defaults(doc)
        doc["metadata"].setdefault("creationTimestamp", "2025-12-31T00:00:00Z")
        data = codec.dumps(doc)
        row = table.Row(resource, doc, data)
        for now in (NOW, NOW + 4000, NOW + 90 * 86400):
            cells = codec.loads(row.json(table.Ages(now), "None", data))["cells"]
            assert cells == [c.cell(doc, now) for c in resource.columns or table._GENERIC], doc["kind"]
            aged.add(str(cells))
        assert codec.loads(row.json(table.Ages(NOW), "Metadata", data))["object"]["metadata"] == doc["metadata"]
        assert codec.loads(row.json(table.Ages(NOW), "Object", data))["object"] == doc
    assert len(aged) > len(EXAMPLES)


def test_a_row_of_what_was_stored_keeps_no_metadata():
    obj = {"metadata": {"name": "a", "labels": {"a": "ä\n"}}, "kind": "ConfigMap", "apiVersion": "v1", "data": {}}
    for data in (codec.splice(codec.to_stored(obj), 7), codec.dumps({"kind": "ConfigMap", **obj})):
        obj = codec.loads(data)
        made = codec.loads(table.Row(catalog.resource("configmaps"), obj, data).json(table.Ages(NOW), "Metadata", data))
        assert made["object"]["metadata"] == obj["metadata"]
