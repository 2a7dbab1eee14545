"""What a conversion webhook answers, and what the writer is told of it: as upstream's apiextensions-apiserver 0.36 answers."""

import contextlib

from aiohttp import web
from tests.apiserver import hook_server
from tests.apiserver.extension.test_conversion import CRDS, V1, V2, crd, swap, thing
from tests.apiserver.wire import send

import kubewheel.testing as testing
from kubewheel.api import errors

HERE = "conversion webhook for c.example.com/v2, Kind=Thing "
FAILED, OBJECT, META = HERE + "failed: ", HERE + "returned invalid object", HERE + "returned invalid metadata: "
API = "apiextensions.k8s.io/v1"


def response(**fields):
    return lambda review: {**review, "response": {**review["response"], **fields}}


def review(**fields):
    return lambda review: {**review, **fields}


def of_object(**fields):
    return lambda review: response(convertedObjects=[{**o, **fields} for o in review["response"]["convertedObjects"]])(review)


def meta(**fields):
    return lambda review: response(convertedObjects=[
        {**o, "metadata": {**o["metadata"], **fields}} for o in review["response"]["convertedObjects"]])(review)


def raw(text, status=200, content_type="application/json"):
    return lambda review: web.Response(body=text, status=status, headers={"content-type": content_type})


ANSWERS = [
    (response(result={"status": "Failed", "message": "mm"}), FAILED + "mm"),
    (response(result={"status": "Failure", "reason": "Conflict", "code": 409}),
     FAILED + "response.result.status was 'Failure', not 'Success'"),
    (response(result={"status": "success"}), FAILED + "response.result.status was 'success', not 'Success'"),
    (response(result=None), FAILED + "response.result.status was '', not 'Success'"),
    (response(result="x"), FAILED + "json: cannot unmarshal string into Go struct field ConversionResponse.response.result of "
     "type v1.Status"),
    (response(convertedObjects=[]), HERE + "returned 0 objects, expected 1"),
    (response(convertedObjects=None), HERE + "returned 0 objects, expected 1"),
    (response(convertedObjects="x"), FAILED + "json: cannot unmarshal string into Go struct field "
     "ConversionResponse.response.convertedObjects of type []runtime.RawExtension"),
    (response(convertedObjects=[None]), "unexpected end of JSON input"),
    (response(convertedObjects=["x"]), "json: cannot unmarshal string into Go value of type map[string]interface {}"),
    (response(convertedObjects=[{}]), "Object 'Kind' is missing in '{}'"),
    (response(uid=1), FAILED + "json: cannot unmarshal number into Go struct field ConversionResponse.response.uid of type "
     "types.UID"),
    (review(response=None), FAILED + "no response provided"),
    (review(response="x"), FAILED + "json: cannot unmarshal string into Go struct field ConversionReview.response of type "
     "v1.ConversionResponse"),
    (review(kind="Other"), FAILED + f'no kind "Other" is registered for version "{API}" in scheme '
     '"pkg/util/webhook/client.go:71"'),
    (review(apiVersion=API + "beta1"), FAILED + "converting (v1beta1.ConversionReview) to (v1.ConversionReview): unknown "
     "conversion"),
    (review(apiVersion=None, kind=None), FAILED + f"expected webhook response of {API}, Kind=ConversionReview, got /, Kind="),
    (review(kind=None), FAILED + f"expected webhook response of {API}, Kind=ConversionReview, got {API}, Kind="),
    (review(apiVersion="v1", kind="Status"), FAILED + "converting (v1.Status) to (v1.ConversionReview): unknown conversion"),
    (raw("hello"), FAILED + "couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type "
     'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'),
    (raw(""), FAILED + "0-length response with status code: 200 and content type: application/json"),
    (raw("oops", 500), FAILED + 'an error on the server ("unknown") has prevented the request from succeeding'),
    (raw("forb", 403, "text/plain"), FAILED + "forb"),
    (of_object(apiVersion="x.example.com/v1"), OBJECT + " at index 0: invalid groupVersion (expected c.example.com/v1, received "
     "x.example.com/v1)"),
    (of_object(apiVersion=1), OBJECT + " at index 0: invalid groupVersion (expected c.example.com/v1, received )"),
    (of_object(kind="Other"), OBJECT + " at index 0: invalid kind (expected Thing, received Other)"),
    (of_object(metadata="x"), OBJECT + ": must have the same name: a != "),
    (meta(name=1), OBJECT + ": must have the same name: a != "),
    (meta(namespace="other"), OBJECT + ": must have the same namespace: default != other"),
    (meta(labels={"a": 1}), META + "metadata.labels[a] must be a string, but is int64 in converted object"),
    (meta(labels={"a b": "c"}), META + "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, "
     "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
     "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"),
    (meta(annotations="x"), META + "invalid metadata.annotations of type string in converted object"),
    (meta(resourceVersion="1", generation=99, finalizers=["a/b"], labels=None), ""),
]


@contextlib.asynccontextmanager
async def webhook(tmp_path, change, seen):
    async def handle(request):
        given = await request.json()
        asked = given["request"]
        seen.append(given)
        assert request.headers["user-agent"] == "kube-apiserver-admission"  # conversion webhooks are called by the same client
        made = change[0]({"apiVersion": API, "kind": "ConversionReview", "response": {
            "uid": asked["uid"], "result": {"status": "Success"},
            "convertedObjects": [swap(o, asked["desiredAPIVersion"]) for o in asked["objects"]]}})
        return made if isinstance(made, web.Response) else web.json_response(made)

    async with hook_server.https(tmp_path, handle) as config:
        yield config


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_answers(cluster, tmp_path):
    change, seen = [lambda review: review], []
    async with webhook(tmp_path, change, seen) as config:
        await cluster.client.create(CRDS, crd(config))
        await cluster.wait_for(CRDS, "things.c.example.com", lambda c: any(
            x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
            namespace=None)
        for made, words in ANSWERS:
            change[0] = made
            try:
                await cluster.client.create(V2, thing("a", "v2", host="h", port="1"), dryRun="All")
                found = (0, "", "")
            except errors.StatusError as e:
                found = (e.code, e.status.get("reason", ""), e.message)
            assert found == ((500, "", words) if words else (0, "", "")), words
        change[0] = lambda review: review
        await cluster.client.create(V1, thing("b", hostPort="h:1"))
        seen.clear()
        assert (await cluster.client.get(V2, "b", namespace="default"))["metadata"]["resourceVersion"]
        sent = seen[0]["request"]["objects"][0]
        assert sent["metadata"]["name"] == "b" and "resourceVersion" not in sent["metadata"]  # as it is stored
        assert seen[0]["response"] == {"uid": "", "convertedObjects": None, "result": {"metadata": {}}}
        change[0] = response(result={"status": "Failed", "message": "not now"})
        await cluster.client.create(V1, thing("c", hostPort="h:1"))
        watch = await send(cluster, "GET", "/apis/c.example.com/v2/namespaces/default/things?watch=1&fieldSelector=metadata.name=c")
        event, = await watch.lines(1)  # the stream says why it ends
        assert (event["type"], event["object"]["code"], event["object"]["message"]) == (
            "ERROR", 500, "conversion webhook for c.example.com/v1, Kind=Thing failed: not now")
