"""Rules of the resize subresource of pods.

In: pods (private or shared, read only). Out: FieldError lists. Called by: pod_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors
from kubewheel.api.core import qos
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

Spec = Mapping[str, Any]
_KEYS = ("containers", "initContainers")


def of_update(new: Object, old: Object) -> list[FieldError]:
    """What the resize itself may not do; the pod's own rules come before."""
    spec, before, status = new.get("spec") or {}, old.get("spec") or {}, old.get("status") or {}
    out: list[FieldError] = []
    try:
        quality = qos.of_spec(spec)
    except ValueError:  # the pod's own rules say which quantity is none
        quality = ""
    if quality and quality != (status.get("qosClass") or qos.of_spec(before)):
        out.append(errors.field_invalid("spec", status.get("qosClass") or "",
                                        "Pod QOS Class may not change as a result of resizing"))
    if not _supported(status):
        out.append(errors.field_forbidden("spec", "Pod running on node without support for resize"))
    if _is_set(before) or _is_set(spec):
        out += _pod_level(spec, before)
    order = _order(spec, before)
    if order:
        return out + order
    return out + _containers(spec, before)


def _supported(status: Spec) -> bool:
    """A kubelet that can do it tells the resources of what runs."""
    for c in status.get("containerStatuses") or ():
        if (c.get("state") or {}).get("running") is not None:
            return c.get("resources") is not None
    return True


def _is_set(spec: Spec) -> bool:
    resources = spec.get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def _pod_level(spec: Spec, before: Spec) -> list[FieldError]:
    new, old = spec.get("resources"), before.get("resources")
    if old is not None and new is None:
        return [errors.field_forbidden("spec.resources", "pod-level resources cannot be removed")]
    new, old = new or {}, old or {}
    out = [errors.field_forbidden(f"spec.resources.{side}", f"pod-level resource {side} cannot be removed")
           for side in ("requests", "limits") if _removed(new, old, side)]
    if not _same_but_cpu_and_memory(new, old):
        out.append(errors.field_forbidden("spec", "only cpu and memory resources are mutable at pod-level"))
    return out


def _order(spec: Spec, before: Spec) -> list[FieldError]:
    out: list[FieldError] = []
    for key in _KEYS:
        have, had = spec.get(key) or (), before.get(key) or ()
        if len(have) != len(had):
            out.append(errors.field_forbidden(f"spec.{key}", f"{key} may not be added or removed on resize"))
        else:
            out += [errors.field_forbidden(f"spec.{key}[{i}].name", f"{key} may not be renamed or reordered on resize")
                    for i, (c, b) in enumerate(zip(have, had, strict=True)) if c.get("name") != b.get("name")]
    return out


def _containers(spec: Spec, before: Spec) -> list[FieldError]:
    pairs = {key: list(zip(spec.get(key) or (), before.get(key) or (), strict=True)) for key in _KEYS}
    out: list[FieldError] = []
    for key in ("initContainers", "containers"):
        for i, (c, b) in enumerate(pairs[key]):
            if key == "containers" or b.get("restartPolicy") == "Always":
                out += [errors.field_forbidden(f"spec.{key}[{i}].resources.{side}", f"resource {side} cannot be removed")
                        for side in ("requests", "limits")
                        if _removed(c.get("resources") or {}, b.get("resources") or {}, side)]
    out += [errors.field_forbidden("spec", "only cpu and memory resources are mutable")
            for c, b in pairs["containers"] if not _same_container(c, b)]
    for i, (c, b) in enumerate(pairs["initContainers"]):
        if c.get("restartPolicy") == "Always":
            if not _same_container(c, b):
                out.append(errors.field_forbidden(f"spec.initContainers[{i}]", (
                    "only cpu and memory resources for init or sidecar containers are mutable")))
        elif c != b:
            out.append(errors.field_forbidden("spec", "resources for non-sidecar init containers are immutable"))
    return out


def _removed(new: Spec, old: Spec, side: str) -> bool:
    return bool(set(old.get(side) or ()) - set(new.get(side) or ()))


def _same_but_cpu_and_memory(new: Spec, old: Spec) -> bool:
    for side in ("requests", "limits"):
        ours, theirs = new.get(side) or {}, old.get(side) or {}
        if any(ours.get(name) != theirs.get(name) for name in {*ours, *theirs} - {"cpu", "memory"}):
            return False
    return (new.get("claims") or []) == (old.get("claims") or [])


def _same_container(new: Spec, old: Spec) -> bool:
    """Nothing differs but amounts of cpu and memory."""
    if not _same_but_cpu_and_memory(new.get("resources") or {}, old.get("resources") or {}):
        return False
    ours, theirs = ({k: v for k, v in c.items() if k != "resources"} for c in (new, old))
    return ours == theirs
