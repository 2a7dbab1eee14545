"""Rules of a pod's spec, shared by pods and templates.

In: PodSpec dicts after defaulting. Out: FieldError lists. Called by: pod_validation.py, the workloads' files.
The parts: container_validation.py, volume_validation.py, scheduling_validation.py, security_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import addresses, codec, errors, names, quantity, validation
from kubewheel.api.core import (
    container_validation,
    env_validation,
    pod_resources,
    resource_validation,
    scheduling_validation,
    security_validation,
    volume_validation,
    windows_validation,
)
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NAMES = (("serviceAccountName", names.subdomain), ("nodeName", names.subdomain))


def pod_spec(spec: Spec, path: str, *, pod_name: str | None = None, is_mirror: bool = False) -> list[FieldError]:
    """`pod_name`: of a pod itself ("" if it has none yet); None inside a template. `is_mirror`: of a static pod."""
    out: list[FieldError] = []
    if spec.get("terminationGracePeriodSeconds") is None:
        out.append(errors.field_required(f"{path}.terminationGracePeriodSeconds"))
    known: dict[str, Any] = {}
    if items := spec.get("volumes"):
        known, found = volume_validation.volumes(items, f"{path}.volumes", pod_name or "")
        out += found
    if items := spec.get("resourceClaims"):
        if is_mirror:
            out += [errors.field_forbidden("", "static pods do not support resource claims")] * len(items)
        else:
            out += _resource_claims(items, f"{path}.resourceClaims")
    pod = container_validation.around(spec, known)
    out += container_validation.containers(spec, pod, path)
    if spec.get("initContainers"):
        out += container_validation.init_containers(spec, pod, path)
    if spec.get("ephemeralContainers"):
        out += container_validation.ephemeral(spec, pod, f"{path}.ephemeralContainers")
    if (resources := spec.get("resources")) is not None:
        out += _pod_resources(spec, resources, f"{path}.resources")
    if spec.get("hostNetwork"):
        out += _host_network_ports(spec, path, is_pod=pod_name is not None)
    if spec.get("restartPolicy") not in _RESTART:
        out += validation.one_of(spec.get("restartPolicy"), _RESTART, f"{path}.restartPolicy", ordered=True)
    if spec.get("dnsPolicy") not in _DNS:
        out += validation.one_of(spec.get("dnsPolicy"), _DNS, f"{path}.dnsPolicy", ordered=True)
    if pairs := spec.get("nodeSelector"):
        out += validation.validate_labels(pairs, f"{path}.nodeSelector")
    if spec.get("securityContext") or spec.get("shareProcessNamespace"):
        out += security_validation.of_pod(spec, path)
    out += _placement(spec, path) + _rest(spec, path)
    if _reads_files(spec):
        out += env_validation.files(spec, security_validation.every_container(spec, path))
    return out


def _reads_files(spec: Spec) -> bool:
    return any("fileKeyRef" in (e.get("valueFrom") or ()) for c, _ in security_validation.every_container(spec, "")
               for e in c.get("env") or ())


def _placement(spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if affinity := spec.get("affinity"):
        out += scheduling_validation.affinity(affinity, f"{path}.affinity")
    if spec.get("dnsConfig") is not None or spec.get("dnsPolicy") == "None":
        out += _dns_config(spec, f"{path}.dnsConfig")
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        out += check(f"{path}.readinessGates[{i}].conditionType", kind, names.qualified(kind))
    if items := spec.get("schedulingGates"):
        out += scheduling_validation.gates(items, f"{path}.schedulingGates")
    if items := spec.get("topologySpreadConstraints"):
        out += scheduling_validation.spread(items, f"{path}.topologySpreadConstraints")
    if _mentions_windows(spec):
        out += windows_validation.host_process(spec, path, security_validation.every_container(spec, path))
    if spec.get("hostUsers") is False:
        text = "when `hostUsers` is false"
        out += [errors.field_forbidden(f"{path}.{shown}", text)
                for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
                if spec.get(field)]
        out += [errors.field_forbidden(f"{where}.volumeDevices", text)
                for c, where in security_validation.every_container(spec, path) if c.get("volumeDevices")]
    if (name := spec.get("hostnameOverride")) is not None:
        out += _hostname_override(spec, name, f"{path}.hostnameOverride")
    return out


def _mentions_windows(spec: Spec) -> bool:
    return (spec.get("securityContext") or {}).get("windowsOptions") is not None or any(
        (c.get("securityContext") or {}).get("windowsOptions") is not None
        for c, _ in security_validation.every_container(spec, ""))


def _hostname_override(spec: Spec, name: str, path: str) -> list[FieldError]:
    out = [errors.field_forbidden(path, f"may not be specified when {field} is true")
           for field in ("setHostnameAsFQDN", "hostNetwork") if spec.get(field)]
    if len(name.encode()) > 64:
        out.append(errors.field_too_long(path, 64))
    return out + check(path, name, names.subdomain(name))


def _rest(spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for field, rule in _NAMES:
        if value := spec.get(field):
            out += check(f"{path}.{field}", value, rule(value))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        out.append(errors.field_invalid(f"{path}.activeDeadlineSeconds", deadline,
                                        "must be between 1 and 2147483647, inclusive"))
    for field in ("hostname", "subdomain"):
        if value := spec.get(field):
            out += check(f"{path}.{field}", value, names.label(value))
    if items := spec.get("tolerations"):
        out += scheduling_validation.tolerations(items, f"{path}.tolerations")
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        out += check(f"{path}.hostAliases[{i}].ip", alias.get("ip") or "", addresses.legacy_ip(alias.get("ip") or ""))
        for j, host in enumerate(alias.get("hostnames") or ()):
            out += check(f"{path}.hostAliases[{i}].hostnames[{j}]", host, names.subdomain(host))
    if value := spec.get("priorityClassName"):
        out += check(f"{path}.priorityClassName", value, names.subdomain(value))
    if (value := spec.get("runtimeClassName")) is not None:
        out += check(f"{path}.runtimeClassName", value, names.subdomain(value))
    preemption = spec.get("preemptionPolicy")
    if preemption is not None and preemption not in ("PreemptLowerPriority", "Never"):
        out += validation.one_of(preemption, ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy",
                                 ordered=True)
    if overhead := spec.get("overhead"):
        # The overhead is looked at as the limits of a container.
        out += resource_validation.requirements({"limits": overhead}, f"{path}.overhead")
    if spec.get("os") is not None:
        out += windows_validation.os(spec, path, list(security_validation.every_container(spec, path)))
    if (group := spec.get("schedulingGroup")) is not None:
        out += _scheduling_group(group, f"{path}.schedulingGroup")
    return out


def _scheduling_group(group: Spec, path: str) -> list[FieldError]:
    name = group.get("podGroupName")
    if name is None:
        return [errors.field_invalid(f"{path}.podGroupName", None, "must specify one of: `podGroupName`")]
    return check(f"{path}.podGroupName", name, names.subdomain(name))


def _resource_claims(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, claim in enumerate(items):
        where, name = f"{path}[{i}]", claim.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        elif name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        else:
            out += check(f"{where}.name", name, names.label(name))
            seen.add(name)
        named, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = {"Name": name, "ResourceClaimName": named, "ResourceClaimTemplateName": template}
        if named is not None and template is not None:
            out.append(errors.field_invalid(where, shown, (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")))
        if named is None and template is None:
            out.append(errors.field_invalid(where, shown, (
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")))
        for field, value in (("resourceClaimName", named), ("resourceClaimTemplateName", template)):
            if value is not None:
                out += check(f"{where}.{field}", value, names.subdomain(value))
    return out


def _pod_resources(spec: Spec, r: Spec, path: str) -> list[FieldError]:
    if (spec.get("os") or {}).get("name") == "windows":
        return [errors.field_forbidden(path, "may not be set for a windows pod")]
    out: list[FieldError] = []
    if r.get("claims") is not None:
        out.append(errors.field_forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    out += resource_validation.requirements(r, path, container_validation.around(spec, {}).claims, pod_level=True)
    requests, limits = (_valid(r.get(side)) for side in ("requests", "limits"))
    for name, total in pod_resources.aggregate(spec, "requests").items():
        if name in requests and quantity.compare(total, requests[name]) > 0:
            out.append(errors.field_invalid(f"{path}.requests[{name}]", quantity.canonical(requests[name]), (
                f"must be greater than or equal to aggregate container requests of {quantity.canonical(total)}")))
    for name, total in pod_resources.aggregate(spec, "limits").items():
        if resource_validation.is_huge_page(name) and name in limits and quantity.compare(total, limits[name]) > 0:
            out.append(errors.field_invalid(f"{path}.limits[{name}]", quantity.canonical(limits[name]), (
                f"must be greater than or equal to aggregate container limits of {quantity.canonical(total)}")))
    for i, c in enumerate(spec.get("containers") or ()):
        for name, value in _valid((c.get("resources") or {}).get("limits")).items():
            if name in limits and quantity.compare(value, limits[name]) > 0:
                out.append(errors.field_invalid(f"{path}.containers[{i}][{name}].limits", quantity.canonical(value), (
                    f"must be less than or equal to pod limits of {quantity.canonical(limits[name])}")))
    return out


def _valid(amounts: Spec | None) -> Spec:
    return {name: value for name, value in (amounts or {}).items() if quantity.is_valid(value)}


def _host_network_ports(spec: Spec, path: str, *, is_pod: bool) -> list[FieldError]:
    return [errors.field_invalid(f"{path}.containers[{i}].ports[{j}].hostPort", p.get("hostPort") or 0,
                                 "must match `containerPort` when `hostNetwork` is true")
            for i, c in enumerate(spec.get("containers") or ()) for j, p in enumerate(c.get("ports") or ())
            if (is_pod or p.get("hostPort")) and (p.get("hostPort") or 0) != (p.get("containerPort") or 0)]


def _dns_config(spec: Spec, path: str) -> list[FieldError]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [errors.field_required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            return [errors.field_required(f"{path}.nameservers",
                                          "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    config = config or {}
    out: list[FieldError] = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        out.append(errors.field_invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    for i, server in enumerate(servers):
        out += check(f"{path}.nameservers[{i}]", server, addresses.legacy_ip(server))
    if len(searches) > 32:
        out.append(errors.field_invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        out.append(errors.field_invalid(f"{path}.searches", searches, (
            "must not have more than 2048 characters (including spaces) in the search list")))
    for i, search in enumerate(searches):
        if search != ".":
            text = search.removesuffix(".")
            out += check(f"{path}.searches[{i}]", text, names.subdomain_with_underscore(text))
    out += [errors.field_required(f"{path}.options[{i}]", "must not be empty")
            for i, option in enumerate(config.get("options") or ()) if not option.get("name")]
    return out


def pod_template(template: Spec | None, path: str) -> list[FieldError]:
    """Metadata and spec of a template inside a workload."""
    if not template:
        return [errors.field_required(path)]
    spec = template.get("spec") or {}
    out = template_metadata(template, path)
    out += pod_spec(spec, f"{path}.spec")
    if notes := (template.get("metadata") or {}).get("annotations"):
        out += security_validation.annotations_match(notes, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        out.append(errors.field_forbidden(f"{path}.spec.ephemeralContainers",
                                          "ephemeral containers not allowed in pod template"))
    return out


def template_metadata(template: Spec, path: str) -> list[FieldError]:
    """Upstream's paths leave out `metadata`."""
    meta = template.get("metadata") or {}
    notes = meta.get("annotations") or {}
    out = validation.validate_labels(meta.get("labels") or {}, f"{path}.labels")
    if notes:
        out += validation.validate_annotations(notes, f"{path}.annotations")
        out += specific_annotations(notes, template.get("spec") or {}, f"{path}.annotations")
    return out


