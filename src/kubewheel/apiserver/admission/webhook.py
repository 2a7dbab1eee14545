"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: users' own HTTP services have their say.

In: Attributes. Out: the object patched, warnings, audit annotations; StatusError for a refusal or a webhook that does
not answer (failurePolicy Fail). Mutating webhooks are called one after the other, by configuration name and place in
it, some of them again (reinvocation.py). Validating ones at once.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from typing import Any

from kubewheel.api import codec, errors, go_json, schema
from kubewheel.api.merge import json_patch
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver import bodies, results
from kubewheel.apiserver.admission import measures, policy_match, reinvocation, webhook_match
from kubewheel.apiserver.admission.policy_match import PolicyError
from kubewheel.apiserver.admission.webhook_client import CallFailed, WebhookClient
from kubewheel.apiserver.admission.webhook_match import Invocation
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes
from kubewheel.apiserver.subresources import scale as scales

log = logging.getLogger(__name__)

DEFAULT_SECONDS = 10
NOT_ASKED: Object = {}
MATCH_BUDGET = 2_500_000  # cost units of one webhook's matchConditions


class _Webhooks(AdmissionPlugin):
    """What both share: finding the hooks that match, calling one, reading its answer."""

    configurations = ""
    kind = ""  # as metrics call it

    def __init__(self, context: AdmissionContext) -> None:
        super().__init__(context)
        self._http = WebhookClient(context.caches, context.client)

    async def _matching(self, attributes: Attributes) -> list[tuple[str, Invocation]]:
        """(configuration name, invocation) in the order of calling."""
        if webhook_match.is_exempt(attributes):
            return []
        cache = self.context.caches.get(f"{self.configurations}.{webhook_match.GROUP}")
        await cache.wait_synced()
        configurations = sorted(cache.list(), key=lambda c: c["metadata"]["name"])
        if not configurations:
            return []
        namespace = None
        if attributes.namespace and attributes.resource.plural != "namespaces":
            namespace = self.context.caches.get("namespaces").get(None, attributes.namespace) \
                or await self.context.client.find("namespaces", attributes.namespace)
        labels = webhook_match.namespace_labels(attributes, namespace)
        versions = policy_match.served_versions(self.context, attributes)
        out = []
        for configuration in configurations:
            for hook in configuration.get("webhooks") or ():
                found = webhook_match.select(hook, attributes, versions, labels)
                if found is not None:
                    out.append((configuration["metadata"]["name"], found))
        return out

    async def _ask(self, invocation: Invocation, attributes: Attributes) -> Object | None:
        """The webhook's response; None where it could not be asked and failurePolicy says Ignore, NOT_ASKED where its
        matchConditions do not hold."""
        hook = invocation.hook
        if attributes.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise errors.bad_request(f'admission webhook "{hook["name"]}" does not support dry run')
        try:
            review = await policy_match.review_of(attributes, invocation, uid=self._uid())
            if hook.get("matchConditions") and not self._wanted(hook, review["request"], attributes):
                return NOT_ASKED
            return await self._call_measured(hook, review, attributes)
        except (CallFailed, PolicyError) as e:
            if hook.get("failurePolicy", "Fail") == "Ignore":
                log.warning("Failed calling webhook, failing open %s: %s", hook["name"], e)
                measures.FAIL_OPEN.inc(hook["name"], self.kind)
                return None
            raise errors.internal(f'failed calling webhook "{hook["name"]}": {e}') from e

    async def _call_measured(self, hook: Object, review: Object, attributes: Attributes) -> Object:
        time = asyncio.get_running_loop().time
        began = time()
        try:
            response = await self._http.call(hook["clientConfig"], review, mutating=self.kind == "admit",
                                             seconds=int(hook.get("timeoutSeconds") or DEFAULT_SECONDS))
        except CallFailed:
            measures.webhook(hook["name"], attributes.operation, self.kind, time() - began, code=measures.UNANSWERED,
                             error="calling_webhook_error", rejected=hook.get("failurePolicy", "Fail") != "Ignore")
            raise
        code = 200 if response.get("allowed") else refusal(hook["name"], response.get("status") or {}).code
        measures.webhook(hook["name"], attributes.operation, self.kind, time() - began, code=code, rejected=code != 200)
        return response

    def _wanted(self, hook: Object, request: Object, attributes: Attributes) -> bool:
        """Do its matchConditions hold?"""
        scope = policy_match.Scope(self.context, attributes, request, namespace=None, budget=MATCH_BUDGET)
        try:
            return policy_match.conditions(scope, hook["matchConditions"])
        except PolicyError as e:
            if hook.get("failurePolicy", "Fail") == "Ignore":
                return False
            raise errors.forbidden(attributes.resource.plural, attributes.name, str(e), group=attributes.resource.group) from e

    def _uid(self) -> str:
        # an id of the review alone: it is matched with the answer and kept nowhere
        return str(uuid.UUID(int=self.context.random.getrandbits(128), version=4))

    def _heed(self, hook: Object, response: Object, attributes: Attributes) -> None:
        """Warnings and annotations; a refusal is raised."""
        attributes.warnings.extend(str(w) for w in response.get("warnings") or ())
        for key, value in (response.get("auditAnnotations") or {}).items():
            attributes.annotations[f"{hook['name']}/{key}"] = value
        if not response.get("allowed"):
            raise refusal(hook["name"], response.get("status") or {})


