"""Rules of containers, init containers and ephemeral containers.

In: PodSpec dicts and the volumes they may mount. Out: FieldError lists. Called by: pod_spec_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_STANDARD = ("cpu", "memory", "ephemeral-storage", "storage")


def containers(spec: Spec, volumes: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    every = spec.get("containers") or ()
    if not every:
        return [errors.field_required(f"{path}.containers")]
    seen: set[str] = set()
    for i, c in enumerate(every):
        where = f"{path}.containers[{i}]"
        out += _container(c, volumes, where, seen)
        for key in ("livenessProbe", "readinessProbe", "startupProbe"):
            if (probe := c.get(key)) is not None:
                out += _probe(probe, f"{where}.{key}", key)
        out += _lifecycle(c, where)
    for i, c in enumerate(spec.get("initContainers") or ()):
        where = f"{path}.initContainers[{i}]"
        out += _container(c, volumes, where, seen)
        sidecar = c.get("restartPolicy") == "Always"
        for key in ("livenessProbe", "readinessProbe", "startupProbe"):
            if (probe := c.get(key)) is not None:
                if sidecar:
                    out += _probe(probe, f"{where}.{key}", key)
                else:
                    out.append(errors.field_forbidden(f"{where}.{key}", "may not be set for init containers without "
                                                      "restartPolicy=Always"))
        if c.get("lifecycle") is not None and not sidecar:
            out.append(errors.field_forbidden(f"{where}.lifecycle", "may not be set for init containers without "
                                              "restartPolicy=Always"))
    return out + _host_ports(every, path)


def _host_ports(every: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    taken: set[tuple[Any, Any, Any]] = set()
    for i, c in enumerate(every):
        for j, p in enumerate(c.get("ports") or ()):
            if number := p.get("hostPort"):
                key = (p.get("protocol"), p.get("hostIP"), number)
                if key in taken:
                    out.append(errors.field_duplicate(f"{path}.containers[{i}].ports[{j}].hostPort",
                                                      f"{p.get('protocol')}/{p.get('hostIP') or ''}/{number}"))
                taken.add(key)
    return out


def ephemeral(spec: Spec, volumes: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen = {c.get("name", "") for key in ("containers", "initContainers") for c in spec.get(key) or ()}
    targets = {c.get("name") for c in spec.get("containers") or ()} | {
        c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    for i, c in enumerate(spec.get("ephemeralContainers") or ()):
        where = f"{path}[{i}]"
        out += _container(c, volumes, where, seen)
        target = c.get("targetContainerName")
        if target and target not in targets:
            out.append(errors.field_not_found(f"{where}.targetContainerName", target))
        for field in ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
            if c.get(field):
                out.append(errors.field_forbidden(f"{where}.{field}",
                                                  "cannot be set for an Ephemeral Container"))
        if c.get("resources"):
            out.append(errors.field_forbidden(f"{where}.resources", "cannot be set for an Ephemeral Container"))
        for j, m in enumerate(c.get("volumeMounts") or ()):
            if m.get("subPath"):
                out.append(errors.field_forbidden(f"{where}.volumeMounts[{j}].subPath",
                                                  "cannot be set for an Ephemeral Container"))
    return out


def _container(c: Spec, volumes: Spec, path: str, seen: set[str]) -> list[FieldError]:
    out: list[FieldError] = []
    name = c.get("name") or ""
    if not name:
        out.append(errors.field_required(f"{path}.name"))
    else:
        if found := names.label(name):
            out += check(f"{path}.name", name, found)
        if name in seen:
            out.append(errors.field_duplicate(f"{path}.name", name))
        seen.add(name)
    image = c.get("image") or ""
    if not image:
        out.append(errors.field_required(f"{path}.image"))
    elif image.strip() != image:
        out.append(errors.field_invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if c.get("terminationMessagePolicy") not in ("File", "FallbackToLogsOnError"):
        out += validation.one_of(c.get("terminationMessagePolicy"), ("File", "FallbackToLogsOnError"),
                                 f"{path}.terminationMessagePolicy")
    if c.get("imagePullPolicy") not in _PULL:
        out += validation.one_of(c.get("imagePullPolicy"), _PULL, f"{path}.imagePullPolicy")
    if items := c.get("ports"):
        out += _ports(items, f"{path}.ports")
    if items := c.get("env"):
        out += _env(items, f"{path}.env")
    for i, source in enumerate(c.get("envFrom") or ()):
        out += _env_from(source, f"{path}.envFrom[{i}]")
    if items := c.get("volumeMounts"):
        out += _mounts(items, volumes, f"{path}.volumeMounts")
    for i, d in enumerate(c.get("volumeDevices") or ()):
        if (d.get("name") or "") not in volumes:
            out.append(errors.field_not_found(f"{path}.volumeDevices[{i}].name", d.get("name") or ""))
    if r := c.get("resources"):
        out += resources(r, f"{path}.resources")
    if context := c.get("securityContext"):
        out += _security(context, f"{path}.securityContext")
    return out


def _ports(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, p in enumerate(items):
        where = f"{path}[{i}]"
        if name := p.get("name"):
            found = names.port_name(name)
            if found:
                out += check(f"{where}.name", name, found)
            elif name in seen:
                out.append(errors.field_duplicate(f"{where}.name", name))
            seen.add(name)
        number = p.get("containerPort") or 0
        if number == 0:
            out.append(errors.field_required(f"{where}.containerPort"))
        else:
            out += check(f"{where}.containerPort", number, names.port(number))
        if host := p.get("hostPort"):
            out += check(f"{where}.hostPort", host, names.port(host))
        if p.get("protocol") not in _PROTOCOLS:
            out += validation.one_of(p.get("protocol"), _PROTOCOLS, f"{where}.protocol")
    return out


_FIELDS = ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
           "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _env(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, e in enumerate(items):
        where, name = f"{path}[{i}]", e.get("name") or ""
        if not name:
            out.append(errors.field_required(f"{where}.name"))
        else:
            out += check(f"{where}.name", name, names.env_name(name))
        source = e.get("valueFrom")
        if source is None:
            continue
        have = [s for s in _SOURCES if source.get(s) is not None]
        if e.get("value") and have:
            out.append(errors.field_invalid(f"{where}.valueFrom", "", "may not be specified when `value` is not empty"))
        if not have:
            out.append(errors.field_invalid(f"{where}.valueFrom", "", (
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                "`fileKeyRef`")))
        elif len(have) > 1:
            out.append(errors.field_invalid(f"{where}.valueFrom", "",
                                            "may not have more than one field specified at a time"))
        out += _env_source(source, f"{where}.valueFrom")
    return out


def _env_source(source: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if (ref := source.get("fieldRef")) is not None:
        field = ref.get("fieldPath") or ""
        if not field:
            out.append(errors.field_required(f"{path}.fieldRef.fieldPath"))
        elif field not in _FIELDS and not field.startswith(("metadata.labels[", "metadata.annotations[")):
            out.append(errors.field_not_supported(f"{path}.fieldRef.fieldPath", field, _FIELDS))
    if (ref := source.get("resourceFieldRef")) is not None and not ref.get("resource"):
        out.append(errors.field_required(f"{path}.resourceFieldRef.resource"))
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if (ref := source.get(kind)) is not None:
            if not ref.get("key"):
                out.append(errors.field_required(f"{path}.{kind}.key"))
            else:
                out += check(f"{path}.{kind}.key", ref["key"], names.config_key(ref["key"]))
    return out


def _env_from(source: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if prefix := source.get("prefix"):
        out += check(f"{path}.prefix", prefix, names.env_name(prefix))
    have = [k for k in ("configMapRef", "secretRef") if source.get(k) is not None]
    for kind in have:
        if not source[kind].get("name"):
            out.append(errors.field_required(f"{path}.{kind}.name"))
    if not have:
        out.append(errors.field_invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
    elif len(have) > 1:
        out.append(errors.field_invalid(path, "", "may not have more than one field specified at a time"))
    return out


def _mounts(items: Any, volumes: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
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
        for field in ("subPath", "subPathExpr"):
            if sub := m.get(field):
                out += local_path(sub, f"{where}.{field}")
        if m.get("subPath") and m.get("subPathExpr"):
            out.append(errors.field_invalid(f"{where}.subPathExpr", m["subPathExpr"],
                                            "subPathExpr and subPath are mutually exclusive"))
    return out


def local_path(text: str, path: str) -> list[FieldError]:
    """A path below a volume's root."""
    if text.startswith("/"):
        return [errors.field_invalid(path, text, "must be a relative path")]
    if ".." in text.split("/"):
        return [errors.field_invalid(path, text, "must not contain '..'")]
    return []


