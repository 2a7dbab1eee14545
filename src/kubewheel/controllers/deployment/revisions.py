"""Which ReplicaSet is a Deployment's new one, and the annotations that remember revisions. Pure.

In: Deployment and ReplicaSet dicts. Out: ReplicaSet dicts to create or update. Called by:
deployment/controller.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers.deployment import plan
from kubewheel.reconcile import objects
from kubewheel.reconcile.ownership import controller_ref

HASH = "pod-template-hash"
HISTORY = "deployment.kubernetes.io/revision-history"
NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        plan.REVISION,
        HISTORY,
        plan.DESIRED,
        plan.MAX,
        "deprecated.deployment.rollback.to",
    )
)


def template_text(template: Object) -> bytes:
    """What makes two templates equal: all but the hash label we add."""
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k != HASH}
    meta.pop("creationTimestamp", None)
    return objects.canonical({"metadata": meta, "spec": template.get("spec") or {}})


def split(d: Object, sets: Sequence[Object]) -> tuple[Object | None, list[Object]]:
    """(the new ReplicaSet if there is one, the others). Of several equal ones the oldest is the new."""
    wanted = template_text(d["spec"]["template"])
    new = next(
        (rs for rs in sorted(sets, key=plan.by_age) if template_text(rs["spec"]["template"]) == wanted), None
    )
    return new, [rs for rs in sets if rs is not new]


def next_revision(old: Sequence[Object]) -> int:
    return max((plan.revision(rs) for rs in old), default=0) + 1


def annotate(rs: Object, d: Object, revision: int, *, exists: bool) -> bool:
    """Brings the annotations up to date in place (`rs` is private). True where something changed."""
    annotations = rs["metadata"].setdefault("annotations", {})
    before = dict(annotations)
    for name, value in objects.annotations_of(d).items():
        if name not in NOT_COPIED:
            annotations[name] = value
    old = annotations.get(plan.REVISION, "")
    if (int(old) if old.isdecimal() else 0) < revision:
        annotations[plan.REVISION] = str(revision)
        if exists and old:
            history = annotations.get(HISTORY, "")
            annotations[HISTORY] = f"{history},{old}" if history else old
    if not exists:
        set_sizes(annotations, d)
    return annotations != before


def set_sizes(annotations: dict[str, str], d: Object) -> None:
    annotations[plan.DESIRED] = str(plan.size(d))
    annotations[plan.MAX] = str(plan.size(d) + plan.fenceposts(d)[0])


def build(d: Object, old: Sequence[Object], revision: int) -> Object:
    """The new ReplicaSet to create."""
    template = codec.copy(d["spec"]["template"])
    collisions = (d.get("status") or {}).get("collisionCount")
    hash_ = objects.stable_hash({"template": d["spec"]["template"]}, collisions)
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH] = hash_
    selector = codec.copy(d["spec"]["selector"])
    selector.setdefault("matchLabels", {})[HASH] = hash_
    rs: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{d['metadata']['name']}-{hash_}",
            "namespace": d["metadata"]["namespace"],
            "labels": dict(labels),
            "ownerReferences": [controller_ref(d, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": plan.new_set_size(d, old, 0), "selector": selector, "template": template},
    }
    if d["spec"].get("minReadySeconds"):
        rs["spec"]["minReadySeconds"] = d["spec"]["minReadySeconds"]
    annotate(rs, d, revision, exists=False)
    return rs
