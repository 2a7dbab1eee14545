"""What upstream warns of in a pod's spec without refusing it.

In: PodSpec dicts. Out: Warning texts. Called by: pod.py and the workloads' files.
"""

from __future__ import annotations

from typing import Any


def of_spec(spec: dict[str, Any], path: str) -> list[str]:
    out: list[str] = []
    for i, v in enumerate(spec.get("volumes") or ()):
        for key in ("gitRepo",):
            if key in v:
                out.append(f"{path}.volumes[{i}].{key}: deprecated in v1.11")
    for key in ("initContainers", "containers"):
        for i, c in enumerate(spec.get(key) or ()):
            where = f"{path}.{key}[{i}]"
            out += _env(c, where)
            ports: set[tuple[Any, Any]] = set()
            for j, p in enumerate(c.get("ports") or ()):
                known = (p.get("containerPort"), p.get("protocol"))
                if known in ports:
                    out.append(f"{where}.ports[{j}]: duplicate port definition with {where}.ports"
                               f"[{_first_port(c, known)}]")
                ports.add(known)
    if spec.get("terminationGracePeriodSeconds") is not None and spec["terminationGracePeriodSeconds"] < 0:
        out.append(f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                   "treated as 1")
    return out


def _first_port(container: dict[str, Any], known: tuple[Any, Any]) -> int:
    return next(i for i, p in enumerate(container["ports"]) if (p.get("containerPort"), p.get("protocol")) == known)


def _env(c: dict[str, Any], where: str) -> list[str]:
    out: list[str] = []
    seen: dict[str, int] = {}
    for j, e in enumerate(c.get("env") or ()):
        name = e.get("name", "")
        if name in seen and "valueFrom" not in e and f"$({name})" not in (e.get("value") or ""):
            out.append(f"{where}.env[{j}]: hides previous definition of \"{name}\", which may be dropped when using "
                       "apply")
        seen[name] = j
    return out
