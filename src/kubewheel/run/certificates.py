"""The cluster's keys and certificates, in kubeadm's layout. Safe to run at every start.

In: a directory, the names and addresses the API server is reached by, the clock. Out: Pki (paths and PEMs).
What is missing, expired, soon to expire, of another authority or lacks a name is made anew; the rest stays.
Called by: run (up, init), testing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

RENEW_BEFORE = 30 * 86400  # seconds before the end at which a leaf is replaced


@dataclass(frozen=True, slots=True)
class Leaf:
    """One certificate to keep."""

    file: str  # below the directory, without suffix
    common_name: str
    organizations: tuple[str, ...] = ()
    server: bool = False
    client: bool = True
    ca: str = "ca"
    hosts: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pki:
    directory: Path
    node_name: str
    renewed: tuple[str, ...] = field(default=())  # what this call made: "apiserver", "ca", …

    def cert(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def pair(self, name: str) -> tls.KeyPair:
        return tls.KeyPair(self.cert(name).read_bytes(), self.key(name).read_bytes())

    @property
    def ca(self) -> bytes:
        return self.cert("ca").read_bytes()

    @property
    def front_proxy_ca(self) -> bytes:
        return self.cert("front-proxy-ca").read_bytes()

    @property
    def service_account_key(self) -> bytes:
        return (self.directory / "sa.key").read_bytes()

    @property
    def service_account_public_key(self) -> bytes:
        return (self.directory / "sa.pub").read_bytes()


def leaves(*, hosts: Iterable[str], ips: Iterable[str], node_name: str) -> tuple[Leaf, ...]:
    """Every certificate of the cluster, with upstream's user and group names."""
    domain = "cluster.local"
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{domain}",
             "localhost")
    addresses = tuple(ips)
    return (
        Leaf("apiserver", "kube-apiserver", server=True, client=False,
             hosts=_unique(names, hosts), ips=_unique(("127.0.0.1", "::1"), addresses)),
        Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("kubeadm:cluster-admins",)),
        Leaf("front-proxy-client", "front-proxy-client", ca="front-proxy-ca"),
        Leaf("controller-manager", "system:kube-controller-manager"),
        Leaf("scheduler", "system:kube-scheduler"),
        Leaf("kubelet", f"system:node:{node_name}", ("system:nodes",)),
        Leaf("kubelet-server", f"system:node:{node_name}", ("system:nodes",), server=True, client=False,
             hosts=_unique((node_name, "localhost"), ()), ips=_unique(("127.0.0.1",), addresses)),
        Leaf("kube-proxy", "system:kube-proxy"),
        Leaf("admin", "kubernetes-admin", ("kubeadm:cluster-admins",)),
        Leaf("super-admin", "kubernetes-super-admin", ("system:masters",)),
    )


def ensure(
    pki_dir: Path, *, hosts: Iterable[str] = (), ips: Iterable[str] = (), clock: clocks.Clock, node_name: str = "kubewheel",
    renew_before: float = RENEW_BEFORE,
) -> Pki:
    """The whole PKI, made or mended. Key files are 0600; authorities live ten years, leaves one."""
    pki_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = clock.now()
    made: list[str] = []
    pki = Pki(pki_dir, node_name)
    for name, common_name in (("ca", "kubernetes"), ("front-proxy-ca", "front-proxy-ca")):
        if _ensure_ca(pki, name, common_name, now):
            made.append(name)
    for leaf in leaves(hosts=hosts, ips=ips, node_name=node_name):
        if _is_good(pki, leaf, now + renew_before):
            continue
        pair = tls.issue(pki.pair(leaf.ca), leaf.common_name, now=now, organizations=leaf.organizations,
                         hosts=leaf.hosts, ips=leaf.ips, server=leaf.server, client=leaf.client)
        _write(pki, leaf.file, pair)
        made.append(leaf.file)
    if _ensure_service_account_key(pki_dir):
        made.append("sa")
    return Pki(pki_dir, node_name, tuple(made))


def _unique(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*first, *second]))


def _write(pki: Pki, name: str, pair: tls.KeyPair) -> None:
    tls.write_private(pki.key(name), pair.key)
    tls.write_atomic(pki.cert(name), pair.cert)


def _ensure_ca(pki: Pki, name: str, common_name: str, now: float) -> bool:
    if pki.cert(name).exists():
        cert = x509.load_pem_x509_certificate(pki.cert(name).read_bytes())
        # A CA whose key lives elsewhere (external CA) is kept as it is: its leaves must be there already.
        if tls.moment(now) < cert.not_valid_after_utc:
            return False
    _write(pki, name, tls.make_ca(common_name, now=now))
    return True


def _is_good(pki: Pki, leaf: Leaf, until: float) -> bool:
    if not (pki.cert(leaf.file).exists() and pki.key(leaf.file).exists()):
        return False
    cert = x509.load_pem_x509_certificate(pki.cert(leaf.file).read_bytes())
    ca = x509.load_pem_x509_certificate(pki.cert(leaf.ca).read_bytes())
    subject = tls.subject_of(cert)
    dns, addresses = tls.names_in(cert)
    return (
        # a leaf is never replaced for want of time its authority does not have
        min(tls.moment(until), ca.not_valid_after_utc) <= cert.not_valid_after_utc
        and tls.is_signed_by(cert, ca)
        and subject.common_name == leaf.common_name
        and set(subject.organizations) == set(leaf.organizations)
        and dns >= set(leaf.hosts) and addresses >= set(leaf.ips)
    )


def _ensure_service_account_key(directory: Path) -> bool:
    private, public = directory / "sa.key", directory / "sa.pub"
    if private.exists():
        if not public.exists():
            tls.write_atomic(public, tls.public_pem(private.read_bytes()))
        return False
    pem = tls.new_rsa_key()
    tls.write_private(private, pem)
    tls.write_atomic(public, tls.public_pem(pem))
    return True
