"""The authorization modes and their union: the first that allows or denies decides.

In: authorizers in the order of --authorization-mode. Out: one Authorizer. Called by: run (assembly), server.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Authorizer, Decision, RequestInfo
from kubewheel.apiserver.authz import node, rbac
from kubewheel.client.transport import Identity

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")
EVERYTHING: Object = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


class AlwaysAllow:
    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        return Decision("allow")

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        return [EVERYTHING], [{"verbs": ["*"], "nonResourceURLs": ["*"]}], False


class AlwaysDeny:
    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        return Decision("no-opinion", "Everything is forbidden.")

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        return [], [], False


class Masters:
    """system:masters may do everything, whatever the modes say (upstream's privileged-group authorizer)."""

    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        return Decision("allow") if rbac.MASTERS in user.groups else rbac.NO_OPINION

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        if rbac.MASTERS not in user.groups:
            return [], [], False
        return [EVERYTHING], [{"verbs": ["*"], "nonResourceURLs": ["*"]}], False


class Union:
    """`rbac` is the RBAC member if there is one: escalation checks ask it for held rules."""

    def __init__(self, *members: Authorizer) -> None:
        self.members = members
        self.rbac = next((m for m in members if isinstance(m, rbac.Rbac)), None)

    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        reasons: list[str] = []
        for member in self.members:
            decision = await member.authorize(user, info)
            if decision.verdict != "no-opinion":
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision("no-opinion", "\n".join(reasons))

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        resource_rules: list[Object] = []
        url_rules: list[Object] = []
        incomplete = False
        for member in self.members:
            a, b, c = member.rules_for(user, namespace)
            resource_rules += a
            url_rules += b
            incomplete = incomplete or c
        return resource_rules, url_rules, incomplete


def build(modes: list[str] | tuple[str, ...], caches: Any) -> Union:
    """The authorizer of --authorization-mode. ValueError names an unknown or repeated mode, as upstream does."""
    members: list[Authorizer] = [Masters()]
    for i, mode in enumerate(modes):
        if mode in modes[:i]:
            raise ValueError(f'authorization-mode "{mode}" specified more than once')
        if mode == "AlwaysAllow":
            members.append(AlwaysAllow())
        elif mode == "AlwaysDeny":
            members.append(AlwaysDeny())
        elif mode == "Node":
            members.append(node.NodeAuthorizer(caches))
        elif mode == "RBAC":
            members.append(rbac.Rbac(caches))
        else:
            raise ValueError(f'authorization-mode "{mode}" is not a valid mode')
    return Union(*members)
