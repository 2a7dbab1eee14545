"""A dict-backed cache and client: enough of the protocols for authn, authz and admission to be tried alone."""

import random
from types import SimpleNamespace

from kubewheel.api import codec, errors
from kubewheel.api.resource import Resource
from kubewheel.apiserver.attributes import AdmissionContext, Attributes
from kubewheel.client.transport import Identity

NOW = 1_767_225_600.0
ADMIN = Identity("root", groups=("system:masters", "system:authenticated"))


class Clock:
    def __init__(self):
        self.value = NOW

    def now(self):
        return self.value


class Cache:
    def __init__(self):
        self.items, self.handlers, self.indexers = {}, [], {}

    def put(self, obj):
        meta = obj["metadata"]
        meta["resourceVersion"] = str(int(meta.get("resourceVersion", "0")) + 1)
        key = meta.get("namespace", ""), meta["name"]
        old, self.items[key] = self.items.get(key), obj
        for handler in self.handlers:
            handler(old, obj)

    def remove(self, namespace, name):
        old = self.items.pop((namespace, name))
        for handler in self.handlers:
            handler(old, None)

    def get(self, namespace, name):
        return self.items.get((namespace or "", name))

    def list(self, namespace=None):
        return [o for (ns, _), o in self.items.items() if not namespace or ns == namespace]

    def add_index(self, name, values):
        self.indexers[name] = values

    def by_index(self, name, value):
        return [o for o in self.items.values() if value in self.indexers[name](o)]

    def subscribe(self, handler):
        self.handlers.append(handler)
        for obj in list(self.items.values()):
            handler(None, obj)

    def is_synced(self):
        return True

    async def wait_synced(self):
        return None


class World:
    """Caches and client over the same objects."""

    def __init__(self):
        self.caches = {}

    def get(self, resource, name=None, *, namespace=None):
        if name is not None:
            return self._get(resource, name, namespace)
        return self.caches.setdefault(resource, Cache())

    async def synced(self, resource):
        return self.get(resource)

    async def _get(self, resource, name, namespace):
        found = self.get(resource).get(namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        return found

    def put(self, resource, obj):
        self.get(resource).put(obj)
        return obj

    async def find(self, resource, name, *, namespace=None):
        return self.get(resource).get(namespace, name)

    async def list(self, resource, *, namespace=None):
        return {"metadata": {}, "items": self.get(resource).list(namespace)}

    async def create(self, resource, obj, **_):
        meta = obj["metadata"]
        if self.get(resource).get(meta.get("namespace"), meta["name"]) is not None:
            raise errors.already_exists(resource, meta["name"])
        return self.put(resource, codec.copy(obj))

    async def update(self, resource, obj, **_):
        return self.put(resource, codec.copy(obj))

    async def update_status(self, resource, obj, **_):
        return self.put(resource, codec.copy(obj))

    async def delete(self, resource, name, *, namespace=None, **_):
        self.get(resource).remove(namespace or "", name)


class AllowAll:
    rbac = None

    async def authorize(self, user, info):
        from kubewheel.apiserver.attributes import Decision
        return Decision("allow")

    def rules_for(self, user, namespace):
        return [], [], False


def context(world, authorizer=None):
    return AdmissionContext(client=world, caches=world, clock=Clock(), random=random.Random(7),
                            authorizer=authorizer or AllowAll(), options={"server": SimpleNamespace(
                                registry=SimpleNamespace(all=lambda: [], by_kind=lambda *a: None))})


def resource(plural, kind, group="", namespaced=True):
    return Resource(group=group, version="v1", kind=kind, plural=plural, namespaced=namespaced)


PODS = resource("pods", "Pod")


def attributes(obj=None, old=None, *, res=PODS, operation="CREATE", sub="", user=ADMIN, namespace="default", name=None,
               dry_run=False):
    meta = (obj or old or {"metadata": {}})["metadata"]
    return Attributes(user=user, operation=operation, resource=res, subresource=sub, namespace=namespace,
                      name=name if name is not None else meta.get("name", ""), obj=obj, old=old, dry_run=dry_run)


def pod(name="p", *, namespace="default", node="", **spec):
    spec.setdefault("containers", [{"name": "c", "image": "i"}])
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
            "spec": spec}
