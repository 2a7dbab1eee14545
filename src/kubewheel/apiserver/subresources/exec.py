"""pods/exec and pods/attach: a client's upgrade passed on to the kubelet's /exec or /attach.

A WebSocket of v5.channel.k8s.io is spoken here and passed on as SPDY, for kubelets and runtimes need not know v5; all
else passes byte for byte. In: Call. Out: an upgraded connection.
Source of the rules: the pod API reference, KEP-4006 (SPDY to WebSockets).
"""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import kubelet, tunnel
from kubewheel.apiserver.streams.kubelet import DialError
from kubewheel.apiserver.verbs import get
from kubewheel.client.transport import Response
from kubewheel.lib.streams import channels, remote_command, spdy, upgrade
from kubewheel.lib.streams.remote_command import Command, Stdio, Wanted
from kubewheel.lib.streams.spdy_command import SpdyCommand

V5 = "v5.channel.k8s.io"
KUBELET_NAMES = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}


async def handle(call: Call) -> Response:
    verb = call.info.subresource
    wanted = {name: call.request.flag(name) for name in KUBELET_NAMES}
    await admit(call, {name: True for name, on in wanted.items() if on} | {
        "container": call.request.first("container"), "command": call.request.query.get("command", [])})
    await ensure_create(call)
    pod = (await get.entry(call)).obj
    container = container_of(pod, call.request.first("container"))
    host, port = node_of(call, pod)
    pairs = [(KUBELET_NAMES[name], "1") for name, on in wanted.items() if on]
    pairs += [("command", c) for c in call.request.query.get("command", ())] if verb == "exec" else []
    path = f"/{verb}/{call.namespace}/{call.name}/{quote(container)}?{urlencode(sorted(pairs, key=lambda p: p[0]))}"
    require_upgrade(call)
    connector = call.server.kubelets
    target = tunnel.Target(host, port, path, connector.kubelet_context)
    streams = Wanted(wanted["stdin"], wanted["stdout"], wanted["stderr"] and not wanted["tty"], wanted["tty"])

    async def take(raw: web.BaseRequest) -> web.StreamResponse:
        if not upgrade.is_websocket(raw) or V5 not in upgrade.offered(raw):
            return await tunnel.run(raw, connector, target)

        async def start() -> Command:
            return _AtKubelet(connector, target, streams)

        try:
            return await remote_command.serve(raw, streams, start)
        except upgrade.Refused as e:
            return tunnel.refusal(errors.status_error(e.status, "BadRequest" if e.status == 400 else "Forbidden", e.text))

    return Response(status=101, upgrade=take)


class _AtKubelet:
    """The command at the kubelet, started once the client's streams are there: how that fails is told on them."""

    def __init__(self, connector: kubelet.Connector, target: tunnel.Target, wanted: Wanted) -> None:
        self._connector, self._target, self._wanted = connector, target, wanted
        self._command: SpdyCommand | None = None

    async def run(self, stdio: Stdio) -> bytes:
        target = self._target
        try:
            host, port = await self._connector.where(target.host, target.port)
            assert target.context is not None
            self._command = await SpdyCommand.open(host, port, target.path, self._wanted, context=target.context())
        except DialError as e:
            return channels.failure_status(f"error sending request: {e}")
        except (OSError, TimeoutError) as e:
            return channels.failure_status(f"error sending request: {kubelet.dial_text(target.host, target.port, e)}")
        except spdy.SpdyError as e:
            return channels.failure_status(f"unable to upgrade connection: {e}")
        return await self._command.run(stdio)

    async def aclose(self) -> None:
        if self._command is not None:
            await self._command.aclose()


# -- shared with portforward.py and log.py ----------------------------------------------------------------------
async def ensure_create(call: Call) -> None:
    """A WebSocket's GET is authorised as get; what it does is a create, and that must be allowed as well
    (AuthorizePodWebsocketUpgradeCreatePermission)."""
    if call.info.verb == "create":
        return
    decision = await call.server.authorizer.authorize(call.user, dataclasses.replace(call.info, verb="create"))
    if decision.verdict != "allow":
        raise errors.forbidden(call.info.plural, call.name, decision.reason, group=call.info.group)


def require_upgrade(call: Call) -> None:
    if not tunnel.wants_upgrade(call.request) or call.request.hijack is None:
        raise errors.bad_request("Upgrade request required")


async def admit(call: Call, options: dict[str, Any]) -> None:
    """CONNECT admission: webhooks may deny attach and exec."""
    hub = call.server.registry.hub_of(call.resource)
    assert call.sub is not None
    attributes = Attributes(user=call.user, operation="CONNECT", resource=hub, subresource=call.info.subresource,
                            namespace=call.namespace, name=call.name, old=None,
                            obj={"kind": call.sub.kind, "apiVersion": "v1", **options})
    await call.server.admission.mutate(attributes)
    await call.server.admission.validate(attributes)


def container_of(pod: Object, named: str) -> str:
    """The container that is meant; StatusError 400 where that is not clear or there is none of the name."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    regular = [c["name"] for c in spec.get("containers") or ()]
    known = [c["name"] for key in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(key) or ()]
    if named:
        if named not in known:
            raise errors.bad_request(f"container {named} is not valid for pod {name}")
        return named
    if len(regular) == 1:
        return str(regular[0])
    raise errors.bad_request(f"a container name must be specified for pod {name}" + (
        f", choose one of: [{' '.join(known)}]" if regular else ""))


def node_of(call: Call, pod: Object) -> tuple[str, int]:
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {call.name} does not have a host assigned")
    return kubelet.node_address(call, pod["spec"]["nodeName"])
