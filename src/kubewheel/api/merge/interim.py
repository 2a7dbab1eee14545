"""Stands in until the patch modules are here."""

from types import SimpleNamespace
from typing import Any


class PatchError(ValueError):
    pass


def _merge(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = dict(doc) if isinstance(doc, dict) else {}
    for k, v in patch.items():
        if v is None:
            out.pop(k, None)
        else:
            out[k] = _merge(out.get(k), v)
    return out


def _strategic(node: Any, doc: Any, patch: Any) -> Any:
    return _merge(doc, patch)


def _updated(node, old, new, **kw):
    return (old or new)["metadata"].get("managedFields") or []


def _apply(node, live, applied, **kw):
    return _merge(live or {}, applied)


json_patch = SimpleNamespace(apply=lambda doc, ops: doc, PatchError=PatchError)
merge_patch = SimpleNamespace(apply=_merge)
strategic = SimpleNamespace(apply=_strategic)
managed = SimpleNamespace(updated=_updated)
apply = SimpleNamespace(apply=_apply)
