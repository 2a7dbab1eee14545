"""What policies make of a custom resource, and what its writer is told: as upstream's apiextensions-apiserver 0.36 answers."""

import asyncio

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.api.resource import Gvr

THINGS = Gvr("p.example.com", "v1", "things")
GROUP = "admissionregistration.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.p.example.com"},
       "spec": {"group": "p.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
           "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
               "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {
                   "replicas": {"type": "integer"}, "a": {"type": "string"},
                   "atomic": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
                   "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}}}}}}}]}}
MATCH = {"resourceRules": [{"apiGroups": ["p.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
                            "resources": ["things"]}]}
THING = {"apiVersion": "p.example.com/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "default"},
         "spec": {"a": "1", "replicas": 2, "atomic": ["x"], "tags": ["q"]}}
DENIED = "policy 'm{0}' with binding 'm{0}' denied request: "
PATCH = DENIED + "error applying patch: "
TYPED = PATCH + "failed to convert patch object to typed object: "
JSON = DENIED + "JSON Patch: "
CONFIGURATIONS = [  # (expression, what the spec is afterwards or what is said)
    ("Object{spec: Object.spec{a: 'new'}}", {"a": "new"}),
    ("Object{spec: Object.spec{tags: ['z']}}", {"tags": ["q", "z"]}),
    ("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", {"replicas": 3}),
    ("Object{spec: Object.spec{?a: object.?spec.?a, ?q: object.?spec.?nope}}", {}),
    ("Object{}", {}), ("Object{kind: 'Other'}", {}),
    ("Object{spec: Object.spec{atomic: ['z']}}",
     PATCH + "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.atomic"),
    ("Object{spec: Object.spec{a: object.spec.nope}}",
     DENIED + "expression 'Object{{spec: Object.spec{{a: object.spec.nope}}}}' resulted in error: no such key: nope"),
    ("Object{spec: Object.spec{replicas: 'x'}}", TYPED + ".spec.replicas: expected numeric (int or float), got string"),
    ("Object{nope: 1}", TYPED + ".nope: field not declared in schema"),
    ("Object{spec: Object.metadata{a: 'x'}}", DENIED + 'type mismatch: unexpected type name "Object.metadata", expected '
     '"Object.spec", which matches field name path from root Object type'),
    ("Object{spec: Object.spec{a: null}}", TYPED + ".spec.a: expected string, got &value.valueUnstructured{{Value:0}}"),
    ("Object{spec: Object.spec{t: b'abc'}}", TYPED + ".spec.t: expected map, got &{{[97 98 99]}}"),
]
PATCHES = [
    ("[JSONPatch{op: 'add', path: '/spec/n', value: Object.spec.n{x: 1, y: ['a']}}]", {"n": {"x": 1, "y": ["a"]}}),
    ("[JSONPatch{op: 'test', path: '/spec/a', value: 'zz'}, JSONPatch{op: 'remove', path: '/spec/a'}]", {}),
    ("[JSONPatch{op: 'copy', from: '/spec/a', path: '/spec/c'}]", {"c": "1"}),
    ("[JSONPatch{op: 'remove', path: '/spec/nope'}]", JSON + "error in remove for path: '/spec/nope': Unable to remove "
     "nonexistent key: nope: missing value"),
    ("[JSONPatch{op: 'frob', path: '/spec/a'}]", JSON + "Unexpected kind: frob"),
    ("[JSONPatch{path: '/spec/a', value: 1}]", JSON + "Unexpected kind: "),
]


async def server(cluster):
    await cluster.client.create(CRDS, CRD)
    await cluster.wait_for(CRDS, CRD["metadata"]["name"], lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)
    return cluster.client


async def declared(client, kind, name, *, bound=None, **spec):
    for part, more in (("", {"matchConstraints": MATCH, **spec}), ("Binding", {"policyName": name, **(bound or {})})):
        await client.create(f"{kind.lower()}{'ies' if not part else 'ybindings'}.{GROUP}", {
            "apiVersion": f"{GROUP}/v1", "kind": f"{kind}y{part}", "metadata": {"name": name}, "spec": more})


async def dropped(client, kind, name):
    for plural in (f"{kind.lower()}ybindings.{GROUP}", f"{kind.lower()}ies.{GROUP}"):
        await client.delete(plural, name)


async def until(client, work, done):
    """The server's own caches are a moment behind."""
    async with asyncio.timeout(5):
        while not done(found := await work(client)):
            await asyncio.sleep(0.01)
    return found


async def tried(client):
    try:
        return (await client.create(THINGS, THING, dryRun="All"))
    except errors.StatusError as e:
        return e


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_mutations(cluster):
    client = await server(cluster)
    for number, (expression, expected) in enumerate((*CONFIGURATIONS, *PATCHES)):
        name, patch = f"m{number}", number >= len(CONFIGURATIONS)
        mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}} if patch else {
            "patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
        mark = {"patchType": "JSONPatch", "jsonPatch": {  # tells that the policy is heeded
            "expression": f"[JSONPatch{{op: 'add', path: '/metadata/generateName', value: '{name}'}}]"}}
        await declared(client, "MutatingAdmissionPolic", name, reinvocationPolicy="Never", mutations=[mark, mutation])
        found = await until(client, tried, lambda f, name=name: isinstance(f, errors.StatusError) and name in f.message
                            or isinstance(f, dict) and f["metadata"].get("generateName") == name)
        if isinstance(expected, dict):
            assert isinstance(found, dict) and found["spec"] == THING["spec"] | expected, (expression, str(found))
        else:
            text = expected.format(number)
            assert isinstance(found, errors.StatusError) and found.message == text, (expression, str(found))
            assert (found.code, found.reason) == (403, "Invalid")
            assert found.status["details"]["causes"] == [{"message": text}]
        await dropped(client, "MutatingAdmissionPolic", name)
        await until(client, tried, lambda f: isinstance(f, dict) and "generateName" not in f["metadata"])


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_what_cannot_be_configured_is_refused_whatever_the_actions(cluster):
    client = await server(cluster)
    await declared(client, "ValidatingAdmissionPolic", "p", bound={"validationActions": ["Audit"]}, validations=[
        {"expression": "true"}], auditAnnotations=[{"key": "k", "valueExpression": "string(object.spec.nope)"}])
    found = await until(client, tried, lambda f: isinstance(f, errors.StatusError))
    assert found.message == ("things.p.example.com \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied "
                             "request: expression 'string(object.spec.nope)' resulted in error: no such key: nope")
    await dropped(client, "ValidatingAdmissionPolic", "p")
    await until(client, tried, lambda f: isinstance(f, dict))
    await declared(client, "ValidatingAdmissionPolic", "q", bound={"validationActions": ["Warn"], "paramRef": {
        "name": "c", "parameterNotFoundAction": "Deny"}}, validations=[{"expression": "true"}],
        paramKind={"apiVersion": "x.y/v1", "kind": "Nope"})
    found = await until(client, tried, lambda f: isinstance(f, errors.StatusError))
    assert found.message == ("things.p.example.com \"x\" is forbidden: ValidatingAdmissionPolicy 'q' denied request: failed to "
                             "configure policy: failed to find resource referenced by paramKind: 'x.y/v1, Kind=Nope'")
