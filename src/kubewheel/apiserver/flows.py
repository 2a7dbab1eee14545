"""Which FlowSchema a request belongs to: the first that matches, by precedence and name.

In: the FlowSchemas and PriorityLevelConfigurations of the watch cache, a user, a request. Out: the headers that name both.
Called by: chain.py, for requests that come over the network. Source of the rule: the API page of FlowSchema; KEP-1040.
What is answered for a kind of request is kept until one of the objects changes: a request costs a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Identity

if TYPE_CHECKING:
    from kubewheel.apiserver.watch_cache import ResourceCache, WatchCache

SCHEMA_HEADER, LEVEL_HEADER = "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"
MAX_KNOWN = 4096  # kinds of requests


class Flow(NamedTuple):
    spec: Object
    headers: dict[str, str]  # shared


class Flows:
    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._flows: list[Flow] = []
        self._seen: tuple[int, int] = (-1, -1)
        self._known: dict[tuple[object, ...], dict[str, str]] = {}

    def headers(self, user: Identity, info: RequestInfo) -> dict[str, str]:
        """Not to be changed; empty as long as there are no FlowSchemas."""
        schemas, levels = (self._cache.resource(f"{plural}") for plural in ("flowschemas", "prioritylevelconfigurations"))
        if self._seen != (schemas.changes, levels.changes):
            self._seen = schemas.changes, levels.changes
            self._flows, self._known = flows(schemas, levels), {}
        where = (info.group, info.plural, info.subresource, info.namespace) if info.is_resource else (info.path,)
        key = (user.name, user.groups, info.verb, *where)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            found = self._known[key] = next((f.headers for f in self._flows if matches(f.spec, user, info)), {})
        return found


def flows(schemas: ResourceCache, levels: ResourceCache) -> list[Flow]:
    """The FlowSchemas in the order they are asked; those whose level is not there are left out."""
    uids = {e.obj["metadata"]["name"]: e.obj["metadata"].get("uid", "") for e in levels.entries.values()}
    objs = sorted((e.obj for e in schemas.entries.values()),
                  key=lambda o: (o["spec"].get("matchingPrecedence", 1000), o["metadata"]["name"]))
    return [Flow(o["spec"], {SCHEMA_HEADER: o["metadata"].get("uid", ""), LEVEL_HEADER: uids[level]})
            for o in objs if (level := o["spec"]["priorityLevelConfiguration"]["name"]) in uids]


def matches(spec: Object, user: Identity, info: RequestInfo) -> bool:
    """Whether any rule of a FlowSchema has both a subject and a kind of request that fit."""
    fits = _resource if info.is_resource else _path
    rules = "resourceRules" if info.is_resource else "nonResourceRules"
    return any(any(_is_subject(s, user) for s in policy.get("subjects") or ())
               and any(fits(rule, info) for rule in policy.get(rules) or ())
               for policy in spec.get("rules") or ())


def _is_subject(subject: Object, user: Identity) -> bool:
    kind = subject["kind"]
    if kind == "User":
        return subject["user"]["name"] in ("*", user.name)
    if kind == "Group":
        return subject["group"]["name"] == "*" or subject["group"]["name"] in user.groups
    account = subject["serviceAccount"]
    if account["name"] == "*":
        return user.name.startswith(f"system:serviceaccount:{account['namespace']}:")
    return user.name == f"system:serviceaccount:{account['namespace']}:{account['name']}"


def _has(names: Iterable[str] | None, name: str) -> bool:
    return any(n in ("*", name) for n in names or ())


def _resource(rule: Object, info: RequestInfo) -> bool:
    combined = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
    if not (_has(rule.get("verbs"), info.verb) and _has(rule.get("apiGroups"), info.group)
            and _has(rule.get("resources"), combined)):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _has(rule.get("namespaces"), info.namespace)


def _path(rule: Object, info: RequestInfo) -> bool:
    matching: Callable[[str], bool] = lambda url: (  # noqa: E731 - one place, one word
        url in ("*", info.path) or url.endswith("/*") and info.path.startswith(url[:-1]))
    return _has(rule.get("verbs"), info.verb) and any(matching(url) for url in rule.get("nonResourceURLs") or ())
