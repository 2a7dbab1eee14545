"""/statusz and /flagz: what a component is and how it was started. Pure.

In: facts of the component, the Accept header. Out: status, content type, bytes. Called by: apiserver/endpoints.py,
run/health_server.py. Source: KEP-4827 (statusz), KEP-4828 (flagz): text for people, or config.k8s.io objects.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel import KUBERNETES_VERSION
from kubewheel.api import codec
from kubewheel.lib import clock as clocks

Page = tuple[int, str, bytes]
VERSIONS = ("v1alpha1", "v1beta1")
_HEADER = ("\n{} {}\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility "
           "guarantees and is for debugging purposes only.\n")
_QUIET = ("/apis", "/api", "/openid", "/openapi", "/.well-known")  # not for debugging


@dataclass(frozen=True, slots=True)
class Component:
    """`started` and `now` in epoch seconds; `runtime` stands for Go's version; flags as they are in effect."""

    name: str
    started: float
    runtime: str
    paths: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)


def statusz(component: Component, accept: str, now: float) -> Page:
    emulated = ".".join(KUBERNETES_VERSION.removeprefix("v").split(".")[:2])
    up = int(now - component.started)
    paths = folders(component.paths)
    facts = {
        "startTime": clocks.rfc3339(component.started), "uptimeSeconds": up, "goVersion": component.runtime,
        "binaryVersion": KUBERNETES_VERSION.removeprefix("v"), "emulationVersion": emulated, "paths": paths}
    started = time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime(component.started))
    return _page(component, "Statusz", accept, facts, "\n".join([
        "", f"Started: {started}", f"Up: {up // 3600} hr {up // 60 % 60:02d} min {up % 60:02d} sec",
        f"Go version: {component.runtime}", f"Binary version: {KUBERNETES_VERSION.removeprefix('v')}",
        f"Emulation version: {emulated}", f"Paths: {' '.join(paths)}" if paths else "", ""]))


def flagz(component: Component, accept: str) -> Page:
    flags = dict(sorted(component.flags.items()))
    return _page(component, "Flagz", accept, {"flags": flags},
                 "\n" + "".join(f"{name}={value}\n" for name, value in flags.items()))


def folders(paths: Iterable[str]) -> list[str]:
    """`/healthz/ping` and `/healthz` are one: /healthz."""
    return sorted({"/" + p.split("/")[1] for p in paths if p != "/"} - set(_QUIET))


def _page(component: Component, kind: str, accept: str, facts: dict[str, Any], text: str) -> Page:
    version = _negotiate(accept, kind)
    if version is None:
        return 406, "text/plain; charset=utf-8", b"Not Acceptable: only text/plain, or application/json with as=%s\n" % (
            kind.encode())
    if not version:
        return 200, "text/plain; charset=utf-8", (_HEADER.format(component.name, kind.lower()) + text).encode()
    made = {"kind": kind, "apiVersion": f"config.k8s.io/{version}", "metadata": {"name": component.name}, **facts}
    return 200, f"application/json;v={version};g=config.k8s.io;as={kind}", codec.dumps(made)


def _negotiate(accept: str, kind: str) -> str | None:
    """A version of the object, "" for text, None for neither."""
    for part in (accept or "text/plain").split(","):
        media, *params = [p.strip() for p in part.split(";")]
        if media in ("text/plain", "text/*", "*/*"):
            return ""
        args = dict(p.partition("=")[::2] for p in params)
        if media == "application/json" and args.get("g") == "config.k8s.io" and args.get("as") == kind \
                and args.get("v") in VERSIONS:
            return args["v"]
    return None
