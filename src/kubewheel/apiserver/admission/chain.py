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
from kubewheel.apiserver.admission import measures
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes
from kubewheel.apiserver.authz import escalation


class Admission:
    def __init__(self, plugins: Iterable[AdmissionPlugin]) -> None:
        self.plugins = tuple(plugins)
        self._mutating = _ByResource(p for p in self.plugins if type(p).mutate is not AdmissionPlugin.mutate)
        self._validating = _ByResource(p for p in self.plugins if type(p).validate is not AdmissionPlugin.validate)

    async def mutate(self, attributes: Attributes) -> None:
        plugins = self._mutating[attributes.resource.gvr, attributes.subresource]
        with _measured(attributes, "admit"):
            for plugin in plugins:
                with _measured(attributes, "admit", plugin.name):
                    await plugin.mutate(attributes)
            if attributes.reinvoke:  # what a webhook or a policy added goes through the others too
                attributes.again = True
                for plugin in plugins:
                    with _measured(attributes, "admit", plugin.name):
                        await plugin.mutate(attributes)

    async def validate(self, attributes: Attributes) -> None:
        with _measured(attributes, "validate"):
            for plugin in self._validating[attributes.resource.gvr, attributes.subresource]:
                with _measured(attributes, "validate", plugin.name):
                    await plugin.validate(attributes)


class _ByResource(dict[tuple[Gvr, str], tuple[AdmissionPlugin, ...]]):
    """The plugins that look at a resource or subresource, in order; found once."""

    def __init__(self, plugins: Iterable[AdmissionPlugin]) -> None:
        super().__init__()
        self._plugins = tuple(plugins)

    def __missing__(self, key: tuple[Gvr, str]) -> tuple[AdmissionPlugin, ...]:
        gvr, subresource = key
        name = errors.qualified(gvr.plural, gvr.group)
        made = self[key] = tuple(p for p in self._plugins if (p.resources is None or name in p.resources)
                                 and (p.subresources is None or subresource in p.subresources))
        return made


class _measured:  # noqa: N801 - reads as a verb; a class, because contextlib's generators cost more than most plugins
    """Seconds of a step, or of one plugin in it."""

    __slots__ = ("_attributes", "_began", "_name", "_step", "_time")

    def __init__(self, attributes: Attributes, step: str, name: str = "") -> None:
        self._attributes, self._step, self._name = attributes, step, name
        self._time = asyncio.get_running_loop().time

    def __enter__(self) -> None:
        self._began = self._time()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds, rejected = self._time() - self._began, "false" if kind is None else "true"
        if not self._name:
            measures.STEPS.observe(seconds, self._attributes.operation, rejected, self._step)
        elif self._name in admission.PLUGINS:  # upstream's own
            measures.PLUGINS.observe(seconds, self._name, self._attributes.operation, rejected, self._step)


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
