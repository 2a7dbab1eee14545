"""The network of one node: CNI configuration, the bridge, guard routes, and the rules that keep cluster addresses home.

In: the node's pod range and the cluster's ranges. Out: a conflist for the runtime, a bridge with the gateway address,
an nftables table; `remove` takes all of it away. `conflist`, `ruleset` are pure. Called by: run.

Invariants:
- A route for the pod range and one for the service range exist before anything is sent there. The pod range's is
  `unreachable`; the service range's leads to our bridge, since packets of the host's own need some route before
  destination NAT sees them, and what no rule translates is rejected by the table below.
- No packet with a cluster address at either end leaves by any link but ours.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONF_FILE = "10-kubewheel.conflist"
LINK_MTU = 1500


class NetworkError(Exception):
    """`ip` or `nft` refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    pod_cidr: str  # this node's part, "10.244.0.0/24"
    cluster_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    bridge: str = "kubewheel0"
    table: str = "kubewheel"
    name: str = "kubewheel"  # of the CNI network
    conf_dir: Path = Path("/run/kubewheel/cni/net.d")
    ipam_dir: Path = Path("/run/kubewheel/cni/networks")
    mtu: int = LINK_MTU

    @property
    def gateway(self) -> str:
        return str(ipaddress.ip_network(self.pod_cidr)[1])


# -- pure -----------------------------------------------------------------------------------------------------------
def conflist(network: Network) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": network.name,
        "plugins": [
            {
                "type": "bridge", "bridge": network.bridge, "isGateway": True, "isDefaultGateway": False,
                "hairpinMode": True, "promiscMode": False, "ipMasq": False, "mtu": network.mtu,
                "ipam": {
                    "type": "host-local", "dataDir": str(network.ipam_dir),
                    "ranges": [[{"subnet": network.pod_cidr, "gateway": network.gateway}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


def ruleset(network: Network) -> str:
    """An nft script that replaces the table as one transaction."""
    home = f'{{ "lo", "{network.bridge}" }}'
    cluster = f"{{ {network.cluster_cidr}, {network.service_cidr} }}"
    return f"""\
add table ip {network.table}
delete table ip {network.table}
table ip {network.table} {{
  chain leaving {{
    type nat hook postrouting priority srcnat + 10; policy accept;
    ip saddr {network.pod_cidr} ip daddr != {cluster} oifname != {home} masquerade
  }}
  chain loopback-is-the-hosts {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{network.bridge}" ip daddr 127.0.0.0/8 drop
  }}
  chain unclaimed-output {{
    type filter hook output priority filter; policy accept;
    ip daddr {network.service_cidr} reject with icmp type host-unreachable
  }}
  chain unclaimed-forward {{
    type filter hook forward priority filter; policy accept;
    ip daddr {network.service_cidr} reject with icmp type host-unreachable
  }}
  chain stay-home {{
    type filter hook postrouting priority srcnat + 50; policy accept;
    ip daddr {network.service_cidr} drop
    ip daddr {network.cluster_cidr} oifname != {home} drop
    ip saddr {network.cluster_cidr} oifname != {home} drop
  }}
}}
"""


# -- carrying out ---------------------------------------------------------------------------------------------------
def ensure(network: Network) -> None:
    """Rules first, then routes, then the bridge, and at last the conflist, which tells the runtime that pods may come.
    Safe to call again; a changed range is taken over. Blocks: call it in a thread."""
    _nft(ruleset(network))
    _ip("route", "replace", "unreachable", network.cluster_cidr)
    if not Path(f"/sys/class/net/{network.bridge}").exists():
        _ip("link", "add", network.bridge, "type", "bridge")
    prefix = ipaddress.ip_network(network.pod_cidr).prefixlen
    _ip("addr", "replace", f"{network.gateway}/{prefix}", "brd", "+", "dev", network.bridge)
    _ip("link", "set", network.bridge, "mtu", str(network.mtu), "up")
    _ip("route", "replace", network.service_cidr, "dev", network.bridge)
    # Node ports answer on 127.0.0.1 too; the rule above keeps pods from reaching the host's loopback through this.
    _sysctl(network.bridge, "route_localnet", "1")
    # What a pod sends to a service nobody serves comes and goes by the bridge. The kernel would tell the pod of a
    # shorter way, and counts that as messages to it: the refusal would not be sent for seconds. A link redirects where
    # either its own setting or that of "all" says so; the other links' own settings stay.
    for link in ("all", network.bridge):
        _sysctl(link, "send_redirects", "0")
    network.ipam_dir.mkdir(parents=True, exist_ok=True)
    network.conf_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(conflist(network), indent=2) + "\n"
    path = network.conf_dir / CONF_FILE
    if not path.exists() or path.read_text() != text:
        fresh = path.with_name(f".{CONF_FILE}.new")  # the runtime reads *.conflist only
        fresh.write_text(text)
        fresh.replace(path)


def _sysctl(link: str, name: str, value: str) -> None:
    Path(f"/proc/sys/net/ipv4/conf/{link}/{name}").write_text(value)


def remove(network: Network) -> None:
    """Conflist, bridge with its routes, guard route, table. What is not there is no error."""
    (network.conf_dir / CONF_FILE).unlink(missing_ok=True)
    if Path(f"/sys/class/net/{network.bridge}").exists():
        for link in Path(f"/sys/class/net/{network.bridge}/brif").iterdir():
            _ip("link", "delete", link.name)
        _ip("link", "delete", network.bridge)
    if any(line.split()[:2] == ["unreachable", network.cluster_cidr] for line in routes()):
        _ip("route", "delete", "unreachable", network.cluster_cidr)
    _nft(f"add table ip {network.table}\ndelete table ip {network.table}\n")


def uplink_mtu(default: int = LINK_MTU) -> int:
    """The MTU of the default route's link, so that what pods send fits without being cut."""
    for route in routes():
        words = route.split()
        if words[0] == "default" and "dev" in words:
            return int(Path(f"/sys/class/net/{words[words.index('dev') + 1]}/mtu").read_text())
    return default


def routes() -> list[str]:
    return _ip("route", "show").splitlines()


def _ip(*args: str) -> str:
    return _run(["ip", "-4", *args] if args[0] in ("addr", "route") else ["ip", *args])


def _nft(script: str) -> None:
    _run(["nft", "-f", "-"], stdin=script)


def _run(command: list[str], *, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
