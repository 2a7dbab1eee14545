"""Stands in until admission, discovery and custom resources are here."""

from types import SimpleNamespace


class _Crds:
    def __init__(self, server): ...

    async def start(self): ...

    async def aclose(self): ...


crds = SimpleNamespace(Controller=_Crds)
