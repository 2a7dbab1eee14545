"""ReplicationControllers: a ReplicaSet whose selector is a plain map (defaulted from the template's labels).

In: replicationcontrollers, pods. Out: pods, status. All the work is in replicaset.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Object
from kubewheel.controllers import replicaset
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Controller


def _selects(rc: Object, pod: Object) -> bool:
    return objects.matches_map(rc["spec"].get("selector"), objects.labels_of(pod))


FLAVOR = replicaset.Flavor("replicationcontrollers", "v1", "ReplicationController", _selects)

CONTROLLER = Controller(
    name="replicationcontroller-controller", events_as="replication-controller",
    reconcile=replicaset.make_reconcile(FLAVOR),
    watches=replicaset.watches(FLAVOR),
    rules=replicaset.rules("", "replicationcontrollers"),
    setup=replicaset.setup,
)
