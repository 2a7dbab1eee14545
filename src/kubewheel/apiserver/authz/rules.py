"""RBAC PolicyRules: compiled for matching, and whether one set covers another (escalation).

In: PolicyRule dicts. Out: Rule values, answers. Pure. Called by: authz/rbac, authz/node, authz/escalation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubewheel.apiserver.attributes import RequestInfo


@dataclass(frozen=True, slots=True)
class Rule:
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: tuple[str, ...]
    any_verb: bool
    any_group: bool
    any_resource: bool

    def allows(self, info: RequestInfo, resource: str) -> bool:
        """`resource` is "pods" or "pods/log": computed once by the caller for many rules."""
        if not (self.any_verb or info.verb in self.verbs):
            return False
        if not info.is_resource:
            return any(url_matches(url, info.path) for url in self.urls)
        if not (self.any_group or info.group in self.groups):
            return False
        if not (self.any_resource or resource in self.resources
                or (info.subresource and f"*/{info.subresource}" in self.resources)):
            return False
        return not self.names or info.name in self.names


def compile_rule(rule: dict[str, Any]) -> Rule:
    verbs = frozenset(rule.get("verbs") or ())
    groups = frozenset(rule.get("apiGroups") or ())
    resources = frozenset(rule.get("resources") or ())
    return Rule(verbs, groups, resources, frozenset(rule.get("resourceNames") or ()),
                tuple(rule.get("nonResourceURLs") or ()), "*" in verbs, "*" in groups, "*" in resources)


def compile_rules(rules: Iterable[dict[str, Any]] | None) -> tuple[Rule, ...]:
    return tuple(compile_rule(r) for r in rules or ())


def url_matches(pattern: str, path: str) -> bool:
    return pattern == "*" or pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def resource_of(info: RequestInfo) -> str:
    return f"{info.plural}/{info.subresource}" if info.subresource else info.plural


# -- coverage ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Atom:
    """One verb on one resource (or path): the grain at which coverage is decided."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""


def atoms(rule: dict[str, Any]) -> Iterable[Atom]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            yield Atom(verb, url=url)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Atom(verb, group, resource, name)


def _covers(owner: Rule, atom: Atom) -> bool:
    if not (owner.any_verb or atom.verb in owner.verbs):
        return False
    if atom.url:
        return any(_url_covers(url, atom.url) for url in owner.urls)
    if not (owner.any_group or atom.group in owner.groups):
        return False
    _, slash, sub = atom.resource.partition("/")
    if not (owner.any_resource or atom.resource in owner.resources or (slash and f"*/{sub}" in owner.resources)):
        return False
    # without names the owner holds all of them; with names only those
    return not owner.names or (bool(atom.name) and atom.name in owner.names)


def _url_covers(owner: str, wanted: str) -> bool:
    if owner == wanted:
        return True
    return owner.endswith("*") and wanted.rstrip("*").startswith(owner[:-1])


def uncovered(owned: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The wanted rights not among the owned, one compact rule per resource (as upstream prints them)."""
    have = compile_rules(owned)
    missing: dict[tuple[str, str, str, str], list[str]] = {}
    for rule in wanted:
        for atom in atoms(rule):
            if not any(_covers(r, atom) for r in have):
                verbs = missing.setdefault((atom.group, atom.resource, atom.name, atom.url), [])
                if atom.verb not in verbs:
                    verbs.append(atom.verb)
    out = []
    for (group, resource, name, url), verbs in missing.items():
        if url:
            out.append({"nonResourceURLs": [url], "verbs": verbs})
        else:
            out.append({"apiGroups": [group], "resources": [resource], "verbs": verbs}
                       | ({"resourceNames": [name]} if name else {}))
    return out


def compact_string(rule: dict[str, Any]) -> str:
    """`{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, upstream's CompactString."""
    parts = []
    for field, title in (("nonResourceURLs", "NonResourceURLs"), ("resourceNames", "ResourceNames"),
                         ("apiGroups", "APIGroups"), ("resources", "Resources"), ("verbs", "Verbs")):
        values = rule.get(field)
        if values:
            parts.append((title, "[" + " ".join(f'"{v}"' for v in values) + "]"))
    order = ("APIGroups", "Resources", "NonResourceURLs", "ResourceNames", "Verbs")
    parts.sort(key=lambda p: order.index(p[0]))
    return "{" + ", ".join(f"{title}:{text}" for title, text in parts) + "}"

