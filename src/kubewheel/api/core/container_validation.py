"""Rules of containers, init containers and ephemeral containers.

In: PodSpec dicts and the volumes they may mount. Out: FieldError lists. Called by: pod_spec_validation.py.
The parts: env_validation.py, probe_validation.py, resource_validation.py, security_validation.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kubewheel.api import errors, names
from kubewheel.api.core import (
    env_validation,
    path_validation,
    probe_validation,
    resource_validation,
    security_validation,
)
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")


class Around(NamedTuple):
    """What of the pod matters to the rules of a container."""

    volumes: Spec  # by name
    claims: Collection[str]  # names in spec.resourceClaims
    grace: int | None
    restart_policy: str
    host_users: bool
    os: str | None  # spec.os.name


def around(spec: Spec, volumes: Spec) -> Around:
    return Around(volumes, {c.get("name") for c in spec.get("resourceClaims") or () if c.get("name")},
                  spec.get("terminationGracePeriodSeconds"), spec.get("restartPolicy") or "",
                  spec.get("hostUsers") is not False, (spec.get("os") or {}).get("name"))


def containers(spec: Spec, pod: Around, path: str) -> list[FieldError]:
    every = spec.get("containers") or ()
    where = f"{path}.containers"
    if not every:
        return [errors.field_required(where)]
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, c in enumerate(every):
        at = f"{where}[{i}]"
        out += _common(c, pod, at)
        if (c.get("name") or "") in seen:
            out.append(errors.field_duplicate(f"{at}.name", c.get("name") or ""))
        seen.add(c.get("name") or "")
        out += _hooks_and_probes(c, pod, at)
        if c.get("restartPolicy") is not None or c.get("restartPolicyRules"):
            out += _restart(c, at)
    return out + _host_ports(every, where)


def init_containers(spec: Spec, pod: Around, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    where = f"{path}.initContainers"
    seen = {c.get("name") or "" for c in spec.get("containers") or ()}
    for i, c in enumerate(spec.get("initContainers") or ()):
        at, name = f"{where}[{i}]", c.get("name") or ""
        out += _common(c, pod, at)
        if c.get("restartPolicy") is not None:
            out += _restart(c, at)
        elif c.get("restartPolicyRules"):
            out.append(errors.field_required(f"{at}.restartPolicy",
                                             "must specify restartPolicy when restart rules are used"))
        if name in seen:
            out.append(errors.field_duplicate(f"{at}.name", name))
        elif name:
            seen.add(name)
        out += _host_ports((c,), where)
        if c.get("restartPolicy") == "Always":
            out += _hooks_and_probes(c, pod, at)
        else:
            out += [errors.field_forbidden(f"{at}.{field}",
                                           "may not be set for init containers without restartPolicy=Always")
                    for field in ("lifecycle", *probe_validation.PROBES) if c.get(field) is not None]
            out += [errors.field_invalid(f"{at}.resizePolicy[{j}].restartPolicy", "RestartContainer", (
                        "must not be set to 'RestartContainer' for non-sidecar initContainers"))
                    for j, p in enumerate(c.get("resizePolicy") or ()) if p.get("restartPolicy") == "RestartContainer"]
    return out


# Of an ephemeral container all else is refused, in the order of the type's fields.
_NOT_EPHEMERAL = ("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe",
                  "readinessProbe", "startupProbe", "lifecycle")


def ephemeral(spec: Spec, pod: Around, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    others = {c.get("name") or "" for key in ("containers", "initContainers") for c in spec.get(key) or ()}
    seen = set(others)
    for i, c in enumerate(spec.get("ephemeralContainers") or ()):
        where, name = f"{path}[{i}]", c.get("name") or ""
        out += _common(c, pod, where) + trimmed_image(c, where)
        if name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
        target = c.get("targetContainerName")
        if target and target not in others:
            out.append(errors.field_not_found(f"{where}.targetContainerName", target))
        out += [errors.field_forbidden(f"{where}.{field}", "cannot be set for an Ephemeral Container")
                for field in _NOT_EPHEMERAL if c.get(field)]
        for j, m in enumerate(c.get("volumeMounts") or ()):
            out += [errors.field_forbidden(f"{where}.volumeMounts[{j}].{field}",
                                           "cannot be set for an Ephemeral Container")
                    for field in ("subPath", "subPathExpr") if m.get(field)]
    return out


def trimmed_image(c: Spec, path: str) -> list[FieldError]:
    """Of pods only: templates may have what somebody replaces later."""
    image = c.get("image") or ""
    if image.strip() == image:
        return []
    return [errors.field_invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _host_ports(every: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    taken: set[str] = set()
    for i, c in enumerate(every):
        for j, p in enumerate(c.get("ports") or ()):
            if number := p.get("hostPort"):
                key = f"{p.get('protocol')}/{p.get('hostIP') or ''}/{number}"
                if key in taken:
                    out.append(errors.field_duplicate(f"{path}[{i}].ports[{j}].hostPort", key))
                taken.add(key)
    return out


def _hooks_and_probes(c: Spec, pod: Around, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if (hooks := c.get("lifecycle")) is not None:
        out += probe_validation.lifecycle(hooks, f"{path}.lifecycle", pod.grace, pod.os)
    for kind in probe_validation.PROBES:
        if (p := c.get(kind)) is not None:
            out += probe_validation.probe(p, f"{path}.{kind}", kind, pod.grace)
    return out


_ACTIONS = ("Restart", "RestartAllContainers")
MAX_RULES, MAX_EXIT_CODES = 20, 255


def _restart(c: Spec, path: str) -> list[FieldError]:
    policy, rules = c.get("restartPolicy"), c.get("restartPolicyRules") or ()
    out: list[FieldError] = []
    if policy is None:
        out.append(errors.field_required(f"{path}.restartPolicy",
                                         "must specify restartPolicy when restart rules are used"))
    elif policy not in ("Always", "Never", "OnFailure"):
        out.append(errors.field_not_supported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure")))
    if len(rules) > MAX_RULES:
        out.append(errors.field_too_many(f"{path}.restartPolicyRules", len(rules), MAX_RULES))
    for i, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{i}]"
        if rule.get("action") not in _ACTIONS:
            out.append(errors.field_not_supported(f"{where}.action", rule.get("action") or "", _ACTIONS))
        codes = rule.get("exitCodes")
        if codes is None:
            out.append(errors.field_required(f"{where}.exitCodes", "must be specified"))
            continue
        if codes.get("operator") not in ("In", "NotIn"):
            out.append(errors.field_not_supported(f"{where}.exitCodes.operator", codes.get("operator") or "",
                                                  ("In", "NotIn")))
        if len(codes.get("values") or ()) > MAX_EXIT_CODES:
            out.append(errors.field_too_many(f"{where}.exitCodes.values", len(codes["values"]), MAX_EXIT_CODES))
    return out


def _common(c: Spec, pod: Around, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    name = c.get("name") or ""
    if not name:
        out.append(errors.field_required(f"{path}.name"))
    elif found := names.label(name):
        out += check(f"{path}.name", name, found)
    if not c.get("image"):
        out.append(errors.field_required(f"{path}.image"))
    if (policy := c.get("terminationMessagePolicy")) not in _MESSAGE_POLICIES:
        out.append(errors.field_not_supported(f"{path}.terminationMessagePolicy", policy, _MESSAGE_POLICIES,
                                              ordered=True) if policy else
                   errors.field_required(f"{path}.terminationMessagePolicy"))
    mounts, devices = c.get("volumeMounts"), c.get("volumeDevices")
    if items := c.get("ports"):
        out += _ports(items, f"{path}.ports")
    if items := c.get("env"):
        out += env_validation.env(items, f"{path}.env")
    if items := c.get("envFrom"):
        out += env_validation.env_from(items, f"{path}.envFrom")
    if mounts:
        out += _mounts(mounts, devices or (), pod.volumes, c, f"{path}.volumeMounts")
    if devices:
        out += _devices(devices, mounts or (), pod.volumes, f"{path}.volumeDevices")
    if (pull := c.get("imagePullPolicy")) not in _PULL:
        out.append(errors.field_not_supported(f"{path}.imagePullPolicy", pull, _PULL) if pull else
                   errors.field_required(f"{path}.imagePullPolicy"))
    if r := c.get("resources"):
        out += resource_validation.requirements(r, f"{path}.resources", pod.claims)
    if items := c.get("resizePolicy"):
        out += _resize_policy(items, f"{path}.resizePolicy", pod.restart_policy)
    if context := c.get("securityContext"):
        out += security_validation.of_container(context, f"{path}.securityContext", host_users=pod.host_users)
    return out


def _ports(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, p in enumerate(items):
        where = f"{path}[{i}]"
        if name := p.get("name"):
            if found := names.port_name(name):
                out += check(f"{where}.name", name, found)
            elif name in seen:
                out.append(errors.field_duplicate(f"{where}.name", name))
            else:
                seen.add(name)
        if number := p.get("containerPort") or 0:
            out += check(f"{where}.containerPort", number, names.port(number))
        else:
            out.append(errors.field_required(f"{where}.containerPort"))
        if host := p.get("hostPort"):
            out += check(f"{where}.hostPort", host, names.port(host))
        if (protocol := p.get("protocol")) not in _PROTOCOLS:
            out.append(errors.field_not_supported(f"{where}.protocol", protocol, _PROTOCOLS) if protocol else
                       errors.field_required(f"{where}.protocol"))
    return out


def _resize_policy(items: Any, path: str, restart_policy: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, p in enumerate(items):
        name, policy = p.get("resourceName") or "", p.get("restartPolicy") or ""
        if name in seen:
            out.append(errors.field_duplicate(f"{path}[{i}]", name))
        seen.add(name)
        for value, allowed in ((name, ("cpu", "memory")), (policy, ("NotRequired", "RestartContainer"))):
            if not value:
                out.append(errors.field_required(path))
            elif value not in allowed:
                out.append(errors.field_not_supported(path, value, allowed))
        if restart_policy == "Never" and policy != "NotRequired":
            out.append(errors.field_invalid(path, policy,
                                            "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return out


# -- what is mounted ------------------------------------------------------------------------------------------------
def _mounts(items: Any, devices: Any, volumes: Spec, c: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    device_names, device_paths = {d.get("name") for d in devices}, {d.get("devicePath") for d in devices}
    for i, m in enumerate(items):
        where, name, at = f"{path}[{i}]", m.get("name") or "", m.get("mountPath") or ""
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        if name not in volumes:
            out.append(errors.field_not_found(f"{where}.name", name))
        if not at:
            out.append(errors.field_required(f"{where}.mountPath"))
        if at in seen:
            out.append(errors.field_invalid(f"{where}.mountPath", at, "must be unique"))
        seen.add(at)
        if name in device_names:
            out.append(errors.field_invalid(f"{where}.name", name, "must not already exist in volumeDevices"))
        if at in device_paths:
            out.append(errors.field_invalid(f"{where}.mountPath", at,
                                            "must not already exist as a path in volumeDevices"))
        if m.get("subPath") or m.get("subPathExpr"):
            out += _sub_paths(m, where, path)
        if (propagation := m.get("mountPropagation")) is not None:
            out += _propagation(propagation, c, f"{path}.mountPropagation")
        if m.get("recursiveReadOnly") is not None:
            out += _recursive_read_only(m, f"{path}.recursiveReadOnly")
    return out


def _sub_paths(m: Spec, where: str, path: str) -> list[FieldError]:
    """Of what is wrong with the text upstream names the list, not its element."""
    out: list[FieldError] = []
    sub, expression = m.get("subPath"), m.get("subPathExpr")
    if sub:
        out += path_validation.local(sub, f"{path}.subPath")
    if expression:
        if sub:
            out.append(errors.field_invalid(f"{where}.subPathExpr", expression,
                                            "subPathExpr and subPath are mutually exclusive"))
        out += path_validation.local(expression, f"{path}.subPathExpr")
    return out


def _propagation(value: str, c: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if value not in _PROPAGATIONS:
        out.append(errors.field_not_supported(path, value, _PROPAGATIONS))
    if value == "Bidirectional" and not (c.get("securityContext") or {}).get("privileged"):
        out.append(errors.field_forbidden(path, "Bidirectional mount propagation is available only to privileged "
                                                "containers"))
    return out


def _recursive_read_only(m: Spec, path: str) -> list[FieldError]:
    mode, propagation = m["recursiveReadOnly"], m.get("mountPropagation")
    if mode == "Disabled":
        return []
    if mode not in ("Enabled", "IfPossible"):
        return [errors.field_not_supported(path, mode, ("Disabled", "Enabled", "IfPossible"))]
    out: list[FieldError] = []
    if not m.get("readOnly"):
        out.append(errors.field_forbidden(path, "may only be specified when readOnly is true"))
    if propagation not in (None, "None"):
        out.append(errors.field_forbidden(path, "may only be specified when mountPropagation is None or not specified"))
    return out


def _devices(items: Any, mounts: Any, volumes: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    mount_names, mount_paths = {m.get("name") for m in mounts}, {m.get("mountPath") for m in mounts}
    for i, d in enumerate(items):
        where, name, at = f"{path}[{i}]", d.get("name") or "", d.get("devicePath") or ""
        volume = volumes.get(name)
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        if name in seen_names:
            out.append(errors.field_invalid(f"{where}.name", name, "must be unique"))
        if volume is None:
            out.append(errors.field_not_found(f"{where}.name", name))
        elif volume.get("persistentVolumeClaim") is None and volume.get("ephemeral") is None:
            out.append(errors.field_invalid(f"{where}.name", name, (
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")))
        if not at:
            out.append(errors.field_required(f"{where}.devicePath"))
        if at in seen_paths:
            out.append(errors.field_invalid(f"{where}.devicePath", at, "must be unique"))
        if ".." in at.split("/"):
            out.append(errors.field_invalid(f"{where}.devicePath", at, "can not contain backsteps ('..')"))
        else:
            seen_paths.add(at)
        if name in mount_names:
            out.append(errors.field_invalid(f"{where}.name", name, "must not already exist in volumeMounts"))
        if at in mount_paths:
            out.append(errors.field_invalid(f"{where}.devicePath", at,
                                            "must not already exist as a path in volumeMounts"))
        if name:
            seen_names.add(name)
    return out
