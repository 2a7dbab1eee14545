"""Rules of what Windows pods say of themselves, and of what pods for an operating system may not say.

In: PodSpec and WindowsSecurityContextOptions dicts. Out: FieldError lists.
Called by: security_validation.py, pod_spec_validation.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubewheel.api import errors, names
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
Containers = Iterable[tuple[Spec, str]]  # every container of a pod, with its path
_CONTROL = re.compile(r"[\x00-\x1f\x7f]").search
_NETBIOS = re.compile(r"""[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}""").fullmatch
_DNS_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*").fullmatch
_NOT_IN_USERS = re.compile(r"""["/\\:;|=,+*?<>@\[\]]""").search
_DOTS = re.compile(r"[. ]+").fullmatch
MAX_SPEC_KIB, MAX_DOMAIN, MAX_USER = 64, 256, 104


def options(o: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if (name := o.get("gmsaCredentialSpecName")) is not None:
        out += check(f"{path}.gmsaCredentialSpecName", name, names.subdomain(name))
    if (text := o.get("gmsaCredentialSpec")) is not None:
        if not text:
            out.append(errors.field_invalid(f"{path}.gmsaCredentialSpec", text, "gmsaCredentialSpec cannot be an empty string"))
        elif len(text.encode()) > MAX_SPEC_KIB * 1024:
            out.append(errors.field_invalid(f"{path}.gmsaCredentialSpec", text,
                                            f"gmsaCredentialSpec size must be under {MAX_SPEC_KIB} KiB"))
    if (user := o.get("runAsUserName")) is not None:
        out += check(f"{path}.runAsUserName", user, _user(user))
    return out


def _user(text: str) -> list[str]:
    """DOMAIN\\USER, or a user alone."""
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL(text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, has_domain, user = text.rpartition("\\")
    out = []
    if len(domain.encode()) >= MAX_DOMAIN:
        out.append(f"runAsUserName's Domain length must be under {MAX_DOMAIN} characters")
    if has_domain and not (_NETBIOS(domain) or _DNS(domain)):
        out.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        out.append("runAsUserName's User cannot be empty")
    elif len(user.encode()) > MAX_USER:
        out.append(f"runAsUserName's User length must not be longer than {MAX_USER} characters")
    if _DOTS(user):
        out.append("runAsUserName's User cannot contain only periods or spaces")
    if _NOT_IN_USERS(user):
        out.append('runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]')
    return out


def host_process(spec: Spec, path: str, containers: Containers) -> list[FieldError]:
    """Where one container is a process of the host, all are, and the pod is in the host's network."""
    of_pod = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    out: list[FieldError] = []
    count = there = 0
    for c, where in containers:
        count += 1
        own = ((c.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if of_pod is not None and own is not None and of_pod != own:
            out.append(errors.field_invalid(f"{where}.securityContext.windowsOptions.hostProcess", own, (
                f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}")))
        there += bool(of_pod if own is None else own)
    if there and there != count:
        out.append(errors.field_invalid(path, "",
                                        "If pod contains any hostProcess containers then all containers must be HostProcess "
                                        "containers"))
    if there and not spec.get("hostNetwork"):
        out.append(errors.field_invalid(f"{path}.hostNetwork", False,
                                        "hostNetwork must be true if pod contains any hostProcess containers"))
    return out


_NOT_WINDOWS_POD = (*(("securityContext", field) for field in (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser", "runAsGroup",
    "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy")),
    ("", "hostUsers"), ("", "hostPID"), ("", "hostIPC"), ("", "shareProcessNamespace"))
_NOT_WINDOWS = ("appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem",
                "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup")


def os(spec: Spec, path: str, containers: Containers) -> list[FieldError]:
    """spec.os, and what a pod for it may not say."""
    if (named := spec.get("os")) is None:
        return []
    name = named.get("name") or ""
    if not name:
        return [errors.field_required(f"{path}.os.name")]
    if name not in ("linux", "windows"):
        return [errors.field_not_supported(f"{path}.os", name, ("linux", "windows"))]
    out: list[FieldError] = []
    if name == "linux":
        text = "windows options cannot be set for a linux pod"
        if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
            out.append(errors.field_forbidden(f"{path}.securityContext.windowsOptions", text))
        return out + [errors.field_forbidden(f"{where}.securityContext.windowsOptions", text) for c, where in containers
                      if (c.get("securityContext") or {}).get("windowsOptions") is not None]
    text = "cannot be set for a windows pod"
    for group, field in _NOT_WINDOWS_POD:
        holder = spec.get(group) or {} if group else spec
        if holder.get(field) is not None and holder.get(field) != [] and not (
                field in ("hostPID", "hostIPC") and not holder[field]):
            out.append(errors.field_forbidden(".".join(filter(None, (path, group, field))), text))
    return out + [errors.field_forbidden(f"{where}.securityContext.{field}", text)
                  for c, where in containers for field in _NOT_WINDOWS
                  if (c.get("securityContext") or {}).get(field) is not None]
