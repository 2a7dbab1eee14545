"""PodTolerationRestriction (off by default): a namespace's annotations give its pods tolerations and limit them.

In: new pods. Out: spec.tolerations; 403 for those outside the namespace's whitelist.
"""

from __future__ import annotations

import orjson

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

DEFAULT = "scheduler.alpha.kubernetes.io/defaultTolerations"
WHITELIST = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"


class PodTolerationRestriction(AdmissionPlugin):
    name = "PodTolerationRestriction"
    resources = frozenset({"pods"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes):
            return
        spec = (attributes.obj or {}).setdefault("spec", {})
        have = list(spec.get("tolerations") or ())
        for toleration in await self._annotation(attributes, DEFAULT) or ():
            clash = [t for t in have if (t.get("key"), t.get("effect")) == (toleration.get("key"), toleration.get("effect"))]
            if any(t != toleration for t in clash):
                raise errors.forbidden("pods", attributes.name, "namespace tolerations and pod tolerations conflict")
            if not clash:
                have.append(toleration)
        if have:
            spec["tolerations"] = have

    async def validate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes):
            return
        allowed = await self._annotation(attributes, WHITELIST)
        if not allowed:
            return
        for toleration in ((attributes.obj or {}).get("spec") or {}).get("tolerations") or ():
            if not any(_within(toleration, limit) for limit in allowed):
                raise errors.forbidden("pods", attributes.name,
                                       "pod tolerations (possibly merged with namespace default tolerations) conflict "
                                       "with its namespace whitelist")

    async def _annotation(self, attributes: Attributes, name: str) -> list[Object] | None:
        namespace = await self.context.client.find("namespaces", attributes.namespace) or {"metadata": {}}
        text = (namespace["metadata"].get("annotations") or {}).get(name)
        if not text:
            return None
        try:
            return list(orjson.loads(text))
        except ValueError as e:
            raise errors.forbidden("pods", attributes.name, f"annotation {name} is no JSON: {e}") from e


def _within(toleration: Object, limit: Object) -> bool:
    return all(limit.get(f) in (None, "", toleration.get(f)) for f in ("key", "effect")) and (
        limit.get("operator") == "Exists" or limit.get("value", "") == toleration.get("value", ""))
