"""The debug switch on shared objects: decoded cache entries that refuse to be changed.

In: decoded JSON. Out: the same, in dicts and lists that raise CachedObjectChanged where somebody changes them, so that
the guilty line is in the trace. On with `KUBEWHEEL_GUARD_CACHE=1` or `guard(True)`; our own tests switch it on.
Called by: watch_cache.Entry.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

from kubewheel.api import codec

enabled = os.environ.get("KUBEWHEEL_GUARD_CACHE", "") not in ("", "0")


class CachedObjectChanged(TypeError):
    """A cached object is shared and read-only: take `codec.copy` of it first."""


def guard(on: bool) -> None:
    """Objects decoded from now on are guarded, or not."""
    global enabled
    enabled = on


def loads(raw: bytes) -> Any:
    """codec.loads, guarded where the switch is on."""
    value = codec.loads(raw)
    return freeze(value) if enabled else value


def freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return FrozenDict({k: freeze(v) for k, v in value.items()})
    return FrozenList([freeze(v) for v in value]) if isinstance(value, list) else value


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise CachedObjectChanged("a cached object is shared and read-only; copy it before changing it")


class FrozenDict(dict[str, Any]):
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, memo: Any) -> Any:
        return codec.copy(self)

    def __reduce__(self) -> Any:
        return dict, (list(self.items()),)


class FrozenList(list[Any]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, memo: Any) -> Any:
        return codec.copy(self)

    def __reduce__(self) -> Any:
        return list, (list(iter(self)),)