MIRROR, TOLERATIONS = "kubernetes.io/config.mirror", "scheduler.alpha.kubernetes.io/tolerations"
_COST = "controller.kubernetes.io/pod-deletion-cost"


def specific_annotations(notes: Mapping[str, str], spec: Spec, path: str) -> list[FieldError]:
    """Annotations of pods that mean something to upstream."""
    out: list[FieldError] = []
    if MIRROR in notes and not spec.get("nodeName"):
        out.append(errors.field_invalid(f"{path}[{MIRROR}]", notes[MIRROR],
                                        "must set spec.nodeName if mirror pod annotation is set"))
    if notes.get(TOLERATIONS):
        out += _noted_tolerations(notes[TOLERATIONS], path)
    cost = notes.get(_COST)
    if cost is not None and not _is_int32(cost):
        out.append(errors.field_invalid(f"{path}[{_COST}]", cost, "must be a 32bit integer"))
    return out + security_validation.old_annotations(notes, spec, path)


def _noted_tolerations(text: str, path: str) -> list[FieldError]:
    try:
        items = codec.loads(text.encode())
    except ValueError as e:
        return [errors.field_invalid(path, TOLERATIONS, str(e))]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return [errors.field_invalid(path, TOLERATIONS, "json: cannot unmarshal into Go value of type []core.Toleration")]
    return scheduling_validation.tolerations(items, f"{path}.{TOLERATIONS}")


def _is_int32(text: str) -> bool:
    """As strconv.ParseInt, with no plus sign and no leading zeros, reads it."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(text)) == text and -2**31 <= int(text) < 2**31
