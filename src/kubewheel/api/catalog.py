"""Every built-in resource, in one explicit tuple, in the order discovery lists them.

In: the resource files. Out: look-ups. Called by: client (names to paths), apiserver (dispatch, discovery).
"""

from __future__ import annotations

from functools import cache

from kubewheel.api.resource import Gvr, Resource

RESOURCES: tuple[Resource, ...] = ()


@cache
def _by_gvr() -> dict[Gvr, Resource]:
    return {r.gvr: r for r in RESOURCES}


@cache
def _preferred() -> dict[str, Gvr]:
    """"pods", "deployments.apps" -> the first listed (preferred) version."""
    out: dict[str, Gvr] = {}
    for r in RESOURCES:
        out.setdefault(r.qualified, r.gvr)
    return out


def lookup(gvr: Gvr) -> Resource | None:
    return _by_gvr().get(gvr)


def gvr(name: str) -> Gvr:
    """The preferred version of "pods" or "deployments.apps". KeyError for what is not built in (use a Gvr)."""
    return _preferred()[name]


def resource(name: str) -> Resource:
    return _by_gvr()[gvr(name)]
