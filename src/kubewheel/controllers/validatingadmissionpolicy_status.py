"""What type checking finds in ValidatingAdmissionPolicies is written to their status.

In: validatingadmissionpolicies; discovery and /openapi/v3 for the types they name. Out: status.typeChecking and
observedGeneration, applied as the field manager validatingadmissionpolicy-status.
"""

from __future__ import annotations

from kubewheel.api import catalog, codec, errors
from kubewheel.api.admissionregistration import type_check
from kubewheel.api.apiextensions import declared
from kubewheel.api.cel.check import DYN, Kind
from kubewheel.api.resource import Gvr, Object
from kubewheel.api.schema import compile as definitions
from kubewheel.controllers.rules import READ, rule
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
MANAGER = "validatingadmissionpolicy-status"


async def reconcile(context: Context, key: str) -> None:
    policy = context.cache(POLICIES).get(None, key)
    if policy is None or policy["metadata"].get("generation", 0) <= (policy.get("status") or {}).get("observedGeneration", 0):
        return
    types = [found for named in type_check.named_types(policy) if (found := await _type_of(context, *named)) is not None]
    told = type_check.warnings(policy, types, await _params(context, policy))
    await context.client.apply(POLICIES, {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": key},
        "status": {"observedGeneration": policy["metadata"]["generation"],
                   "typeChecking": {"expressionWarnings": told} if told else {}}},
        subresource="status", force=True, fieldManager=MANAGER)


async def _params(context: Context, policy: Object) -> Kind:
    param = policy["spec"].get("paramKind")
    if not param:
        return DYN
    group, _, version = param["apiVersion"].rpartition("/")
    for resource in await _discovered(context, group, version):
        if resource["kind"] == param["kind"] and "/" not in resource["name"]:
            found = await _type_of(context, group, version, resource["name"])
            return found[1] if found is not None else DYN
    return DYN


async def _type_of(context: Context, group: str, version: str, plural: str) -> tuple[str, Kind] | None:
    """What the resource's kind is called, and its type; None for what is not served."""
    kind = next((r["kind"] for r in await _discovered(context, group, version) if r["name"] == plural), None)
    if kind is None:
        return None
    name = f"{group}/{version}, Kind={kind}" if group else f"/{version}, Kind={kind}"
    built_in = catalog.lookup(Gvr(group, version, plural))
    if built_in is not None:
        return name, type_check.typed(built_in.node())
    document = await _get(context, f"/openapi/v3/apis/{group}/{version}")
    for schema in ((document or {}).get("components") or {}).get("schemas", {}).values():
        if {"group": group, "version": version, "kind": kind} in (schema.get("x-kubernetes-group-version-kind") or ()):
            made = declared.kind({**schema, "x-kubernetes-embedded-resource": True})
            if made is not None and made.fields is not None:
                meta = type_check.typed(definitions.definition(definitions.META + "ObjectMeta"))
                return name, Kind("object", fields={**made.fields, "metadata": meta}, shown="object")
    return None


async def _discovered(context: Context, group: str, version: str) -> list[Object]:
    found = await _get(context, f"/apis/{group}/{version}" if group else f"/api/{version}")
    return list((found or {}).get("resources") or ())


async def _get(context: Context, path: str) -> Object | None:
    try:
        response = await context.client.raw("GET", path)
    except errors.StatusError as e:
        if e.code == 404:
            return None
        raise
    made = response.obj if isinstance(response.obj, dict) else codec.loads(response.body or b"null")
    return made if isinstance(made, dict) else None


CONTROLLER = Controller(
    name="validatingadmissionpolicy-status-controller",
    reconcile=reconcile,
    watches=(Watch(POLICIES, own_key),),
    rules=(rule("admissionregistration.k8s.io", "validatingadmissionpolicies", READ),
           rule("admissionregistration.k8s.io", "validatingadmissionpolicies/status", "get patch update")),
)
