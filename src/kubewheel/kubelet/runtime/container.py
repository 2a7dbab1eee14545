"""ContainerConfig of one container.

In: pod, container, its environment and mounts. Out: the CRI dict; ConfigError. Pure. Called by: pod_worker.py.
"""

from __future__ import annotations

import json
from typing import Any

from kubewheel.kubelet import observed
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime import env, resources, security

Object = dict[str, Any]


def labels(pod: Object, container: Object) -> dict[str, str]:
    meta = pod["metadata"]
    return {observed.POD_NAME: meta["name"], observed.POD_NAMESPACE: meta["namespace"],
            observed.POD_UID: meta["uid"], observed.CONTAINER_NAME: container["name"]}


def notes(pod: Object, container: Object, restart_count: int) -> dict[str, str]:
    out = {
        observed.HASH: observed.container_hash(container), observed.RESTART_COUNT: str(restart_count),
        observed.TERMINATION_PATH: container.get("terminationMessagePath") or "/dev/termination-log",
        observed.TERMINATION_POLICY: container.get("terminationMessagePolicy") or "File",
    }
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    if grace is not None:
        out[observed.POD_GRACE] = str(grace)
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    if deletion is not None:
        out[observed.POD_DELETION_GRACE] = str(deletion)
    pre_stop = (container.get("lifecycle") or {}).get("preStop")
    if pre_stop:
        out[observed.PRE_STOP] = json.dumps(pre_stop)
    if container.get("ports"):
        out[observed.PORTS] = json.dumps(container["ports"])
    return out


def config(pod: Object, container: Object, options: Options, *, image: str, image_uid: int | None, image_user: str,
           variables: list[tuple[str, str]], mounts: list[Object], devices: list[Object], restart_count: int,
           qos: str, memory_capacity: int, target_id: str = "") -> Object:
    known = dict(variables)
    oom = resources.oom_score_adj(pod, container, qos, memory_capacity)
    return {
        "metadata": {"name": container["name"], "attempt": restart_count},
        "image": {"image": image, "user_specified_image": container.get("image", "")},
        "command": [env.expand(word, known) for word in container.get("command") or ()],
        "args": [env.expand(word, known) for word in container.get("args") or ()],
        "working_dir": container.get("workingDir", ""),
        "envs": [{"key": k, "value": v} for k, v in variables],
        "mounts": mounts, "devices": devices,
        "labels": labels(pod, container), "annotations": notes(pod, container, restart_count),
        "log_path": f"{container['name']}/{restart_count}.log",
        "stdin": bool(container.get("stdin")), "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {
            "resources": resources.linux(container, oom=oom),
            "security_context": security.container_context(
                pod, container, options, image_uid=image_uid, image_user=image_user, target_id=target_id)},
    }
