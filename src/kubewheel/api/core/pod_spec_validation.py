"""Rules of a pod's spec, shared by pods and templates. Containers' rules: container_validation.py.

In: PodSpec dicts after defaulting. Out: FieldError lists. Called by: pod_validation.py, the workloads' files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.core import container_validation
from kubewheel.api.core.container_validation import resources
from kubewheel.api.core.volume_validation import volumes
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

__all__ = ["ephemeral", "pod_spec", "pod_template", "resources", "tolerations"]

Spec = Mapping[str, Any]
_RESTART = ("Always", "Never", "OnFailure")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")


def pod_spec(spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    known: dict[str, Any] = {}
    if spec.get("volumes"):
        known, found = volumes(spec["volumes"], f"{path}.volumes")
        out += found
    out += container_validation.containers(spec, known, path)
    out += validation.one_of(spec.get("restartPolicy"), _RESTART, f"{path}.restartPolicy")
    out += validation.one_of(spec.get("dnsPolicy"), _DNS, f"{path}.dnsPolicy")
    if (grace := spec.get("terminationGracePeriodSeconds")) is None:
        out.append(errors.field_required(f"{path}.terminationGracePeriodSeconds"))
    elif grace < 0:
        out.append(errors.field_invalid(f"{path}.terminationGracePeriodSeconds", grace, validation.NEGATIVE))
    if (deadline := spec.get("activeDeadlineSeconds")) is not None and not 1 <= deadline <= 2**31 - 1:
        out.append(errors.field_invalid(f"{path}.activeDeadlineSeconds", deadline,
                                        "must be between 1 and 2147483647, inclusive"))
    for field, rule in (("serviceAccountName", names.subdomain), ("nodeName", names.subdomain),
                        ("priorityClassName", names.subdomain), ("runtimeClassName", names.subdomain),
                        ("hostname", names.label), ("subdomain", names.label), ("schedulerName", names.qualified)):
        if value := spec.get(field):
            out += check(f"{path}.{field}", value, rule(value))
    if pairs := spec.get("nodeSelector"):
        out += validation.validate_labels(pairs, f"{path}.nodeSelector")
    if items := spec.get("tolerations"):
        out += tolerations(items, f"{path}.tolerations")
    if items := spec.get("topologySpreadConstraints"):
        out += _spread(items, f"{path}.topologySpreadConstraints")
    if affinity := spec.get("affinity"):
        out += _affinity(affinity, f"{path}.affinity")
    out += _host(spec, path)
    out += _gates(spec, path)
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        out.append(errors.field_required(f"{path}.dnsConfig.nameservers", (
            "must provide at least one DNS nameserver when `dnsPolicy` is None")))
    return out


def ephemeral(spec: Spec, path: str) -> list[FieldError]:
    known = {v.get("name"): v for v in spec.get("volumes") or ()}
    return container_validation.ephemeral(spec, known, path)


def pod_template(template: Spec | None, path: str) -> list[FieldError]:
    """Metadata and spec of a template inside a workload."""
    if not template:
        return [errors.field_required(path)]
    out = pod_template_metadata(template, path)
    spec = template.get("spec") or {}
    out += pod_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        out.append(errors.field_forbidden(f"{path}.spec.ephemeralContainers",
                                          "ephemeral containers not allowed in pod template"))
    return out


def pod_template_metadata(template: Spec, path: str) -> list[FieldError]:
    meta = template.get("metadata") or {}
    return [*validation.validate_labels(meta.get("labels") or {}, f"{path}.labels"),
            *validation.validate_annotations(meta.get("annotations") or {}, f"{path}.annotations")]


def _host(spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    security = spec.get("securityContext") or {}
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        out.append(errors.field_invalid(f"{path}.shareProcessNamespace", True,
                                        "ShareProcessNamespace and HostPID cannot both be enabled"))
    if spec.get("hostUsers") is False:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(field):
                out.append(errors.field_forbidden(f"{path}.hostUsers", f"when `{field}` is true, `hostUsers` must not "
                                                  "be set to `false`"))
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        value = security.get(field)
        if isinstance(value, int) and not 0 <= value <= 2**31 - 1:
            out.append(errors.field_invalid(f"{path}.securityContext.{field}", value,
                                            "must be between 0 and 2147483647, inclusive"))
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        out += check(f"{path}.hostAliases[{i}].ip", alias.get("ip") or "", names.ip(alias.get("ip") or ""))
        for j, host in enumerate(alias.get("hostnames") or ()):
            out += check(f"{path}.hostAliases[{i}].hostnames[{j}]", host, names.subdomain(host))
    seen: set[str] = set()
    for i, sysctl in enumerate(security.get("sysctls") or ()):
        name = sysctl.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{path}.securityContext.sysctls[{i}].name"))
        elif name in seen:
            out.append(errors.field_duplicate(f"{path}.securityContext.sysctls[{i}].name", name))
        seen.add(name)
    return out


def _gates(spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name") or ""
        out += check(f"{path}.schedulingGates[{i}].name", name, names.qualified(name))
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.schedulingGates[{i}].name", name))
        seen.add(name)
    if spec.get("schedulingGates") and spec.get("nodeName"):
        out.append(errors.field_forbidden(f"{path}.nodeName",
                                          "cannot be set until all schedulingGates have been cleared"))
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        out += check(f"{path}.readinessGates[{i}].conditionType", kind, names.qualified(kind))
    return out


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def tolerations(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, t in enumerate(items):
        where, key, operator = f"{path}[{i}]", t.get("key") or "", t.get("operator") or ""
        if key:
            out += check(f"{where}.key", key, names.qualified(key))
        elif operator != "Exists":
            out.append(errors.field_invalid(f"{where}.operator", operator,
                                            "operator must be Exists when `key` is empty, "
                                            "which means \"match all values and all keys\""))
        if t.get("tolerationSeconds") is not None and t.get("effect") != "NoExecute":
            out.append(errors.field_invalid(f"{where}.effect", t.get("effect") or "",
                                            "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            out += check(f"{where}.operator", t.get("value") or "", names.label_value(t.get("value") or ""))
        elif operator == "Exists":
            if t.get("value"):
                out.append(errors.field_invalid(f"{where}.operator", t["value"],
                                                "value must be empty when `operator` is 'Exists'"))
        elif operator not in ("Lt", "Gt"):
            out.append(errors.field_not_supported(f"{where}.operator", operator, ("Equal", "Exists")))
        if t.get("effect") and t["effect"] not in _EFFECTS:
            out.append(errors.field_not_supported(f"{where}.effect", t["effect"], _EFFECTS))
    return out


def _spread(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    for i, c in enumerate(items):
        where = f"{path}[{i}]"
        if (c.get("maxSkew") or 0) <= 0:
            out.append(errors.field_invalid(f"{where}.maxSkew", c.get("maxSkew"), "must be greater than zero"))
        if not c.get("topologyKey"):
            out.append(errors.field_required(f"{where}.topologyKey", "can not be empty"))
        out += validation.one_of(c.get("whenUnsatisfiable") or "", ("DoNotSchedule", "ScheduleAnyway"),
                                 f"{where}.whenUnsatisfiable", required=False)
        pair = (c.get("topologyKey"), c.get("whenUnsatisfiable"))
        if pair in seen:
            out.append(errors.field_duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}",
                                              "{" + ", ".join(str(p) for p in pair) + "}"))
        seen.add(pair)
        if (least := c.get("minDomains")) is not None:
            if least <= 0:
                out.append(errors.field_invalid(f"{where}.minDomains", least, "must be greater than zero"))
            if c.get("whenUnsatisfiable") != "DoNotSchedule":
                out.append(errors.field_invalid(f"{where}.minDomains", least, (
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
                    f"{c.get('whenUnsatisfiable')}")))
        out += validation.validate_selector(c.get("labelSelector"), f"{where}.labelSelector")
    return out


_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def _node_term(term: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, e in enumerate(term.get("matchExpressions") or ()):
        where, operator, count = f"{path}.matchExpressions[{i}]", e.get("operator"), len(e.get("values") or ())
        if operator in ("In", "NotIn") and not count:
            out.append(errors.field_required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and count:
            out.append(errors.field_forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or "
                                              "'DoesNotExist'"))
        elif operator in ("Gt", "Lt") and count != 1:
            out.append(errors.field_required(f"{where}.values",
                                             "must be specified single value when `operator` is 'Lt' "
                                             "or 'Gt'"))
        elif operator not in _NODE_OPERATORS:
            out.append(errors.field_invalid(f"{where}.operator", operator or "", "not a valid selector operator"))
        out += check(f"{where}.key", e.get("key") or "", names.qualified(e.get("key") or ""))
    for i, e in enumerate(term.get("matchFields") or ()):
        if e.get("key") != "metadata.name":
            out.append(errors.field_invalid(f"{path}.matchFields[{i}].key", e.get("key"),
                                            "not a valid field selector key"))
    return out


def node_selector(selector: Spec, path: str) -> list[FieldError]:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        return [errors.field_required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    return [f for i, t in enumerate(terms) for f in _node_term(t, f"{path}.nodeSelectorTerms[{i}]")]


def _weight(value: Any, path: str) -> list[FieldError]:
    return [] if 1 <= (value or 0) <= 100 else [errors.field_invalid(path, value, "must be in the range 1-100")]


def _affinity(affinity: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    hard, soft = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
    if node := affinity.get("nodeAffinity"):
        where = f"{path}.nodeAffinity"
        if node.get(hard) is not None:
            out += node_selector(node[hard], f"{where}.{hard}")
        for i, t in enumerate(node.get(soft) or ()):
            out += _weight(t.get("weight"), f"{where}.{soft}[{i}].weight")
            out += _node_term(t.get("preference") or {}, f"{where}.{soft}[{i}].preference")
    for side in ("podAffinity", "podAntiAffinity"):
        if pods := affinity.get(side):
            for i, t in enumerate(pods.get(hard) or ()):
                out += _pod_term(t, f"{path}.{side}.{hard}[{i}]")
            for i, t in enumerate(pods.get(soft) or ()):
                out += _weight(t.get("weight"), f"{path}.{side}.{soft}[{i}].weight")
                out += _pod_term(t.get("podAffinityTerm") or {}, f"{path}.{side}.{soft}[{i}].podAffinityTerm")
    return out


def _pod_term(term: Spec, path: str) -> list[FieldError]:
    out = validation.validate_selector(term.get("labelSelector"), f"{path}.labelSelector")
    out += validation.validate_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        out += check(f"{path}.namespace", name, names.label(name))
    key = term.get("topologyKey") or ""
    if not key:
        out.append(errors.field_required(f"{path}.topologyKey", "can not be empty"))
    out += check(f"{path}.topologyKey", key, names.qualified(key))
    return out
