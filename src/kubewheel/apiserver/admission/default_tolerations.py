"""DefaultTolerationSeconds: a pod bears a not-ready or unreachable node for five minutes.

In: pods. Out: spec.tolerations.
"""

from __future__ import annotations

from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(AdmissionPlugin):
    name = "DefaultTolerationSeconds"
    resources = frozenset({"pods"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod(attributes) or attributes.operation not in ("CREATE", "UPDATE") \
                or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        missing = [key for key in KEYS if not any(_tolerates(t, key) for t in tolerations)]
        if missing:
            spec["tolerations"] = [*tolerations, *(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                for key in missing)]


def _tolerates(toleration: dict[str, object], key: str) -> bool:
    return toleration.get("key") in (key, "", None) and toleration.get("effect") in ("NoExecute", "", None)