class MutatingAdmissionWebhook(_Webhooks):
    name = "MutatingAdmissionWebhook"
    configurations = "mutatingwebhookconfigurations"
    kind = "admit"

    async def mutate(self, attributes: Attributes) -> None:
        matching = await self._matching(attributes)
        if not matching:
            return
        turn = reinvocation.Round(attributes, self.name)
        for configuration, invocation in matching:
            name = f"{configuration}/{invocation.hook['name']}"
            if not turn.leaves_out(name):
                changed = await self._call(invocation, attributes)
                if changed is not None:
                    turn.note(name, invocation.hook.get("reinvocationPolicy"), changed=changed)
        turn.end()

    async def _call(self, invocation: Invocation, attributes: Attributes) -> bool | None:
        """Did it change the object? None: it was not asked."""
        hook = invocation.hook
        response = await self._ask(invocation, attributes)
        if response is None or response is NOT_ASKED:
            return None if response is NOT_ASKED else False
        self._heed(hook, response, attributes)
        patch = response.get("patch")
        if not patch:
            return False
        try:
            return await self._patch(invocation, attributes, _decoded(base64.b64decode(patch)), response["patchType"])
        except CallFailed as e:
            if hook.get("failurePolicy", "Fail") == "Ignore":
                log.warning("Failed calling webhook, failing open %s: %s", hook["name"], e)
                return False
            raise errors.internal(f'failed calling webhook "{hook["name"]}": {e}') from e

    async def _patch(self, invocation: Invocation, attributes: Attributes, patch: list[Any], kind: str) -> bool:
        """What is wrong with the patch's form is CallFailed, what is wrong with its effect nobody's policy ignores."""
        if not patch:
            return False
        if attributes.obj is None:
            raise errors.internal(f'admission webhook "{invocation.hook["name"]}" attempted to modify the object, which is not '
                                  "supported for this operation")
        if kind != "JSONPatch":
            raise CallFailed(f'unsupported patch type "{kind}"')
        if attributes.subresource == "scale":
            return await _patch_scale(invocation.resource, attributes, patch)
        resource, hub = invocation.resource, attributes.resource
        before = attributes.obj
        shown = {"apiVersion": resource.api_version, "kind": resource.kind} | codec.copy(await results.seen(resource, before))
        try:
            patched = json_patch.apply(shown, patch)
        except json_patch.PatchError as e:
            raise errors.internal(str(e)) from e
        _check_identity(patched, resource, attributes)
        _mend_metadata(patched, resource, attributes)
        try:
            schema.check(resource.node(), patched)  # what the kind does not know goes
        except schema.DecodeError as e:
            raise errors.internal(str(e)) from e
        after = await results.stored_form(resource, hub, patched)
        if after == before:
            return False
        # the private object is changed in place: whoever holds it sees the change
        kept = dict(before)
        before.clear()
        before.update({k: after[k] for k in kept if k in after} | after)
        hub.defaults(before)
        return True


async def _patch_scale(resource: Resource, attributes: Attributes, patch: list[Any]) -> bool:
    """What is shown of a scale is a Scale: of it, the replicas alone are taken."""
    held = attributes.obj
    assert held is not None
    try:
        patched = json_patch.apply(await policy_match.shown(resource, attributes, held), patch)
    except json_patch.PatchError as e:
        raise errors.internal(str(e)) from e
    try:
        bodies.check_identity(patched, "", b"")
        schema.check(schema.definition("io.k8s.api.autoscaling.v1.Scale"), patched)
    except errors.StatusError as e:
        raise errors.internal(e.message) from e
    except schema.DecodeError as e:
        raise errors.status_error(500, "", f"unable to convert unstructured object to autoscaling/v1, Kind=Scale: {e}") from e
    return scales.put(resource, held, (patched.get("spec") or {}).get("replicas") or 0)


