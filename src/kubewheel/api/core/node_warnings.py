"""What upstream warns of in the labels and addresses of nodes.

In: node selector terms, labels. Out: Warning texts. Called by: pod_warnings.py, volume_warnings.py, node.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import names

Spec = Mapping[str, Any]

DEPRECATED_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def node_term(term: Spec, path: str, *, values: bool = False) -> list[str]:
    out: list[str] = []
    for i, e in enumerate(term.get("matchExpressions") or ()):
        where, key = f"{path}.matchExpressions[{i}]", e.get("key") or ""
        if key in DEPRECATED_NODE_LABELS:
            out.append(f"{where}.key: {key} is {DEPRECATED_NODE_LABELS[key]}")
        if values:
            out += [f"{where}.values[{j}]: {value} is invalid, {message}" for j, value in enumerate(e.get("values") or ())
                    for message in names.label_value(value)]
    return out
