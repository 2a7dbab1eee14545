"""Stands in until admission, discovery and custom resources are here."""

from types import SimpleNamespace


class _Admission:
    async def mutate(self, a): ...

    async def validate(self, a): ...


admission_chain = SimpleNamespace(build=lambda options, context: _Admission())


class _Crds:
    def __init__(self, server): ...

    async def start(self): ...

    async def aclose(self): ...


crds = SimpleNamespace(Controller=_Crds)


async def _ensure(client): ...


priority = SimpleNamespace(ensure_system_classes=_ensure)
table = SimpleNamespace(render=lambda *a, **k: {})
