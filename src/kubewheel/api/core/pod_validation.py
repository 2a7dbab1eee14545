"""Rules of pods: on create, on updates, and of the status, ephemeralcontainers and resize subresources.

In: pods (private or shared, read only). Out: FieldError lists. Called by: pod.py.
The spec's rules: pod_spec_validation.py.
"""

from __future__ import annotations

from kubewheel.api import codec, differences, errors
from kubewheel.api.core import (
    container_validation,
    pod_spec_validation,
    pod_status_validation,
    resize_validation,
    scheduling_validation,
    security_validation,
)
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

UPDATE_TEXT = ("pod updates may not change fields other than `spec.containers[*].image`,"
               "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
               "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
               "previously negative),`spec.schedulingGates` (only deletions of existing scheduling gates),"
               "`spec.nodeSelector` (only additions, and only while the pod has scheduling gates),"
               "`spec.affinity.nodeAffinity` (only while the pod has scheduling gates)")
_MIRROR = pod_spec_validation.MIRROR


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = _metadata_and_spec(obj)
    if spec.get("ephemeralContainers"):
        out.append(errors.field_forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        out.append(errors.field_forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    if notes := obj["metadata"].get("annotations"):
        out += security_validation.annotations_match(notes, spec, "spec")
    return out


def _metadata_and_spec(pod: Object) -> list[FieldError]:
    """What holds for a pod at all times, beyond what holds for templates."""
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    out: list[FieldError] = []
    notes = meta.get("annotations") or {}
    if notes:
        out += pod_spec_validation.specific_annotations(notes, spec, "metadata.annotations")
    out += pod_spec_validation.pod_spec(spec, "spec", pod_name=meta.get("name") or "", is_mirror=_MIRROR in notes)
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


def _annotation_changes(new: Object, old: Object) -> list[FieldError]:
    now, had = (o["metadata"].get("annotations") or {} for o in (new, old))
    out: list[FieldError] = []
    for key in had:
        if now.get(key) != had[key]:
            out += _fixed_annotation(key, "remove or update")
    for key in now:
        if key not in had:
            out += _fixed_annotation(key, "add")
    return out + (pod_spec_validation.specific_annotations(now, new.get("spec") or {}, "metadata.annotations") if now else [])


def _fixed_annotation(key: str, verb: str) -> list[FieldError]:
    path = f"metadata.annotations[{key}]"
    if key.startswith(security_validation.APP_ARMOR):
        return [errors.field_forbidden(path, f"may not {verb} AppArmor annotations")]
    return [errors.field_forbidden(path, f"may not {verb} mirror pod annotation")] if key == _MIRROR else []


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    same_notes = new["metadata"].get("annotations") == old["metadata"].get("annotations")
    if spec == before:  # what is stored was found valid
        return [] if same_notes else _annotation_changes(new, old)
    out = _metadata_and_spec(new) + _annotation_changes(new, old)
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
        out.append(errors.field_forbidden("spec", f"{UPDATE_TEXT}\n{differences.unified(before, munged)}"))
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
    """Required terms may be given where none were, or gain requirements at their end; preferred ones are free."""
    where = f"{path}.{_TERMS}.nodeSelectorTerms"
    before, after = ((o.get(_TERMS) or {}).get("nodeSelectorTerms") or [] for o in (old, new))
    if not before:
        return []
    if len(after) != len(before):
        return [errors.field_invalid(where, [scheduling_validation.go_term(t) for t in after] or None,
                                     "no additions/deletions to non-empty NodeSelectorTerms list are allowed")]
    return [errors.field_invalid(f"{where}[{i}]", scheduling_validation.go_term(term),
                                 "only additions are allowed (no mutations or deletions)")
            for i, (term, had) in enumerate(zip(after, before, strict=True)) if not _only_adds(term, had)]


def _only_adds(term: Object, had: Object) -> bool:
    if not had.get("matchExpressions") and not had.get("matchFields"):
        return not term.get("matchExpressions") and not term.get("matchFields")
    return all((term.get(key) or [])[:len(had.get(key) or ())] == (had.get(key) or [])
               for key in ("matchExpressions", "matchFields"))


# -- subresources -------------------------------------------------------------------------------------------------
def validate_status_update(new: Object, old: Object) -> list[FieldError]:
    same_notes = new["metadata"].get("annotations") == old["metadata"].get("annotations")
    return ([] if same_notes else _annotation_changes(new, old)) + pod_status_validation.of_update(new, old)


def validate_ephemeral_update(new: Object, old: Object) -> list[FieldError]:
    path = "spec.ephemeralContainers"
    spec = new.get("spec") or {}
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        return [errors.field_forbidden("", "static pods do not support ephemeral containers")]
    out = _metadata_and_spec(new) + _annotation_changes(new, old)
    now = {c.get("name"): c for c in spec.get("ephemeralContainers") or ()}
    for c in (old.get("spec") or {}).get("ephemeralContainers") or ():
        kept = now.get(c.get("name"))
        if kept is None:
            out.append(errors.field_forbidden(path,
                                              f'existing ephemeral containers "{c.get("name")}" may not be removed\n'))
        elif kept != c:
            out.append(errors.field_forbidden(path, (
                f'existing ephemeral containers "{c.get("name")}" may not be changed\n{differences.unified(c, kept)}')))
    return out


def validate_resize(new: Object, old: Object) -> list[FieldError]:
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        return [errors.field_forbidden("", "static pods cannot be resized")]
    if ((old.get("spec") or {}).get("os") or {}).get("name") == "windows":
        return [errors.field_forbidden("", "windows pods cannot be resized")]
    return _metadata_and_spec(new) + resize_validation.of_update(new, old)
