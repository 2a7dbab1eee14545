"""Brings the built-in roles and bindings into the cluster, and mends them at each start.

In: the server's own client. Out: objects created or extended. An object that says autoupdate "false" is left alone.
Mending only ever adds what is missing (rules, subjects, labels); a binding that points elsewhere is replaced, as its
roleRef cannot change. Called by: server start (after the store is ready).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.authz import default_policy, rules

GROUP = default_policy.API


def mended_role(have: Object, want: Object) -> Object | None:
    """The role with what it lacks added; None if it lacks nothing or wants no mending."""
    if not _wants_mending(have):
        return None
    out = codec.copy(have)
    changed = _add_metadata(out, want)
    if "aggregationRule" in want:
        if out.get("aggregationRule") != want["aggregationRule"]:
            out["aggregationRule"] = want["aggregationRule"]
            changed = True
    else:
        missing = rules.uncovered(have.get("rules") or (), want.get("rules") or ())
        if missing:
            out["rules"] = [*(have.get("rules") or ()), *missing]
            changed = True
    return out if changed else None


def mended_binding(have: Object, want: Object) -> Object | None:
    if not _wants_mending(have):
        return None
    out = codec.copy(have)
    changed = _add_metadata(out, want)
    subjects = out.get("subjects") or []
    missing = [s for s in want.get("subjects") or () if s not in subjects]
    if missing:
        out["subjects"] = [*subjects, *missing]
        changed = True
    return out if changed else None


def _wants_mending(have: Object) -> bool:
    return (have["metadata"].get("annotations") or {}).get(default_policy.AUTOUPDATE) != "false"


def _add_metadata(out: Object, want: Object) -> bool:
    changed = False
    for field in ("labels", "annotations"):
        for key, value in (want["metadata"].get(field) or {}).items():
            values = out["metadata"].setdefault(field, {})
            if key not in values:
                values[key] = value
                changed = True
    return changed


async def reconcile(client: Any, controller_rules: Mapping[str, Any] | None = None, *, kubeadm: bool = True) -> None:
    """Everything of default_policy. Objects in namespaces that are not there yet are made with them.

    `controller_rules`: what controllers declare beside upstream's policy (name -> PolicyRules); a controller that
    upstream does not know gets a role and a binding of its own."""
    extra_roles, extra_bindings = default_policy.kubeadm() if kubeadm else ([], [])
    rules_of = controller_rules or {}
    await _all(client, "clusterroles", default_policy.cluster_roles(rules_of) + extra_roles, mended_role)
    await _all(client, "clusterrolebindings", default_policy.cluster_role_bindings(rules_of) + extra_bindings,
               mended_binding)
    for namespace in ("kube-system", "kube-public"):
        if await client.find("namespaces", namespace) is None:
            await _ignore_exists(client.create("namespaces", {
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    await _all(client, "roles", default_policy.roles(), mended_role)
    await _all(client, "rolebindings", default_policy.role_bindings(), mended_binding)


async def _all(client: Any, plural: str, wanted: list[Object], mend: Any) -> None:
    resource = f"{plural}.{GROUP}"
    listed = await client.list(resource)
    have = {_key(obj): obj for obj in listed["items"]}
    await asyncio.gather(*(_one(client, resource, have.get(_key(want)), want, mend) for want in wanted))


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


async def _one(client: Any, resource: str, have: Object | None, want: Object, mend: Any) -> None:
    if have is None:
        await _ignore_exists(client.create(resource, want))
        return
    if "roleRef" in want and have.get("roleRef") != want["roleRef"] and _wants_mending(have):
        meta = have["metadata"]
        await client.delete(resource, meta["name"], namespace=meta.get("namespace"), uid=meta.get("uid"))
        await _ignore_exists(client.create(resource, want))
        return
    fixed = mend(have, want)
    if fixed is not None:
        await client.update(resource, fixed)


async def _ignore_exists(call: Any) -> None:
    try:
        await call
    except errors.StatusError as e:
        if e.reason != "AlreadyExists":  # another server was first: it makes the same
            raise
