"""What the API server fetches from kubelets: pods/log, exec, attach, portforward.

In: Call. Out: streamed answers, or an upgraded connection. Source of the rules: the pod API reference.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import tunnel
from kubewheel.apiserver.verbs import get
from kubewheel.client.transport import Response

LOG_QUERY = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
BOOLEANS = ("follow", "previous", "timestamps")


async def log(call: Call) -> Response:
    pod = (await get.entry(call)).obj
    container = _container(pod, call.request.first("container"), what="log")
    if not pod["spec"].get("nodeName"):
        # Upstream answers an empty body for a pod that is bound to no node yet.
        return Response(body=b"", headers={"content-type": "text/plain"})
    _check_log_options(call)
    host, port = await _kubelet(call, pod)
    query = urlencode({k: call.request.first(k) for k in LOG_QUERY if call.request.first(k)})
    path = f"/containerLogs/{call.namespace}/{call.name}/{quote(container)}"
    response = await call.server.kubelets.fetch(
        "GET", f"https://{host}:{port}{path}" + (f"?{query}" if query else ""), headers={}, body=None,
        what=f"Get \"https://{host}:{port}{path}\"")
    if response.status >= 400:
        raw = b"".join([c async for c in response.chunks or _none()])
        raise errors.status_error(response.status, "BadRequest" if response.status == 400 else "",
                                  raw.decode(errors="replace").strip())
    response.headers = {"content-type": "text/plain"}
    return response


async def _none():
    return
    yield b""


def _check_log_options(call: Call) -> None:
    request, findings = call.request, []
    for field in ("tailLines", "limitBytes", "sinceSeconds"):
        value = request.first(field)
        if not value:
            continue
        try:
            number = int(value)
        except ValueError as e:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax') from e
        if number < (1 if field != "tailLines" else 0):
            detail = "must be greater than or equal to 0" if field == "tailLines" else "must be greater than 0"
            findings.append(errors.field_invalid(field, number, detail))
    if request.first("sinceSeconds") and request.first("sinceTime"):
        findings.append(errors.field_forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if findings:
        raise errors.invalid("PodLogOptions", "", findings)


async def stream(call: Call) -> Response:
    """exec and attach: upgrade to the kubelet's /exec or /attach."""
    pod = (await get.entry(call)).obj
    request, verb = call.request, call.info.subresource
    container = _container(pod, request.first("container"), what=verb)
    await _admit(call, pod)
    if verb == "exec" and not request.query.get("command"):
        raise errors.bad_request("you must specify at least 1 command for the container")
    if not any(request.first(s) in ("true", "1") for s in ("stdin", "stdout", "stderr")):
        raise errors.bad_request("you must specify at least one of stdin, stdout, stderr")
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    pairs = [(_KUBELET_NAMES[k], "1") for k in ("stdin", "stdout", "stderr", "tty") if request.first(k) in ("true", "1")]
    pairs += [("command", c) for c in request.query.get("command", ())]
    path = f"/{verb}/{call.namespace}/{call.name}/{quote(container)}?{urlencode(pairs)}"
    return await _upgrade(call, pod, path)


_KUBELET_NAMES = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}


async def port_forward(call: Call) -> Response:
    pod = (await get.entry(call)).obj
    await _admit(call, pod)
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    pairs = [("port", p) for p in call.request.query.get("ports", ())]
    path = f"/portForward/{call.namespace}/{call.name}" + (f"?{urlencode(pairs)}" if pairs else "")
    return await _upgrade(call, pod, path)


async def _upgrade(call: Call, pod: Object, path: str) -> Response:
    if not tunnel.wants_upgrade(call.request):
        raise errors.bad_request("Upgrade request required")
    host, port = await _kubelet(call, pod)
    context = call.server.kubelets.ssl()

    async def upgrade(raw):
        return await tunnel.run(raw, call.request, path, host=host, port=port, context=context)

    return Response(status=101, upgrade=upgrade)


async def _admit(call: Call, pod: Object) -> None:
    """CONNECT admission: webhooks may deny attach and exec."""
    hub = call.server.registry.hub_of(call.resource)
    assert call.sub is not None
    options: Object = {"kind": call.sub.kind, "apiVersion": "v1", "container": call.request.first("container"),
               "command": call.request.query.get("command", [])}
    for stream_name in ("stdin", "stdout", "stderr", "tty"):
        if call.request.flag(stream_name):
            options[stream_name] = True
    attributes = Attributes(user=call.user, operation="CONNECT", resource=hub, subresource=call.info.subresource,
                            namespace=call.namespace, name=call.name, obj=options, old=None)
    await call.server.admission.mutate(attributes)
    await call.server.admission.validate(attributes)


def _container(pod: Object, named: str, *, what: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    regular = [c["name"] for c in spec.get("containers") or ()]
    init = [c["name"] for c in spec.get("initContainers") or ()]
    ephemeral = [c["name"] for c in spec.get("ephemeralContainers") or ()]
    if named:
        if named not in (*regular, *init, *ephemeral):
            raise errors.bad_request(f"container {named} is not valid for pod {name}")
        return named
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default is not None and default in regular:
        return str(default)
    if len(regular) == 1:
        return regular[0]
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(regular)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise errors.bad_request(text)


async def _kubelet(call: Call, pod: Object) -> tuple[str, int]:
    hub = call.server.registry.lookup(Gvr("", "v1", "nodes"))
    assert hub is not None
    node = call.server.watch_cache.resource(hub.registry).entries.get(f"/registry/{hub.registry}/{pod['spec']['nodeName']}")
    if node is None:
        raise errors.not_found("nodes", pod["spec"]["nodeName"])
    return call.server.kubelets.address(node.obj)