def resources(r: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    requests, limits = r.get("requests") or {}, r.get("limits") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            out += resource_name(name, f"{path}.{side}[{name}]")
            out += validation.validate_quantity(amount, f"{path}.{side}[{name}]")
    if out:
        return out
    for name, amount in requests.items():
        if name in limits:
            if _is_extended(name) and quantity.compare(amount, limits[name]):
                out.append(errors.field_invalid(f"{path}.requests", quantity.canonical(amount), (
                    f"must be equal to {name} limit of {quantity.canonical(limits[name])}")))
            elif quantity.compare(amount, limits[name]) > 0:
                out.append(errors.field_invalid(f"{path}.requests", quantity.canonical(amount), (
                    f"must be less than or equal to {name} limit of {quantity.canonical(limits[name])}")))
        elif _is_extended(name):
            out.append(errors.field_required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    return out


def _is_extended(name: str) -> bool:
    return name.startswith("hugepages-") or ("/" in name and not name.partition("/")[0].endswith("kubernetes.io"))


def resource_name(name: str, path: str) -> list[FieldError]:
    if name in _STANDARD or name.startswith("hugepages-"):
        return []
    found = names.qualified(name)
    if found:
        return check(path, name, found)
    if "/" not in name:
        return [errors.field_invalid(path, name, "must be a standard resource for containers")]
    return []


def _security(context: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for field in ("runAsUser", "runAsGroup"):
        value = context.get(field)
        if isinstance(value, int) and not 0 <= value <= 2**31 - 1:
            out.append(errors.field_invalid(f"{path}.{field}", value, "must be between 0 and 2147483647, inclusive"))
    if context.get("allowPrivilegeEscalation") is False and context.get("privileged"):
        out.append(errors.field_invalid(path, context,
                                        "cannot set `allowPrivilegeEscalation` to false and `privileged` "
                                        "to true"))
    if context.get("allowPrivilegeEscalation") is False and "SYS_ADMIN" in (
            (context.get("capabilities") or {}).get("add") or ()):
        out.append(errors.field_invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and "
                                        "`capabilities.Add` CAP_SYS_ADMIN"))
    return out


def _probe(probe: Spec, path: str, kind: str) -> list[FieldError]:
    out = _handler(probe, path, ("exec", "httpGet", "tcpSocket", "grpc"))
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        out += validation.non_negative(probe.get(field), f"{path}.{field}")
    if (grace := probe.get("terminationGracePeriodSeconds")) is not None:
        if kind == "readinessProbe":
            out.append(errors.field_invalid(f"{path}.terminationGracePeriodSeconds", grace,
                                            "must not be set for readinessProbes"))
        elif grace <= 0:
            out.append(errors.field_invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if kind != "readinessProbe" and probe.get("successThreshold") != 1:
        out.append(errors.field_invalid(f"{path}.successThreshold", probe.get("successThreshold"), "must be 1"))
    return out


def _lifecycle(c: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if (handler := (c.get("lifecycle") or {}).get(hook)) is not None:
            out += _handler(handler, f"{path}.lifecycle.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"))
    return out


def _handler(handler: Spec, path: str, kinds: tuple[str, ...]) -> list[FieldError]:
    out: list[FieldError] = []
    have = [k for k in kinds if handler.get(k) is not None]
    if not have:
        out.append(errors.field_required(path, "must specify a handler type"))
    for extra in have[1:]:
        out.append(errors.field_forbidden(f"{path}.{extra}", "may not specify more than 1 handler type"))
    if (command := handler.get("exec")) is not None and not command.get("command"):
        out.append(errors.field_required(f"{path}.exec.command"))
    if (get := handler.get("httpGet")) is not None:
        if not get.get("path"):
            out.append(errors.field_required(f"{path}.httpGet.path"))
        out += _port(get.get("port"), f"{path}.httpGet.port")
        out += validation.one_of(get.get("scheme"), ("HTTP", "HTTPS"), f"{path}.httpGet.scheme")
    if (socket := handler.get("tcpSocket")) is not None:
        out += _port(socket.get("port"), f"{path}.tcpSocket.port")
    if (grpc := handler.get("grpc")) is not None:
        out += check(f"{path}.grpc.port", grpc.get("port"), names.port(grpc.get("port") or 0))
    return out


def _port(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return check(path, value, names.port_name(value))
    return check(path, value or 0, names.port(value or 0))
