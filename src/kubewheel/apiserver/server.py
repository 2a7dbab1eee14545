"""The API server as one value: what it holds, how it starts, where a request is dispatched.

In: a Store, Options, clock and chance. Out: `handler` (the chain) for http.py and for in-process clients.
Called by: run, testing.
"""

from __future__ import annotations

import random

from kubewheel.api import catalog, errors, features
from kubewheel.api.resource import Gvr, Resource
from kubewheel.apiserver import endpoints, hooks, identity, render, runtime_config, server_metrics, subresources
from kubewheel.apiserver.admission import chain as admission_chain
from kubewheel.apiserver.attributes import AdmissionContext, RequestInfo
from kubewheel.apiserver.bootstrap import Bootstrap
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.chain import Chain
from kubewheel.apiserver.extension.aggregation.aggregator import Aggregator
from kubewheel.apiserver.extension.crd import controller as crds
from kubewheel.apiserver.options import Options
from kubewheel.apiserver.registry import Registry
from kubewheel.apiserver.streams import kubelet
from kubewheel.apiserver.verbs import create, delete, get, patch, update, watch
from kubewheel.apiserver.verbs import list as listing
from kubewheel.apiserver.watch_cache import WatchCache
from kubewheel.client.cache import Caches
from kubewheel.client.client import Client
from kubewheel.client.inprocess import InProcess
from kubewheel.client.transport import Identity, Request, Response
from kubewheel.lib import clock as clocks
from kubewheel.lib.supervise import Tasks
from kubewheel.storage.store import Store

# Subresources whose answers are objects; what streams (logs, exec, proxies) is of the type that it is.
ANSWERED = ("status", "scale", "binding", "eviction", "token", "ephemeralcontainers", "resize", "approval", "finalize")
LOOPBACK = Identity("system:apiserver", groups=("system:masters", "system:authenticated"))


