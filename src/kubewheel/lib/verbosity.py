"""/debug/flags/v: the log level of a running component, changed by PUT.

In: method and body. Out: status and text, as upstream's. Called by: apiserver/endpoints.py, run/health_server.py.
"""

from __future__ import annotations

import logging

DEBUG_FROM = 4  # -v of 4 and more is logging.DEBUG


def apply(level: int) -> None:
    logging.getLogger().setLevel(logging.DEBUG if level >= DEBUG_FROM else logging.INFO)


def put(method: str, body: bytes) -> tuple[int, str]:
    if method != "PUT":
        return 406, "unsupported http method"
    text = body.decode(errors="replace").strip()
    try:
        level = int(text)
    except ValueError:
        return 400, f'failed set klog.logging.verbosity {text}: strconv.ParseInt: parsing "{text}": invalid syntax'
    apply(level)
    return 200, f"successfully set klog.logging.verbosity to {text}"
