"""Rules of security contexts, of pods and of containers.

In: PodSpec and SecurityContext dicts. Out: FieldError lists.
Called by: container_validation.py, pod_spec_validation.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubewheel.api import errors
from kubewheel.api.core import path_validation, windows_validation
from kubewheel.api.errors import FieldError

Spec = Mapping[str, Any]
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_ID_TEXT = "must be between 0 and 2147483647, inclusive"
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_SYSCTL_TEXT = ("must have at most 253 characters and match regex "
                r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$")


def _id(context: Spec, field: str, path: str) -> list[FieldError]:
    value = context.get(field)
    if value is None or 0 <= value <= 2**31 - 1:
        return []
    return [errors.field_invalid(f"{path}.{field}", value, _ID_TEXT)]


def of_container(context: Spec, path: str, *, host_users: bool) -> list[FieldError]:
    out = _id(context, "runAsUser", path) + _id(context, "runAsGroup", path)
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            out.append(errors.field_not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            out.append(errors.field_invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    out += _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        refused = ["`privileged` to true"] if context.get("privileged") else []
        added = (context.get("capabilities") or {}).get("add") or ()
        refused += ["`capabilities.Add` CAP_SYS_ADMIN" for c in added if c == "CAP_SYS_ADMIN"]
        out += [errors.field_invalid(path, _go_context(context),
                                     f"cannot set `allowPrivilegeEscalation` to false and {what}") for what in refused]
    if (windows := context.get("windowsOptions")) is not None:
        out += windows_validation.options(windows, f"{path}.windowsOptions")
    return out + _app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _go_context(context: Spec) -> dict[str, Any]:
    """The value as upstream's internal type prints it: every field, by its Go name."""
    given = context.get("capabilities")
    capabilities = None if given is None else {"Add": given.get("add"), "Drop": given.get("drop")}
    return {"Capabilities": capabilities, "Privileged": context.get("privileged"),
            "SELinuxOptions": context.get("seLinuxOptions"), "WindowsOptions": context.get("windowsOptions"),
            "RunAsUser": context.get("runAsUser"), "RunAsGroup": context.get("runAsGroup"),
            "RunAsNonRoot": context.get("runAsNonRoot"),
            "ReadOnlyRootFilesystem": context.get("readOnlyRootFilesystem"),
            "AllowPrivilegeEscalation": context.get("allowPrivilegeEscalation"),
            "ProcMount": context.get("procMount"), "SeccompProfile": context.get("seccompProfile"),
            "AppArmorProfile": context.get("appArmorProfile")}


def of_pod(spec: Spec, path: str) -> list[FieldError]:
    context, where = spec.get("securityContext") or {}, f"{path}.securityContext"
    out = _id(context, "fsGroup", where) + _id(context, "runAsUser", where) + _id(context, "runAsGroup", where)
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= 2**31 - 1:
            out.append(errors.field_invalid(f"{where}.supplementalGroups[{i}]", group, _ID_TEXT))
    out += _sysctls(spec, context.get("sysctls") or (), f"{where}.sysctls")
    for field, allowed in (("fsGroupChangePolicy", ("Always", "OnRootMismatch")),):
        if (value := context.get(field)) is not None and value not in allowed:
            out.append(errors.field_not_supported(f"{where}.{field}", value, allowed))
    out += _seccomp(context.get("seccompProfile"), f"{where}.seccompProfile")
    if (windows := context.get("windowsOptions")) is not None:
        out += windows_validation.options(windows, f"{where}.windowsOptions")
    out += _app_armor(context.get("appArmorProfile"), f"{where}.appArmorProfile")
    for field, allowed in (("supplementalGroupsPolicy", ("Merge", "Strict")),
                           ("seLinuxChangePolicy", ("MountOption", "Recursive"))):
        if (value := context.get(field)) is not None and value not in allowed:
            out.append(errors.field_not_supported(f"{where}.{field}", value, allowed))
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        out.append(errors.field_invalid(f"{path}.shareProcessNamespace", True,
                                        "ShareProcessNamespace and HostPID cannot both be enabled"))
    return out


_NET, _IPC = ("net.",), ("kernel.shm", "kernel.msg", "fs.mqueue.")


