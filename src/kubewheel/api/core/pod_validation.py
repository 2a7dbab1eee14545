"""Rules of pods: on create, on updates, and of the status, ephemeralcontainers and resize subresources.

In: pods (private or shared, read only). Out: FieldError lists. Called by: pod.py.
The spec's rules: pod_spec_validation.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors, names, validation
from kubewheel.api.core import (
    container_validation,
    pod_spec_validation,
    qos,
    scheduling_validation,
)
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

UPDATE_TEXT = ("pod updates may not change fields other than `spec.containers[*].image`,"
               "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
               "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
               "previously negative)")


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = _metadata_and_spec(obj)
    if spec.get("ephemeralContainers"):
        out.append(errors.field_forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        out.append(errors.field_forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return out


def _metadata_and_spec(pod: Object) -> list[FieldError]:
    """What holds for a pod at all times, beyond what holds for templates."""
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    out: list[FieldError] = []
    if notes := meta.get("annotations"):
        out += pod_spec_validation.specific_annotations(notes, spec, "metadata.annotations")
    out += pod_spec_validation.pod_spec(spec, "spec", pod_name=meta.get("name") or "")
    if not spec.get("serviceAccountName"):
        for i, v in enumerate(spec.get("volumes") or ()):
            out += [errors.field_forbidden(f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken",
                                           "must not be specified when serviceAccountName is not set")
                    for j, source in enumerate((v.get("projected") or {}).get("sources") or ())
                    if source.get("serviceAccountToken") is not None]
    for key in ("containers", "initContainers"):
        for i, c in enumerate(spec.get(key) or ()):
            out += container_validation.trimmed_image(c, f"spec.{key}[{i}]")
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec == before:
        return []
    out = _metadata_and_spec(new)
    for key in ("containers", "initContainers"):
        if len(spec.get(key) or ()) != len(before.get(key) or ()):
            return [*out, errors.field_forbidden(f"spec.{key}", "pod updates may not add or remove containers")]
        for i, c in enumerate(spec.get(key) or ()):
            if not c.get("image"):
                out.append(errors.field_required(f"spec.{key}[{i}].image"))
            out += container_validation.trimmed_image(c, f"spec.{key}[{i}]")
    deadline = _deadline(spec, before)
    out += deadline
    if deadline and spec.get("activeDeadlineSeconds") is not None:
        return out
    out += _tolerations(spec, before)
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
    if before.get("schedulingGates"):
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
        if not 0 <= new <= 2**31 - 1:
            return [errors.field_invalid(path, new, "must be between 0 and 2147483647, inclusive")]
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
    return scheduling_validation.tolerations(new, "spec.tolerations")


def _gates(spec: Object, before: Object) -> list[FieldError]:
    had = {g.get("name") for g in before.get("schedulingGates") or ()}
    return [errors.field_forbidden(f"spec.schedulingGates[{i}].name",
                                   f"only deletion is allowed, but found new scheduling gate '{g.get('name')}'")
            for i, g in enumerate(spec.get("schedulingGates") or ()) if g.get("name") not in had]


_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"


def _gated(munged: Object, spec: Object, before: Object) -> list[FieldError]:
    """A gated pod's placement may be narrowed; what is allowed is put back in `munged`."""
    out: list[FieldError] = []
    old, new = before.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    for key, value in old.items():
        if new.get(key) != value:
            out.append(errors.field_invalid("spec.nodeSelector", new, "only additions to spec.nodeSelector are "
                                            "allowed (no mutations or deletions)"))
            break
    _put(munged, "nodeSelector", before)
    had = (before.get("affinity") or {}).get("nodeAffinity")
    have = (munged.get("affinity") or {}).get("nodeAffinity")
    if have != had:
        out += _narrowed(have or {}, had or {}, "spec.affinity.nodeAffinity")
        rest = {k: v for k, v in (munged.get("affinity") or {}).items() if k != "nodeAffinity"}
        if rest == {k: v for k, v in (before.get("affinity") or {}).items() if k != "nodeAffinity"}:
            _put(munged, "affinity", before)
    return out


