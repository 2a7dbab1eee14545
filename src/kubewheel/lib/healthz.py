"""Health endpoints: named checks, `?verbose`, `?exclude`, single checks below the path; and their SLIs.

In: checks (name -> function that gives "" or what is wrong), a path and a query. Out: status and text in the format of
upstream's components. Called by: apiserver/health.py, run/health_server.py.
Source of the format: "Kubernetes API health endpoints", KEP-3466 (component health SLIs).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping

from kubewheel.lib import metrics

Check = Callable[[], "str | Awaitable[str]"]
Answer = tuple[int, str]

SLIS = metrics.Registry()
HEALTHCHECK = SLIS.gauge(
    "kubernetes_healthcheck", "[STABLE] This metric records the result of a single healthcheck.", "name", "type")
HEALTHCHECKS = SLIS.counter(
    "kubernetes_healthchecks_total", "[STABLE] This metric records the results of all healthcheck.", "name", "status", "type")


async def answer(endpoint: str, checks: Mapping[str, Check], query: Mapping[str, list[str]], *,
                 single: str = "") -> Answer | None:
    """Of `/<endpoint>` or `/<endpoint>/<single>`; None for a check that there is not."""
    if single:
        if single not in checks:
            return None
        wrong = await _run(endpoint, single, checks[single])
        return (500, f"internal server error: {wrong}\n") if wrong else (200, "ok")
    excluded = set(query.get("exclude", ()))
    results = {name: None if name in excluded else await _run(endpoint, name, check) for name, check in checks.items()}
    return text(endpoint, results, unknown=excluded - checks.keys(), verbose="verbose" in query)


async def _run(endpoint: str, name: str, check: Check) -> str:
    found = check()
    wrong = await found if inspect.isawaitable(found) else found
    HEALTHCHECK.set(0 if wrong else 1, name, endpoint)
    HEALTHCHECKS.inc(name, "error" if wrong else "success", endpoint)
    return wrong


def text(endpoint: str, results: Mapping[str, str | None], *, unknown: Iterable[str] = (), verbose: bool = False) -> Answer:
    """`results`: what is wrong, "" for nothing, None for what was excluded. Why is withheld: anybody may ask."""
    lines, failed = [], False
    for name, wrong in results.items():
        if wrong is None:
            lines.append(f"[+]{name} excluded: ok")
        elif wrong:
            lines.append(f"[-]{name} failed: reason withheld")
            failed = True
        else:
            lines.append(f"[+]{name} ok")
    if unknown := sorted(unknown):
        names = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
    if failed:
        return 500, "\n".join([*lines, f"{endpoint} check failed", ""])
    return (200, "\n".join([*lines, f"{endpoint} check passed", ""])) if verbose else (200, "ok")
