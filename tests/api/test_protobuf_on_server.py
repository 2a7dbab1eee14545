"""Every example is the same object, whether it comes as JSON or as protobuf, and whether it is answered in one or the other."""

import json
import re

from tests.api.protobuf_oracle import view
from tests.api.test_catalog import EXAMPLES, resource_of
from tests.apiserver.wire import send

from kubewheel.api.protobuf import codec as protobuf
from kubewheel.testing import with_cluster

PROTOBUF = "application/vnd.kubernetes.protobuf"
ELSEWHERE = ("CertificateSigningRequest",)  # its request must be signed
GIVEN = ("uid", "creationTimestamp", "managedFields", "resourceVersion")  # by the server
CHANCE = re.compile(r"kube-api-access-\w{5}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")


def comparable(definition, obj):
    seen = view(definition, obj)
    seen["metadata"] = {k: v for k, v in seen["metadata"].items() if k not in GIVEN}
    return json.loads(CHANCE.sub("by chance", json.dumps(seen)))


@with_cluster(virtual_time=True, nodes=0, controllers="", scheduler=False)
async def test_examples_are_the_same_in_json_and_protobuf(cluster):
    await cluster.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    for name in {d["metadata"]["namespace"] for d in EXAMPLES if "namespace" in d["metadata"]} - {"default"}:
        await cluster.client.create("namespaces", {"metadata": {"name": name}})
        await cluster.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})
    refused = []
    for number, doc in enumerate(EXAMPLES):
        resource = resource_of(doc)
        if resource.kind in ELSEWHERE:
            continue
        names = {"Namespace": f"n{number}", "ServiceAccount": f"s{number}"}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, **doc,
               "metadata": {**doc["metadata"], "name": names.get(resource.kind, doc["metadata"]["name"])}}
        within = f"/namespaces/{obj['metadata'].get('namespace', 'default')}" if resource.namespaced else ""
        url = f"/{'apis' if resource.group else 'api'}/{resource.api_version}{within}/{resource.plural}?dryRun=All"
        plain = await send(cluster, "POST", url, obj)
        binary = await send(cluster, "POST", url, protobuf.encode(obj, resource.definition), content_type=PROTOBUF, accept=PROTOBUF)
        found = protobuf.decode(binary.body)
        assert binary.status == plain.status, (obj, found, plain.body)
        if plain.status != 201:  # examples show what a kind may hold, not what may be created
            assert found == {**plain.json, "metadata": {}}
            refused.append(resource.kind)
            continue
        assert comparable(resource.definition, found) == comparable(resource.definition, plain.json), resource.kind
    assert len(refused) < 3, refused
