"""pods.

In: objects. Out: RESOURCE. Called by: catalog.py.
The parts: pod_defaults.py, pod_validation.py, pod_columns.py, qos.py.
"""

from __future__ import annotations

from kubewheel.api import codec, columns, errors, subresources
from kubewheel.api.core import pod_columns, pod_defaults, pod_validation, pod_warnings, qos
from kubewheel.api.resource import Object, PrepareContext, Resource, Subresource


def defaults(obj: Object) -> None:
    spec = obj.get("spec")
    if spec is None:
        spec = obj["spec"] = {}
    pod_defaults.pod_spec(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    if obj["spec"].get("affinity") or obj["spec"].get("topologySpreadConstraints"):
        _keys_to_selectors(obj)
    obj["status"] = {"phase": "Pending", "qosClass": _qos(obj)}
    if obj["spec"].get("schedulingGates"):
        obj["status"]["conditions"] = [{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates", "lastProbeTime": None,
            "lastTransitionTime": None}]


def _keys_to_selectors(obj: Object) -> None:
    """What matchLabelKeys and mismatchLabelKeys name becomes part of the selectors, with the pod's own labels."""
    labels = obj["metadata"].get("labels") or {}
    for constraint in obj["spec"].get("topologySpreadConstraints") or ():
        _merge_keys(constraint, labels)
    for side in ("podAffinity", "podAntiAffinity"):
        if pods := (obj["spec"].get("affinity") or {}).get(side):
            for term in pods.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
                _merge_keys(term.get("podAffinityTerm") or {}, labels)
            for term in pods.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
                _merge_keys(term, labels)


def _merge_keys(term: Object, labels: Object) -> None:
    selector = term.get("labelSelector")
    if selector is None or not (term.get("matchLabelKeys") or term.get("mismatchLabelKeys")):
        return
    added = [{"key": key, "operator": operator, "values": [labels[key]]}
             for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
             for key in term.get(field) or () if key in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


def _qos(obj: Object) -> str:
    try:
        return qos.of_spec(obj["spec"])
    except ValueError:  # validation says which quantity is none
        return "BestEffort"


def prepare_status(new: Object, old: Object, context: PrepareContext) -> None:
    """What the node agent may not change by way of the status."""
    status = new.setdefault("status", {})
    kept = (old.get("status") or {}).get("qosClass")
    if kept and not status.get("qosClass"):
        status["qosClass"] = kept
    _keep_what_old_clients_drop(status, old.get("status") or {})
    ips = status.get("podIPs")
    if status.get("podIP") and not ips:
        status["podIPs"] = [{"ip": status["podIP"]}]
    elif ips and not status.get("podIP"):
        status["podIP"] = ips[0].get("ip", "")


def _keep_what_old_clients_drop(status: Object, before: Object) -> None:
    """Fields that a client of an older version does not know stay as they are. In place."""
    for field in ("resourceClaimStatuses", "extendedResourceClaimStatus", "nodeAllocatableResourceClaimStatuses",
                  "observedGeneration"):
        if status.get(field) is None and before.get(field) is not None:
            status[field] = before[field]
    seen = {c.get("type"): c.get("observedGeneration") for c in before.get("conditions") or ()}
    for condition in status.get("conditions") or ():
        if not condition.get("observedGeneration") and (generation := seen.get(condition.get("type"))):
            condition["observedGeneration"] = generation


def prepare_resize(new: Object, old: Object, context: PrepareContext) -> None:
    """Only resources (and how they are resized) come from the request; all else of a container stays."""
    spec, before = new["spec"], old.get("spec") or {}
    for key in ("containers", "initContainers"):
        wanted = {c.get("name"): c for c in spec.get(key) or ()}
        if [c.get("name") for c in before.get(key) or ()] != list(wanted):
            continue  # added or removed: left for validation to refuse
        merged = []
        for c in before.get(key) or ():
            kept = codec.copy(c)
            for field in ("resources", "resizePolicy"):
                if field in wanted[c["name"]]:
                    kept[field] = wanted[c["name"]][field]
                else:
                    kept.pop(field, None)
            merged.append(kept)
        if merged:
            spec[key] = merged
    pod_defaults.pod_spec(spec)


def prepare_ephemeral(new: Object, old: Object, context: PrepareContext) -> None:
    pod_defaults.pod_spec(new["spec"])


def grace_seconds(obj: Object, options: Object) -> int:
    """0 deletes at once: nothing runs of a pod that is bound to no node or has ended."""
    period = options.get("gracePeriodSeconds")
    if period is None:
        period = (obj.get("spec") or {}).get("terminationGracePeriodSeconds")
        if period is None:
            period = 30
    if not (obj.get("spec") or {}).get("nodeName"):
        return 0
    if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return max(int(period), 1) if int(period) < 0 else int(period)


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return pod_validation.validate_update(new, old)


def _field(*path: str):
    def read(obj: Object) -> str:
        value = columns.dig(obj, *path)
        return value or ""

    return read


SELECTABLE = {
    "spec.nodeName": _field("spec", "nodeName"),
    "spec.host": _field("spec", "nodeName"),  # as old clients call it
    "spec.restartPolicy": _field("spec", "restartPolicy"),
    "spec.schedulerName": _field("spec", "schedulerName"),
    "spec.serviceAccountName": _field("spec", "serviceAccountName"),
    "spec.hostNetwork": lambda obj: "true" if columns.dig(obj, "spec", "hostNetwork") else "false",
    "status.phase": _field("status", "phase"),
    "status.podIP": lambda obj: next(iter(_ips(obj)), ""),
    "status.podIPs": lambda obj: next(iter(_ips(obj)), ""),
    "status.nominatedNodeName": _field("status", "nominatedNodeName"),
}


def _ips(obj: Object) -> list[str]:
    status = obj.get("status") or {}
    return [e.get("ip", "") for e in status.get("podIPs") or ()] or [status.get("podIP") or ""]


RESOURCE = Resource(
    kind="Pod",
    plural="pods",
    short_names=("po",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Pod",
    registry="pods",
    subresources=(
        subresources.status("Pod", prepare=prepare_status, validate=pod_validation.validate_status_update),
        Subresource("binding", "Binding", verbs=("create",)),
        Subresource("eviction", "Eviction", group="policy", version="v1", verbs=("create",)),
        Subresource("ephemeralcontainers", "Pod", owns=(("spec", "ephemeralContainers"),),
                    prepare=prepare_ephemeral, validate=pod_validation.validate_ephemeral_update),
        Subresource("resize", "Pod",
                    owns=(("spec", "containers"), ("spec", "initContainers"), ("spec", "resources")),
                    prepare=prepare_resize, validate=pod_validation.validate_resize),
        Subresource("log", "Pod", verbs=("get",)),
        Subresource("exec", "PodExecOptions", verbs=("create", "get")),
        Subresource("attach", "PodAttachOptions", verbs=("create", "get")),
        Subresource("portforward", "PodPortForwardOptions", verbs=("create", "get")),
        Subresource("proxy", "PodProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=pod_validation.validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_pod,
    warnings_update=lambda new, old: [],  # people seldom write pods themselves
    columns=pod_columns.COLUMNS,
    selectable=SELECTABLE,
    grace_seconds=grace_seconds,
)
