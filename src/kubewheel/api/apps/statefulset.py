"""statefulsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, fill, names, subresources, validation
from kubewheel.api.core import persistentvolumeclaim, pod_spec_validation, volume_warnings, workload
from kubewheel.api.errors import FieldError, field_forbidden, field_invalid, field_not_supported, field_required
from kubewheel.api.resource import Object, PrepareContext, Resource, ScalePaths

_MUTABLE = ("minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy", "replicas", "revisionHistoryLimit",
            "template", "updateStrategy")
UPDATE_TEXT = ("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
               "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
               "'minReadySeconds' are forbidden")


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, podManagementPolicy="OrderedReady", replicas=1, revisionHistoryLimit=10)
    workload.rolling_update(spec, "updateStrategy", partition=0)
    fill.absent(spec, persistentVolumeClaimRetentionPolicy={})
    fill.absent(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        fill.absent(claim, apiVersion="v1", kind="PersistentVolumeClaim", metadata={})
        fill.absent(fill.spec_of(claim), volumeMode="Filesystem", resources={})
        claim["status"] = {"phase": "Pending"}
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"replicas": 0, "availableReplicas": 0}


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return _rules(spec, is_new=True) + _template(spec, pod_template(spec))


def _rules(spec: Object, *, is_new: bool) -> list[FieldError]:
    """All but the template. What an update cannot change is looked at in new objects only."""
    out: list[FieldError] = []
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        out.append(field_required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        out.append(field_invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    out += _strategy(spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for when in ("whenDeleted", "whenScaled"):
        if (value := retention.get(when) or "") not in ("Retain", "Delete"):
            out.append(field_not_supported(f"spec.persistentVolumeClaimRetentionPolicy.{when}", value,
                                           ("Retain", "Delete"), ordered=True))
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or () if is_new else ()):
        out += persistentvolumeclaim.spec_rules(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
    out += workload.numbers(spec, "replicas", "minReadySeconds")
    out += validation.non_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start")
    if is_new and (service := spec.get("serviceName")):
        out += validation.check("spec.serviceName", service, names.label(service))
    return out


def _strategy(strategy: Object) -> list[FieldError]:
    path, kind, rolling = "spec.updateStrategy", strategy.get("type") or "", strategy.get("rollingUpdate")
    shown = None if rolling is None else {"Partition": rolling.get("partition") or 0,
                                          "MaxUnavailable": rolling.get("maxUnavailable")}
    if not kind:
        return [field_required(path)]
    if kind == "OnDelete":
        if rolling is None:
            return []
        return [field_invalid(f"{path}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")]
    if kind != "RollingUpdate":
        return [field_invalid(path, {"Type": kind, "RollingUpdate": shown}, "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    where = f"{path}.rollingUpdate.maxUnavailable"
    out = validation.non_negative(rolling.get("partition"), f"{path}.rollingUpdate.partition")
    if (unavailable := rolling.get("maxUnavailable")) is not None:
        out += validation.non_negative_or_percent(unavailable, where)
        if workload.is_zero(unavailable):
            out.append(field_invalid(where, unavailable, "cannot be 0"))
        out += validation.at_most_100_percent(unavailable, where)
    return out


def pod_template(spec: Object) -> list[FieldError]:
    """The template as it stands beside the volumes of the claims made for each pod."""
    template, claims = spec.get("template") or {}, spec.get("volumeClaimTemplates") or ()
    if not claims:
        return pod_spec_validation.pod_template(template, "spec.template")
    pod = template.get("spec") or {}
    made = {name: {"name": name, "persistentVolumeClaim": {"claimName": name}}
            for claim in claims for name in [(claim.get("metadata") or {}).get("name") or ""]}
    own = [v for v in pod.get("volumes") or () if v.get("name") not in made]
    return pod_spec_validation.pod_template({**template, "spec": {**pod, "volumes": [*own, *made.values()]}},
                                            "spec.template")


def _template(spec: Object, found: list[FieldError]) -> list[FieldError]:
    """`found`: what pod_template says."""
    out = workload.selector(spec, "statefulset")
    matched = workload.selects_template(spec, unreadable="")
    out += matched
    if not any(f.field == "spec.selector" for f in matched):
        out += found
    return out + workload.always_restarted(spec.get("template") or {}, "StatefulSet")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """A template may stay as wrong as the stored one is."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    found = pod_template(spec) if spec.get("template") != before.get("template") else []
    if found and (_rules(before, is_new=False) or _template(before, pod_template(before))):
        found = pod_spec_validation.template_metadata(spec.get("template") or {}, "spec.template")
    out = _rules(spec, is_new=False) + _template(spec, found)
    if {k: v for k, v in spec.items() if k not in _MUTABLE} != {k: v for k, v in before.items() if k not in _MUTABLE}:
        out.append(field_forbidden("spec", UPDATE_TEXT))
    return out


def warnings(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    out = workload.template_warnings(obj)
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        out += volume_warnings.claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        out.append("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is "
                   "recommended")
    return out


RESOURCE = Resource(
    group="apps",
    kind="StatefulSet",
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.StatefulSet",
    registry="statefulsets",
    subresources=(
        subresources.status("StatefulSet", validate=workload.status_rules(
            "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
            "observedGeneration", "collisionCount",
            order=("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
            available_text="cannot be greater than status.readyReplicas")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    name_rule="label",
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        workload.READY,
        columns.AGE,
        *columns.template("spec", "template", "spec"),
    ),
)