def _sysctls(spec: Spec, items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, sysctl in enumerate(items):
        where, name = f"{path}[{i}].name", sysctl.get("name") or ""
        if not name:
            out.append(errors.field_required(where))
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            out.append(errors.field_invalid(where, name, _SYSCTL_TEXT))
        elif name in seen:
            out.append(errors.field_duplicate(where, name))
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith(_NET):
            out.append(errors.field_invalid(where, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and (dotted.startswith(_IPC) or dotted == "kernel.sem"):
            out.append(errors.field_invalid(where, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return out


def _seccomp(profile: Spec | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    out = _profile_type(profile.get("type") or "", f"{path}.type", "seccompProfile")
    local = profile.get("localhostProfile")
    if profile.get("type") == "Localhost":
        if local is None:
            out.append(errors.field_required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            out += path_validation.local(local, f"{path}.localhostProfile")
    elif local is not None:
        out.append(errors.field_invalid(f"{path}.localhostProfile",
                                        {"Type": profile.get("type") or "", "LocalhostProfile": local},
                                        "can only be set when seccomp type is Localhost"))
    return out


def _profile_type(kind: str, path: str, what: str) -> list[FieldError]:
    if not kind:
        return [errors.field_required(path, f"type is required when {what} is set")]
    return [] if kind in _PROFILES else [errors.field_not_supported(path, kind, _PROFILES, ordered=True)]


def _app_armor(profile: Spec | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local, where = profile.get("type") or "", profile.get("localhostProfile"), f"{path}.localhostProfile"
    if kind != "Localhost":
        if kind not in _PROFILES:
            return _profile_type(kind, f"{path}.type", "appArmorProfile")
        return [] if local is None else [
            errors.field_invalid(where, local, "can only be set when AppArmor type is Localhost")]
    out: list[FieldError] = []
    if local is None or not local.strip() == local or not local:
        out.append(errors.field_invalid(where, local, "must not be padded with whitespace")
                   if local and local.strip() != local else
                   errors.field_required(where, "must be set when AppArmor type is Localhost"))
    if local and len(local) > 4095:
        out.append(errors.field_too_long(where, 4095))
    return out


def every_container(spec: Spec, path: str) -> Iterator[tuple[Spec, str]]:
    """(container, its path): init containers, containers, ephemeral ones."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for i, c in enumerate(spec.get(key) or ()):
            yield c, f"{path}.{key}[{i}]"


# -- annotations of old that say what fields say now ------------------------------------------------------------------
SECCOMP_POD, SECCOMP_CONTAINER = "seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def old_annotations(notes: Mapping[str, str], spec: Spec, path: str) -> list[FieldError]:
    """The AppArmor and seccomp annotations of a pod or template."""
    out: list[FieldError] = []
    known = {c.get("name") for c, _ in every_container(spec, "")}
    for key, value in notes.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            out += _seccomp_annotation(value, f"{path}.{key}")
        elif key.startswith(APP_ARMOR):
            name = key.removeprefix(APP_ARMOR)
            if name not in known:
                out.append(errors.field_invalid(f"{path}[{key}]", name, "container not found"))
            if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
                out.append(errors.field_invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"'))
    return out


def _seccomp_annotation(value: str, path: str) -> list[FieldError]:
    if value in ("runtime/default", "docker/default", "unconfined"):
        return []
    if value.startswith("localhost/"):
        return path_validation.local(value.removeprefix("localhost/"), path)
    return [errors.field_invalid(path, value, "must be a valid seccomp profile")]


def annotations_match(notes: Mapping[str, str], spec: Spec, path: str) -> list[FieldError]:
    """Of new pods and of templates: what the annotations of old say, the fields say too."""
    if not any(key == SECCOMP_POD or key.startswith((SECCOMP_CONTAINER, APP_ARMOR)) for key in notes):
        return []
    context = spec.get("securityContext") or {}
    out: list[FieldError] = []
    if SECCOMP_POD in notes and (profile := context.get("seccompProfile")) is not None:
        out += _same_seccomp(notes[SECCOMP_POD], profile, f"{path}.securityContext.seccompProfile")
    every = [(c, c.get("securityContext") or {}, where) for c, where in every_container(spec, path)]
    for c, own, where in every:
        key = SECCOMP_CONTAINER + (c.get("name") or "")
        if key in notes and (profile := own.get("seccompProfile")) is not None:
            out += _same_seccomp(notes[key], profile, f"{where}.securityContext.seccompProfile")
    if (spec.get("os") or {}).get("name") == "windows":
        return out
    for c, own, where in every:
        profile, key = own.get("appArmorProfile") or context.get("appArmorProfile"), APP_ARMOR + (c.get("name") or "")
        if profile is not None and key in notes:
            out += _same_profile(notes[key], profile, f"{where}.securityContext.appArmorProfile", "apparmor",
                                 {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)})
    return out


def _same_seccomp(note: str, profile: Spec, path: str) -> list[FieldError]:
    return _same_profile(note, profile, path, "seccomp", {"Unconfined": ("unconfined",),
                                                          "RuntimeDefault": ("runtime/default", "docker/default")})


def _same_profile(note: str, profile: Spec, path: str, what: str, words: Mapping[str, tuple[str, ...]]) -> list[FieldError]:
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if (kind in words and note not in words[kind]) or (kind == "Localhost" and not note.startswith("localhost/")):
        return [errors.field_forbidden(f"{path}.type", f"{what} type in annotation and field must match")]
    if kind == "Localhost" and (local is None or note.removeprefix("localhost/") != local):
        return [errors.field_forbidden(f"{path}.localhostProfile", f"{what} profile in annotation and field must match")]
    return []
