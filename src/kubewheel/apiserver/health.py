"""/healthz, /livez, /readyz with named checks, ?verbose and ?exclude, and single checks below them; /metrics.

In: the server. Out: upstream's texts. Called by: endpoints.py.
Source of the format: the API server health endpoints page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubewheel.client.transport import Request, Response
from kubewheel.lib import metrics

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


class Health:
    def __init__(self, server: Server) -> None:
        self._server = server
        self.stopping = False

    def checks(self, endpoint: str) -> dict[str, bool]:
        """Check name -> passed, in the order shown."""
        server = self._server
        caught_up = server.watch_cache.revision > 0
        found = {"ping": True, "log": True, "etcd": caught_up}
        if endpoint == "readyz":
            found |= {"etcd-readiness": caught_up, "informer-sync": caught_up}
        found |= {f"poststarthook/{name}": done for name, done in server.bootstrap.progress.items()}
        if endpoint == "readyz":
            found["shutdown"] = not self.stopping
        return found

    def paths(self) -> list[str]:
        return [p for e in ("healthz", "livez", "readyz") for p in (f"/{e}", *(f"/{e}/{c}" for c in self.checks(e)))]

    def metrics(self) -> str:
        return metrics.REGISTRY.render()

    async def handle(self, request: Request, path: str) -> Response:
        endpoint, _, single = path.strip("/").partition("/")
        checks = self.checks(endpoint)
        if single:
            if single not in checks:
                return _text(404, "404 page not found\n")
            return _text(200, "ok") if checks[single] else _text(500, "internal server error: check failed\n")
        excluded = set(request.query.get("exclude", ()))
        lines, failed = [], []
        for name, passed in checks.items():
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            elif passed:
                lines.append(f"[+]{name} ok")
            else:
                lines.append(f"[-]{name} failed: reason withheld")
                failed.append(name)
        if failed:
            return _text(500, "\n".join([*lines, f"{endpoint} check failed", ""]))
        if "verbose" in request.query:
            return _text(200, "\n".join([*lines, f"{endpoint} check passed", ""]))
        return _text(200, "ok")


def _text(status: int, body: str) -> Response:
    return Response(status=status, body=body.encode(), headers={"content-type": "text/plain; charset=utf-8"})
