"""The flow schemas and priority levels that every server has and keeps (KEP-1040).

In: nothing. Out: their specs by name. Called by: flowschema.py, prioritylevelconfiguration.py (nobody may change
them), apiserver/flow_defaults.py (makes them).
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api.resource import Object


def groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def everything(subjects: Sequence[Object]) -> list[Object]:
    """Rules that match all requests of the subjects."""
    return [{"subjects": list(subjects),
             "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True,
                                "namespaces": ["*"]}],
             "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]


def schema(level: str, precedence: int, method: str, rules: list[Object]) -> Object:
    out: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
    if method:
        out["distinguisherMethod"] = {"type": method}
    return {**out, "rules": rules}


SCHEMAS: dict[str, Object] = {
    "exempt": schema("exempt", 1, "", everything(groups("system:masters"))),
    "catch-all": schema("catch-all", 10000, "ByUser",
                        everything(groups("system:unauthenticated", "system:authenticated"))),
}
LEVELS: dict[str, Object] = {
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    "catch-all": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0}},
}
