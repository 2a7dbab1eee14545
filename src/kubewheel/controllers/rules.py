"""RBAC PolicyRules in one line each, as controllers declare them.

In: group, resources, verbs. Out: rbac.authorization.k8s.io PolicyRule dicts. Called by: controllers/*.
"""

from __future__ import annotations

from typing import Any

READ = "get list watch"


def rule(group: str, resources: str, verbs: str) -> dict[str, Any]:
    """`rule("apps", "replicasets replicasets/status", "get list")`; group "" is the core group."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def events() -> dict[str, Any]:
    return {
        "apiGroups": ["", "events.k8s.io"],
        "resources": ["events"],
        "verbs": ["create", "patch", "update"],
    }
