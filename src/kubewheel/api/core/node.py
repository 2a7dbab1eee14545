"""nodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import addresses, columns, conditions, errors, fill, names, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import resource_validation, scheduling_validation
from kubewheel.api.resource import Column, Object, Resource, Subresource

_INFO = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
         "kubeProxyVersion", "operatingSystem", "architecture")


def defaults(obj: Object) -> None:
    """Go prints these parts of a status though nothing is in them."""
    spec = fill.spec_of(obj)
    one, every = spec.get("podCIDR"), spec.get("podCIDRs")
    if one and (not every or every[0] != one):  # the older field counts
        spec["podCIDRs"] = [one]
    elif every and not one:
        spec["podCIDR"] = every[0]
    fill.absent(obj, status={})
    status = obj["status"]
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])
    fill.absent(status, daemonEndpoints={}, nodeInfo={})
    fill.absent(status["daemonEndpoints"], kubeletEndpoint={"Port": 0})
    fill.absent(status["nodeInfo"], **dict.fromkeys(_INFO, ""))


def _taints(items: Any) -> list[errors.FieldError]:
    """Upstream names them below metadata."""
    out: list[errors.FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(items or ()):
        where, key, effect = f"metadata.taints[{i}]", taint.get("key") or "", taint.get("effect") or ""
        value = taint.get("value") or ""
        out += validation.check(f"{where}.key", key, names.qualified(key))
        if found := names.label_value(value):
            out.append(errors.field_invalid(f"{where}.value", value, ";".join(found)))
        out += scheduling_validation.taint_effect(effect, f"{where}.effect")
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            out.append(errors.field_duplicate(where, shown, "taints must be unique by key and effect pair"))
        seen.add((key, effect))
    return out


def _amounts(obj: Object) -> list[errors.FieldError]:
    return [f for side in ("capacity", "allocatable") for name, amount in (dig(obj, "status", side) or {}).items()
            for f in resource_validation.amount(name, amount, f"status.{side}.{name}")]


def validate(obj: Object) -> list[errors.FieldError]:
    ranges = dig(obj, "spec", "podCIDRs") or ()
    out = _taints(dig(obj, "spec", "taints")) + _amounts(obj)
    for i, text in enumerate(ranges):
        out += addresses.stored_cidr(text, f"spec.podCIDRs[{i}]")
    if len(ranges) > 2 or len(ranges) == 2 and len({":" in r for r in ranges}) < 2:
        out.append(errors.field_invalid("spec.podCIDRs", list(ranges),
                                        "may specify no more than one CIDR for each IP family"))
    return out + _swap(obj)


def _swap(obj: Object) -> list[errors.FieldError]:
    """Upstream names it below metadata."""
    amount = dig(obj, "status", "nodeInfo", "swap", "capacity")
    if amount is None or amount > 0:
        return []
    return [errors.field_invalid("metadata.nodeSwapStatus.capacity", amount, "must be greater than zero")]


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    """Of the main resource and of status."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    out = _amounts(new)
    entries = dig(new, "status", "addresses") or []
    out += [errors.field_duplicate(f"status.addresses[{i}]", {"Type": e.get("type", ""), "Address": e.get("address", "")})
            for i, e in enumerate(entries) if e in entries[:i]]
    had, have = before.get("podCIDRs") or [], spec.get("podCIDRs") or []
    if had and not have:
        out.append(errors.field_invalid("spec.podCIDRs", None, "field cannot be cleared once set"))
    elif had and had != have:
        out.append(errors.field_forbidden("spec.podCIDRs",
                                          "node updates may not change podCIDR except from \"\" to valid"))
    provider, was = spec.get("providerID"), before.get("providerID")
    if was and provider != was:
        out.append(errors.field_invalid("spec.providerID", None, (
            "field cannot be modified once set" if provider else "field cannot be cleared once set")))
    out += _taints(spec.get("taints")) + _swap(new)
    if spec.get("externalID") != before.get("externalID"):
        out.append(errors.field_forbidden("spec.externalID", "may not be updated"))
    return out


def warnings(obj: Object) -> list[str]:
    spec, out = obj.get("spec") or {}, []
    if spec.get("configSource") is not None:
        out.append("spec.configSource: the feature is no longer available")
    if spec.get("externalID"):
        out.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    return out


def _kernel(obj: Object, now: float) -> str:
    info = dig(obj, "status", "nodeInfo") or {}
    architecture = f" ({info['architecture']})" if info.get("architecture") else ""
    return (info.get("kernelVersion") or columns.UNKNOWN) + architecture


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
        subresources.status("Node", validate=validate_update),
        Subresource("proxy", "NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
    ),
    has_generation=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        columns.NAME,
        Column("Status", _status, description="The status of the node"),
        Column("Roles", _roles, description="The roles of the node"),
        columns.AGE,
        _info("Version", "kubeletVersion", priority=0, default=""),
        Column("Internal-IP", _address("InternalIP"), priority=1, description=".status.addresses"),
        Column("External-IP", _address("ExternalIP"), priority=1, description=".status.addresses"),
        _info("OS-Image", "osImage"),
        Column("Kernel-Version", _kernel, priority=1, description=".status.nodeInfo.kernelVersion"),
        _info("Container-Runtime", "containerRuntimeVersion"),
    ),
    selectable={"spec.unschedulable": lambda obj: "true" if dig(obj, "spec", "unschedulable") else "false"},
)
