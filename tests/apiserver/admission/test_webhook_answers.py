"""What a webhook answers, and what the writer is told of it: as upstream's apiextensions-apiserver 0.36 answers."""

import asyncio
import base64
import json

import pytest
from aiohttp import web
from tests.apiserver import hook_server
from tests.apiserver.hook_server import configuration, patched, rule

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.apiserver import warning

GROUP = "admissionregistration.k8s.io"
HOOKS = {True: f"mutatingwebhookconfigurations.{GROUP}", False: f"validatingwebhookconfigurations.{GROUP}"}
REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
REFUSED = 'admission webhook "h.example.com" denied the request'
FAILED = 'Internal error occurred: failed calling webhook "h.example.com": '
CALL, INVALID = FAILED + "failed to call webhook: ", FAILED + "received invalid webhook response: "
UNDECODABLE = FAILED + "received undecodable patch in webhook response: "
TYPED = CALL + "json: cannot unmarshal {} into Go struct field {} of type {}"
PARSE = CALL + "couldn't get version/kind; json parse error: "
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}, "data": {"a": "1"}}


def raw(body, status=200, content_type="application/json"):
    return lambda: web.Response(body=json.dumps(body) if isinstance(body, dict) else body, status=status,
                                headers={"content-type": content_type})


def b64(text):
    return base64.b64encode(text.encode()).decode()


