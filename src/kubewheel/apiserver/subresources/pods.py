"""pods/binding and pods/eviction, bindings."""

from __future__ import annotations

from kubewheel.api import codec, errors, names, selectors, validation
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import delete, get, write, write_admit
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks


async def binding(call: Call) -> Response:
    """POST pods/x/binding: the scheduler's word. Sets spec.nodeName once."""
    body = call.typed_body()
    if not call.name:  # POST to the bindings collection
        call.info.name = (body.get("metadata") or {}).get("name", "")
    target = body.get("target") or {}
    findings = []
    if target.get("kind") not in ("Node", "", None):
        findings.append(errors.field_not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        findings.append(errors.field_required("target.name", ""))
    elif target.get("kind") in ("Node", "", None):
        findings += validation.check("target.name", target["name"], names.subdomain(target["name"]))
    attributes = await _mutated(call, body)
    body = attributes.obj or body
    if findings:
        raise errors.invalid("Binding", call.name, findings)
    await call.server.admission.validate(attributes)
    meta = body.get("metadata") or {}
    target = body.get("target") or {}
    now = clocks.rfc3339(call.server.clock.now())

    def bind(pod: Object) -> None:
        _bindable(call, pod, meta)
        pod["spec"]["nodeName"] = target["name"]
        pod["metadata"].setdefault("annotations", {}).update(meta.get("annotations") or {})
        if not pod["metadata"]["annotations"]:
            del pod["metadata"]["annotations"]
        pod["metadata"].setdefault("labels", {}).update(meta.get("labels") or {})
        if not pod["metadata"]["labels"]:
            del pod["metadata"]["labels"]
        status = pod.setdefault("status", {})
        conditions = [c for c in status.get("conditions") or () if c["type"] != "PodScheduled"]
        conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
                          | ({"observedGeneration": pod["metadata"]["generation"]} if "generation" in pod["metadata"] else {}))
        status["conditions"] = conditions

    await write.mutate(call, "pods", bind)
    return call.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, status=201)


async def _mutated(call: Call, body: Object) -> Attributes:
    """What admission makes of a body that is no object of its own."""
    attributes = write_admit.attributes(call, "CREATE", call.server.registry.hub_of(call.resource), body, None)
    await call.server.admission.mutate(attributes)
    return attributes


def _bindable(call: Call, pod: Object, meta: Object) -> None:
    def conflict(text: str) -> errors.StatusError:
        return errors.conflict("pods/binding", call.name, message=text)

    name = pod["metadata"]["name"]
    if meta.get("uid") and meta["uid"] != pod["metadata"]["uid"]:
        raise conflict(f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {pod['metadata']['uid']}")
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict(f"pod {name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        raise conflict(f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(f"pod {name} has non-empty .spec.schedulingGates")


async def eviction(call: Call) -> Response:
    """POST pods/x/eviction: a deletion that disruption budgets may refuse with 429 (policy/v1)."""
    attributes = await _mutated(call, call.typed_body())
    body = attributes.obj or {}
    options = dict(body.get("deleteOptions") or {})
    if options.get("dryRun"):
        call.request.query["dryRun"] = options["dryRun"]
    named = (body.get("metadata") or {}).get("name", call.name)
    if named and named != call.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    await call.server.admission.validate(attributes)
    pod = (await get.entry(call)).obj
    if not _unprotected(pod):
        await _take_disruption(call, pod)
    await delete.remove(call, call.name, options)
    return call.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, status=201)


def _unprotected(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Pending", "Succeeded", "Failed") or bool(pod["metadata"].get("deletionTimestamp"))


async def _take_disruption(call: Call, pod: Object) -> None:
    server = call.server
    await server.watch_cache.fresh()
    labels = pod["metadata"].get("labels") or {}
    hub = server.registry.by_kind("policy", "PodDisruptionBudget")
    assert hub is not None
    budgets = [e.obj for e in server.watch_cache.resource(hub.registry).under(f"/registry/{hub.registry}/{call.namespace}/")]
    covering = [b for b in budgets if b["spec"].get("selector") is not None
                and selectors.from_label_selector(b["spec"]["selector"]).matches(labels)]
    if not covering:
        return
    if len(covering) > 1:
        raise errors.status_error(500, "InternalError", (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."))
    budget = codec.copy(covering[0])
    healthy = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
    if not healthy and _lets_unhealthy_go(budget):
        return
    status = budget.setdefault("status", {})
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after=10)
    if status.get("disruptionsAllowed", 0) <= 0:
        error = errors.too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after=0)
        error.status["details"] = {"causes": [{"reason": "DisruptionBudget", "message": (
            f"The disruption budget {budget['metadata']['name']} needs {status.get('desiredHealthy', 0)} healthy pods and "
            f"has {status.get('currentHealthy', 0)} currently")}]}
        raise error
    if call.dry_run:
        return
    status["disruptionsAllowed"] -= 1
    status.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = clocks.rfc3339(server.clock.now())
    await server.client.update_status("poddisruptionbudgets.policy", budget)


def _lets_unhealthy_go(budget: Object) -> bool:
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    return status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) and status.get("desiredHealthy", 0) > 0
