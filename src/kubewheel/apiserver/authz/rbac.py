"""RBAC: who may do what, by roles and bindings.

In: caches of roles, clusterroles and their bindings; a user and a request. Out: Decision ("allow" or "no-opinion":
RBAC never denies). Called by: authz/modes (union), subject access reviews, authz/escalation.

Invariants: an index subject -> bindings is kept as the caches change; what rules a user has in a namespace is
remembered until anything of RBAC changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Decision, RequestInfo
from kubewheel.apiserver.authz import rules
from kubewheel.client.transport import Identity

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
MAX_REMEMBERED = 4096

SubjectKey = tuple[str, str]  # ("User", name) | ("Group", name)
NO_OPINION = Decision("no-opinion")


@dataclass(frozen=True, slots=True)
class Grant:
    """One binding's effect: these rules, for this reason."""

    rules: tuple[rules.Rule, ...]
    raw: tuple[Object, ...]
    reason: str


def subject_key(subject: Object, namespace: str) -> SubjectKey:
    kind = subject.get("kind", "")
    if kind == "ServiceAccount":
        return "User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return kind, subject.get("name", "")


def user_keys(user: Identity) -> Iterator[SubjectKey]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group


class Rbac:
    """An Authorizer over caches. `caches.get(resource)` must give caches with get, list and subscribe."""

    def __init__(self, caches: Any) -> None:
        self._caches = caches
        self._ready = False
        self._compiled: dict[tuple[str, str], tuple[str, tuple[rules.Rule, ...]]] = {}
        self._by_subject: dict[str, dict[SubjectKey, dict[str, Object]]] = {}  # namespace ("" is cluster)
        self._grants: dict[tuple[str, tuple[str, ...], str], list[Grant]] = {}

    async def start(self) -> None:
        """Fills the caches, on the first question: the server answers them itself, so not before it serves."""
        if self._ready:
            return
        get = self._caches.get
        self._roles, self._cluster_roles = get(f"roles.{GROUP}"), get(f"clusterroles.{GROUP}")
        bindings = get(f"rolebindings.{GROUP}"), get(f"clusterrolebindings.{GROUP}")
        for source in (self._roles, self._cluster_roles, *bindings):
            await source.wait_synced()
        if self._ready:
            return  # another request was as early as this one
        self._ready = True
        for source in (self._roles, self._cluster_roles):
            source.subscribe(self._role_changed)
        for source in bindings:
            source.subscribe(self._binding_changed)

    async def authorize(self, user: Identity, info: RequestInfo) -> Decision:
        if not self._ready:
            await self.start()
        return self.decide(user, info)

    def decide(self, user: Identity, info: RequestInfo) -> Decision:
        resource = rules.resource_of(info)
        for grant in self.grants(user, info.namespace if info.is_resource else ""):
            for rule in grant.rules:
                if rule.allows(info, resource):
                    return Decision("allow", grant.reason)
        return NO_OPINION

    def rules_for(self, user: Identity, namespace: str) -> tuple[list[Object], list[Object], bool]:
        resource_rules: list[Object] = []
        url_rules: list[Object] = []
        for rule in self.held_rules(user, namespace):
            if rule.get("resources"):
                resource_rules.append({k: rule[k] for k in ("verbs", "apiGroups", "resources", "resourceNames")
                                       if rule.get(k)})
            if rule.get("nonResourceURLs"):
                url_rules.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
        return resource_rules, url_rules, False

    def held_rules(self, user: Identity, namespace: str) -> list[Object]:
        """Every PolicyRule the user has there, as written."""
        return [rule for grant in self.grants(user, namespace) for rule in grant.raw]

    def role_rules(self, ref: Object, namespace: str) -> list[Object] | None:
        """The rules behind a roleRef; None where there is no such role."""
        role = self._role(ref, namespace)
        return None if role is None else list(role.get("rules") or ())

    def grants(self, user: Identity, namespace: str) -> list[Grant]:
        key = (user.name, user.groups, namespace)
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= MAX_REMEMBERED:
                self._grants.clear()
            found = self._grants[key] = list(self._find_grants(user, namespace))
        return found

    def _find_grants(self, user: Identity, namespace: str) -> Iterator[Grant]:
        for where in ("", namespace) if namespace else ("",):
            subjects = self._by_subject.get(where)
            if not subjects:
                continue
            seen: set[str] = set()
            for key in user_keys(user):
                for name, binding in subjects.get(key, {}).items():
                    if name in seen:
                        continue
                    seen.add(name)
                    ref = binding["roleRef"]
                    role = self._role(ref, where)
                    if role is not None:
                        yield Grant(self._rules_of(role), tuple(role.get("rules") or ()),
                                    _reason(binding, ref, key, where))

    def _role(self, ref: Object, namespace: str) -> Object | None:
        if ref.get("kind") == "ClusterRole":
            return self._cluster_roles.get("", ref["name"])
        return self._roles.get(namespace, ref["name"]) if namespace else None

    def _rules_of(self, role: Object) -> tuple[rules.Rule, ...]:
        meta = role["metadata"]
        key = meta.get("namespace", ""), meta["name"]
        version = meta.get("resourceVersion", "")
        known = self._compiled.get(key)
        if known is None or known[0] != version or not version:
            known = self._compiled[key] = (version, rules.compile_rules(role.get("rules")))
        return known[1]

    def _role_changed(self, old: Object | None, new: Object | None) -> None:
        self._grants.clear()
        if new is None and old is not None:
            self._compiled.pop((old["metadata"].get("namespace", ""), old["metadata"]["name"]), None)

    def _binding_changed(self, old: Object | None, new: Object | None) -> None:
        self._grants.clear()
        for binding, present in ((old, False), (new, True)):
            if binding is None:
                continue
            namespace, name = binding["metadata"].get("namespace", ""), binding["metadata"]["name"]
            subjects = self._by_subject.setdefault(namespace, {})
            for key in _keys_of(binding, namespace):
                if present:
                    subjects.setdefault(key, {})[name] = binding
                elif (bucket := subjects.get(key)) is not None:
                    bucket.pop(name, None)
                    if not bucket:
                        del subjects[key]


def _keys_of(binding: Object, namespace: str) -> Iterable[SubjectKey]:
    return [subject_key(s, namespace) for s in binding.get("subjects") or ()]


def _reason(binding: Object, ref: Object, key: SubjectKey, namespace: str) -> str:
    name = binding["metadata"]["name"]
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    shown = f"{name}/{namespace}" if namespace else name
    who = key[1]
    if who.startswith("system:serviceaccount:") and key[0] == "User":
        parts = who.split(":")
        subject = f'ServiceAccount "{parts[3]}/{parts[2]}"'
    else:
        subject = f'{key[0]} "{who}"'
    return f'RBAC: allowed by {kind} "{shown}" of {ref.get("kind")} "{ref.get("name")}" to {subject}'
