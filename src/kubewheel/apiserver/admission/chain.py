"""Admission: every plugin that is on, in one order; first all may change the object, then all may refuse it.

In: Attributes. Out: a changed object, warnings, or StatusError. Called by: verbs/write, verbs/delete, streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Gvr
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
        self._mutating = _ByResource(p for p in self.plugins if type(p).mutate is not AdmissionPlugin.mutate)
        self._validating = _ByResource(p for p in self.plugins if type(p).validate is not AdmissionPlugin.validate)

    async def mutate(self, attributes: Attributes) -> None:
        plugins = self._mutating[attributes.resource.gvr]
        with _measured(attributes, "admit"):
            for plugin in plugins:
                await plugin.mutate(attributes)
            if attributes.reinvoke:  # what a webhook or a policy added goes through the others too
                attributes.again = True
                for plugin in plugins:
                    await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        with _measured(attributes, "validate"):
            for plugin in self._validating[attributes.resource.gvr]:
                await plugin.validate(attributes)


class _ByResource(dict[Gvr, tuple[AdmissionPlugin, ...]]):
    """The plugins that look at a resource, in order; found once."""

    def __init__(self, plugins: Iterable[AdmissionPlugin]) -> None:
        super().__init__()
        self._plugins = tuple(plugins)

    def __missing__(self, gvr: Gvr) -> tuple[AdmissionPlugin, ...]:
        name = errors.qualified(gvr.plural, gvr.group)
        made = self[gvr] = tuple(p for p in self._plugins if p.resources is None or name in p.resources)
        return made


class _measured:  # noqa: N801 - a context manager; a generator would cost a tenth of all admission
    __slots__ = ("_operation", "_step", "_began")

    def __init__(self, attributes: Attributes, step: str) -> None:
        self._operation, self._step = attributes.operation, step

    def __enter__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        took = asyncio.get_running_loop().time() - self._began
        STEPS.observe(took, self._operation, "false" if kind is None else "true", self._step)


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
