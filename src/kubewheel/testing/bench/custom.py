"""CREATE of custom resources: pruning, defaults, the schema's checks and its CEL rules, each create on its own.

The same object is made once under a schema with rules and once under the schema alone: the difference is what CEL costs.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from itertools import count
from typing import Any

import uvloop

from kubewheel.testing.bench import child, load
from kubewheel.testing.bench.figures import Figure

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RULES = (
    (("spec",), "self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas"),
    (("spec",), "self.backends.all(b, b.weight > 0) && self.backends.map(b, b.weight).sum() <= 100"),
    (("spec",), "!has(self.schedule) || self.schedule.matches('^[0-9*/, -]+$')"),
    (("spec", "backends", "items"), "self.host.startsWith('svc-') ? self.port >= 1024 : self.port < 1024"),
    (("spec", "mode"), "self in ['Active', 'Passive']"),
)
_SPEC: dict[str, Any] = {
    "type": "object", "required": ["replicas", "minReplicas", "maxReplicas", "backends", "mode"], "properties": {
        "replicas": {"type": "integer"}, "minReplicas": {"type": "integer", "minimum": 0}, "maxReplicas": {"type": "integer"},
        "mode": {"type": "string", "maxLength": 20}, "schedule": {"type": "string", "maxLength": 60},
        "paused": {"type": "boolean", "default": False},
        "backends": {"type": "array", "maxItems": 20, "items": {"type": "object", "required": ["host", "port"], "properties": {
            "host": {"type": "string", "maxLength": 60, "pattern": "^[a-z0-9-]+$"}, "port": {"type": "integer"},
            "weight": {"type": "integer", "default": 1}}}}}}


def definition(plural: str, rules: tuple[tuple[tuple[str, ...], str], ...]) -> dict[str, Any]:
    spec = copy.deepcopy(_SPEC)
    for (_, *path), rule in rules:
        at = spec
        for part in path:
            at = at[part] if part == "items" else at["properties"][part]
        at.setdefault("x-kubernetes-validations", []).append({"rule": rule})
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.bench.example.com"}, "spec": {
                "group": "bench.example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": plural.title()},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}}


def instance(plural: str, number: int) -> dict[str, Any]:
    return {"apiVersion": "bench.example.com/v1", "kind": plural.title(),
            "metadata": {"name": f"x{number}", "namespace": "default"}, "spec": {
                "replicas": 3, "minReplicas": 1, "maxReplicas": 5, "mode": "Active", "schedule": "*/5 * * * *",
                "backends": [{"host": f"svc-{i}", "port": 8080 + i, "weight": 10} for i in range(5)]}}


def path(plural: str) -> str:
    return f"/apis/bench.example.com/v1/namespaces/default/{plural}"


async def _ready(server: child.Served, plural: str) -> None:
    """The definition is there, and its resource is served."""
    await load.all_of(server, [load.request("POST", CRDS, definition(plural, RULES if plural == "ruled" else ()))])
    await asyncio.sleep(0.5)


def run() -> list[Figure]:
    found: list[Figure] = []
    with child.served() as server:
        for plural, what in (("ruled", "5 CEL rules, 9 evaluations"), ("plain", "no rules")):
            numbers = count()

            def make(n: int, numbers: Iterator[int] = numbers, plural: str = plural) -> Iterator[bytes]:
                return iter([load.request("POST", path(plural), instance(plural, next(numbers))) for _ in range(n)])

            uvloop.run(_ready(server, plural))
            found += load.at_each_width(f"CREATE custom resource ({what})", server, 900, make)
    return found
