"""What may they do? The authorizers in the order of --authorization-mode, behind system:masters.

In: the server's options and caches. Out: one Authorizer. Called by: server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubewheel.apiserver.authz import modes

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


def build(server: Server) -> modes.Union:
    return modes.build(server.options.authorization_mode, server.caches)