class Server:
    def __init__(self, store: Store, *, clock: clocks.Clock, rng: random.Random, options: Options) -> None:
        self.store = store
        self.clock = clock
        self.random = rng
        self.options = options
        self.features = features.effective(options.feature_gates)
        self.registry = Registry(runtime_config.served(catalog.RESOURCES, options.runtime_config))
        self.watch_cache = WatchCache(store)
        self.chain = Chain(self)
        self.client = self.client_for(LOOPBACK, user_agent="kube-apiserver")
        self.caches = Caches(self.client, rng=rng)
        self.tasks = Tasks("apiserver")
        self.hooks = hooks.Hooks(self)
        self.kubelets = kubelet.Connector(options)
        self.authorizer = identity.authorization(self)
        self.authenticator = identity.authentication(self)
        self.admission = admission_chain.build(options, AdmissionContext(
            client=self.client, caches=self.caches, clock=clock, random=rng, authorizer=self.authorizer,
            options={"server": self}))
        self.endpoints = endpoints.Endpoints(self)
        self.bootstrap = Bootstrap(self)
        self.crds = crds.Controller(self)
        self.aggregator = Aggregator(self)
        server_metrics.register(self)

    async def start(self) -> None:
        """Returns when requests can be served; post-start work goes on in the background."""
        await self.watch_cache.start()
        for resource in self.registry.all():
            if not resource.not_stored:
                self.watch_cache.resource(self.registry.hub_of(resource).registry)
        await self.crds.start()
        await self.aggregator.start()
        self.endpoints.health.started = True
        await self.bootstrap.start()

    async def aclose(self) -> None:
        await self.aggregator.aclose()
        await self.crds.aclose()
        await self.bootstrap.aclose()
        await self.caches.aclose()
        await self.tasks.aclose()
        await self.watch_cache.aclose()
        await self.kubelets.aclose()

    def client_for(self, user: Identity, *, user_agent: str = "kubewheel") -> Client:
        return Client(InProcess(self.chain, user, user_agent=user_agent), manager=user_agent)

    # -- dispatch -------------------------------------------------------------------------------------------------
    async def dispatch(self, request: Request, info: RequestInfo, user: Identity) -> Response:
        if (elsewhere := self.aggregator.route(request.path)) is not None:
            return await self.aggregator.handle(elsewhere, request, user)
        if not info.is_resource:
            return await self.endpoints.handle(request, user)
        if request.path.startswith("//"):
            return endpoints.text(404, "404 page not found")
        resource = self.registry.lookup(Gvr(info.group, info.version, info.plural))
        known = resource is not None and (resource.verbs or resource.not_stored)  # a stored version need not be served
        if not known or resource is None or _is_other_scope(resource, info):
            return await self.endpoints.unknown(request, info, user)
        if request.user is None and (info.name in (".", "..") or "%" in info.name):
            _refuse_name(info, resource)
        call = Call(self, request, info, user, resource)
        if resource.deprecated:
            call.warnings.append(resource.deprecated)
        if resource.custom is not None and resource.custom.deprecation:
            call.warnings.append(resource.custom.deprecation)
        try:
            if not request.wants_objects and (not info.subresource or info.subresource in ANSWERED):
                render.check(request, resource, watch=info.verb == "watch")
            response = await self._run(call)
        except errors.StatusError as e:
            e.warnings = call.warnings
            raise
        response.warnings.extend(call.warnings)
        return response

    async def _run(self, call: Call) -> Response:
        info = call.info
        if info.plural == "namespaces" and not info.group:
            info.namespace = info.name if not call.resource.namespaced else info.namespace
        if info.subresource:
            return await self._subresource(call)
        handler = subresources.HANDLERS.get((call.resource.qualified, ""))
        if handler is not None:  # reviews and bindings: kinds that are answered, not stored
            if call.request.method != "POST":
                raise errors.not_allowed()
            return await handler(call)
        return await self._verb(call)

    async def _subresource(self, call: Call) -> Response:
        info, resource = call.info, call.resource
        sub = resource.subresource(info.subresource)
        if sub is None or len(info.parts) > 3 and sub.name != "proxy":
            raise _nothing_there(call)
        call.sub = sub
        if info.verb not in sub.verbs and sub.name != "proxy":
            raise _not_allowed(call)
        handler = subresources.HANDLERS.get((resource.qualified, sub.name)) or subresources.HANDLERS.get(("*", sub.name))
        if handler is not None:
            return await handler(call)
        if call.request.method == "GET":
            return await get.handle(call)
        if call.request.method == "PUT":
            return await update.handle(call)
        if call.request.method == "PATCH":
            return await patch.handle(call)
        raise errors.not_allowed()

    async def _verb(self, call: Call) -> Response:
        info, resource, method = call.info, call.resource, call.request.method
        verb = info.verb
        if resource.custom is not None and verb in ("update", "patch") and not info.name:
            raise errors.bad_request("name must be provided")
        if resource.custom is not None and verb == "create":
            info.name = ""  # said in vain
        if verb in ("update", "patch") and not info.name or verb == "create" and info.name and resource.custom is None:
            raise errors.not_allowed()
        if resource.namespaced and not info.namespace and info.name and info.parts[1:]:
            raise errors.page_not_found()  # upstream has no such route
        if resource.namespaced and not info.namespace and verb not in ("list", "watch"):
            raise errors.not_allowed()
        if verb not in resource.verbs:
            raise _not_allowed(call)
        if method == "GET" or method == "HEAD" and resource.custom is not None:
            if verb == "get":
                return await get.handle(call)
            return await (watch.handle(call) if verb == "watch" else listing.handle(call))
        if method == "POST":
            return await create.handle(call)
        if method == "PUT":
            return await update.handle(call)
        if method == "PATCH":
            return await patch.handle(call)
        if method == "DELETE":
            return await (delete.handle(call) if verb == "delete" else delete.collection(call))
        raise errors.not_allowed()


def _refuse_name(info: RequestInfo, resource: Resource) -> None:
    """A name that is no part of a path names nothing. 400"""
    if info.verb in ("get", "update", "patch", "delete") and not resource.not_stored:
        which = f"be '{info.name}'" if info.name in (".", "..") else "contain '%'"
        raise errors.bad_request(f"Name parameter invalid: {errors.quoted(info.name)}: may not {which}")


# Custom resources have no routes of their own but one handler, which says no in other words.
def _nothing_there(call: Call) -> errors.StatusError:
    if call.resource.custom is None:
        return errors.page_not_found()
    return errors.not_found(call.resource.plural, call.name, group=call.resource.group)


def _not_allowed(call: Call) -> errors.StatusError:
    if call.resource.custom is None:
        return errors.not_allowed()
    return errors.method_not_supported(call.resource.plural, call.info.verb, group=call.resource.group)


def _is_other_scope(resource: Resource, info: RequestInfo) -> bool:
    """The path of a namespace to what is in none; or of custom resources in none, but for reading all of them."""
    if not resource.namespaced:
        return bool(info.namespace) and (info.plural != "namespaces" or info.name != info.namespace)
    return resource.custom is not None and not info.namespace and info.verb not in ("list", "watch")
