"""Where volumes let a pod go."""

from scheduling import decide, node, pod


class Objects:
    def __init__(self, **objects):
        self._objects = {"persistentvolumeclaims": objects.get("claims", ()),
                         "persistentvolumes": objects.get("volumes", ()),
                         "storageclasses.storage.k8s.io": objects.get("classes", ()),
                         "csinodes.storage.k8s.io": objects.get("csinodes", ())}

    def list(self, resource, namespace=None):
        return list(self._objects.get(resource, ()))

    def get(self, resource, namespace, name):
        return next((o for o in self.list(resource) if o["metadata"]["name"] == name), None)


def claim(name, *, volume="", cls="late", modes=("ReadWriteOnce",)):
    return {"metadata": {"name": name, "namespace": "default"},
            "spec": {"storageClassName": cls, "accessModes": list(modes), "resources": {"requests": {"storage": "1Gi"}},
                     **({"volumeName": volume} if volume else {})},
            "status": {"phase": "Bound" if volume else "Pending"}}


def volume(name, host, *, cls="late", size="2Gi", **more):
    return {"metadata": {"name": name, "labels": more.pop("labels", {})},
            "spec": {"storageClassName": cls, "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size},
                     "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                         {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]}}, **more},
            "status": {"phase": "Available"}}


LATE = {"metadata": {"name": "late"}, "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer"}
NODES = [node("a"), node("b")]
POD = pod("p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])


def test_missing_claim():
    assert decide(POD, NODES, objects=Objects()).message() == \
        '0/2 nodes are available: persistentvolumeclaim "c" not found.'


def test_bound_claim_fixes_the_node():
    objects = Objects(claims=[claim("c", volume="v1")], volumes=[volume("v1", "b")])
    assert {decide(POD, NODES, objects=objects, seed=s).node for s in range(5)} == {"b"}
    objects = Objects(claims=[claim("c", volume="v1")], volumes=[volume("v1", "z")])
    assert decide(POD, NODES, objects=objects).message() == \
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."


def test_immediate_claims_must_be_bound():
    objects = Objects(claims=[claim("c", cls="now")], classes=[LATE | {"metadata": {"name": "now"},
                                                                       "volumeBindingMode": "Immediate"}])
    assert "unbound immediate PersistentVolumeClaims" in decide(POD, NODES, objects=objects).message()


def test_late_claims_go_where_a_volume_is():
    objects = Objects(claims=[claim("c")], volumes=[volume("v1", "b"), volume("v2", "a", size="500Mi")], classes=[LATE])
    assert decide(POD, NODES, objects=objects).node == "b"
    objects = Objects(claims=[claim("c")], classes=[LATE])
    assert "2 node(s) didn't find available persistent volumes to bind" in decide(POD, NODES, objects=objects).message()
    objects = Objects(claims=[claim("c")], classes=[LATE | {"provisioner": "x.example.com", "allowedTopologies": [
        {"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["a"]}]}]}])
    assert decide(POD, NODES, objects=objects).node == "a"


def test_one_pod_only():
    objects = Objects(claims=[claim("c", volume="v1", modes=["ReadWriteOncePod"])], volumes=[volume("v1", "b")])
    user = pod("x", node="b", volumes=POD["spec"]["volumes"])
    assert "ReadWriteOncePod access mode" in decide(POD, [node("b")], [user], objects=objects).message()


def test_limits_of_a_driver():
    objects = Objects(
        claims=[claim("c", volume="v1"), claim("d", volume="v2")],
        volumes=[volume("v1", "b", csi={"driver": "x", "volumeHandle": "1"}),
                 volume("v2", "b", csi={"driver": "x", "volumeHandle": "2"})],
        csinodes=[{"metadata": {"name": "b"}, "spec": {"drivers": [{"name": "x", "allocatable": {"count": 1}}]}}])
    user = pod("x", node="b", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "d"}}])
    assert "1 node(s) exceed max volume count" in decide(POD, [node("b")], [user], objects=objects).message()
