"""Rules of a pod's status.

In: pods (private or shared, read only). Out: FieldError lists. Called by: pod_validation.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import addresses, errors, names
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_STATUSES = (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers"),
             ("ephemeralContainerStatuses", "ephemeralContainers"))
_NOT_NEGATIVE = "must be a non-negative integer"
_MAX_ID, _MAX_UID = 2**31 - 1, 2**32 - 1
MAX_HEALTH_MESSAGE = 1024


def of_update(new: Object, old: Object) -> list[FieldError]:
    status, before, spec = new.get("status") or {}, old.get("status") or {}, old.get("spec") or {}
    out = _conditions(status.get("conditions") or ())
    if (new.get("spec") or {}).get("nodeName") != spec.get("nodeName"):
        out.append(errors.field_forbidden("status.nodeName", "may not be changed directly"))
    nominated, path = status.get("nominatedNodeName"), "status.nominatedNodeName"
    if nominated and nominated != before.get("nominatedNodeName"):
        out += check(path, nominated, names.subdomain(nominated))
        if spec.get("nodeName"):
            out.append(errors.field_forbidden(path, "may not be set on pods that are already bound to a node"))
    if (status.get("observedGeneration") or 0) < 0:
        out.append(errors.field_invalid("status.observedGeneration", status["observedGeneration"], _NOT_NEGATIVE))
    if (status.get("qosClass") or "") != (before.get("qosClass") or ""):
        out.append(errors.field_invalid("status.qosClass", status.get("qosClass") or "", "field is immutable"))
    out += _transitions(status, before, spec)
    if claims := status.get("resourceClaimStatuses"):
        out += _claims(claims, spec)
    if (extended := status.get("extendedResourceClaimStatus")) is not None:
        out += _extended(extended, spec, "status.extendedResourceClaimStatus")
    out += _pod_ips(status, before) + _host_ips(status, before)
    windows = (spec.get("os") or {}).get("name") == "windows"
    for key, _ in _STATUSES:
        for i, c in enumerate(status.get(key) or ()):
            if c.get("user") is not None:
                out += _user(c["user"], f"status.{key}[{i}].user", windows=windows)
    for key, kind in _STATUSES:
        for i, c in enumerate(status.get(key) or ()):
            if c.get("allocatedResourcesStatus"):
                out += _allocated(c, kind, spec, status, f"status.{key}[{i}].allocatedResourcesStatus")
    return out


def _conditions(items: Any) -> list[FieldError]:
    out: list[FieldError] = []
    for i, condition in enumerate(items):
        if (seen := condition.get("observedGeneration") or 0) < 0:
            out.append(errors.field_invalid(f"status.conditions[{i}].observedGeneration", seen, _NOT_NEGATIVE))
        if (kind := condition.get("type") or "") not in _SYSTEM_CONDITIONS:
            out += check(f"status.conditions[{i}].Type", kind, names.qualified(kind))
    return out


# -- what has ended ---------------------------------------------------------------------------------------------------
def _transitions(status: Spec, before: Spec, spec: Spec) -> list[FieldError]:
    """What has ended for good does not run again."""
    if any(rule.get("action") == "RestartAllContainers" for key in ("containers", "initContainers")
           for c in spec.get(key) or () for rule in c.get("restartPolicyRules") or ()):
        return _ephemeral_transitions(status, before)
    out: list[FieldError] = []
    for key, kind in _STATUSES[:2]:
        now = {c.get("name"): c for c in status.get(key) or ()}
        containers = {c.get("name"): c for c in spec.get(kind) or ()}
        for i, c in enumerate(before.get(key) or ()):
            ended, there = (c.get("state") or {}).get("terminated"), now.get(c.get("name"))
            if ended is None or there is None or (there.get("state") or {}).get("terminated") is not None:
                continue
            container = containers.get(c.get("name"))
            if container is None or not restarts(container, spec, ended.get("exitCode") or 0):
                out.append(_no_return(key, i))
    return out + _ephemeral_transitions(status, before)


def _ephemeral_transitions(status: Spec, before: Spec) -> list[FieldError]:
    key = "ephemeralContainerStatuses"
    now = {c.get("name"): c for c in status.get(key) or ()}
    return [_no_return(key, i) for i, c in enumerate(before.get(key) or ())
            if (c.get("state") or {}).get("terminated") is not None and c.get("name") in now
            and (now[c.get("name")].get("state") or {}).get("terminated") is None]


def _no_return(key: str, index: int) -> FieldError:
    return errors.field_forbidden(f"status.{key}[{index}].state", "may not be transitioned to non-terminated state")


def restarts(container: Spec, spec: Spec, code: int) -> bool:
    """Whether a container that ended with `code` is started again: by its rules, its policy, the pod's policy."""
    if (own := container.get("restartPolicy")) is not None:
        for rule in container.get("restartPolicyRules") or ():
            wanted = rule.get("exitCodes") or {}
            if (code in (wanted.get("values") or ())) == (wanted.get("operator") == "In"):
                return rule.get("action") == "Restart"
        return own == "Always" or (own == "OnFailure" and code != 0)
    policy = spec.get("restartPolicy")
    return policy == "Always" or (policy == "OnFailure" and code != 0)


