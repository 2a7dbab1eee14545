"""pods/log: a container's log from its kubelet.

In: Call. Out: streamed text. Source of the rules: PodLogOptions of the pod API reference, PodLogsQuerySplitStreams.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict

from kubewheel.api import errors
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import kubelet, proxying, tunnel
from kubewheel.apiserver.subresources import exec as commands
from kubewheel.apiserver.verbs import get
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks

STREAMS = ("All", "Stderr", "Stdout")
MAX_REFUSAL = 50_000  # bytes of a kubelet's refusal that are shown
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


async def handle(call: Call) -> Response:
    query = _options(call)
    pod = (await get.entry(call)).obj
    container = commands.container_of(pod, call.request.first("container"))
    if not pod["spec"].get("nodeName"):
        # Upstream answers an empty body for a pod that is bound to no node yet.
        return Response(body=b"", headers={"content-type": "text/plain"})
    host, port = kubelet.node_address(call, pod["spec"]["nodeName"])
    path = f"/containerLogs/{call.namespace}/{call.name}/{quote(container)}"
    verify = not call.request.flag("insecureSkipTLSVerifyBackend")
    connector = call.server.kubelets
    target = proxying.Target("https", host, port, path, lambda: connector.kubelet_context(verify=verify))
    text = urlencode(sorted(query.items()))
    try:
        answer = await proxying.send(connector, "GET", target, query=text, headers=CIMultiDict())
    except errors.StatusError as e:
        why = e.message.removeprefix("error trying to reach service: ")
        raise tunnel.unknown(f'Get "https://{target.netloc}{path}?{text}": {why}') from e
    if not 200 <= answer.status <= 206:
        raise await _refusal(call, answer)
    return Response(headers={"content-type": "text/plain"}, chunks=proxying.through(answer))


async def _refusal(call: Call, answer: aiohttp.ClientResponse) -> errors.StatusError:
    """What the kubelet says, as the API's error."""
    try:
        raw = await answer.content.read(MAX_REFUSAL)
    finally:
        answer.close()
    text = raw.decode(errors="replace")
    if answer.status == 500:
        return errors.internal(text)
    if answer.status == 400:
        return errors.bad_request(text)
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Gone", 422: "Invalid",
               429: "TooManyRequests", 503: "ServiceUnavailable", 504: "Timeout"}
    words = {401: "the server has asked for the client to provide credentials", 403: text,
             404: "the server could not find the requested resource",
             422: "the server rejected our request due to an error in our request",
             503: "the server is currently unable to handle the request"}
    shown = words.get(answer.status, f"the server responded with the status code {answer.status} but did not return more "
                                     "information")
    error = errors.status_error(answer.status, reasons.get(answer.status, ""), f"{shown} ( pods/log {call.name})")
    error.status["details"] = {"name": call.name, "kind": "pods/log"}
    return error


def _options(call: Call) -> dict[str, str]:
    """The query for the kubelet; StatusError 400 for what cannot be read, 422 for what may not be."""
    request, findings, query = call.request, [], {}
    for name in ("follow", "previous", "timestamps"):
        if request.flag(name):
            query[name] = "true"
    numbers = {name: _integer(request.first(name)) for name in ("tailLines", "limitBytes", "sinceSeconds")}
    query |= {name: str(number) for name, number in numbers.items() if number is not None}
    if (tail := numbers["tailLines"]) is not None and tail < 0:
        findings.append(errors.field_invalid("tailLines", tail, "must be greater than or equal to 0"))
    if (limit := numbers["limitBytes"]) is not None and limit < 1:
        findings.append(errors.field_invalid("limitBytes", limit, "must be greater than 0"))
    seconds, time = numbers["sinceSeconds"], request.first("sinceTime")
    if time:
        query["sinceTime"] = _time(time)
    if seconds is not None and time:
        findings.append(errors.field_forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif seconds is not None and seconds < 1:
        findings.append(errors.field_invalid("sinceSeconds", seconds, "must be greater than 0"))
    stream = query["stream"] = request.first("stream") or "All"
    if stream not in STREAMS:
        findings.append(errors.field_not_supported("stream", stream, STREAMS))
    elif stream != "All" and tail is not None:
        findings.append(errors.field_forbidden("", "`tailLines` and specific `stream` are mutually exclusive for now"))
    if findings:
        raise errors.invalid("PodLogOptions", call.name, findings)
    return query


def _integer(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.removeprefix("-").removeprefix("+").isdigit():
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def _time(text: str) -> str:
    try:
        if _RFC3339.fullmatch(text):
            return clocks.rfc3339(clocks.parse_time(text))
    except (ValueError, OverflowError) as e:
        raise errors.bad_request(f'parsing time "{text}": out of range') from e
    raise errors.bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
