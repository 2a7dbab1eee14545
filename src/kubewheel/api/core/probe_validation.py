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


def lifecycle(hooks: Spec, path: str, grace: int | None) -> list[FieldError]:
    out: list[FieldError] = []
    for hook in ("postStart", "preStop"):
        if (handler := hooks.get(hook)) is not None:
            out += _handler(handler, f"{path}.{hook}", ("exec", "httpGet", "tcpSocket", "sleep"), grace)
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
        for header in action.get("httpHeaders") or ():
            if not _HEADER.fullmatch(header.get("name") or ""):
                out.append(errors.field_invalid(f"{path}.httpHeaders", header.get("name") or "", _HEADER_TEXT))
        return out
    if kind == "sleep":
        seconds = action.get("seconds") or 0
        if grace is not None and not 0 <= seconds <= grace:
            return [errors.field_invalid(path, seconds,
                                         f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]
        return []
    return port(action.get("port"), f"{path}.port")


def port(value: Any, path: str) -> list[FieldError]:
    """A number, or the name of a port."""
    if isinstance(value, str):
        return check(path, value, names.port_name(value))
    return check(path, value or 0, names.port(value or 0))
