"""Rules of pods: on create, on updates, and of the status, ephemeralcontainers and resize subresources.

In: pods (private or shared, read only). Out: FieldError lists. Called by: pod.py.
The spec's rules: pod_spec_validation.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.core import pod_spec_validation, qos
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

UPDATE_TEXT = ("pod updates may not change fields other than `spec.containers[*].image`,"
               "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
               "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
               "previously negative)")


def validate(obj: Object) -> list[FieldError]:
    out = pod_spec_validation.pod_spec(obj.get("spec") or {}, "spec")
    if (obj.get("spec") or {}).get("ephemeralContainers"):
        out.append(errors.field_forbidden("spec.ephemeralContainers", "cannot be set on create"))
    return out


def _containers(spec: Any) -> list[FieldError]:
    out: list[FieldError] = []
    for key in ("containers", "initContainers"):
        for i, c in enumerate(spec.get(key) or ()):
            image = c.get("image") or ""
            if not image:
                out.append(errors.field_required(f"spec.{key}[{i}].image"))
            elif image.strip() != image:
                out.append(errors.field_invalid(f"spec.{key}[{i}].image", image,
                                                "must not have leading or trailing whitespace"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec == before:
        return []
    out: list[FieldError] = []
    for key in ("containers", "initContainers"):
        if len(spec.get(key) or ()) != len(before.get(key) or ()):
            out.append(errors.field_forbidden(f"spec.{key}", "pod updates may not add or remove containers"))
    if out:
        return out
    out += _containers(spec)
    out += _deadline(spec, before)
    out += _tolerations(spec, before)
    gated = bool(before.get("schedulingGates"))
    out += _gates(spec, before)
    munged = codec.copy(spec)
    for key in ("containers", "initContainers"):
        for ours, theirs in zip(munged.get(key) or (), before.get(key) or (), strict=True):
            _put(ours, "image", theirs)
    _put(munged, "activeDeadlineSeconds", before)
    _put(munged, "tolerations", before)
    _put(munged, "schedulingGates", before)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if gated:
        out += _gated(munged, spec, before)
    if munged != before:
        out.append(errors.field_forbidden("spec", UPDATE_TEXT + "\n" + _difference(munged, before)))
    return out


def _put(target: Object, key: str, source: Object) -> None:
    if key in source:
        target[key] = source[key]
    else:
        target.pop(key, None)


def _deadline(spec: Object, before: Object) -> list[FieldError]:
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    path = "spec.activeDeadlineSeconds"
    if new is not None:
        if not 1 <= new <= 2**31 - 1:
            return [errors.field_invalid(path, new, "must be between 1 and 2147483647, inclusive")]
        if old is not None and new > old:
            return [errors.field_invalid(path, new, "must be less than or equal to previous value")]
    elif old is not None:
        return [errors.field_invalid(path, None, "must not update from a positive integer to nil value")]
    return []


def _tolerations(spec: Object, before: Object) -> list[FieldError]:
    """Only additions; tolerationSeconds alone may differ."""
    new = spec.get("tolerations") or []
    bare = [{k: v for k, v in t.items() if k != "tolerationSeconds"} for t in new]
    for t in before.get("tolerations") or ():
        if {k: v for k, v in t.items() if k != "tolerationSeconds"} not in bare:
            return [errors.field_forbidden("spec.tolerations", "existing toleration can not be modified except its "
                                                               "tolerationSeconds")]
    return pod_spec_validation.tolerations(new, "spec.tolerations")


def _gates(spec: Object, before: Object) -> list[FieldError]:
    had = {g.get("name") for g in before.get("schedulingGates") or ()}
    added = sorted(g.get("name", "") for g in spec.get("schedulingGates") or () if g.get("name") not in had)
    if added:
        return [errors.field_forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling "
                                       f"gates '{','.join(added)}'")]
    return []


def _gated(munged: Object, spec: Object, before: Object) -> list[FieldError]:
    """A gated pod's placement may be narrowed."""
    out: list[FieldError] = []
    old, new = before.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    if old != new:
        if any(new.get(k) != v for k, v in old.items()):
            out.append(errors.field_invalid("spec.nodeSelector", new, "additions are allowed only, and existing "
                                            "node selectors may not be changed"))
        else:
            _put(munged, "nodeSelector", before)
    if (munged.get("affinity") or {}).get("nodeAffinity") != (before.get("affinity") or {}).get("nodeAffinity"):
        _put(munged, "affinity", before)
    return out


