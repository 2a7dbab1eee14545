"""What the runtime holds of one pod, as small values.

In: CRI dicts. Out: Sandbox, Container, Observed. Pure. Called by: pleg.py (makes them), plan.py, status.py (read them).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from kubewheel.kubelet import cri

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
PORTS = "io.kubernetes.container.ports"
POD_GRACE = "io.kubernetes.pod.terminationGracePeriod"
POD_DELETION_GRACE = "io.kubernetes.pod.deletionGracePeriod"

STATES = ("created", "running", "exited", "unknown")


@dataclass(frozen=True, slots=True)
class Sandbox:
    id: str
    attempt: int
    ready: bool
    created_at: float
    ips: tuple[str, ...] = ()
    host_network: bool = False
    name: str = ""
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    id: str
    name: str
    sandbox_id: str
    state: str  # one of STATES
    restart_count: int = 0
    hash: str = ""
    image: str = ""
    image_ref: str = ""
    image_id: str = ""
    created_at: float = 0.0  # epoch seconds; 0 where the runtime gave none
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log_path: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    termination_file: str = ""  # host path behind terminationMessagePath
    resources: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """Both newest first."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()

    def latest(self, name: str) -> Container | None:
        return next((c for c in self.containers if c.name == name), None)

    def all_of(self, name: str) -> list[Container]:
        return [c for c in self.containers if c.name == name]

    def running(self) -> list[Container]:
        return [c for c in self.containers if c.state in ("running", "unknown")]

    @property
    def sandbox(self) -> Sandbox | None:
        return self.sandboxes[0] if self.sandboxes else None


def sandbox_of(listed: dict[str, Any], status: dict[str, Any] | None = None) -> Sandbox:
    """From ListPodSandbox's item, with PodSandboxStatus's status where it was asked for."""
    ips: list[str] = []
    host_network = False
    if status is not None:
        network = status.get("network") or {}
        ips = [ip for ip in [network.get("ip", ""), *(p["ip"] for p in network.get("additional_ips", ()))] if ip]
        options = ((status.get("linux") or {}).get("namespaces") or {}).get("options") or {}
        host_network = options.get("network") == cri.NAMESPACE_NODE
    source = status or listed
    meta = source.get("metadata") or {}
    return Sandbox(id=source["id"], attempt=meta.get("attempt", 0), ready=source["state"] == cri.SANDBOX_READY,
                   created_at=source["created_at"] / 1e9, ips=tuple(ips), host_network=host_network,
                   name=meta.get("name", ""), namespace=meta.get("namespace", ""), uid=meta.get("uid", ""))


def container_of(status: dict[str, Any], sandbox_id: str, *, message: str = "") -> Container:
    """From ContainerStatus's status. `message` is what the termination log held."""
    labels, annotations = status["labels"], status["annotations"]
    path = annotations.get(TERMINATION_PATH, "")
    file = next((m["host_path"] for m in status["mounts"] if path and m["container_path"] == path), "")
    state = STATES[status["state"]] if status["state"] < len(STATES) else "unknown"
    exited = state == "exited"
    return Container(
        id=status["id"], name=labels.get(CONTAINER_NAME, status["metadata"]["name"]),
        sandbox_id=sandbox_id, state=state,
        restart_count=int(annotations.get(RESTART_COUNT, "0") or 0), hash=annotations.get(HASH, ""),
        image=(status.get("image") or {}).get("image", ""), image_ref=status["image_ref"],
        image_id=status.get("image_id", ""), created_at=status["created_at"] / 1e9,
        started_at=status["started_at"] / 1e9, finished_at=status["finished_at"] / 1e9 if exited else 0.0,
        exit_code=status["exit_code"], reason=status["reason"], message=message or status["message"],
        log_path=status["log_path"], annotations=annotations, termination_file=file,
        resources=(status.get("resources") or {}).get("linux") or {},
        user=(status.get("user") or {}).get("linux") or {})


def container_hash(container: dict[str, Any]) -> str:
    """What makes a running container be replaced: its name and image (upstream's HashContainer), FNV-1a 32."""
    value = 0x811C9DC5
    for byte in json.dumps({"image": container.get("image", ""), "name": container["name"]},
                           separators=(",", ":")).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:x}"
