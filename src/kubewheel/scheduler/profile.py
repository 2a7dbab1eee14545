"""KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) → profiles with their plugins, in order.

In: the configuration's JSON (or nothing: the defaults). Out: Config with Profiles. Called by: loop, run.

A plugin may be named `module:Class` or `/path/file.py:Class`: a Python class of the user's, no rebuild. It is turned on
in `plugins.multiPoint.enabled` (or at a single point) like upstream's, with its args in `pluginConfig` by that name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubewheel.scheduler.decide import Decider
from kubewheel.scheduler.plugins import DEFAULTS, KNOWN
from kubewheel.scheduler.plugins.base import Handle, Plugin

API_VERSIONS = ("kubescheduler.config.k8s.io/v1",)
# Upstream's extension points, and the methods of Plugin that take part in each.
POINTS: Mapping[str, tuple[str, ...]] = {
    "preEnqueue": ("queue",), "preFilter": ("prefilter",), "filter": ("filter", "filter_node"),
    "score": ("score", "score_node"), "reserve": ("reserve", "unreserve"), "permit": ("permit",),
    "preBind": ("prebind",), "bind": ("bind",), "postBind": ("postbind",),
}
OTHER_POINTS = ("queueSort", "preScore", "postFilter")  # accepted: theirs are PrioritySort, DefaultPreemption


class ConfigError(ValueError):
    """The configuration says something that cannot be done; the text names it."""


@dataclass(slots=True)
class Profile:
    name: str  # schedulerName
    plugins: dict[str, Plugin]
    points: dict[str, list[str]]
    weights: dict[str, float]
    preempts: bool
    args: Mapping[str, Mapping[str, Any]]
    decider: Decider = field(init=False)

    def __post_init__(self) -> None:
        self.decider = Decider(self.at("filter"), [(p, self.weights[p.name]) for p in self.at("score")],
                               self.at("preFilter"))

    def at(self, point: str) -> list[Plugin]:
        return [self.plugins[name] for name in self.points.get(point, ())]

    def gate(self, pod: Any) -> str | None:
        for plugin in self.at("preEnqueue"):
            if (why := plugin.queue(pod)) is not None:
                return why
        return None


@dataclass(slots=True)
class Config:
    profiles: dict[str, Profile]
    first_backoff: float = 1.0
    max_backoff: float = 10.0


def load(json: Mapping[str, Any] | None, handle: Handle) -> Config:
    json = json or {}
    version = json.get("apiVersion", API_VERSIONS[0])
    if version not in API_VERSIONS or json.get("kind", "KubeSchedulerConfiguration") != "KubeSchedulerConfiguration":
        raise ConfigError(f"no kind {json.get('kind')!r} is registered for version {version!r}")
    if json.get("extenders"):
        raise ConfigError("extenders are not supported")
    profiles = [_profile(p, handle) for p in json.get("profiles") or [{}]]
    names = [p.name for p in profiles]
    if len(set(names)) != len(names):
        raise ConfigError(f"duplicate profile with scheduler name in {names}")
    return Config({p.name: p for p in profiles}, float(json.get("podInitialBackoffSeconds", 1)),
                  float(json.get("podMaxBackoffSeconds", 10)))


def _profile(json: Mapping[str, Any], handle: Handle) -> Profile:
    name = json.get("schedulerName", "default-scheduler")
    plugins_json: Mapping[str, Any] = json.get("plugins") or {}
    args = {c["name"]: c.get("args") or {} for c in json.get("pluginConfig") or ()}
    for point in plugins_json:
        if point != "multiPoint" and point not in POINTS and point not in OTHER_POINTS:
            raise ConfigError(f"profile {name!r}: no extension point {point!r}")
    everywhere = _merge(dict(DEFAULTS), plugins_json.get("multiPoint") or {}, name)
    weights: dict[str, float] = dict(everywhere)
    chosen: dict[str, list[str]] = {}
    for point in POINTS:
        own = plugins_json.get(point) or {}
        at_point = _merge(dict(everywhere), own, name)
        chosen[point] = list(at_point)
        weights.update({n: w for n, w in at_point.items() if point == "score" or n not in weights})
    off = {p["name"] for p in (plugins_json.get("postFilter") or {}).get("disabled") or ()}
    preempts = "DefaultPreemption" in everywhere and not off & {"*", "DefaultPreemption"}
    made: dict[str, Plugin] = {}
    for wanted in dict.fromkeys(n for names in chosen.values() for n in names):
        if (cls := _class(wanted, name)) is not None:
            made[wanted] = cls(args.get(wanted), handle)
            made[wanted].name = wanted
    points = {point: [n for n in names if n in made and _takes_part(made[n], point)] for point, names in chosen.items()}
    return Profile(name, made, points, {n: w or 1.0 for n, w in weights.items()}, preempts, args)


def _merge(plugins: dict[str, float], change: Mapping[str, Any], profile: str) -> dict[str, float]:
    for off in change.get("disabled") or ():
        if off["name"] == "*":
            plugins.clear()
        else:
            plugins.pop(off["name"], None)
    for on in change.get("enabled") or ():
        if on["name"] in plugins and not on.get("weight"):
            continue
        plugins[on["name"]] = float(on.get("weight") or 1)
    return plugins


def _takes_part(plugin: Plugin, point: str) -> bool:
    return any(getattr(type(plugin), method) is not getattr(Plugin, method) for method in POINTS[point])


def _class(name: str, profile: str) -> type[Plugin] | None:
    """None for names whose work is done by the loop itself."""
    if name in KNOWN:
        return KNOWN[name]
    where, colon, cls_name = name.rpartition(":")
    if not colon:
        raise ConfigError(f"profile {profile!r}: plugin {name!r} does not exist")
    try:
        if where.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"kubewheel_plugin_{Path(where).stem}", where)
            if spec is None or spec.loader is None:
                raise ImportError(f"{where} is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
        cls = getattr(module, cls_name)
    except (ImportError, AttributeError, OSError) as e:
        raise ConfigError(f"profile {profile!r}: plugin {name!r} cannot be loaded: {e}") from e
    if not (isinstance(cls, type) and issubclass(cls, Plugin)):
        raise ConfigError(f"profile {profile!r}: plugin {name!r} is not a kubewheel.scheduler.plugins.base.Plugin")
    return cls
