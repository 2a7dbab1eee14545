"""The Pod Security Standards as checks: pure functions from a pod to a finding, in upstream's words and order.

In: a pod (or template). Out: Findings. Called by: pod_security. Source: the Pod Security Standards page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods


class Finding(NamedTuple):
    reason: str
    detail: str


Check = Callable[[Object, Object], Finding | None]  # (pod, spec)

BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
                      "projected", "secret"}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _all(spec: Object) -> Iterable[Object]:
    return pods.containers(spec, ephemeral=True)


def _context(part: Object) -> Object:
    return part.get("securityContext") or {}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{n}"' for n in names)


def _plural(word: str, names: list[str]) -> str:
    return f"{word}{'' if len(names) == 1 else 's'} {_quoted(names)}"


def _is_windows(spec: Object) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


# -- baseline ---------------------------------------------------------------------------------------------------------
def app_armor(pod: Object, spec: Object) -> Finding | None:
    found = [f"{APPARMOR}{k.removeprefix(APPARMOR)}=\"{v}\""
             for k, v in sorted(((pod.get("metadata") or {}).get("annotations") or {}).items())
             if k.startswith(APPARMOR) and v not in ("", "runtime/default") and not v.startswith("localhost/")]
    setters = [name for name, part in [("pod", spec), *((f'container "{c["name"]}"', c) for c in _all(spec))]
               if (_context(part).get("appArmorProfile") or {}).get("type") not in (None, "RuntimeDefault", "Localhost")]
    if not found and not setters:
        return None
    parts = [f"{_join(setters)} must not set AppArmor profile type to \"Unconfined\""] if setters else []
    if found:
        word = "annotation" if len(found) == 1 else "annotations"
        parts.append(f"{word} {', '.join(found)}")
    return Finding("forbidden AppArmor profile" if len(found) + len(setters) == 1 else "forbidden AppArmor profiles",
                   "; ".join(parts))


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def capabilities_baseline(pod: Object, spec: Object) -> Finding | None:
    names, forbidden = [], set()
    for container in _all(spec):
        extra = set((_context(container).get("capabilities") or {}).get("add") or ()) - BASELINE_CAPABILITIES
        if extra:
            names.append(container["name"])
            forbidden |= extra
    if not names:
        return None
    return Finding("non-default capabilities", f"{_plural('container', names)} must not include {_quoted(sorted(forbidden))} "
                                               "in securityContext.capabilities.add")


def host_namespaces(pod: Object, spec: Object) -> Finding | None:
    used = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Finding("host namespaces", ", ".join(used)) if used else None


def host_path_volumes(pod: Object, spec: Object) -> Finding | None:
    names = [v["name"] for v in spec.get("volumes") or () if "hostPath" in v]
    return Finding("hostPath volumes", _plural("volume", names)) if names else None


def host_ports(pod: Object, spec: Object) -> Finding | None:
    names, ports = [], set()
    for container in _all(spec):
        used = {p["hostPort"] for p in container.get("ports") or () if p.get("hostPort")}
        if used:
            names.append(container["name"])
            ports |= used
    if not names:
        return None
    verb = "uses hostPort" if len(names) == 1 else "use hostPorts"
    if len(names) == 1 and len(ports) > 1:
        verb = "uses hostPorts"
    return Finding("hostPort", f"{_plural('container', names)} {verb} {', '.join(str(p) for p in sorted(ports))}")


def host_probes(pod: Object, spec: Object) -> Finding | None:
    names: list[str] = []
    hosts: set[str] = set()
    for container in _all(spec):
        actions = [container.get(p) or {} for p in ("livenessProbe", "readinessProbe", "startupProbe")]
        lifecycle = container.get("lifecycle") or {}
        actions += [lifecycle.get("postStart") or {}, lifecycle.get("preStop") or {}]
        used = {(a.get(kind) or {}).get("host") for a in actions for kind in ("httpGet", "tcpSocket")}
        bad = {h for h in used if h}
        if bad:
            names.append(container["name"])
            hosts |= bad
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    return Finding("probe or lifecycle host", f"{_plural('container', names)} {verb} probe or lifecycle "
                                              f"{'host' if len(hosts) == 1 else 'hosts'} {_quoted(sorted(hosts))}")


def privileged(pod: Object, spec: Object) -> Finding | None:
    names = [c["name"] for c in _all(spec) if _context(c).get("privileged")]
    return Finding("privileged", f"{_plural('container', names)} must not set securityContext.privileged=true") \
        if names else None


def proc_mount(pod: Object, spec: Object) -> Finding | None:
    if spec.get("hostUsers") is False:
        return None  # a user namespace keeps an unmasked /proc to itself
    names, kinds = [], set()
    for container in _all(spec):
        kind = _context(container).get("procMount")
        if kind not in (None, "Default"):
            names.append(container["name"])
            kinds.add(kind)
    if not names:
        return None
    return Finding("procMount", f"{_plural('container', names)} must not set securityContext.procMount to "
                                f"{_quoted(sorted(kinds))}")


def selinux(pod: Object, spec: Object) -> Finding | None:
    setters: list[str] = []
    types: set[str] = set()
    users_roles: set[str] = set()
    for title, part in [("pod", spec), *((f'container "{c["name"]}"', c) for c in _all(spec))]:
        options = _context(part).get("seLinuxOptions") or {}
        bad = False
        if options.get("type", "") not in SELINUX_TYPES:
            types.add(options["type"])
            bad = True
        for field in ("user", "role"):
            if options.get(field):
                users_roles.add(field)
                bad = True
        if bad:
            setters.append(title)
    if not setters:
        return None
    parts = []
    if types:
        parts.append(f"type{'' if len(types) == 1 else 's'} {_quoted(sorted(types))}")
    parts += [f"{field} may not be set" for field in ("user", "role") if field in users_roles]
    return Finding("seLinuxOptions", f"{_join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}")


def seccomp_baseline(pod: Object, spec: Object) -> Finding | None:
    setters = [title for title, part in [("pod", spec), *((f'container "{c["name"]}"', c) for c in _all(spec))]
               if (_context(part).get("seccompProfile") or {}).get("type") == "Unconfined"]
    if not setters:
        return None
    return Finding("seccompProfile",
                   f"{_join(setters)} must not set securityContext.seccompProfile.type to \"Unconfined\"")


def sysctls(pod: Object, spec: Object) -> Finding | None:
    bad = [s["name"] for s in _context(spec).get("sysctls") or () if s["name"] not in SYSCTLS]
    return Finding("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(pod: Object, spec: Object) -> Finding | None:
    names = [c["name"] for c in _all(spec) if (_context(c).get("windowsOptions") or {}).get("hostProcess")]
    on_pod = (_context(spec).get("windowsOptions") or {}).get("hostProcess")
    if not names and not on_pod:
        return None
    setters = (["pod"] if on_pod else []) + ([_plural("container", names)] if names else [])
    return Finding("hostProcess", f"{_join(setters)} must not set securityContext.windowsOptions.hostProcess=true")


# -- restricted -------------------------------------------------------------------------------------------------------
def allow_privilege_escalation(pod: Object, spec: Object) -> Finding | None:
    if _is_windows(spec):
        return None
    names = [c["name"] for c in _all(spec) if _context(c).get("allowPrivilegeEscalation") is not False]
    return Finding("allowPrivilegeEscalation != false",
                   f"{_plural('container', names)} must set securityContext.allowPrivilegeEscalation=false") \
        if names else None


def capabilities_restricted(pod: Object, spec: Object) -> Finding | None:
    if _is_windows(spec):
        return None
    not_dropping, adding, forbidden = [], [], set()
    for container in _all(spec):
        capabilities = _context(container).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            not_dropping.append(container["name"])
        extra = set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}
        if extra:
            adding.append(container["name"])
            forbidden |= extra
    parts = []
    if not_dropping:
        parts.append(f'{_plural("container", not_dropping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        parts.append(f"{_plural('container', adding)} must not include {_quoted(sorted(forbidden))} in "
                     "securityContext.capabilities.add")
    return Finding("unrestricted capabilities", "; ".join(parts)) if parts else None


def restricted_volumes(pod: Object, spec: Object) -> Finding | None:
    names, types = [], set()
    for volume in spec.get("volumes") or ():
        bad = set(volume) - {"name"} - RESTRICTED_VOLUMES
        if bad:
            names.append(volume["name"])
            types |= bad
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    word = "restricted volume type" if len(types) == 1 else "restricted volume types"
    return Finding("restricted volume types", f"{_plural('volume', names)} {verb} {word} {_quoted(sorted(types))}")


def run_as_non_root(pod: Object, spec: Object) -> Finding | None:
    if spec.get("hostUsers") is False:
        return None
    pod_wide = _context(spec).get("runAsNonRoot")
    explicit = [c["name"] for c in _all(spec) if _context(c).get("runAsNonRoot") is False]
    silent = [c["name"] for c in _all(spec) if _context(c).get("runAsNonRoot") is None]
    parts = []
    if pod_wide is False:
        if silent or explicit or not list(_all(spec)):
            parts.append("pod must not set securityContext.runAsNonRoot=false")
    if explicit:
        parts.append(f"{_plural('container', explicit)} must not set securityContext.runAsNonRoot=false")
    if parts:
        return Finding("runAsNonRoot != true", "; ".join(parts))
    if silent and not pod_wide:
        return Finding("runAsNonRoot != true", f"pod or {_plural('container', silent)} must set "
                                               "securityContext.runAsNonRoot=true")
    return None


def run_as_user(pod: Object, spec: Object) -> Finding | None:
    if spec.get("hostUsers") is False:
        return None
    setters = [title for title, part in [("pod", spec), *((f'container "{c["name"]}"', c) for c in _all(spec))]
               if _context(part).get("runAsUser") == 0]
    return Finding("runAsUser=0", f"{_join(setters)} must not set runAsUser=0") if setters else None


def seccomp_restricted(pod: Object, spec: Object) -> Finding | None:
    if _is_windows(spec):
        return None
    good = ("RuntimeDefault", "Localhost")
    pod_wide = (_context(spec).get("seccompProfile") or {}).get("type")
    bad = (["pod"] if pod_wide is not None and pod_wide not in good else [])
    bad += [f'container "{c["name"]}"' for c in _all(spec)
            if (_context(c).get("seccompProfile") or {}).get("type") not in (None, *good)]
    if bad:
        types = ", ".join(sorted({f'"{t}"' for t in [pod_wide] if t and t not in good} | {
            f'"{(_context(c).get("seccompProfile") or {})["type"]}"' for c in _all(spec)
            if (_context(c).get("seccompProfile") or {}).get("type") not in (None, *good)}))
        return Finding("seccompProfile", f"{_join(bad)} must not set securityContext.seccompProfile.type to {types}")
    silent = [c["name"] for c in _all(spec) if not (_context(c).get("seccompProfile") or {}).get("type")]
    if silent and pod_wide not in good:
        return Finding("seccompProfile", f"pod or {_plural('container', silent)} must set "
                                         'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"')
    return None


BASELINE: tuple[Check, ...] = (
    app_armor, capabilities_baseline, host_namespaces, host_path_volumes, host_ports, host_probes, privileged,
    proc_mount, selinux, seccomp_baseline, sysctls, windows_host_process,
)
# restricted has stricter twins of these
REPLACED = (capabilities_baseline, host_path_volumes, seccomp_baseline)
RESTRICTED: tuple[Check, ...] = (
    *(c for c in BASELINE if c not in REPLACED),
    allow_privilege_escalation, capabilities_restricted, restricted_volumes, run_as_non_root, run_as_user,
    seccomp_restricted,
)
BY_LEVEL: dict[str, tuple[Check, ...]] = {"privileged": (), "baseline": BASELINE, "restricted": RESTRICTED}


def run(pod: Object, level: str) -> list[Finding]:
    spec = pod.get("spec") or {}
    return [f for f in (check(pod, spec) for check in BY_LEVEL[level]) if f is not None]


def short(pod: Object, level: str) -> list[str]:
    return [f.reason for f in run(pod, level)]
