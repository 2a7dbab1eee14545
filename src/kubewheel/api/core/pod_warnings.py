"""What upstream warns of in pods and templates without refusing it.

In: Pod and PodTemplateSpec dicts. Out: Warning texts. Called by: pod.py, podtemplate.py, core/workload.py,
batch/job_spec.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubewheel.api import names, quantity
from kubewheel.api.core import volume_warnings
from kubewheel.api.core.node_warnings import DEPRECATED_NODE_LABELS, node_term
from kubewheel.api.core.security_validation import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD, every_container

Spec = Mapping[str, Any]

_OLD_ANNOTATIONS = (
    ("scheduler.alpha.kubernetes.io/critical-pod", 'non-functional in v1.16+; use the "priorityClassName" field instead'),
    ("security.alpha.kubernetes.io/sysctls", 'non-functional in v1.11+; use the "sysctls" field instead'),
    ("security.alpha.kubernetes.io/unsafe-sysctls", 'non-functional in v1.11+; use the "sysctls" field instead'),
)
_HARD, _SOFT = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
_NO_MATCH = "a null labelSelector results in matching no pod"


def name_as_hostname(meta: Spec, what: str) -> list[str]:
    """Names that are no DNS labels make odd hostnames. `what`: "Pod names and hostnames" …"""
    found = names.label(meta.get("name") or "")
    if not found:
        return []
    return [f"metadata.name: this is used in {what}, which can result in surprising behavior; a DNS label is "
            f"recommended: [{' '.join(found)}]"]


def of_pod(pod: Spec) -> list[str]:
    out = name_as_hostname(pod.get("metadata") or {}, "the Pod's hostname")
    return out + of_template(pod, "", is_pod=True)


def of_template(template: Spec, path: str, *, is_pod: bool = False) -> list[str]:
    """`path`: of the template ("spec.template"); "" for a pod itself."""
    spec, notes = template.get("spec") or {}, (template.get("metadata") or {}).get("annotations") or {}
    at = f"{path}.spec" if path else "spec"
    out = _placement(spec, at)
    if notes:
        meta = f"{path}.metadata" if path else "metadata"
        out += [f"{meta}.annotations[{key}]: {text}" for key, text in _OLD_ANNOTATIONS if key in notes]
    if spec.get("volumes"):
        out += volume_warnings.of_volumes(spec["volumes"], f"{at}.volumes")
    out += _lists(spec, at)
    if notes:
        out += _profiles(spec, notes, f"{path}.metadata.annotations" if path else "metadata.annotations", is_pod)
    for c, where in every_container(spec, at):
        out += _container(c, where)
    out += _ports(spec, at)
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        out.append(f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated "
                   "as 1")
    return out + _affinity(spec, at)


# -- where it runs ----------------------------------------------------------------------------------------------------
def _placement(spec: Spec, path: str) -> list[str]:
    out = [f"{path}.nodeSelector[{key}]: {DEPRECATED_NODE_LABELS[key]}"
           for key in spec.get("nodeSelector") or () if key in DEPRECATED_NODE_LABELS]
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    for i, term in enumerate((node.get(_HARD) or {}).get("nodeSelectorTerms") or ()):
        out += node_term(term, f"{path}.affinity.nodeAffinity.{_HARD}.nodeSelectorTerms[{i}]")
    for i, term in enumerate(node.get(_SOFT) or ()):
        out += node_term(term.get("preference") or {}, f"{path}.affinity.nodeAffinity.{_SOFT}[{i}].preference",
                         values=True)
    for i, t in enumerate(spec.get("topologySpreadConstraints") or ()):
        where, key = f"{path}.topologySpreadConstraints[{i}]", t.get("topologyKey") or ""
        if key in DEPRECATED_NODE_LABELS:
            out.append(f"{where}.topologyKey: {key} is {DEPRECATED_NODE_LABELS[key]}")
        if t.get("labelSelector") is None:
            out.append(f"{where}.labelSelector: {_NO_MATCH}")
    return out


def _affinity(spec: Spec, path: str) -> list[str]:
    out: list[str] = []
    for side in ("podAffinity", "podAntiAffinity"):
        if pods := (spec.get("affinity") or {}).get(side):
            where = f"{path}.affinity.{side}"
            out += [f"{where}.{_HARD}[{i}].labelSelector: {_NO_MATCH}" for i, t in enumerate(pods.get(_HARD) or ())
                    if t.get("labelSelector") is None]
            out += [f"{where}.{_SOFT}[{i}].podAffinityTerm.labelSelector: {_NO_MATCH}"
                    for i, t in enumerate(pods.get(_SOFT) or ())
                    if (t.get("podAffinityTerm") or {}).get("labelSelector") is None]
    return out


# -- lists that name something twice ------------------------------------------------------------------------------------
def _lists(spec: Spec, path: str) -> list[str]:
    out = [f'{path}.hostAliases[{i}].ip: duplicate ip "{ip}"' for i, ip in _twice(spec.get("hostAliases"), "ip")]
    secrets = spec.get("imagePullSecrets")
    out += [f'{path}.imagePullSecrets[{i}].name: duplicate name "{name}"' for i, name in _twice(secrets, "name")]
    out += [f'{path}.imagePullSecrets[{i}].name: invalid empty name ""'
            for i, s in enumerate(secrets or ()) if not s.get("name")]
    if overhead := spec.get("overhead"):
        out += _fractions(overhead, f"{path}.overhead")
    return out


def _twice(items: Any, field: str) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for i, item in enumerate(items or ()):
        value = item.get(field) or ""
        if value in seen:
            yield i, value
        seen.add(value)


def _fractions(amounts: Spec, path: str) -> list[str]:
    return [f'{path}[{name}]: fractional byte value "{quantity.canonical(amounts[name])}" is invalid, must be an integer'
            for name in ("memory", "ephemeral-storage")
            if name in amounts and quantity.is_valid(amounts[name]) and quantity.milli(amounts[name]) % 1000]


# -- containers ---------------------------------------------------------------------------------------------------------
def _profiles(spec: Spec, notes: Spec, path: str, is_pod: bool) -> list[str]:
    out: list[str] = []
    context = spec.get("securityContext") or {}
    seccomp = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    if SECCOMP_POD in notes and context.get("seccompProfile") is None:
        out.append(f"{path}[{SECCOMP_POD}]: {seccomp}")
    for c, _ in every_container(spec, ""):
        own, key = c.get("securityContext") or {}, SECCOMP_CONTAINER + (c.get("name") or "")
        if key in notes and own.get("seccompProfile") is None:
            out.append(f"{path}[{key}]: {seccomp}")
        key = APP_ARMOR + (c.get("name") or "")
        if not is_pod and key in notes and not (context.get("appArmorProfile") or own.get("appArmorProfile")):
            out.append(f'{path}[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead')
    return out


def _container(c: Spec, path: str) -> list[str]:
    out: list[str] = []
    if resources := c.get("resources"):
        for name in ("memory", "ephemeral-storage"):
            for side in ("limits", "requests"):
                amounts = resources.get(side) or {}
                if name in amounts:
                    out += _fractions({name: amounts[name]}, f"{path}.resources.{side}")
    if len(env := c.get("env") or ()) > 1:
        seen: set[str] = set()
        for i, e in enumerate(env):
            name, value = e.get("name") or "", e.get("value") or ""
            reference = f"$({name})"
            if name in seen and (e.get("valueFrom") is not None or value == reference or reference not in value):
                out.append(f'{path}.env[{i}]: hides previous definition of "{name}", which may be dropped when using '
                           "apply")
            seen.add(name)
    return out


def _ports(spec: Spec, path: str) -> list[str]:
    out: list[str] = []
    known: dict[tuple[Any, Any], list[tuple[str, Spec]]] = {}
    for c, where in every_container(spec, path):
        for i, p in enumerate(c.get("ports") or ()):
            at = f"{where}.ports[{i}]"
            if p.get("hostIP") and not p.get("hostPort"):
                out.append(f"{at}: hostIP set without hostPort: {_go_port(p)}")
            others = known.setdefault((p.get("containerPort"), p.get("protocol")), [])
            out += [text for other, q in others if (text := _clash(at, p, other, q))]
            others.append((at, p))
    return out


def _clash(at: str, p: Spec, other: str, q: Spec) -> str:
    ip, port, other_ip, other_port = (p.get("hostIP") or "", p.get("hostPort") or 0, q.get("hostIP") or "",
                                      q.get("hostPort") or 0)
    if (ip, port) == (other_ip, other_port):
        return f"{at}: duplicate port definition with {other}"
    if not port or not other_port:
        return f"{at}: overlapping port definition with {other}"
    if port == other_port and bool(ip) != bool(other_ip):
        return f"{at}: dangerously ambiguous port definition with {other}"
    return ""


def _go_port(p: Spec) -> str:
    """A ContainerPort as Go's %+v prints it."""
    return (f"{{Name:{p.get('name') or ''} HostPort:{p.get('hostPort') or 0} ContainerPort:{p.get('containerPort') or 0} "
            f"Protocol:{p.get('protocol') or ''} HostIP:{p.get('hostIP') or ''}}}")
