"""The whole chain with identities of their own: authn, authz, admission and the reviews, on a memory store."""

import asyncio
import contextlib
import random

import pytest
from aiohttp import web
from tests.apiserver import hook_server

from kubewheel.api import errors
from kubewheel.apiserver.options import Options
from kubewheel.apiserver.server import Server
from kubewheel.client.inprocess import component
from kubewheel.client.transport import Request
from kubewheel.lib import clock as clocks
from kubewheel.lib import metrics
from kubewheel.storage.memory import MemoryStore

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
       "spec": {"containers": [{"name": "c", "image": "i"}]}}
HOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"


@contextlib.asynccontextmanager
async def serving():
    server = Server(MemoryStore(), clock=clocks.RealClock(), rng=random.Random(1),
                    options=Options(enable_admission_plugins=("NodeRestriction",)))
    await server.start()
    await server.bootstrap.wait_ready()
    await server.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    try:
        yield server
    finally:
        await server.aclose()


async def until(condition, timeout=5.0):
    async with asyncio.timeout(timeout):
        while not (found := condition()):  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.005)
    return found


async def refused(call):
    with pytest.raises(errors.StatusError) as caught:
        await call
    return caught.value.code, caught.value.message


async def test_identities_and_reviews():
    async with serving() as server:
        jane = server.client_for(component("jane"))
        assert await refused(jane.list("pods", namespace="default")) == (403, (
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"'))
        await server.client.create("rolebindings.rbac.authorization.k8s.io", {
            "metadata": {"name": "jane", "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-edit"},
            "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]})
        bindings = server.caches.get("rolebindings.rbac.authorization.k8s.io")
        await until(lambda: bindings.get("default", "jane"))
        await jane.create("pods", POD)

        async def may(verb, resource, group=""):
            review = await jane.create("selfsubjectaccessreviews.authorization.k8s.io", {
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {
                    "resourceAttributes": {"verb": verb, "resource": resource, "group": group, "namespace": "default"}}})
            return review["status"]["allowed"]

        assert await may("delete", "pods") and not await may("delete", "nodes")
        who = await jane.create("selfsubjectreviews.authentication.k8s.io", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
        assert who["status"]["userInfo"] == {"username": "jane", "groups": ["system:authenticated"]}
        code, message = await refused(server.client.create("subjectaccessreviews.authorization.k8s.io", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {}}))
        assert code == 422 and "at least one of user or group must be specified" in message


async def test_tokens_are_issued_reviewed_and_used():
    async with serving() as server:
        pod = await server.client.create("pods", POD)

        async def ask(**spec):
            return await server.client.create("serviceaccounts", {
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec},
                namespace="default", name="default", subresource="token")

        ref = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
        token = (await ask(boundObjectRef=ref))["status"]["token"]
        user = await server.authenticator.authenticate(Request("GET", "/", headers={"authorization": f"Bearer {token}"}))
        assert user.name == "system:serviceaccount:default:default"
        assert user.extra["authentication.kubernetes.io/pod-name"] == ["p"]

        async def review(token, **spec):
            return (await server.client.create("tokenreviews.authentication.k8s.io", {
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "spec": {"token": token} | spec}))["status"]

        assert (await review(token))["authenticated"] is True
        assert "authenticated" not in await review(token, audiences=["vault"])
        vault = (await ask(audiences=["vault"]))["status"]["token"]
        assert (await review(vault, audiences=["vault", "x"]))["audiences"] == ["vault"]
        assert "invalid for the target audiences" in (await review(vault))["error"]
        code, message = await refused(ask(expirationSeconds=60))
        assert code == 422 and "may not specify a duration less than 10 minutes" in message
        assert (await refused(ask(boundObjectRef=ref | {"uid": "other"})))[0] == 409
        node = server.client_for(component("system:node:n1", "system:nodes"))
        code, _ = await refused(node.create("serviceaccounts", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {
                "boundObjectRef": ref}}, namespace="default", name="default", subresource="token"))
        assert code == 403  # the pod is not on that node
        code, message = await refused(node.create("pods", {"metadata": {"name": "UPPER", "namespace": "default"}, "spec": {}}))
        assert code == 403 and "can only create mirror pods" in message  # before it is said what is wrong with the pod


async def test_quota_and_limits_hold_against_a_crowd():
    async with serving() as server:
        client = server.client
        quota = await client.create("resourcequotas", {"metadata": {"name": "q", "namespace": "default"},
                                                       "spec": {"hard": {"pods": "3", "count/configmaps": "1"}}})
        quota = await client.update_status("resourcequotas", quota | {"status": {
            "hard": quota["spec"]["hard"], "used": {"pods": "0", "count/configmaps": "0"}}})
        cache = server.caches.get("resourcequotas")
        await until(lambda: (cache.get("default", "q") or {}).get("status", {}).get("used"))
        made = await asyncio.gather(*(client.create("pods", POD | {"metadata": {"name": f"p{i}", "namespace": "default"}})
                                      for i in range(8)), return_exceptions=True)
        assert sum(isinstance(m, dict) for m in made) == 3
        refusals = [m for m in made if not isinstance(m, dict)]
        assert {m.code for m in refusals} == {403}
        assert "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3" in str(refusals[0])
        live = await client.get("resourcequotas", "q", namespace="default")
        assert live["status"]["used"]["pods"] == "3"
        await client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        code, message = await refused(client.create("configmaps", {"metadata": {"name": "b", "namespace": "default"}}))
        assert code == 403 and "requested: count/configmaps=1" in message


@contextlib.asynccontextmanager
async def webhook(tmp_path, answer):
    """An HTTPS webhook on loopback. (url, caBundle)"""
    async def handle(request):
        review = await request.json()
        response = await answer(review["request"])
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                  "response": {"uid": review["request"]["uid"]} | response})

    async with hook_server.https(tmp_path, handle) as config:
        yield config["url"], config["caBundle"]


def configuration(url, bundle, **more):
    return {"metadata": {"name": "hooks"}, "webhooks": [{
        "name": "check.example.com", "clientConfig": {"url": url, "caBundle": bundle}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                                      "resources": ["configmaps"], "scope": "*"}]} | more]}


