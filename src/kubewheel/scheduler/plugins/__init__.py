"""The plugins in upstream's order, with upstream's default weights. Filters run in this order; so do the rest."""

from __future__ import annotations

from kubewheel.scheduler.plugins.base import Plugin
from kubewheel.scheduler.plugins.image_locality import ImageLocality
from kubewheel.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from kubewheel.scheduler.plugins.node_affinity import NodeAffinity
from kubewheel.scheduler.plugins.node_name import NodeName
from kubewheel.scheduler.plugins.node_ports import NodePorts
from kubewheel.scheduler.plugins.node_resources_balanced import NodeResourcesBalancedAllocation
from kubewheel.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubewheel.scheduler.plugins.node_unschedulable import NodeUnschedulable
from kubewheel.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from kubewheel.scheduler.plugins.pod_topology_spread import PodTopologySpread
from kubewheel.scheduler.plugins.scheduling_gates import SchedulingGates
from kubewheel.scheduler.plugins.taint_toleration import TaintToleration
from kubewheel.scheduler.plugins.volume_binding import VolumeBinding
from kubewheel.scheduler.plugins.volume_restrictions import VolumeRestrictions
from kubewheel.scheduler.plugins.volume_zone import VolumeZone

# None: done by queue.py (order by priority, then time), preempt.py and loop.py themselves.
KNOWN: dict[str, type[Plugin] | None] = {
    "SchedulingGates": SchedulingGates,
    "PrioritySort": None,
    "NodeUnschedulable": NodeUnschedulable,
    "NodeName": NodeName,
    "TaintToleration": TaintToleration,
    "NodeAffinity": NodeAffinity,
    "NodePorts": NodePorts,
    "NodeResourcesFit": NodeResourcesFit,
    "VolumeRestrictions": VolumeRestrictions,
    "NodeVolumeLimits": NodeVolumeLimits,
    "VolumeBinding": VolumeBinding,
    "VolumeZone": VolumeZone,
    "PodTopologySpread": PodTopologySpread,
    "InterPodAffinity": InterPodAffinity,
    "DefaultPreemption": None,
    "NodeResourcesBalancedAllocation": NodeResourcesBalancedAllocation,
    "ImageLocality": ImageLocality,
    "DefaultBinder": None,
}
WEIGHTS = {"TaintToleration": 3.0, "NodeAffinity": 2.0, "PodTopologySpread": 2.0, "InterPodAffinity": 2.0}
DEFAULTS: dict[str, float] = {name: WEIGHTS.get(name, 1.0) for name in KNOWN}
