"""ResourceClaims of pods: made from templates, reserved for pods that run, given back when they are over.

In: pods, resourceclaims, resourceclaimtemplates. Out: claims, pod.status.resourceClaimStatuses, reservations, deletions.
Keys: "pod:ns/name", "claim:ns/name". `claims_of` and `settled` are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.client.client import STRATEGIC_PATCH
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, ownership
from kubewheel.reconcile.controller import Context, Controller, Watch, split_key

CLAIMS, TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
ANNOTATION = "resource.kubernetes.io/pod-claim-name"
FINALIZER = "resource.kubernetes.io/delete-protection"


def claims_of(pod: Object, owned: Sequence[Object]) -> dict[str, str | None]:
    """pod claim name -> ResourceClaim name; None where one is still to be made."""
    made = {objects.annotations_of(c).get(ANNOTATION): c["metadata"]["name"] for c in owned
            if not objects.is_terminating(c)}
    known = {s["name"]: s.get("resourceClaimName") for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    return {c["name"]: c.get("resourceClaimName") or made.get(c["name"]) or known.get(c["name"])
            for c in pod["spec"].get("resourceClaims") or ()}


def is_over(pod: Object | None, uid: str) -> bool:
    """Nothing of the pod will use its claims (any more)."""
    if pod is None or pod["metadata"]["uid"] != uid or objects.is_finished(pod):
        return True
    return objects.is_terminating(pod) and not pod["spec"].get("nodeName")


def settled(claim: Object, over: set[str]) -> Object:
    """The claim without reservations of pods that are over; unreserved, a dying or pod-owned one is deallocated."""
    status = claim.get("status") or {}
    reserved = [r for r in status.get("reservedFor") or () if r.get("resource") != "pods" or r["uid"] not in over]
    if len(reserved) == len(status.get("reservedFor") or ()) and (reserved or not _may_go(claim)):
        return claim
    new = codec.copy(claim)
    new["status"] = {k: v for k, v in status.items() if k != "reservedFor"}
    if reserved:
        new["status"]["reservedFor"] = reserved
    elif _may_go(claim):
        new["status"].pop("allocation", None)
    return claim if new["status"] == status else new


def _may_go(claim: Object) -> bool:
    owner = ownership.controller_of(claim)
    return objects.is_terminating(claim) or (owner is not None and owner["kind"] == "Pod")


async def reconcile(context: Context, key: str) -> None:
    kind, _, rest = key.partition(":")
    namespace, name = split_key(rest)
    if kind == "pod":
        pod = context.cache("pods").get(namespace, name)
        if pod is not None:
            await _sync_pod(context, pod)
        return
    claim = context.cache(CLAIMS).get(namespace, name)
    if claim is not None:
        await _sync_claim(context, claim)


# -- pods -------------------------------------------------------------------------------------------------------------
async def _sync_pod(context: Context, pod: Object) -> None:
    namespace, spec = pod["metadata"]["namespace"], pod["spec"]
    if is_over(pod, pod["metadata"]["uid"]) or objects.is_terminating(pod):
        return  # its claims look after themselves
    owned = [c for c in context.cache(CLAIMS).list(namespace) if ownership.is_controlled_by(c, pod)]
    names = claims_of(pod, owned)
    for one in spec.get("resourceClaims") or ():
        if names[one["name"]] is None and one.get("resourceClaimTemplateName"):
            names[one["name"]] = await _make(context, pod, one)
    templated = {c["name"] for c in spec.get("resourceClaims") or () if c.get("resourceClaimTemplateName")}
    statuses = [{"name": n, "resourceClaimName": names[n]} for n in sorted(templated) if names[n]]
    old = {s["name"]: s.get("resourceClaimName") for s in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    if old != {s["name"]: s["resourceClaimName"] for s in statuses}:
        await context.client.patch("pods", pod["metadata"]["name"], {
            "metadata": {"uid": pod["metadata"]["uid"]}, "status": {"resourceClaimStatuses": statuses}},
            namespace=namespace, subresource="status", type=STRATEGIC_PATCH)
    if spec.get("nodeName"):  # placed past the scheduler: somebody must reserve
        for claim_name in names.values():
            await _reserve(context, pod, context.cache(CLAIMS).get(namespace, claim_name or ""))


async def _make(context: Context, pod: Object, one: Object) -> str:
    namespace, pod_name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    template = context.cache(TEMPLATES).get(namespace, one["resourceClaimTemplateName"])
    if template is None:
        message = f'resourceclaimtemplate.resource.k8s.io "{one["resourceClaimTemplateName"]}" not found'
        context.events.event(objects.with_kind(pod, "v1", "Pod"), "Warning", "FailedResourceClaimCreation",
                             f"PodResourceClaim {one['name']}: {message}")
        raise errors.not_found("resourceclaimtemplates", one["resourceClaimTemplateName"], group="resource.k8s.io")
    given = template["spec"].get("metadata") or {}
    meta: Object = {"generateName": f"{pod_name}-{one['name']}-", "namespace": namespace,
                    "annotations": {**(given.get("annotations") or {}), ANNOTATION: one["name"]},
                    "ownerReferences": [ownership.controller_ref(pod, "v1", "Pod")]}
    if given.get("labels"):
        meta["labels"] = dict(given["labels"])
    # The cache may not show what an earlier look made: the server is asked first.
    for claim in (await context.client.list(CLAIMS, namespace=namespace))["items"]:
        if ownership.is_controlled_by(claim, pod) and objects.annotations_of(claim).get(ANNOTATION) == one["name"] \
                and not objects.is_terminating(claim):
            return claim["metadata"]["name"]
    made = await context.client.create(CLAIMS, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
                                                "metadata": meta, "spec": codec.copy(template["spec"]["spec"])})
    return made["metadata"]["name"]


async def _reserve(context: Context, pod: Object, claim: Object | None) -> None:
    status = (claim or {}).get("status") or {}
    meta, reserved = pod["metadata"], status.get("reservedFor") or []
    if claim is None or not status.get("allocation") or any(r["uid"] == meta["uid"] for r in reserved):
        return
    await context.client.update_status(CLAIMS, {**claim, "status": {**status, "reservedFor": [
        *reserved, {"resource": "pods", "name": meta["name"], "uid": meta["uid"]}]}})


# -- claims -----------------------------------------------------------------------------------------------------------
async def _sync_claim(context: Context, claim: Object) -> None:
    namespace = claim["metadata"]["namespace"]
    over = set()
    for ref in (claim.get("status") or {}).get("reservedFor") or ():
        if ref.get("resource") == "pods" and await _is_over(context, namespace, ref["name"], ref["uid"]):
            over.add(ref["uid"])
    new = settled(claim, over)
    # A scheduler puts the finalizer first and allocates then: in between it is not ours to take away.
    is_over = new is not claim or objects.is_terminating(claim)
    if new is not claim:
        claim = await context.client.update_status(CLAIMS, new)
    status = claim.get("status") or {}
    finalizers = claim["metadata"].get("finalizers") or []
    if is_over and FINALIZER in finalizers and not status.get("allocation") and not status.get("reservedFor"):
        new = codec.copy(claim)
        new["metadata"]["finalizers"] = [f for f in finalizers if f != FINALIZER]
        claim = await context.client.update(CLAIMS, new)
    owner = ownership.controller_of(claim)
    if owner is None or owner["kind"] != "Pod" or objects.is_terminating(claim) or status.get("reservedFor"):
        return
    if await _is_over(context, namespace, owner["name"], owner["uid"]):
        await context.client.delete(CLAIMS, claim["metadata"]["name"], namespace=namespace, uid=claim["metadata"]["uid"])


async def _is_over(context: Context, namespace: str, name: str, uid: str) -> bool:
    pod = context.cache("pods").get(namespace, name)
    if pod is None or pod["metadata"]["uid"] != uid:  # a slow cache must not take what is in use
        pod = await context.client.find("pods", name, namespace=namespace)
    return is_over(pod, uid)


def _pod_keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    pod = new or old or {}
    if not pod["spec"].get("resourceClaims"):
        return
    namespace = pod["metadata"]["namespace"]
    if new is not None:
        yield f"pod:{objects.key_of(pod)}"
    for name in claims_of(pod, [c for c in context.cache(CLAIMS).list(namespace)
                                if ownership.is_controlled_by(c, pod)]).values():
        if name:
            yield f"claim:{namespace}/{name}"


def _claim_keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    claim = new or old or {}
    if new is not None:
        yield f"claim:{objects.key_of(new)}"
    owner = ownership.controller_of(claim)
    if owner is not None and owner["kind"] == "Pod":
        yield f"pod:{claim['metadata']['namespace']}/{owner['name']}"


def _template_keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if old is None and new is not None:
        for pod in context.cache("pods").list(new["metadata"]["namespace"]):
            if any(c.get("resourceClaimTemplateName") == new["metadata"]["name"]
                   for c in pod["spec"].get("resourceClaims") or ()):
                yield f"pod:{objects.key_of(pod)}"


CONTROLLER = Controller(
    name="resourceclaim-controller", events_as="resource_claim", reconcile=reconcile, workers=10,
    watches=(Watch("pods", _pod_keys), Watch(CLAIMS, _claim_keys), Watch(TEMPLATES, _template_keys)),
    rules=(rule("", "pods", READ), rule("", "pods/finalizers", "update"), rule("", "pods/status", "patch update"),
           rule("resource.k8s.io", "resourceclaims", READ + " create delete patch update"),
           rule("resource.k8s.io", "resourceclaims/status resourceclaims/binding", "patch update"), events()))
