"""statefulsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError, field_forbidden
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, ScalePaths

_MUTABLE = ("minReadySeconds", "ordinals", "persistentVolumeClaimRetentionPolicy", "replicas", "revisionHistoryLimit",
            "template", "updateStrategy")
UPDATE_TEXT = ("updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
               "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
               "'minReadySeconds' are forbidden")


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    workload.default(spec, podManagementPolicy="OrderedReady", replicas=1, revisionHistoryLimit=10)
    strategy = spec.get("updateStrategy")
    if strategy is None:
        strategy = spec["updateStrategy"] = {}
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        if strategy.get("rollingUpdate") is None:
            strategy["rollingUpdate"] = {}
        workload.default(strategy["rollingUpdate"], partition=0)
    policy = spec.get("persistentVolumeClaimRetentionPolicy")
    if policy is None:
        policy = spec["persistentVolumeClaimRetentionPolicy"] = {}
    workload.default(policy, whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        workload.default(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        workload.default(workload.spec_of(claim), volumeMode="Filesystem")
        claim["status"] = {"phase": "Pending"}
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"replicas": 0, "availableReplicas": 0}


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = validation.one_of(spec.get("podManagementPolicy"), ("OrderedReady", "Parallel"), "spec.podManagementPolicy")
    strategy = spec.get("updateStrategy") or {}
    out += validation.one_of(strategy.get("type"), ("OnDelete", "RollingUpdate"), "spec.updateStrategy.type")
    if rolling := strategy.get("rollingUpdate"):
        if strategy.get("type") == "OnDelete":
            out.append(field_forbidden("spec.updateStrategy.rollingUpdate",
                                       "only allowed for updateStrategy 'RollingUpdate'"))
        out += validation.non_negative(rolling.get("partition"), "spec.updateStrategy.rollingUpdate.partition")
        if rolling.get("maxUnavailable") is not None:
            out += workload.int_or_percent(rolling["maxUnavailable"],
                                           "spec.updateStrategy.rollingUpdate.maxUnavailable")
    policy = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for when in ("whenDeleted", "whenScaled"):
        out += validation.one_of(policy.get(when), ("Delete", "Retain"),
                                 f"spec.persistentVolumeClaimRetentionPolicy.{when}", required=False)
    out += workload.numbers(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    out += validation.non_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start")
    return out + workload.selector_and_template(spec, what="StatefulSet")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    kept = {k: v for k, v in (new.get("spec") or {}).items() if k not in _MUTABLE}
    before = {k: v for k, v in (old.get("spec") or {}).items() if k not in _MUTABLE}
    if kept != before:
        out.append(field_forbidden("spec", UPDATE_TEXT))
    return out


def _ready(obj: Object, now: float) -> str:
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{dig(obj, 'spec', 'replicas') or 0}"


RESOURCE = Resource(
    group="apps",
    kind="StatefulSet",
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.StatefulSet",
    registry="statefulsets",
    subresources=(
        subresources.status("StatefulSet", validate=workload.status_numbers(
            "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
            "observedGeneration", "collisionCount")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        Column("Ready", _ready, description="Number of the pod with ready state"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
    ),
)