def _narrowed(new: Object, old: Object, path: str) -> list[FieldError]:
    """Required terms may be given where none were, or gain expressions; preferred ones are free."""
    where = f"{path}.{_TERMS}.nodeSelectorTerms"
    before, after = (old.get(_TERMS) or {}).get("nodeSelectorTerms"), (new.get(_TERMS) or {}).get("nodeSelectorTerms")
    if before is None:
        return []
    if len(after or ()) != len(before):
        return [errors.field_invalid(where, after or [],
                                     "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    for i, (term, had) in enumerate(zip(after or (), before, strict=True)):
        for key in ("matchExpressions", "matchFields"):
            ours, theirs = term.get(key) or [], had.get(key) or []
            if not had.get("matchExpressions") and not had.get("matchFields") and term != had:
                return [errors.field_invalid(f"{where}[{i}]", term,
                                             "only additions are allowed (no mutations or deletions)")]
            if any(e not in ours for e in theirs):
                return [errors.field_invalid(f"{where}[{i}]", term,
                                             "only additions are allowed (no mutations or deletions)")]
    return []


def _difference(new: Any, old: Any) -> str:
    """A short diff: the top fields that differ, as upstream's text ends in one."""
    lines = []
    for key in sorted({*new, *old}):
        if new.get(key) != old.get(key):
            lines.append(f"-\t{key}: {errors.render_value(old.get(key))}")
            lines.append(f"+\t{key}: {errors.render_value(new.get(key))}")
    return "\n".join(lines)


# -- subresources -------------------------------------------------------------------------------------------------
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def validate_status_update(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    status, before, spec = new.get("status") or {}, old.get("status") or {}, new.get("spec") or {}
    for i, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS:
            out += validation.check(f"metadata.conditions[{i}].Type", kind, names.qualified(kind))  # as upstream says
    if spec.get("nodeName") != (old.get("spec") or {}).get("nodeName"):
        out.append(errors.field_forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        out += validation.check("status.nominatedNodeName", nominated, names.subdomain(nominated))
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        out.append(errors.field_invalid("status.qosClass", status.get("qosClass"), "field is immutable"))
    out += _transitions(status, before, spec)
    claims = {c.get("name") for c in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for i, claim in enumerate(status.get("resourceClaimStatuses") or ()):
        where, name = f"status.resourceClaimStatuses[{i}].name", claim.get("name") or ""
        if name not in claims:
            out.append(errors.field_invalid(where, name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            out.append(errors.field_duplicate(where, name))
        seen.add(name)
    out += _addresses(status.get("podIPs") or (), "status.podIPs")
    hosts = status.get("hostIPs") or ()
    if hosts and (status.get("hostIP") or "") != hosts[0].get("ip", ""):
        out.append(errors.field_invalid("status.hostIPs[0].ip", hosts[0].get("ip", ""), "must be equal to `hostIP`"))
    return out + _addresses(hosts, "status.hostIPs")


def _addresses(entries: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    texts = [entry.get("ip", "") for entry in entries]
    for i, text in enumerate(texts):
        out += validation.check(f"{path}[{i}]", text, names.ip(text))
    if len(texts) > 1:
        if len(texts) > 2 or len({":" in t for t in texts}) < 2:
            out.append(errors.field_invalid(path, [{"IP": t} for t in texts],
                                            "may specify no more than one IP for each IP family"))
        out += [errors.field_duplicate(f"{path}[{i}]", {"IP": t}) for i, t in enumerate(texts) if t in texts[:i]]
    return out


def _transitions(status: Object, before: Object, spec: Object) -> list[FieldError]:
    """What has ended for good does not run again. Containers with a restart policy of their own may."""
    out: list[FieldError] = []
    own = {c.get("name") for key in ("containers", "initContainers") for c in spec.get(key) or ()
           if c.get("restartPolicy")}
    for key, policy in (("containerStatuses", spec.get("restartPolicy")),
                        ("initContainerStatuses", spec.get("restartPolicy")), ("ephemeralContainerStatuses", "Never")):
        if policy == "Always":
            continue
        now = {c.get("name"): c for c in status.get(key) or ()}
        for i, c in enumerate(before.get(key) or ()):
            ended = (c.get("state") or {}).get("terminated")
            if ended is None or c.get("name") in own or (ended.get("exitCode") and policy == "OnFailure"):
                continue
            there = now.get(c.get("name"))
            if there is not None and (there.get("state") or {}).get("terminated") is None:
                out.append(errors.field_forbidden(f"status.{key}[{i}].state",
                                                  "may not be transitioned to non-terminated state"))
    return out


def validate_ephemeral_update(new: Object, old: Object) -> list[FieldError]:
    path = "spec.ephemeralContainers"
    spec = new.get("spec") or {}
    if "kubernetes.io/config.mirror" in ((old.get("metadata") or {}).get("annotations") or {}):
        return [errors.field_forbidden("", "static pods do not support ephemeral containers")]
    out = _metadata_and_spec(new)
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
    if "kubernetes.io/config.mirror" in ((old.get("metadata") or {}).get("annotations") or {}):
        return [errors.field_forbidden("", "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [errors.field_forbidden("", "windows pods cannot be resized")]
    for key in ("containers", "initContainers"):
        if [c.get("name") for c in spec.get(key) or ()] != [c.get("name") for c in before.get(key) or ()]:
            return [errors.field_forbidden(f"spec.{key}",
                                           "containers may not be added, removed or reordered on resize")]
    out = _metadata_and_spec(new)
    quality = (old.get("status") or {}).get("qosClass") or qos.of_spec(before)
    if not out and qos.of_spec(spec) != quality:
        out.append(errors.field_invalid("spec", quality, "Pod QOS Class may not change as a result of resizing"))
    pairs = {key: list(zip(spec.get(key) or (), before.get(key) or (), strict=True))
             for key in ("containers", "initContainers")}
    for key in ("initContainers", "containers"):
        for i, (c, b) in enumerate(pairs[key]):
            if key == "containers" or b.get("restartPolicy") == "Always":
                out += _not_removed(c.get("resources") or {}, b.get("resources") or {}, f"spec.{key}[{i}].resources")
    for key in ("containers", "initContainers"):
        for c, b in pairs[key]:
            if key == "containers":
                same, text = _but_cpu_and_memory(c, b), "only cpu and memory resources are mutable"
            elif b.get("restartPolicy") == "Always":
                same, text = _but_cpu_and_memory(c, b), (
                    "only cpu and memory resources for sidecar containers are mutable")
            else:
                same, text = c == b, "resources for non-sidecar init containers are immutable"
            if not same:
                out.append(errors.field_forbidden("spec", text))
    return out


def _not_removed(new: Object, old: Object, path: str) -> list[FieldError]:
    return [errors.field_forbidden(f"{path}.{side}", f"resource {side} cannot be removed")
            for side in ("requests", "limits") if set(old.get(side) or ()) - set(new.get(side) or ())]


def _but_cpu_and_memory(new: Object, old: Object) -> bool:
    """Nothing differs but amounts of cpu and memory (and how a change of them is carried out)."""
    for side in ("requests", "limits"):
        ours, theirs = ((c.get("resources") or {}).get(side) or {} for c in (new, old))
        if any(ours.get(name) != theirs.get(name) for name in {*ours, *theirs} - {"cpu", "memory"}):
            return False
    rest = [{k: v for k, v in c.items() if k not in ("resources", "resizePolicy")} for c in (new, old)]
    return rest[0] == rest[1]
