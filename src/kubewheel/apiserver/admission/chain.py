"""Admission: every plugin that is on, in one order; first all may change the object, then all may refuse it.

In: Attributes. Out: a changed object, warnings, or StatusError. Called by: verbs/write, verbs/delete, streams.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from kubewheel.apiserver import admission
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes
from kubewheel.apiserver.authz import escalation
from kubewheel.lib import metrics

STEPS = metrics.REGISTRY.histogram(
    "apiserver_admission_step_admission_duration_seconds", "[STABLE] Admission sub-step latency histogram in seconds, broken "
    "out for each operation and API resource and step type (validate or admit).", "operation", "rejected", "type",
    buckets=(0.005, 0.025, 0.1, 0.5, 1.0, 2.5))


class Admission:
    def __init__(self, plugins: Iterable[AdmissionPlugin]) -> None:
        self.plugins = tuple(plugins)
        self._mutating = tuple(p for p in self.plugins if type(p).mutate is not AdmissionPlugin.mutate)
        self._validating = tuple(p for p in self.plugins if type(p).validate is not AdmissionPlugin.validate)

    async def mutate(self, attributes: Attributes) -> None:
        with _measured(attributes, "admit"):
            for plugin in self._mutating:
                await plugin.mutate(attributes)
            if attributes.reinvoke:  # what a webhook or a policy added goes through the others too
                attributes.again = True
                for plugin in self._mutating:
                    await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        with _measured(attributes, "validate"):
            for plugin in self._validating:
                await plugin.validate(attributes)


@contextlib.contextmanager
def _measured(attributes: Attributes, step: str) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    began, rejected = loop.time(), "true"
    try:
        yield
        rejected = "false"
    finally:
        STEPS.observe(loop.time() - began, attributes.operation, rejected, step)


def chosen(enable: Iterable[str], disable: Iterable[str]) -> list[str]:
    """The names that are on, in admission's order. ValueError for unknown ones, with upstream's words."""
    enable, disable = list(enable), set(disable)
    unknown = [n for n in (*enable, *disable) if n not in admission.PLUGINS]
    for name in enable:
        if name in admission.ABSENT:
            raise ValueError(f"admission plugin {name!r} is not in kubewheel yet: {admission.ABSENT[name]}")
    unknown = [n for n in unknown if n not in admission.ABSENT]
    if unknown:
        flag = "enable" if unknown[0] in enable else "disable"
        raise ValueError(f'{flag}-admission-plugins plugin "{unknown[0]}" is unknown')
    both = [n for n in enable if n in disable]
    if both:
        raise ValueError(f"{both} in enable-admission-plugins and disable-admission-plugins overlapped")
    return [n for n in admission.PLUGINS if n in enable or (n in admission.DEFAULT_ON and n not in disable)]


def build(options: Any, context: AdmissionContext) -> Admission:
    """`options` has enable_admission_plugins and disable_admission_plugins."""
    names = chosen(options.enable_admission_plugins, options.disable_admission_plugins)
    # RBAC's escalation check is no plugin upstream (it sits in the registry), so no flag turns it off
    return Admission([escalation.Escalation(context), *(admission.PLUGINS[n](context) for n in names)])
