"""Who owns whom, by uid. Pure bookkeeping; says which uids are to be looked at.

In: changes of objects. Out: calls of `enqueue` with "delete:<uid>" or "orphan:<uid>". Called by:
garbagecollector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubewheel.api.resource import Gvr, Object

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(slots=True)
class Node:
    uid: str
    name: str
    namespace: str
    gvr: Gvr | None  # None on virtual nodes: known from references only
    owners: dict[str, Object] = field(default_factory=dict)  # uid -> reference
    dependents: set[str] = field(default_factory=set)  # uids; the mirror of `owners`
    deleting: bool = False
    deleting_dependents: bool = False
    ref: Object = field(default_factory=dict)  # on virtual nodes: the reference that named it

    @property
    def virtual(self) -> bool:
        return self.gvr is None


class Graph:
    def __init__(self, enqueue: Callable[[str], None]) -> None:
        self.nodes: dict[str, Node] = {}
        self._enqueue = enqueue

    def observe(self, gvr: Gvr, kind: str, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._remove(old["metadata"]["uid"])
        if new is not None:
            self._put(gvr, new)

    def observe_absent(self, uid: str) -> None:
        """The server was asked: there is no such object."""
        self._remove(uid)

    def forget_resource(self, gvr: Gvr) -> None:
        """The resource is no longer served; its objects went before it."""
        for node in [n for n in self.nodes.values() if n.gvr == gvr]:
            self._remove(node.uid)

    def blocking_dependents(self, node: Node) -> list[Node]:
        found = (self.nodes[u] for u in node.dependents if u in self.nodes)
        return [d for d in found if d.owners.get(node.uid, {}).get("blockOwnerDeletion")]

    def _put(self, gvr: Gvr, obj: Object) -> None:
        meta = obj["metadata"]
        node = self.nodes.get(meta["uid"])
        if node is None:
            node = self.nodes[meta["uid"]] = Node(meta["uid"], meta["name"], meta.get("namespace", ""), gvr)
        elif node.virtual:
            node.name, node.namespace, node.gvr = meta["name"], meta.get("namespace", ""), gvr
            # A reference may have meant another place (wrong namespace): those dependents are looked at.
            for uid in node.dependents:
                other = self.nodes.get(uid)
                if other is not None and node.namespace and other.namespace != node.namespace:
                    self._enqueue(f"delete:{uid}")
        self._set_owners(node, {r["uid"]: r for r in meta.get("ownerReferences") or ()})
        self._mark(node, meta)

    def _mark(self, node: Node, meta: Object) -> None:
        finalizers = meta.get("finalizers") or ()
        node.deleting = "deletionTimestamp" in meta
        if node.deleting and ORPHAN in finalizers:
            self._enqueue(f"orphan:{node.uid}")
        if node.deleting and FOREGROUND in finalizers and not node.deleting_dependents:
            node.deleting_dependents = True
            for uid in node.dependents:
                self._enqueue(f"delete:{uid}")
            self._enqueue(f"delete:{node.uid}")

    def _set_owners(self, node: Node, owners: dict[str, Object]) -> None:
        before, node.owners = node.owners, owners
        for uid in before.keys() - owners.keys():
            owner = self.nodes.get(uid)
            if owner is not None:
                owner.dependents.discard(node.uid)
                self._wake_waiting(owner)
        for uid, ref in owners.items():
            owner = self.nodes.get(uid)
            if owner is None:
                # Cluster-scoped or not is known only to the mapping; the namespace is where it would be
                # looked for.
                owner = self.nodes[uid] = Node(uid, ref["name"], node.namespace, None, ref=ref)
                self._enqueue(f"delete:{uid}")
            elif (
                not owner.virtual
                and owner.namespace
                and owner.namespace != node.namespace
                and uid not in before
            ):
                self._enqueue(f"delete:{node.uid}")
            owner.dependents.add(node.uid)
            if uid in before and before[uid].get("blockOwnerDeletion") and not ref.get("blockOwnerDeletion"):
                self._wake_waiting(owner)
            if uid not in before and owner.deleting_dependents:
                self._enqueue(f"delete:{node.uid}")

    def _wake_waiting(self, owner: Node) -> None:
        if owner.deleting_dependents:
            self._enqueue(f"delete:{owner.uid}")

    def _remove(self, uid: str) -> None:
        node = self.nodes.pop(uid, None)
        if node is None:
            return
        for owner_uid in node.owners:
            owner = self.nodes.get(owner_uid)
            if owner is not None:
                owner.dependents.discard(uid)
                if owner.virtual and not owner.dependents:
                    del self.nodes[owner_uid]
                else:
                    self._wake_waiting(owner)
        for dependent in node.dependents:
            self._enqueue(f"delete:{dependent}")
