"""kubewheel: Kubernetes, whole, in Python. See ARCHITECTURE.md for the map."""

__version__ = "0.1.0"
#: The Kubernetes version whose API and behaviour this release speaks.
KUBERNETES_VERSION = "v1.37.0"
