"""Metadata and status in a write: what the server alone sets, what a subresource may change, when the generation rises.

In: a Call and private objects, changed in place. Called by: write_create.py, write_update.py, delete.py.
"""

from __future__ import annotations

import uuid

from kubewheel.api import codec
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver.call import Call
from kubewheel.lib import clock as clocks

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
MAX_GENERATED_BASE = 58
# What the server alone writes; a client's change is put back silently.
DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds")
SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def new_uid(call: Call) -> str:
    return str(uuid.UUID(int=call.server.random.getrandbits(128), version=4))


def generated(call: Call, base: str) -> str:
    return base[:MAX_GENERATED_BASE] + "".join(call.server.random.choices(SUFFIX_ALPHABET, k=5))


def stamp(call: Call, obj: Object) -> None:
    """Metadata that the server gives a new object."""
    meta = obj["metadata"]
    for field in ("resourceVersion", "selfLink", "generation"):
        meta.pop(field, None)
    meta["uid"] = new_uid(call)
    meta["creationTimestamp"] = clocks.rfc3339(call.server.clock.now())
    if call.resource.has_generation:
        meta["generation"] = 1


_TWICE = (".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may "
          "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {uids}")


def dedup_owners(call: Call, obj: Object, *, after_admission: bool = False) -> None:
    """Owners named twice are owners once, and whoever names them so is told. In place. What a patch makes is looked
    at after admission alone."""
    owners = obj["metadata"].get("ownerReferences")
    if not owners or len(owners) < 2 or (call.info.verb == "patch" and not after_admission):
        return
    kept: list[Object] = []
    twice: dict[str, None] = {}
    for owner in owners:
        if owner in kept:
            twice[owner.get("uid", "")] = None
        else:
            kept.append(owner)
    if not twice:
        return
    obj["metadata"]["ownerReferences"] = kept
    when = " after mutating admission happens" if after_admission else ""
    text = _TWICE.format(when=when, uids=", ".join(twice))
    if text not in call.warnings:
        call.warnings.append(text)


def keep_server_fields(new: Object, old: Object) -> None:
    for field in SERVER_OWNED:
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)
    new["resourceVersion"] = old["resourceVersion"]
    if "generation" in old:
        new["generation"] = old["generation"]
    else:
        new.pop("generation", None)
    for field in ("name", "namespace"):
        if field in old and not new.get(field):
            new[field] = old[field]


def restrict(call: Call, new: Object, old: Object) -> None:
    """A subresource changes what it owns; the main resource leaves that as it was."""
    resource, sub = call.resource, call.sub
    if sub is None:
        for other in resource.subresources:
            if other.name == "status":
                for path in other.owns:
                    _put(new, path, _at(old, path))
        return
    kept = codec.copy(old)
    for path in sub.owns:
        _put(kept, path, _at(new, path))
    meta = kept["metadata"] if resource.custom is not None else new["metadata"]
    meta["managedFields"] = new["metadata"].get("managedFields") or []
    if sub.name == "status" and resource.custom is None:
        # Of metadata, upstream's status strategies put back these; the rest may be written here too.
        for field in {"pods": ("ownerReferences",), "deployments.apps": ("labels",)}.get(resource.qualified, ()):
            if field in old["metadata"]:
                meta[field] = codec.copy(old["metadata"][field])
            else:
                meta.pop(field, None)
    kept["metadata"] = meta
    meta["resourceVersion"] = old["metadata"]["resourceVersion"]
    new.clear()
    new.update(kept)


def _at(obj: Object, path: tuple[str, ...]) -> object:
    value: object = obj
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _put(obj: Object, path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        obj = obj.setdefault(part, {})
    if value is None:
        obj.pop(path[-1], None)
    else:
        obj[path[-1]] = codec.copy(value)


def bump_generation(hub: Resource, call: Call, new: Object, old: Object) -> None:
    if call.sub is not None and call.sub.name == "status":
        return
    if hub.raises_generation is not None:
        if hub.raises_generation(new, old):
            new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1
        return
    if not hub.has_generation:
        return
    ignored = {"metadata", "apiVersion", "kind"}
    if hub.custom is None or hub.subresource("status") is not None:
        ignored.add("status")
    if {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}:
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1
