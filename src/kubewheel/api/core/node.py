"""nodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import codec, columns, conditions, errors, names, quantity, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource, Subresource

_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def defaults(obj: Object) -> None:
    status = obj.get("status")
    if status and status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])


def prepare_create(obj: Object, context: PrepareContext) -> None:
    """The kubelet registers with its status; it is kept."""
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(spec.get("taints") or ()):
        where, key, effect = f"spec.taints[{i}]", taint.get("key") or "", taint.get("effect") or ""
        out += validation.check(f"{where}.key", key, names.qualified(key))
        if value := taint.get("value"):
            out += validation.check(f"{where}.value", value, names.label_value(value))
        out += validation.one_of(effect, _EFFECTS, f"{where}.effect")
        if (key, effect) in seen:
            out.append(errors.field_duplicate(where, taint))
        seen.add((key, effect))
    for i, text in enumerate(spec.get("podCIDRs") or ()):
        out += validation.check(f"spec.podCIDRs[{i}]", text, names.cidr(text))
    for side in ("capacity", "allocatable"):
        for name, amount in (dig(obj, "status", side) or {}).items():
            if not quantity.is_valid(amount) or quantity.nano(amount) < 0:
                out.append(errors.field_invalid(f"status.{side}[{name}]", amount, validation.NEGATIVE))
    return out


_MUTABLE = ("taints", "unschedulable", "configSource", "podCIDR", "podCIDRs", "providerID")
UPDATE_TEXT = ("node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig "
               "feature gate is enabled)")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        out.append(errors.field_forbidden("spec.podCIDRs",
                                          "node updates may not change podCIDR except from \"\" to valid"))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        out.append(errors.field_forbidden("spec.providerID",
                                          "node updates may not change providerID except from \"\" to valid"))
    rest = {k: v for k, v in spec.items() if k not in _MUTABLE}
    if rest != {k: v for k, v in before.items() if k not in _MUTABLE}:
        out.append(errors.field_forbidden("", UPDATE_TEXT))
    return out


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    if new.get("spec") is None:
        new["spec"] = codec.copy(old.get("spec") or {})


def _status(obj: Object, now: float) -> str:
    ready = conditions.status(obj, "Ready")
    words = ["Ready" if ready == "True" else "NotReady" if ready else "Unknown"]
    if dig(obj, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: Object, now: float) -> str:
    roles = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith("node-role.kubernetes.io/"):
            if role := key.removeprefix("node-role.kubernetes.io/"):
                roles.add(role)
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    return ",".join(sorted(roles)) or columns.NONE


def _address(kind: str):
    def cell(obj: Object, now: float) -> str:
        for entry in dig(obj, "status", "addresses") or ():
            if entry.get("type") == kind:
                return entry.get("address", "")
        return columns.NONE

    return cell


def _info(name: str, field: str, *, priority: int = 1, default: str = columns.UNKNOWN) -> Column:
    return Column(name, lambda obj, now: dig(obj, "status", "nodeInfo", field) or default, priority=priority,
                  description=f".status.nodeInfo.{field}")


RESOURCE = Resource(
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    definition="io.k8s.api.core.v1.Node",
    registry="minions",
    subresources=(
        subresources.status("Node"),
        Subresource("proxy", "NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
    ),
    has_generation=False,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Status", _status, description="The status of the node"),
        Column("Roles", _roles, description="The roles of the node"),
        columns.AGE,
        _info("Version", "kubeletVersion", priority=0, default=""),
        Column("Internal-IP", _address("InternalIP"), priority=1, description=".status.addresses"),
        Column("External-IP", _address("ExternalIP"), priority=1, description=".status.addresses"),
        _info("OS-Image", "osImage"),
        _info("Kernel-Version", "kernelVersion"),
        _info("Container-Runtime", "containerRuntimeVersion"),
    ),
    selectable={"spec.unschedulable": lambda obj: "true" if dig(obj, "spec", "unschedulable") else "false"},
)
