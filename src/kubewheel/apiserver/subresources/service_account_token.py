"""serviceaccounts/token: a fresh token for a service account, bound to a pod, secret or node if asked.

In: Call with an authentication.k8s.io TokenRequest. Out: the request with status.token. Called by: dispatch.
"""

from __future__ import annotations

import uuid

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.authn import service_account
from kubewheel.apiserver.call import Call
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks

MIN_SECONDS = 600
MAX_SECONDS = 1 << 32
DEFAULT_SECONDS = 3600
BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


async def handle(call: Call) -> Response:
    request = call.typed_body()
    spec = request.setdefault("spec", {})
    meta = request.setdefault("metadata", {})
    for field, wanted in (("name", call.name), ("namespace", call.namespace)):
        if meta.get(field) not in (None, "", wanted):
            raise errors.bad_request(f"the {field} of the provided object does not match the {field} sent on the request")
        meta[field] = wanted
    authority = call.server.authenticator.service_accounts
    spec.setdefault("expirationSeconds", DEFAULT_SECONDS)
    # NodeRestriction holds a kubelet to tokens of its own pods, and looks at the audiences as they were sent
    attributes = Attributes(user=call.user, operation="CREATE", resource=call.server.registry.hub_of(call.resource),
                            subresource="token", namespace=call.namespace, name=call.name, obj=request, old=None,
                            dry_run=call.dry_run)
    await call.server.admission.mutate(attributes)
    request = attributes.obj or request
    spec, meta = request["spec"], request["metadata"]
    if not spec.get("audiences"):
        spec["audiences"] = list(authority.audiences)
    _validate(call.name, spec)
    account = await call.server.client.get("serviceaccounts", call.name, namespace=call.namespace)
    await call.server.admission.validate(attributes)
    call.warnings.extend(attributes.warnings)
    bound = await _bound_object(call, account, spec.get("boundObjectRef"))
    now = call.server.clock.now()
    seconds, warn_after = _lifetime(authority, spec, bound)
    payload = service_account.claims(
        issuer=authority.issuer, audiences=spec["audiences"], service_account=account, now=now, seconds=seconds,
        token_id=str(uuid.UUID(int=call.server.random.getrandbits(128), version=4)), warn_after=warn_after, **bound)
    # the caller is told when to come back, not how long the token would really live
    shown = now + (warn_after or seconds)
    meta["creationTimestamp"] = clocks.rfc3339(now)
    request["status"] = {"token": authority.sign(payload), "expirationTimestamp": clocks.rfc3339(shown)}
    return call.answer(request, status=201)


def _validate(name: str, spec: Object) -> None:
    findings = []
    seconds = spec["expirationSeconds"]
    if seconds < MIN_SECONDS:
        findings.append(errors.field_invalid("spec.expirationSeconds", seconds,
                                             "may not specify a duration less than 10 minutes"))
    if seconds > MAX_SECONDS:
        findings.append(errors.field_invalid("spec.expirationSeconds", seconds,
                                             "may not specify a duration larger than 2^32 seconds"))
    if findings:
        raise errors.invalid("TokenRequest", name, findings, group="authentication.k8s.io")


async def _bound_object(call: Call, account: Object, ref: Object | None) -> dict[str, Object | None]:
    """The objects the token is bound to, as arguments of `claims`."""
    if not ref:
        return {}
    kind, name = ref.get("kind", ""), ref.get("name", "")
    if ref.get("apiVersion") not in (None, "", "v1") or kind not in BOUND:
        raise errors.bad_request(f"cannot bind token for serviceaccount {call.name!r} to object with apiVersion "
                                 f"{ref.get('apiVersion', '')!r} and kind {kind!r}".replace("'", '"'))
    client, plural = call.server.client, BOUND[kind]
    obj = await client.get(plural, name, namespace=None if kind == "Node" else call.namespace)
    if kind == "Pod" and (obj.get("spec") or {}).get("serviceAccountName") != call.name:
        raise errors.bad_request(
            f'cannot bind token for serviceaccount "{call.name}" to pod running with different serviceaccount name.')
    uid = obj["metadata"].get("uid", "")
    if ref.get("uid") and ref["uid"] != uid:
        raise errors.conflict(plural, name, message=f"the UID in the bound object reference ({ref['uid']}) does not match "
                                                    f"the UID in record. The object might have been deleted and then recreated")
    out: dict[str, Object | None] = {kind.lower(): obj}
    if kind == "Pod" and (node_name := (obj.get("spec") or {}).get("nodeName")):
        out["node"] = await client.find("nodes", node_name) or {"metadata": {"name": node_name}}
    return out


def _lifetime(authority: service_account.ServiceAccounts, spec: Object, bound: dict[str, Object | None]) -> tuple[int, int]:
    """(seconds the token lives, seconds after which its use is warned about or 0)."""
    asked = int(spec["expirationSeconds"])
    own = list(spec["audiences"]) == list(authority.audiences)
    if authority.extend and asked == service_account.EXTENDABLE and "pod" in bound and own:
        return service_account.EXTENDED, asked
    if authority.max_seconds:
        asked = min(asked, authority.max_seconds)
    return asked, 0
