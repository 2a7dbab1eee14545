"""Go on the other side: kubectl's typed clients write and read protobuf. What they write, we write byte for byte."""

import asyncio

from tests.apiserver.test_kubectl_view import kubectl

from kubewheel.api.protobuf import codec as protobuf
from kubewheel.testing import with_cluster

PROTOBUF = "application/vnd.kubernetes.protobuf"
CREATED = (
    "deployment web --image=example/web:1 --replicas=2 --port=80", "service nodeport web --tcp=80:8080 --node-port=30080",
    "service externalname out --external-name=example.com", "configmap plain --from-literal=a=1 --from-literal=b=ü",
    "secret generic hidden --from-literal=key=value", "secret docker-registry pull --docker-username=u --docker-password=p",
    "job once --image=example/web:1 -- /bin/true", "cronjob often --image=example/web:1 --schedule=@hourly -- /bin/true",
    "role reader --verb=get,list --resource=pods,deployments.apps --resource-name=web", "clusterrole urls --verb=get --non-resource-url=/x/*",
    "rolebinding readers --role=reader --user=jane --group=g --serviceaccount=default:default", "quota limits --hard=pods=5,cpu=1500m",
    "poddisruptionbudget most --selector=app=web --min-available=50%", "priorityclass high --value=1000 --preemption-policy=Never",
    "ingress web --rule=example.com/path*=web:80,tls=cert --annotation a=b", "namespace extra", "serviceaccount robot",
)


class Tap:
    """The server's chain, with what went through it."""

    def __init__(self, chain):
        self.chain, self.seen = chain, []

    async def __call__(self, request):
        response = await self.chain(request)
        self.seen.append((request, response))
        return response


@with_cluster(nodes=2, controllers="*", scheduler=True)
async def test_kubectl_speaks_protobuf_both_ways(cluster):
    tap = cluster.server.chain = Tap(cluster.server.chain)
    config = await cluster.kubeconfig()
    places = asyncio.Semaphore(3)

    async def create(words):
        async with places:
            assert "created" in await kubectl(config, "create", *words.split())

    await asyncio.gather(*(create(words) for words in CREATED))
    assert (await kubectl(config, "create", "token", "robot")).count(".") == 2
    assert "successfully rolled out" in await kubectl(config, "rollout", "status", "deployment/web", "--timeout=30s")
    described = await kubectl(config, "describe", "deployment/web")
    assert "2 desired | 2 updated | 2 total | 2 available" in described and "ScalingReplicaSet" in described
    assert "[get list]" in await kubectl(config, "auth", "can-i", "--list", "--as=jane")
    assert "node/node-0 drained" in await kubectl(config, "drain", "node-0", "--timeout=30s")
    assert 'nodes "none" not found' in await kubectl(config, "drain", "none", code=1)
    tap_bodies = [r.body for r, _ in tap.seen if r.headers.get("content-type") == PROTOBUF and r.body]
    assert len(tap_bodies) >= len(CREATED) + 2
    for body in tap_bodies:
        obj = protobuf.decode(body)
        assert protobuf.encode(obj, protobuf.kinds.known(obj["apiVersion"], obj["kind"])) == body, obj
    answered = [(r, a) for r, a in tap.seen if r.headers.get("accept", "").startswith(PROTOBUF) and not r.wants_objects]
    assert len(answered) > 20 and {a.headers["content-type"] for _, a in answered} == {PROTOBUF}
    assert {a.status for _, a in answered} >= {200, 201, 404}
