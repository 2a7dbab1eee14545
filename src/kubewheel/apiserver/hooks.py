"""What a write to a few built-in resources does beside storing: allocate addresses and ports, give them back.

In: Call and objects, at fixed moments of verbs/write.py. Out: changed objects, or StatusError.
One visible table says which resource has which hook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kubewheel.api.resource import Object
from kubewheel.apiserver.call import Call

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


class Hook(Protocol):
    async def before_create(self, call: Call, obj: Object) -> None:
        """First of all changes; may set what clients may not."""

    async def after_mutate(self, call: Call, obj: Object) -> None:
        """After mutating admission, before validation: allocate."""

    async def before_update(self, call: Call, new: Object, old: Object) -> None: ...

    async def after_update(self, call: Call, new: Object, old: Object) -> None: ...

    async def after_delete(self, call: Call, obj: Object) -> None: ...

    async def release(self, call: Call, obj: Object) -> None:
        """The write failed: give back what after_mutate allocated."""


class BaseHook:
    async def before_create(self, call: Call, obj: Object) -> None: ...

    async def after_mutate(self, call: Call, obj: Object) -> None: ...

    async def before_update(self, call: Call, new: Object, old: Object) -> None: ...

    async def after_update(self, call: Call, new: Object, old: Object) -> None: ...

    async def after_delete(self, call: Call, obj: Object) -> None: ...

    async def release(self, call: Call, obj: Object) -> None: ...


class Hooks:
    def __init__(self, server: Server) -> None:
        from kubewheel.apiserver.allocators import certificate_requests, services

        self._table: dict[str, Hook] = {
            "services": services.ServiceHook(server),
            "certificatesigningrequests.certificates.k8s.io": certificate_requests.RequesterHook(),
        }

    def _of(self, call: Call) -> Hook | None:
        return self._table.get(call.resource.qualified)

    async def before_create(self, call: Call, obj: Object) -> None:
        if (hook := self._of(call)) is not None:
            await hook.before_create(call, obj)

    async def after_mutate(self, call: Call, obj: Object, old: Object | None) -> None:
        if (hook := self._of(call)) is not None:
            await hook.after_mutate(call, obj)

    async def before_update(self, call: Call, new: Object, old: Object) -> None:
        if (hook := self._of(call)) is not None:
            await hook.before_update(call, new, old)

    async def after_update(self, call: Call, new: Object, old: Object) -> None:
        if (hook := self._of(call)) is not None:
            await hook.after_update(call, new, old)

    async def after_delete(self, call: Call, obj: Object) -> None:
        if (hook := self._of(call)) is not None:
            await hook.after_delete(call, obj)

    async def release(self, call: Call, obj: Object) -> None:
        if (hook := self._of(call)) is not None:
            await hook.release(call, obj)
