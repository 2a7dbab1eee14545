"""Rules of a pod's spec, shared by pods and templates.

In: PodSpec dicts after defaulting. Out: FieldError lists. Called by: pod_validation.py, the workloads' files.
The parts: container_validation.py, volume_validation.py, scheduling_validation.py, security_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.core import (
    container_validation,
    resource_validation,
    scheduling_validation,
    security_validation,
    volume_validation,
)
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NAMES = (("serviceAccountName", names.subdomain), ("nodeName", names.subdomain))
_OTHER_NAMES = (("priorityClassName", names.subdomain), ("runtimeClassName", names.subdomain))


def pod_spec(spec: Spec, path: str, *, pod_name: str | None = None) -> list[FieldError]:
    """`pod_name`: of a pod itself ("" if it has none yet); None inside a template."""
    out: list[FieldError] = []
    if spec.get("terminationGracePeriodSeconds") is None:
        out.append(errors.field_required(f"{path}.terminationGracePeriodSeconds"))
    known: dict[str, Any] = {}
    if items := spec.get("volumes"):
        known, found = volume_validation.volumes(items, f"{path}.volumes", pod_name or "")
        out += found
    if items := spec.get("resourceClaims"):
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
    return out + _placement(spec, path) + _rest(spec, path)


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
    if spec.get("hostUsers") is False:
        out += [errors.field_forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false")
                for field, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
                if spec.get(field)]
    return out


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
        out += check(f"{path}.hostAliases[{i}].ip", alias.get("ip") or "", names.ip(alias.get("ip") or ""))
        for j, host in enumerate(alias.get("hostnames") or ()):
            out += check(f"{path}.hostAliases[{i}].hostnames[{j}]", host, names.subdomain(host))
    for field, rule in _OTHER_NAMES:
        if value := spec.get(field):
            out += check(f"{path}.{field}", value, rule(value))
    preemption = spec.get("preemptionPolicy")
    if preemption is not None and preemption not in ("PreemptLowerPriority", "Never"):
        out += validation.one_of(preemption, ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy",
                                 ordered=True)
    if overhead := spec.get("overhead"):
        # The overhead is looked at as the limits of a container.
        out += resource_validation.requirements({"limits": overhead}, f"{path}.overhead")
    return out + security_validation.os(spec, path)


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
    out: list[FieldError] = []
    if r.get("claims") is not None:
        out.append(errors.field_forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    out += resource_validation.requirements(r, path, pod_level=True)
    if out:
        return out
    requests, limits = r.get("requests") or {}, r.get("limits") or {}
    for name, total in _aggregate_requests(spec).items():
        have = requests.get(name, "0")
        if quantity.compare(total, have) > 0:
            out.append(errors.field_invalid(f"{path}.requests[{name}]", quantity.canonical(have), (
                f"must be greater than or equal to aggregate container requests of {quantity.canonical(total)}")))
    for i, c in enumerate(spec.get("containers") or ()):
        for name, value in ((c.get("resources") or {}).get("limits") or {}).items():
            if name in limits and quantity.is_valid(value) and quantity.compare(value, limits[name]) > 0:
                out.append(errors.field_invalid(f"{path}.containers[{i}][{name}].limits", quantity.canonical(value), (
                    f"must be less than or equal to pod limits of {quantity.canonical(limits[name])}")))
    return out


def _aggregate_requests(spec: Spec) -> dict[str, str]:
    """Of the containers and sidecars together; or of an init container with the sidecars before it, if that is more."""
    def added(to: dict[str, str], c: Spec) -> dict[str, str]:
        out = dict(to)
        for name, value in ((c.get("resources") or {}).get("requests") or {}).items():
            if quantity.is_valid(value):
                out[name] = quantity.add(out[name], value) if name in out else quantity.canonical(value)
        return out

    most: dict[str, str] = {}
    sidecars: dict[str, str] = {}
    for c in spec.get("initContainers") or ():
        with_it = added(sidecars, c)
        if c.get("restartPolicy") == "Always":
            sidecars = with_it
        most = {name: max(most.get(name, "0"), with_it.get(name, "0"), key=quantity.nano) for name in {**most, **with_it}}
    total = sidecars
    for c in spec.get("containers") or ():
        total = added(total, c)
    return {name: max(total.get(name, "0"), most.get(name, "0"), key=quantity.nano) for name in {**total, **most}}


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
        out += check(f"{path}.nameservers[{i}]", server, names.ip(server))
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


def specific_annotations(notes: Mapping[str, str], spec: Spec, path: str) -> list[FieldError]:
    """Annotations of pods that mean something to upstream."""
    out: list[FieldError] = []
    cost = notes.get("controller.kubernetes.io/pod-deletion-cost")
    if cost is not None and not _is_int32(cost):
        out.append(errors.field_invalid(f"{path}[controller.kubernetes.io/pod-deletion-cost]", cost,
                                        "must be a 32bit integer"))
    return out + security_validation.old_annotations(notes, spec, path)


def _is_int32(text: str) -> bool:
    """As strconv.ParseInt, with no plus sign and no leading zeros, reads it."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(text)) == text and -2**31 <= int(text) < 2**31
