"""AlwaysAdmit, AlwaysDeny, AlwaysPullImages: three that are off unless asked for."""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes


class AlwaysAdmit(AdmissionPlugin):
    name = "AlwaysAdmit"


class AlwaysDeny(AdmissionPlugin):
    name = "AlwaysDeny"

    async def mutate(self, attributes: Attributes) -> None:
        raise errors.forbidden(attributes.resource.plural, attributes.name, "admission control is denying all modifications",
                               group=attributes.resource.group)

    async def validate(self, attributes: Attributes) -> None:
        await self.mutate(attributes)


class AlwaysPullImages(AdmissionPlugin):
    name = "AlwaysPullImages"
    resources = frozenset({"pods"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod(attributes) or attributes.obj is None:
            return
        for container in pods.containers(attributes.obj.get("spec") or {}, ephemeral=True):
            container["imagePullPolicy"] = "Always"
