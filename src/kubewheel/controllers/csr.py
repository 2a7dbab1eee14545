"""CertificateSigningRequests: kubelets' are approved, approved ones signed, old ones deleted. Three controllers.

In: certificatesigningrequests, the signing key (cluster-signing-cert, -key, or -cert-file, -key-file).
Out: conditions, certificates.
What may be asked of each signer is in csr_rules.py.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable

from cryptography import x509

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import csr_rules, settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.reconcile.controller import Context, Controller, Watch

CSRS = "certificatesigningrequests.certificates.k8s.io"
REVIEWS = "subjectaccessreviews.authorization.k8s.io"
POLL, HOUR = 3600.0, 3600.0
MIN_SECONDS = 600
# SubjectAccessReview subresource -> the words of the approval, in the order they are tried
RECOGNIZERS = (("selfnodeclient", True, "Auto approving self kubelet client certificate after SubjectAccessReview."),
               ("nodeclient", False, "Auto approving kubelet client certificate after SubjectAccessReview."))


def conditions_of(csr: Object) -> dict[str, Object]:
    return {c["type"]: c for c in (csr.get("status") or {}).get("conditions") or ()}


def is_decided(csr: Object) -> bool:
    return bool({"Approved", "Denied"} & conditions_of(csr).keys())


# -- approving --------------------------------------------------------------------------------------------------------
async def approve(context: Context, key: str) -> float | None:
    csr = context.cache(CSRS).get(None, key)
    if csr is None or is_decided(csr) or (csr.get("status") or {}).get("certificate"):
        return None
    spec = csr["spec"]
    request = csr_rules.load(spec["request"])
    if request is None or spec["signerName"] != csr_rules.KUBELET_CLIENT \
            or csr_rules.problem(spec["signerName"], request, spec.get("usages") or ()):
        return None
    own = tls.subject_of(request).common_name == spec.get("username")  # type: ignore[arg-type]
    for subresource, must_be_own, message in RECOGNIZERS:
        if must_be_own and not own:
            continue
        if await _may(context, spec, subresource):
            new = codec.copy(csr)
            new.setdefault("status", {}).setdefault("conditions", []).append({
                "type": "Approved", "status": "True", "reason": "AutoApproved", "message": message})
            await context.client.update(CSRS, new, subresource="approval")
            return None
    return 30.0  # it is a kubelet's, but its asker may not yet: a role may come


async def _may(context: Context, spec: Object, subresource: str) -> bool:
    review = await context.client.create(REVIEWS, {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": spec.get("username", ""), "uid": spec.get("uid", ""), "groups": list(spec.get("groups") or ()),
            "extra": spec.get("extra") or {},
            "resourceAttributes": {"group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                                   "verb": "create", "subresource": subresource, "version": "*"}}})
    return bool((review.get("status") or {}).get("allowed"))


# -- signing ----------------------------------------------------------------------------------------------------------
def authority(context: Context) -> tls.KeyPair | None:
    cert = settings.pem(context, "cluster-signing-cert") or settings.pem(context, "cluster-signing-cert-file")
    key = settings.pem(context, "cluster-signing-key") or settings.pem(context, "cluster-signing-key-file")
    return tls.KeyPair(cert.encode(), key.encode()) if cert and key else None


def lifetime(spec: Object, longest: float) -> float:
    """What was asked for, not under ten minutes and not over --cluster-signing-duration."""
    asked = spec.get("expirationSeconds")
    return longest if asked is None else min(max(float(asked), MIN_SECONDS), longest)


async def sign(context: Context, key: str) -> None:
    csr = context.cache(CSRS).get(None, key)
    ca: tls.KeyPair | None = context.state
    if csr is None or ca is None or csr["spec"]["signerName"] not in csr_rules.SIGNERS:
        return
    known = conditions_of(csr).keys()
    if "Approved" not in known or {"Denied", "Failed"} & known or (csr.get("status") or {}).get("certificate"):
        return
    spec, now = csr["spec"], context.clock.now()
    usages = spec.get("usages") or ()
    request = csr_rules.load(spec["request"])
    why = "unable to parse csr" if request is None else csr_rules.problem(spec["signerName"], request, usages)
    new = codec.copy(csr)
    if why or request is None:
        stamp = clocks.rfc3339(now)
        new["status"]["conditions"].append({
            "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
            "lastUpdateTime": stamp, "lastTransitionTime": stamp})
    else:
        longest = settings.seconds(context, "cluster-signing-duration", 8760 * HOUR)
        pem = tls.sign(ca, request.subject, request.public_key(), now=now, seconds=lifetime(spec, longest),
                       usages=csr_rules.extended(usages), san=csr_rules.san_of(request),
                       key_usage=csr_rules.key_usage(usages))
        new["status"]["certificate"] = base64.b64encode(pem).decode()
    await context.client.update_status(CSRS, new)


# -- cleaning ---------------------------------------------------------------------------------------------------------
def is_stale(csr: Object, now: float) -> bool:
    """Issued, denied or failed an hour ago; waiting for a day; or its certificate has expired."""
    known = conditions_of(csr)
    text = (csr.get("status") or {}).get("certificate")
    if not known:
        return now - clocks.parse_time(csr["metadata"]["creationTimestamp"]) > 24 * HOUR
    if text and _expires(text) < now:
        return True
    for type_, condition in known.items():
        if type_ == "Approved" and not text:
            continue
        if condition.get("lastUpdateTime") and now - clocks.parse_time(condition["lastUpdateTime"]) > HOUR:
            return True
    return False


def _expires(certificate: str) -> float:
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc.timestamp()
    except ValueError:
        return float("inf")  # some other signer's format: age decides


async def clean(context: Context) -> None:
    while True:
        for csr in context.cache(CSRS).list():
            if is_stale(csr, context.clock.now()):
                try:
                    await context.client.delete(CSRS, csr["metadata"]["name"], uid=csr["metadata"]["uid"])
                except errors.StatusError as e:
                    if e.code not in (404, 409):
                        raise
        await asyncio.sleep(POLL)


def _key(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is not None:
        yield new["metadata"]["name"]


_RULES = (rule("certificates.k8s.io", "certificatesigningrequests", READ + " delete"), events())
APPROVER = Controller(
    name="certificatesigningrequest-approving-controller", reconcile=approve, watches=(Watch(CSRS, _key),),
    rules=(*_RULES, rule("certificates.k8s.io", "certificatesigningrequests/approval", "update"),
           rule("authorization.k8s.io", "subjectaccessreviews", "create")))
SIGNER = Controller(
    name="certificatesigningrequest-signing-controller", reconcile=sign, setup=authority, watches=(Watch(CSRS, _key),),
    rules=(*_RULES, rule("certificates.k8s.io", "certificatesigningrequests/status", "update")))
CLEANER = Controller(
    name="certificatesigningrequest-cleaner-controller", run=clean, reads=(CSRS,), rules=_RULES)
