"""Rules of probes and lifecycle hooks.

In: probes and handlers after defaulting. Out: FieldError lists. Called by: container_validation.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HEADER = re.compile("[-A-Za-z0-9]+")
_HEADER_TEXT = ("a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
                "for validation is '[-A-Za-z0-9]+')")


def probe(p: Spec, path: str, kind: str, grace: int | None) -> list[FieldError]:
    """`kind`: one of PROBES; `grace`: the pod's terminationGracePeriodSeconds."""
    out = _handler(p, path, ("exec", "httpGet", "tcpSocket", "grpc"), grace)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        out += validation.non_negative(p.get(field), f"{path}.{field}")
    own, where = p.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds"
    if own is not None and own <= 0:
        out.append(errors.field_invalid(where, own, "must be greater than 0"))
    if kind == "readinessProbe":
        if own is not None:
            out.append(errors.field_invalid(where, own, "must not be set for readinessProbes"))
    elif p.get("successThreshold") != 1:
        out.append(errors.field_invalid(f"{path}.successThreshold", p.get("successThreshold"), "must be 1"))
    return out


_SIGNALS = {"windows": ("SIGKILL", "SIGTERM"), "linux": tuple(f"SIG{name}" for name in (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN "
    "TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX").split() + [f"RTMIN+{i}" for i in range(1, 16)]
    + [f"RTMAX-{i}" for i in range(1, 15)])}


def lifecycle(hooks: Spec, path: str, grace: int | None, os: str | None) -> list[FieldError]:
    """`os`: spec.os.name, by which there are signals."""
    out: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if (handler := hooks.get(hook)) is not None:
            out += _handler(handler, f"{path}.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"), grace)
    if (signal := hooks.get("stopSignal")) is not None:
        if os is None:
            out.append(errors.field_forbidden(f"{path}.stopSignal", "may not be set for containers with empty `spec.os.name`"))
        elif signal not in _SIGNALS.get(os, (signal,)):
            out.append(errors.field_not_supported(f"{path}.stopSignal", signal, _SIGNALS[os]))
    return out


def _handler(handler: Spec, path: str, kinds: tuple[str, ...], grace: int | None) -> list[FieldError]:
    have = [k for k in kinds if handler.get(k) is not None]
    if not have:
        return [errors.field_required(path, "must specify a handler type")]
    kind = have[0]
    out = _action(kind, handler[kind], f"{path}.{kind}", grace)
    return out + [errors.field_forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
                  for extra in have[1:]]


def _action(kind: str, action: Spec, path: str, grace: int | None) -> list[FieldError]:
    if kind == "exec":
        return [] if action.get("command") else [errors.field_required(f"{path}.command")]
    if kind == "httpGet":
        out = [] if action.get("path") else [errors.field_required(f"{path}.path")]
        out += port(action.get("port"), f"{path}.port")
        if action.get("scheme") not in ("HTTP", "HTTPS"):
            out.append(errors.field_not_supported(f"{path}.scheme", action.get("scheme") or "", ("HTTP", "HTTPS")))
        for header in action.get("httpHeaders") or ():  # upstream names the list
            if not _HEADER.fullmatch(header.get("name") or ""):
                out.append(errors.field_invalid(f"{path}.httpHeaders", header.get("name") or "", _HEADER_TEXT))
        return out + (_protocol(action, path) if action.get("protocol") is not None else [])
    if kind == "sleep":
        seconds = action.get("seconds") or 0
        if grace is not None and not 0 <= seconds <= grace:
            return [errors.field_invalid(path, seconds,
                                         f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]
        return []
    out = port(action.get("port"), f"{path}.port")
    if kind == "grpc" and (mode := action.get("mode")) is not None and mode not in ("Plaintext", "TLS"):
        out.append(errors.field_not_supported(f"{path}.mode", mode, ("Plaintext", "TLS")))
    return out


def _protocol(action: Spec, path: str) -> list[FieldError]:
    protocol = action["protocol"]
    if protocol not in ("HTTP1", "HTTP2"):
        return [errors.field_not_supported(f"{path}.protocol", protocol, ("HTTP1", "HTTP2"))]
    if protocol == "HTTP2" and action.get("scheme") != "HTTP":
        return [errors.field_invalid(f"{path}.protocol", protocol, "is only supported with HTTP (H2C)")]
    if protocol == "HTTP2" and action.get("host"):
        return [errors.field_invalid(f"{path}.host", action["host"], 'must be empty when `protocol` is "HTTP2"')]
    return []


def port(value: Any, path: str) -> list[FieldError]:
    """A number, or the name of a port."""
    if isinstance(value, str):
        return check(path, value, names.port_name(value))
    return check(path, value or 0, names.port(value or 0))