EITHER = [
    ({"allowed": False}, 400, REFUSED + " without explanation"),
    ({"allowed": False, "status": {}}, 400, REFUSED + " without explanation"),
    ({"allowed": False, "status": {"message": "no way"}}, 400, REFUSED + ": no way"),
    ({"allowed": False, "status": {"reason": "Because"}}, 400, REFUSED + ": Because"),
    ({"allowed": False, "status": {"message": "teapot", "code": 418}}, 418, REFUSED + ": teapot"),
    ({"allowed": False, "status": {"message": "x", "code": 200, "status": "Success"}}, 400, REFUSED + ": x"),
    ({"uid": "nope"}, 500, INVALID + 'expected response.uid="'),
    (raw(REVIEW), 500, INVALID + "webhook response was absent"),
    (raw({**REVIEW, "kind": "Other", "response": {}}), 500,
     CALL + 'no kind "Other" is registered for version "admission.k8s.io/v1" in scheme "pkg/util/webhook/client.go:71"'),
    (raw({**REVIEW, "apiVersion": "admission.k8s.io/v9", "response": {}}), 500,
     CALL + 'no kind "AdmissionReview" is registered for version "admission.k8s.io/v9" in scheme'),
    (raw({**REVIEW, "apiVersion": "admission.k8s.io/v1beta1", "response": {}}), 500,
     CALL + "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion"),
    (raw("hello"), 500, CALL + "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value"),
    (raw(""), 500, CALL + "0-length response with status code: 200 and content type: application/json"),
    (raw("x", 404), 500, CALL + "the server could not find the requested resource"),
    (raw("oops", 500), 500, CALL + 'an error on the server ("unknown") has prevented the request from succeeding'),
    (raw("oops", 500, "text/plain"), 500, CALL + 'an error on the server ("oops") has prevented the request from succeeding'),
    (raw("busy", 503, "text/plain"), 500, CALL + "the server is currently unable to handle the request"),
    (raw({"kind": "Status", "apiVersion": "v1", "message": "bad thing", "code": 400}, 400), 500, CALL + "bad thing"),
    ({"allowed": "yes"}, 500,
     CALL + "json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool"),
    ({"patchType": "JSONPatch", "patch": "!!"}, 500, CALL + "illegal base64 data at input byte 0"),
    ({"allowed": True, "status": {"message": "fine"}}, 0, ""),
    ({"warnings": [1]}, 500, TYPED.format("number", "AdmissionResponse.response.warnings", "string")),
    ({"auditAnnotations": {"a": 1}}, 500, TYPED.format("number", "AdmissionResponse.response.auditAnnotations", "string")),
    ({"uid": 1}, 500, TYPED.format("number", "AdmissionResponse.response.uid", "types.UID")),
    ({"patchType": 1}, 500, TYPED.format("number", "AdmissionResponse.response.patchType", "v1.PatchType")),
    ({"status": {"code": "403"}}, 500, TYPED.format("string", "Status.response.status.code", "int32")),
    ({"status": {"code": 403.5}}, 500, TYPED.format("number 403.5", "Status.response.status.code", "int32")),
    ({"status": {"code": 1 << 32}}, 500, TYPED.format("number 4294967296", "Status.response.status.code", "int32")),
    ({"status": {"reason": 1}}, 500, TYPED.format("number", "Status.response.status.reason", "v1.StatusReason")),
    ({"status": {"details": "x"}}, 500, TYPED.format("string", "Status.response.status.details", "v1.StatusDetails")),
    ({"status": {"details": {"causes": {}}}}, 500,
     TYPED.format("object", "StatusDetails.response.status.details.causes", "[]v1.StatusCause")),
    ({"status": {"metadata": "x"}}, 500, TYPED.format("string", "Status.response.status.metadata", "v1.ListMeta")),
    ({"allowed": False, "status": {"message": "m", "code": 99}}, 400, REFUSED + ": m"),
    ({"allowed": False, "status": {"message": "m", "code": 599}}, 599, REFUSED + ": m"),
    (raw("{}{}"), 500, PARSE + "invalid character '{' after top-level value"),
    (raw("{"), 500, PARSE + "unexpected end of JSON input"),
    (raw("{'a': 1}"), 500, PARSE + "invalid character '\\'' looking for beginning of object key string"),
    (raw({**REVIEW, "kind": 1}), 500, PARSE + "json: cannot unmarshal number into Go struct field .kind of type string"),
    (raw({**REVIEW, "apiVersion": "a/b/c"}), 500, CALL + "unexpected GroupVersion string: a/b/c"),
    (raw({"apiVersion": "v1", "kind": "Status", "code": 403}), 500,
     CALL + "converting (v1.Status) to (v1.AdmissionReview): unknown conversion"),
    (raw("a: b: c"), 500, CALL + "yaml: mapping values are not allowed in this context"),
    (raw("\0"), 500, CALL + "yaml: control characters are not allowed"),
    (raw("["), 500, CALL + "yaml: line 1: did not find expected node content"),
    (raw("null"), 500, INVALID + "webhook response was absent"),
    (raw("a: b"), 500, INVALID + "webhook response was absent"),
    (raw("nothing of mine", 406, "text/plain"), 500, CALL + "nothing of mine"),
    (raw("a\nb", 500, "text/html"), 500, CALL + 'an error on the server ("a\\nb") has prevented the request from succeeding'),
    (raw("x", 302), 500, CALL + "the server responded with the status code 302 but did not return more information"),
]
VALIDATING = [
    ({"patch": b64("[]")}, 500, INVALID + "validating webhook may not return response.patch"),
    ({"patchType": "JSONPatch"}, 500, INVALID + "validating webhook may not return response.patchType"),
]
MUTATING = [
    ({"patch": b64("[]")}, 500, INVALID + "webhook returned response.patch but not response.patchType"),
    ({"patchType": "JSONPatch"}, 500, INVALID + "webhook returned response.patchType but not response.patch"),
    ({"patchType": "", "patch": b64("[]")}, 500, INVALID + 'webhook returned invalid response.patchType of ""'),
    ({"patchType": "MergePatch", "patch": b64('[{"op":"remove","path":"/data/a"}]')}, 500,
     FAILED + 'unsupported patch type "MergePatch"'),
    ({"patchType": "JSONPatch", "patch": b64("x")}, 500, UNDECODABLE + "invalid character 'x' looking for beginning of value"),
    ({"patchType": "JSONPatch", "patch": b64("{}")}, 500,
     UNDECODABLE + "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
    (patched({"op": "frob", "path": "/data/a"}), 500,
     "Internal error occurred: Unexpected kind: frob"),
    (patched({"op": "remove", "path": "/data/nosuch"}), 500, "Internal error occurred: error in remove for path: "
     "'/data/nosuch': Unable to remove nonexistent key: nosuch: missing value"),
    (patched({"op": "test", "path": "/data/a", "value": "z"}), 500,
     "Internal error occurred: testing value /data/a failed: test failed"),
    (patched({"op": "add", "path": "/metadata/namespace", "value": "other"}), 400,
     "the namespace of the provided object does not match the namespace sent on the request"),
    ({"patchType": "JSONPatch", "patch": b64("[]")}, 0, ""),
]


async def told(client):
    try:
        await client.create("configmaps", OBJECT, dryRun="All")
    except errors.StatusError as e:
        return e.code, e.message
    return 0, ""


@pytest.mark.parametrize("mutating", [False, True])
@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_answers(cluster, tmp_path, mutating):
    answer = {"allowed": False}
    async with hook_server.serving(tmp_path, lambda _: answer() if callable(answer) else answer) as config:
        await cluster.client.create(HOOKS[mutating], configuration("h", config, mutating=mutating, rules=[rule("configmaps")]))
        async with asyncio.timeout(5):
            while not (await told(cluster.client))[0]:  # noqa: ASYNC110 - the server's own cache is a moment behind
                await asyncio.sleep(0.01)
        for given, code, words in EITHER + (MUTATING if mutating else VALIDATING):
            answer = given
            found = await told(cluster.client)
            assert found[0] == code and found[1].startswith(words), (given, found)


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_answers_from_elsewhere_and_later(cluster, tmp_path):
    """Redirections are followed (with the review where the code says so), and 429 and 5xx with a Retry-After asked again."""
    asked, answers = [], []

    def admit(request):
        asked.append(request["uid"])
        return answers.pop(0) if answers else {"allowed": False, "status": {"message": f"no, after {len(asked)}"}}

    def going(status, **headers):
        return web.Response(status=status, headers=headers)

    async with hook_server.serving(tmp_path, admit) as config:
        await cluster.client.create(HOOKS[False], configuration("h", config, rules=[rule("configmaps")], hook={
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}))
        async with asyncio.timeout(5):
            while not (await told(cluster.client))[0]:  # noqa: ASYNC110 - the server's own cache is a moment behind
                await asyncio.sleep(0.01)
        for given, words in [
            ([going(307, Location="/there")], REFUSED + ": no, after 2"),
            ([going(308, Location="there"), going(307, Location="/b")], REFUSED + ": no, after 3"),
            ([going(429, **{"Retry-After": "0"})], REFUSED + ": no, after 2"),
            ([going(503, **{"Retry-After": "0"}) for _ in range(2)], REFUSED + ": no, after 3"),
            ([going(400, **{"Retry-After": "0"})], CALL + "the server rejected our request for an unknown reason"),
            ([going(307, Location="/again") for _ in range(10)], CALL + 'Post "/again": stopped after 10 redirects'),
            ([going(302, Location="ftp://127.0.0.1/x")],
             CALL + 'Post "ftp://127.0.0.1/x": unsupported protocol scheme "ftp"'),
            ([going(307, Location="https://127.0.0.1:1/x")],
             CALL + 'Post "https://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused'),
        ]:
            asked.clear()
            answers[:] = given
            assert (await told(cluster.client))[1] == words
            assert len(set(asked)) == 1


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_an_answer_in_yaml(cluster, tmp_path):
    uid = []

    def admit(request):
        uid[:] = [request["uid"]]
        return web.Response(body="apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nresponse:\n"
                            f"  uid: {request['uid']}\n  allowed: false\n  status: {{message: in YAML}}\n")

    async with hook_server.serving(tmp_path, admit) as config:
        await cluster.client.create(HOOKS[False], configuration("h", config, rules=[rule("configmaps")]))
        async with asyncio.timeout(5):
            while not (found := await told(cluster.client))[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert found == (400, REFUSED + ": in YAML") and uid


NO_B = "expression 'object.data.b == 'x'' resulted in error: no such key: b"


@pytest.mark.parametrize(("second", "words"), [
    ("object.spec.c == 1", f"[{NO_B}, expression 'object.spec.c == 1' resulted in error: no such key: spec]"),
    ("object.data.b == 'x'", NO_B)])  # the same is told once
@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_conditions_without_a_value(cluster, tmp_path, second, words):
    async with hook_server.serving(tmp_path, lambda _: {}) as config:
        hook = configuration("h", config, rules=[rule("configmaps")], hook={"matchConditions": [
            {"name": "a", "expression": "object.data.b == 'x'"}, {"name": "b", "expression": second}]})
        await cluster.client.create(HOOKS[False], hook)
        async with asyncio.timeout(5):
            while not (found := await told(cluster.client))[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert found == (403, f'configmaps "x" is forbidden: {words}')


def test_warnings():
    assert warning.told(["one", "", "two", "one", "a\nb"]) == ["one", "two"]
    assert warning.told(["x" * 300]) == ["x" * 300]
    many = warning.told([f"{i:02d}" * 150 for i in range(40)])
    assert {len(w) for w in many} == {256} and len(many) == 16
