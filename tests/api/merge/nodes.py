"""A Deployment small enough to read."""

from kubewheel.api.schema.node import Node

TEXT = Node("string")
NUMBER = Node("integer")
LABELS = Node("map", values=TEXT)
PORT = Node("object", fields={"containerPort": NUMBER, "protocol": TEXT, "name": TEXT}, definition="Port")
ENV = Node("object", fields={"name": TEXT, "value": TEXT}, definition="Env")
CONTAINER = Node("object", definition="Container", required=("name",), fields={
    "name": TEXT, "image": TEXT, "imagePullPolicy": TEXT, "args": Node("list", items=TEXT),
    "ports": Node("list", items=PORT, list_type="map", list_map_keys=("containerPort", "protocol"),
                  patch_strategy=("merge",), patch_merge_key="containerPort"),
    "env": Node("list", items=ENV, list_type="map", list_map_keys=("name",), patch_strategy=("merge",),
                patch_merge_key="name"),
})
POD = Node("object", definition="PodSpec", required=("containers",), fields={
    "containers": Node("list", items=CONTAINER, list_type="map", list_map_keys=("name",),
                       patch_strategy=("merge",), patch_merge_key="name"),
    "restartPolicy": TEXT, "nodeSelector": Node("map", values=TEXT, map_type="atomic"),
})
META = Node("object", definition="ObjectMeta", fields={
    "name": TEXT, "namespace": TEXT, "labels": LABELS, "annotations": LABELS,
    "finalizers": Node("list", items=TEXT, list_type="set", patch_strategy=("merge",)),
})
STRATEGY = Node("object", definition="Strategy", fields={
    "type": TEXT, "rollingUpdate": Node("object", definition="Rolling", fields={"maxSurge": NUMBER})},
    patch_strategy=("retainKeys",))
DEPLOYMENT = Node("object", definition="Deployment", fields={
    "apiVersion": TEXT, "kind": TEXT, "metadata": META,
    "spec": Node("object", definition="DeploymentSpec", required=("template",), fields={
        "replicas": NUMBER, "strategy": STRATEGY,
        "template": Node("object", definition="Template", fields={"metadata": META, "spec": POD})}),
    "status": Node("object", definition="DeploymentStatus", fields={"replicas": NUMBER}),
})