def _decoded(data: bytes) -> list[Any]:
    """CallFailed for what is no JSON patch."""
    where = "received undecodable patch in webhook response: "
    try:
        patch = go_json.lenient(data)
    except (ValueError, RecursionError) as e:
        raise CallFailed(where + go_json.error(data)) from e
    if patch is not None and not isinstance(patch, list):
        raise CallFailed(f"{where}json: cannot unmarshal {go_json.kind(patch)} into Go value of type jsonpatch.Patch")
    for operation in patch or ():
        if not isinstance(operation, dict):
            raise CallFailed(f"{where}json: cannot unmarshal {go_json.kind(operation)} into Go value of type jsonpatch.Operation")
    return patch or []


def _check_identity(patched: Any, resource: Resource, attributes: Attributes) -> None:
    """A webhook changes what an object says, not what it is."""
    try:
        bodies.check_identity(patched, "", b"")
    except errors.StatusError as e:
        raise errors.internal(e.message) from e
    kind, version = patched.get("kind") or "", patched.get("apiVersion") or ""
    if resource.custom is None:
        return
    if not kind:
        raise errors.internal(f"Object 'Kind' is missing in '{codec.sorted_dumps(patched).decode()}'")
    if kind != resource.kind:
        raise errors.invalid(kind, ((patched.get("metadata") or {}).get("name") or ""), [errors.field_invalid(
            "kind", kind, f"must be {resource.kind}")], group=resource.group)
    if version.rpartition("/")[0] != resource.group:
        shown = version if "/" in version else f"/{version}"
        raise errors.status_error(500, "", f"{shown}, Kind={kind} is unstructured and is not suitable for converting to "
                                  f'"{attributes.resource.api_version}"')


def _mend_metadata(patched: Object, resource: Resource, attributes: Attributes) -> None:
    """A custom resource's metadata has no types where a patch is applied: what has the wrong one is not there. Other
    kinds' is decoded with the rest. The namespace is the request's, if it is left out."""
    if resource.custom is not None:
        given = patched.get("metadata")
        patched["metadata"] = {k: v for k, v in given.items() if _is_metadata(k, v)} if isinstance(given, dict) else {}
    meta = patched.get("metadata")
    if isinstance(meta, dict) and attributes.namespace and resource.namespaced:
        meta["namespace"] = meta.get("namespace") or attributes.namespace
        if meta["namespace"] != attributes.namespace:
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _is_metadata(field: str, value: Any) -> bool:
    node = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    try:
        schema.check(node, {field: codec.copy(value)})
    except schema.DecodeError:
        return False
    return True


class ValidatingAdmissionWebhook(_Webhooks):
    name = "ValidatingAdmissionWebhook"
    configurations = "validatingwebhookconfigurations"
    kind = "validating"

    async def validate(self, attributes: Attributes) -> None:
        matching = await self._matching(attributes)
        if not matching:
            return
        answers = await asyncio.gather(*(self._ask(i, attributes) for _, i in matching), return_exceptions=True)
        problems: list[BaseException] = []
        for (_, invocation), answer in zip(matching, answers, strict=True):
            if isinstance(answer, BaseException):
                problems.append(answer)
            elif answer is not None and answer is not NOT_ASKED:
                try:
                    self._heed(invocation.hook, answer, attributes)
                except errors.StatusError as e:
                    problems.append(e)
        if problems:
            raise problems[0]


def refusal(name: str, status: Object) -> errors.StatusError:
    """`admission webhook "x" denied the request: why`, with the code and reason the webhook gave."""
    text = f'admission webhook "{name}" denied the request'
    if status.get("message"):
        text += f": {status['message']}"
    elif status.get("reason"):
        text += f": {status['reason']}"
    else:
        text += " without explanation"
    code = int(status.get("code") or 0)
    error = errors.status_error(max(code, 400), status.get("reason") or "", text)
    for field in ("details", "metadata"):
        if status.get(field):
            error.status[field] = status[field]
    return error