async def test_validating_webhooks_refuse_warn_and_fail_closed(tmp_path):
    seen = []

    async def answer(request):
        seen.append(request)
        if request["name"] == "slow":
            await asyncio.sleep(5)
        if request["name"] == "bad":
            return {"allowed": False, "status": {"message": "no bad names", "code": 403}}
        return {"allowed": True, "warnings": ["careful"]}

    async with serving() as server, webhook(tmp_path, answer) as (url, bundle):
        client = server.client

        def config_map(name, **labels):
            return {"metadata": {"name": name, "namespace": "default", "labels": labels}}

        made = await client.create(HOOKS, configuration(url, bundle, timeoutSeconds=1,
                                                        objectSelector={"matchLabels": {"see": "me"}}))
        cache = server.caches.get(HOOKS)
        await until(lambda: cache.list())
        assert await refused(client.create("configmaps", config_map("bad", see="me"))) == (
            403, 'admission webhook "check.example.com" denied the request: no bad names')
        await client.create("configmaps", config_map("good", see="me"))
        await client.create("configmaps", config_map("unseen"))
        assert [r["name"] for r in seen] == ["bad", "good"]
        request = seen[1]
        assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
        assert request["object"]["metadata"]["name"] == "good" and request["oldObject"] is None
        assert request["userInfo"]["username"] == "system:apiserver" and request["operation"] == "CREATE"
        code, message = await refused(client.create("configmaps", config_map("slow", see="me")))
        assert code == 500 and 'failed calling webhook "check.example.com"' in message
        assert message.endswith("context deadline exceeded")
        await client.delete(HOOKS, made["metadata"]["name"])
        await until(lambda: not cache.list())
        await client.create("configmaps", config_map("bad", see="me"))
        closed = configuration("https://127.0.0.1:1/", bundle)
        await client.create(HOOKS, closed)
        await until(lambda: cache.list())
        code, message = await refused(client.create("configmaps", config_map("late")))
        assert code == 500 and 'failed calling webhook "check.example.com": failed to call webhook: Post ' in message
        told, check = metrics.REGISTRY.render(), 'name="check.example.com",operation="CREATE"'
        for line in (f'admission_duration_seconds_count{{{check},rejected="false",type="validating"}}',
                     f'request_total{{code="403",{check},rejected="true",type="validating"}}',
                     f'rejection_count{{error_type="no_error",{check},rejection_code="403",type="validating"}}',
                     f'rejection_count{{error_type="calling_webhook_error",{check},rejection_code="503",type="validating"}}'):
            assert f"apiserver_admission_webhook_{line}" in told, line


async def test_pod_security_warns_over_the_wire():
    async with serving() as server:
        await server.client.create("namespaces", {"metadata": {"name": "tight", "labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}})
        await server.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "tight"}})
        code, message = await refused(server.client.create("pods", POD | {
            "metadata": {"name": "p", "namespace": "tight"}}))
        assert code == 403 and 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false' in message
