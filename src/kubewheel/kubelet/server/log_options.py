"""The query of /containerLogs as the kubelet reads it: v1 PodLogOptions, checked once more. Pure.

In: query parameters, the time. Out: (LogOptions, previous); Refused 400 or 422 in upstream's words. Called by: server.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubewheel.kubelet.logs import LogOptions
from kubewheel.lib.clock import parse_time
from kubewheel.lib.streams.upgrade import Refused

STREAMS = {"": "", "All": "", "Stdout": "stdout", "Stderr": "stderr"}


def of(query: Mapping[str, str], now: float) -> tuple[LogOptions, bool]:
    values = dict(query)
    if values.get("tail"):  # the old name; "all" is the same as none
        values["tailLines"] = "" if values["tail"] == "all" else values["tail"]
    try:
        tail, limit, seconds = (_integer(values.get(n, "")) for n in ("tailLines", "limitBytes", "sinceSeconds"))
        since = parse_time(values["sinceTime"]) if values.get("sinceTime") else None
    except ValueError as e:
        raise Refused(400, '{"message": "Unable to decode query."}') from e
    stream = values.get("stream", "")
    bad = ((tail is not None and tail < 0) or (limit is not None and limit < 1) or (seconds is not None and seconds < 1)
           or (seconds is not None and since is not None) or stream not in STREAMS or (tail is not None and STREAMS[stream]))
    if bad:
        raise Refused(422, '{"message": "Invalid request."}')
    if seconds is not None:
        since = now - seconds
    return LogOptions(follow=_flag(values, "follow"), timestamps=_flag(values, "timestamps"), tail=tail,
                      limit_bytes=limit, since=since, stream=STREAMS[stream]), _flag(values, "previous")


def _integer(text: str) -> int | None:
    if text and not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
        raise ValueError(text)
    return int(text) if text else None


def _flag(values: Mapping[str, str], name: str) -> bool:
    return name in values and values[name].lower() not in ("false", "0")
