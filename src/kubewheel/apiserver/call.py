"""One request on its way through a verb or a subresource handler.

In: what chain.py found out. Out: the bundle every `verbs/*.py` and `subresources/*.py` function takes.
A handler is `async def handle(call: Call) -> Response`; it raises StatusError to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubewheel.api.protobuf import kinds
from kubewheel.api.resource import Object, Resource, Subresource
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Identity, Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


@dataclass(slots=True)
class Call:
    server: Server  # .client (loopback, system:apiserver), .caches, .authorizer, .admission, .clock, .random, .registry
    request: Request
    info: RequestInfo
    user: Identity
    resource: Resource
    sub: Subresource | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.info.namespace

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def dry_run(self) -> bool:
        return "All" in self.request.query.get("dryRun", ())

    def body(self) -> Object:
        """The request body as a private dict. StatusError 400 if it is no JSON/YAML object, 415 for other types."""
        from kubewheel.apiserver import bodies

        kind, api_version = self.expected()
        return bodies.decode(self.request, kind, api_version, is_custom=self.resource.custom is not None)

    def expected(self) -> tuple[str, str]:
        """(kind, apiVersion) of the body that the path takes."""
        sub, resource = self.sub, self.resource
        if sub is None:
            return resource.kind, resource.api_version
        group, version = sub.group or resource.group, sub.version or resource.version
        return sub.kind, f"{group}/{version}" if group else version

    def typed_body(self) -> Object:
        """The body of a kind that is answered and not stored (reviews, bindings, evictions …), checked by its schema."""
        from kubewheel.api import schema
        from kubewheel.apiserver.verbs import write, write_kind

        body = self.body()
        kind, api_version = self.expected()
        write.check_options(self)
        write_kind.check(self, body, kind, api_version)
        node = schema.definition(kinds.definition_of(api_version, kind))
        write.report(self, kind, api_version.rpartition("/")[2], lambda: schema.check(node, body))
        return body

    def answer(self, obj: Object, *, status: int = 200) -> Response:
        """The object in the representation the client asked for is made later, by render.py."""
        return Response(status=status, obj=obj)
