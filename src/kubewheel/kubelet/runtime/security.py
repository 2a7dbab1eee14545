"""Security contexts: pod and container settings merged into the runtime's.

In: pod, container, the image's user. Out: CRI dicts; ConfigError for runAsNonRoot. Pure.
Called by: runtime/sandbox.py, runtime/container.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.kubelet import cri
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime.env import ConfigError

Object = dict[str, Any]

MASKED_PATHS = ["/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                "/sys/devices/virtual/powercap"]
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"})


def effective(pod: Object, container: Object) -> Object:
    """The container's securityContext with the pod's where it is silent."""
    base = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    out = {k: base[k] for k in ("runAsUser", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile",
                                "appArmorProfile") if base.get(k) is not None}
    return out | {k: v for k, v in own.items() if v is not None}


def namespaces(pod: Object, *, target_id: str = "") -> Object:
    spec = pod["spec"]
    pid = cri.NAMESPACE_CONTAINER
    if spec.get("hostPID"):
        pid = cri.NAMESPACE_NODE
    elif spec.get("shareProcessNamespace"):
        pid = cri.NAMESPACE_POD
    out: Object = {"network": cri.NAMESPACE_NODE if spec.get("hostNetwork") else cri.NAMESPACE_POD, "pid": pid,
           "ipc": cri.NAMESPACE_NODE if spec.get("hostIPC") else cri.NAMESPACE_POD}
    if target_id:
        out |= {"pid": cri.NAMESPACE_TARGET, "target_id": target_id}
    return out


def seccomp(profile: Object | None, options: Options, *, privileged: bool) -> Object:
    if privileged:
        return {"profile_type": cri.PROFILE_UNCONFINED}
    kind = (profile or {}).get("type")
    if kind == "RuntimeDefault" or (kind is None and options.seccomp_default):
        return {"profile_type": cri.PROFILE_RUNTIME_DEFAULT}
    if kind == "Localhost" and profile is not None:
        return {"profile_type": cri.PROFILE_LOCALHOST,
                "localhost_ref": f"{options.root_dir}/seccomp/{profile['localhostProfile']}"}
    return {"profile_type": cri.PROFILE_UNCONFINED}


def supplemental_groups(pod: Object, volume_groups: list[int]) -> list[int]:
    context = pod["spec"].get("securityContext") or {}
    groups = list(context.get("supplementalGroups") or ())
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    return list(dict.fromkeys([*groups, *volume_groups]))


def sandbox_context(pod: Object, options: Options) -> Object:
    context = pod["spec"].get("securityContext") or {}
    everyone = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    privileged = any((c.get("securityContext") or {}).get("privileged") for c in everyone)
    out: Object = {"namespace_options": namespaces(pod), "privileged": privileged,
                   # The sandbox itself always runs confined, whatever its containers ask for.
                   "seccomp": {"profile_type": cri.PROFILE_RUNTIME_DEFAULT},
                   "supplemental_groups": supplemental_groups(pod, [])}
    if context.get("runAsUser") is not None:
        out["run_as_user"] = {"value": context["runAsUser"]}
        if context.get("runAsGroup") is not None:
            out["run_as_group"] = {"value": context["runAsGroup"]}
    return out


def container_context(pod: Object, container: Object, options: Options, *, image_uid: int | None, image_user: str,
                      target_id: str = "") -> Object:
    context = effective(pod, container)
    _verify_non_root(pod, container, context, image_uid, image_user)
    privileged = bool(context.get("privileged"))
    out: Object = {
        "privileged": privileged, "namespace_options": namespaces(pod, target_id=target_id),
        "readonly_rootfs": bool(context.get("readOnlyRootFilesystem")),
        "supplemental_groups": supplemental_groups(pod, []),
        "seccomp": seccomp(context.get("seccompProfile"), options, privileged=privileged),
        "no_new_privs": context.get("allowPrivilegeEscalation") is False,
    }
    if (pod["spec"].get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict":
        out["supplemental_groups_policy"] = 1
    capabilities = context.get("capabilities") or {}
    if capabilities:
        out["capabilities"] = {"add_capabilities": capabilities.get("add") or [],
                               "drop_capabilities": capabilities.get("drop") or []}
    if context.get("runAsUser") is not None:
        out["run_as_user"] = {"value": context["runAsUser"]}
    elif image_uid is not None:
        out["run_as_user"] = {"value": image_uid}
    elif image_user:
        out["run_as_username"] = image_user
    if context.get("runAsGroup") is not None:
        out["run_as_group"] = {"value": context["runAsGroup"]}
        if not ({"run_as_user", "run_as_username"} & out.keys()):
            out["run_as_user"] = {"value": 0}
    if not privileged and context.get("procMount") != "Unmasked":
        out |= {"masked_paths": MASKED_PATHS, "readonly_paths": READONLY_PATHS}
    if context.get("seLinuxOptions"):
        out["selinux_options"] = context["seLinuxOptions"]
    return out


def _verify_non_root(pod: Object, container: Object, context: Object, uid: int | None, user: str) -> None:
    if not context.get("runAsNonRoot"):
        return
    meta = pod["metadata"]
    where = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
    if context.get("runAsUser") is not None:
        if context["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if uid is not None:
        if uid == 0:
            raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
        return
    if user:
        raise ConfigError(f"container has runAsNonRoot and image has non-numeric user ({user}), "
                          f"cannot verify user is non-root {where}")
    raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def forbidden_sysctl(pod: Object, options: Options) -> str:
    """The name of the first sysctl this kubelet does not allow, or ""."""
    for item in (pod["spec"].get("securityContext") or {}).get("sysctls") or ():
        name = item["name"].replace("/", ".")
        allowed = any(name == p or (p.endswith("*") and name.startswith(p[:-1]))
                      for p in options.allowed_unsafe_sysctls)
        if name not in SAFE_SYSCTLS and not allowed:
            return item["name"]
    return ""
