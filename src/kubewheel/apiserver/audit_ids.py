"""Audit-Id: one for each request, the client's own where it names one.

In: request headers. Out: the header's value. Called by: http.py.
"""

from __future__ import annotations

import os


def new() -> str:
    """A random UUID. Made here from the system's chance: ids must differ between runs, and uuid.uuid4 takes twice as long."""
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def of(given: str | None) -> str:
    """`given`: the request's Audit-ID, which is said again."""
    return given if given and given.isascii() and given.isprintable() else new()
