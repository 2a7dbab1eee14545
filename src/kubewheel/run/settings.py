"""Where a kubewheel cluster keeps its things on this host, and its addresses. One value, made by the CLI.

In: flags. Out: paths and addresses. Called by: cli, run/*.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Settings:
    data_dir: Path = Path("/var/lib/kubewheel")
    run_dir: Path = Path("/run/kubewheel")
    log_dir: Path = Path("/var/log/kubewheel")
    node_name: str = field(default_factory=lambda: socket.gethostname().lower())
    node_ip: str = ""  # "" finds it: host_address()
    secure_port: int = 6443
    kubelet_port: int = 10250
    pod_cidr: str = "10.244.0.0/16"
    node_cidr_mask_size: int = 24
    service_cidr: str = "10.96.0.0/16"
    domain: str = "cluster.local"
    controllers: str = "*"
    container_runtime_endpoint: str = ""  # "" is kubewheel's own containerd

    def __post_init__(self) -> None:
        if not self.node_ip:
            self.node_ip = host_address()

    @property
    def pki_dir(self) -> Path:
        return self.data_dir / "pki"

    @property
    def kubeconfig_dir(self) -> Path:
        return self.data_dir / "kubeconfigs"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.kubeconfig_dir / "admin.conf"

    @property
    def store(self) -> Path:
        return self.data_dir / "store" / "kubewheel.db"

    @property
    def kubelet_dir(self) -> Path:
        return self.data_dir / "kubelet"

    @property
    def containerd_socket(self) -> Path:
        return self.run_dir / "containerd" / "containerd.sock"

    @property
    def runtime_endpoint(self) -> str:
        return self.container_runtime_endpoint or f"unix://{self.containerd_socket}"

    @property
    def server_url(self) -> str:
        return f"https://{self.node_ip}:{self.secure_port}"

    def service_ip(self, index: int) -> str:
        """1 is `kubernetes`, 10 is `kube-dns`."""
        return str(ipaddress.ip_network(self.service_cidr)[index])


def host_address() -> str:
    """The address other hosts reach this one by: the source of the default route, else loopback. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # TEST-NET-2: connecting a datagram socket only asks the route table
            address = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
    return str(address)