def _difference(new: Any, old: Any) -> str:
    """A short diff: the top fields that differ, as upstream's text ends in one."""
    lines = []
    for key in sorted({*new, *old}):
        if new.get(key) != old.get(key):
            lines.append(f"-\t{key}: {errors.render_value(old.get(key))}")
            lines.append(f"+\t{key}: {errors.render_value(new.get(key))}")
    return "\n".join(lines)


# -- subresources -------------------------------------------------------------------------------------------------
def validate_status_update(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    status, before = new.get("status") or {}, old.get("status") or {}
    name, was = (new.get("spec") or {}).get("nodeName"), (old.get("spec") or {}).get("nodeName")
    if name != was:
        out.append(errors.field_forbidden("status.nodeName", "may not be changed directly"))
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        out.append(errors.field_invalid("status.qosClass", status.get("qosClass"), "field is immutable"))
    seen: set[str] = set()
    for i, entry in enumerate(status.get("podIPs") or ()):
        address = entry.get("ip", "")
        if address in seen:
            out.append(errors.field_duplicate(f"status.podIPs[{i}]", entry))
        seen.add(address)
    if (spec := new.get("spec") or {}).get("restartPolicy") != "Always":
        ended = {c.get("name") for c in before.get("containerStatuses") or ()
                 if (c.get("state") or {}).get("terminated")
                 and not (spec.get("restartPolicy") == "OnFailure" and c["state"]["terminated"].get("exitCode"))}
        own_rules = {c.get("name") for c in spec.get("containers") or () if c.get("restartPolicy")}
        for i, c in enumerate(status.get("containerStatuses") or ()):
            if c.get("name") in ended - own_rules and not (c.get("state") or {}).get("terminated"):
                out.append(errors.field_forbidden(f"status.containerStatuses[{i}].state",
                                                  "may not be transitioned to non-terminated state"))
    return out


def validate_ephemeral_update(new: Object, old: Object) -> list[FieldError]:
    path = "spec.ephemeralContainers"
    spec = new.get("spec") or {}
    out = pod_spec_validation.ephemeral(spec, path)
    now = {c.get("name"): c for c in spec.get("ephemeralContainers") or ()}
    for c in (old.get("spec") or {}).get("ephemeralContainers") or ():
        kept = now.get(c.get("name"))
        if kept is None:
            out.append(errors.field_forbidden(path,
                                              f'existing ephemeral containers "{c.get("name")}" may not be removed\n'))
        elif kept != c:
            out.append(errors.field_forbidden(path,
                                              f'existing ephemeral containers "{c.get("name")}" may not be changed\n'))
    return out


def validate_resize(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    out: list[FieldError] = []
    for key in ("containers", "initContainers"):
        if [c.get("name") for c in spec.get(key) or ()] != [c.get("name") for c in before.get(key) or ()]:
            out.append(errors.field_forbidden(f"spec.{key}",
                                              "containers may not be added, removed or reordered on resize"))
            return out
        for i, (c, b) in enumerate(zip(spec.get(key) or (), before.get(key) or (), strict=True)):
            where = f"spec.{key}[{i}].resources"
            out += pod_spec_validation.resources(c.get("resources") or {}, where)
            out += _only_resizable(c.get("resources") or {}, b.get("resources") or {}, where)
    if out:
        return out
    if qos.of_spec(spec) != ((old.get("status") or {}).get("qosClass") or qos.of_spec(before)):
        out.append(errors.field_invalid("spec", qos.of_spec(spec),
                                        "Pod QOS Class may not change as a result of resizing"))
    return out


def _only_resizable(new: Object, old: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for side in ("requests", "limits"):
        ours, theirs = new.get(side) or {}, old.get(side) or {}
        for name in sorted({*ours, *theirs}):
            if name in ("cpu", "memory"):
                if name in theirs and name not in ours:
                    out.append(errors.field_forbidden(f"{path}.{side}",
                                                      f"{side} for resource '{name}' cannot be removed"))
            elif ours.get(name) != theirs.get(name):
                out.append(errors.field_forbidden("spec", "only cpu and memory resources are mutable"))
    return out