# -- claims -----------------------------------------------------------------------------------------------------------
def _claims(items: Any, spec: Spec) -> list[FieldError]:
    out: list[FieldError] = []
    known = {c.get("name") for c in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for i, claim in enumerate(items):
        where, name, made = f"status.resourceClaimStatuses[{i}]", claim.get("name") or "", claim.get("resourceClaimName")
        if name not in known:
            out.append(errors.field_invalid(f"{where}.name", name,
                                            "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            out.append(errors.field_duplicate(f"{where}.name", name))
        seen.add(name)
        if made is not None:
            out += check(f"{where}.resourceClaimName", made, names.subdomain(made))
    return out


def _extended(extended: Spec, spec: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    containers = {c.get("name"): c for key in ("initContainers", "containers") for c in spec.get(key) or ()}
    mappings = extended.get("requestMappings") or ()
    if not mappings:
        out.append(errors.field_required(f"{path}.requestMappings", "at least one request mapping is required"))
    seen: set[tuple[str, str, str]] = set()
    for i, m in enumerate(mappings):
        where = f"{path}.requestMappings[{i}]"
        fields = ("containerName", "resourceName", "requestName")
        key = container, resource, request = tuple(m.get(field) or "" for field in fields)
        if container not in containers:
            out.append(errors.field_invalid(f"{where}.containerName", container, (
                "must match the name of an entry in spec.initContainers.name or spec.containers.name")))
        elif resource not in ((containers[container].get("resources") or {}).get("requests") or {}):
            out.append(errors.field_invalid(f"{where}.resourceName", resource, (
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or "
                "spec.containers.resources.requests")))
        out += check(f"{path}.requestName", request, names.label(request))
        if key in seen:
            out += [errors.field_duplicate(f"{where}.{field}", value) for field, value in zip(fields, key, strict=True)]
        seen.add((container, resource, request))
    if not (name := extended.get("resourceClaimName")):
        return [*out, errors.field_required(f"{path}.resourceClaimName")]
    return out + check(f"{path}.resourceClaimName", name, names.subdomain(name))


# -- addresses --------------------------------------------------------------------------------------------------------
def _texts(entries: Any) -> list[str]:
    return [entry.get("ip") or "" for entry in entries or ()]


def _pod_ips(status: Spec, before: Spec) -> list[FieldError]:
    path, texts, one = "status.podIPs", _texts(status.get("podIPs")), status.get("podIP") or ""
    out = _addresses(texts, _texts(before.get("podIPs")), path)
    if bool(one) != bool(texts):
        out.append(errors.field_invalid(path, [{"IP": t} for t in texts] or None,
                                        "podIP and podIPs must either both be set or both be unset"))
    elif texts and texts[0] != one:
        out.append(errors.field_invalid(f"{path}[0].ip", texts[0], "must be equal to `podIP`"))
    return out


def _host_ips(status: Spec, before: Spec) -> list[FieldError]:
    path, texts = "status.hostIPs", _texts(status.get("hostIPs"))
    out: list[FieldError] = []
    if texts and (status.get("hostIP") or "") != texts[0]:
        out.append(errors.field_invalid(f"{path}[0].ip", texts[0], "must be equal to `hostIP`"))
    return out + _addresses(texts, _texts(before.get("hostIPs")), path)


def _addresses(texts: list[str], known: list[str], path: str) -> list[FieldError]:
    """What was stored once may stay, however it is written."""
    out: list[FieldError] = []
    for i, text in enumerate(texts):
        if text not in known:
            out += check(f"{path}[{i}]", text, addresses.legacy_ip(text))
    if len(texts) > 1 and (len(texts) > 2 or len({":" in t for t in texts}) < 2):
        out.append(errors.field_invalid(path, [{"IP": t} for t in texts], "may specify no more than one IP for each IP family"))
    return out


# -- containers -------------------------------------------------------------------------------------------------------
def _user(user: Spec, path: str, *, windows: bool) -> list[FieldError]:
    if (linux := user.get("linux")) is None:
        return []
    if windows:
        return [errors.field_forbidden(f"{path}.linux", "cannot be set for a windows pod")]
    uid = linux.get("uid") or 0
    out = [] if 0 <= uid <= _MAX_UID else [
        errors.field_invalid(f"{path}.linux.uid", uid, f"must be between 0 and {_MAX_UID}, inclusive")]
    ids = [("gid", linux.get("gid") or 0)]
    ids += [(f"supplementalGroups[{i}]", g) for i, g in enumerate(linux.get("supplementalGroups") or ())]
    return out + [errors.field_invalid(f"{path}.linux.{field}", value, f"must be between 0 and {_MAX_ID}, inclusive")
                  for field, value in ids if not 0 <= value <= _MAX_ID]


_CLAIM_TEXT = ("must match one of the container's resource claims as 'claim:<claimName>/<requestName>' when "
               "container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty")


def _allocated(c: Spec, kind: str, spec: Spec, status: Spec, path: str) -> list[FieldError]:
    if kind == "ephemeralContainers":
        return [errors.field_forbidden(path, "must not be specified in container status")]
    out: list[FieldError] = []
    container = next((s for s in spec.get(kind) or () if s.get("name") == c.get("name")), None)
    for j, allocated in enumerate(c["allocatedResourcesStatus"]):
        where, name = f"{path}[{j}]", allocated.get("name") or ""
        if container is not None and not _is_of(name, container, status):
            text = _CLAIM_TEXT if name.startswith("claim:") else "must match one of the container's resource requests"
            out.append(errors.field_invalid(f"{where}.name", name, text))
        seen: set[str] = set()
        for k, r in enumerate(allocated.get("resources") or ()):
            out += _health(r, seen, f"{where}.resources[{k}]")
    return out


def _is_of(name: str, container: Spec, status: Spec) -> bool:
    resources = container.get("resources") or {}
    if not name.startswith("claim:"):
        return name in (resources.get("requests") or {})
    named = {"claim:" + "/".join(filter(None, (c.get("name"), c.get("request")))) for c in resources.get("claims") or ()}
    extended = status.get("extendedResourceClaimStatus") or {}
    named |= {f"claim:{extended.get('resourceClaimName')}/{m.get('requestName')}" for m in extended.get("requestMappings") or ()
              if m.get("containerName") == container.get("name") and m.get("resourceName") in (resources.get("requests") or {})}
    return name in named


def _health(r: Spec, seen: set[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    health, message, device = r.get("health") or "", r.get("message"), r.get("resourceID") or ""
    if health not in ("Healthy", "Unhealthy", "Unknown"):
        out.append(errors.field_not_supported(f"{path}.health", health, ("Healthy", "Unhealthy", "Unknown")))
    if message == "":
        out.append(errors.field_required(f"{path}.message", "must be non-empty if specified"))
    elif message is not None and len(message.encode()) > MAX_HEALTH_MESSAGE:
        out.append(errors.field_too_long(f"{path}.message", MAX_HEALTH_MESSAGE))
    if device in seen:
        out.append(errors.field_duplicate(f"{path}.resourceID", device))
    seen.add(device)
    return out
