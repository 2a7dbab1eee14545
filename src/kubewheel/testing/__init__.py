"""The cluster inside a test, for our own tests and for users'. See docs/testing.md."""

from kubewheel.testing.cluster import Cluster, cluster
from kubewheel.testing.plugin import with_cluster
from kubewheel.testing.virtual_time import VirtualTimeLoop, run

__all__ = ["Cluster", "VirtualTimeLoop", "cluster", "run", "with_cluster"]
