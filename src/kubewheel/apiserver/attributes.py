"""What authentication, authorization and admission speak of: one request, described.

In: a parsed request. Out: the values handed down the chain. Called by: chain.py, authn/, authz/, admission/, verbs/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from kubewheel.api.resource import Object, Resource
from kubewheel.client.transport import Identity, Request


@dataclass(slots=True)
class RequestInfo:
    """A request's path, taken apart (apiserver RequestInfo)."""

    is_resource: bool
    path: str
    verb: str  # get list watch create update patch delete deletecollection; lower-case method for non-resources
    api_prefix: str = ""  # "api" | "apis"
    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()  # from plural on
    field_selector: str = ""  # of list, watch, deletecollection, as written: kubelets may list only what is theirs


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> Identity | None:
        """Who sent it; None if this method finds no credentials of its kind; StatusError 401 if they are bad."""


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: str  # "allow" | "deny" | "no-opinion"
    reason: str = ""


class Authorizer(Protocol):
    async def authorize(self, user: Identity, info: RequestInfo) -> Decision: ...

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        """(resource rules, non-resource rules, incomplete) for SelfSubjectRulesReview."""


@dataclass(slots=True)
class Attributes:
    """What an admission plugin sees. `obj` is private and changed in place by mutate; `old` is read-only."""

    user: Identity
    operation: str  # CREATE | UPDATE | DELETE | CONNECT
    resource: Resource
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    options: Object = field(default_factory=dict)
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)  # audit annotations
    is_name_generated: bool = False  # then `name` is generateName while the object may change, and webhooks are not told
    reinvoke: bool = False  # somebody's webhook or policy changed the object: the mutating plugins run once more
    again: bool = False  # they do
    rounds: dict[str, Any] = field(default_factory=dict)  # admission/reinvocation.py: its memory between the runs
    requested: Resource | None = None  # the version the request speaks of, where it is not `resource` (the stored one)


class AdmissionPlugin:
    """One admission plugin, one file. Override what it does; both default to nothing. Refuse by raising StatusError
    (errors.forbidden for most)."""

    name: str = ""
    # The qualified names of the resources it looks at ("pods", "deployments.apps"); None: all. Of the others it is not asked.
    resources: frozenset[str] | None = None
    # The subresources of these, "" being the resource itself; None: all.
    subresources: frozenset[str] | None = None

    def __init__(self, context: AdmissionContext) -> None:
        self.context = context

    async def mutate(self, attributes: Attributes) -> None: ...

    async def validate(self, attributes: Attributes) -> None: ...


@dataclass(slots=True)
class AdmissionContext:
    """`client` is the server's own loopback client; `caches` its caches."""

    client: Any
    caches: Any
    clock: Any
    random: Any
    authorizer: Authorizer
    options: dict[str, Any] = field(default_factory=dict)
