"""Which IP families a Service has, from what its author said and what the cluster has (KEP-563).

In: a Service's spec, the spec before (updates), the cluster's families in order. Out: a Choice; StatusError causes.
Pure. Called by: services.py, before addresses are handed out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object

IPV4, IPV6 = "IPv4", "IPv6"
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
POLICY = "spec.ipFamilyPolicy"


@dataclass(frozen=True, slots=True)
class Choice:
    policy: str
    families: tuple[str, ...]
    cluster_ips: tuple[str, ...]  # as far as given or kept; ("None",) where headless


def family_of(address: str) -> str | None:
    try:
        return IPV4 if ipaddress.ip_address(address).version == 4 else IPV6
    except ValueError:
        return None


def other(family: str) -> str:
    return IPV6 if family == IPV4 else IPV4


def choose(spec: Object, before: Object | None, cluster: Sequence[str]) -> tuple[Choice, list[Any]]:
    """(the choice, causes). With causes the choice means nothing. `spec` is of a Service that takes cluster IPs."""
    ips = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else ()))
    families = list(spec.get("ipFamilies") or ())
    policy = spec.get("ipFamilyPolicy") or (before or {}).get("ipFamilyPolicy")
    headless = ips[:1] == ["None"]
    anyone = headless and not spec.get("selector")  # its endpoints are somebody's own business
    if policy is None:
        policy = REQUIRE if anyone else SINGLE
    if _is_kept(spec, before, ips, families, policy):
        return Choice(policy, tuple(families), tuple(ips)), []
    out: list[Any] = []
    had_ips, had_families = list((before or {}).get("clusterIPs") or ()), list((before or {}).get("ipFamilies") or ())
    if before is not None and policy == SINGLE:  # to say so is enough to give the second one back
        ips = ips[:1] if ips == had_ips else ips
        families = families[:1] if families == had_families else families
    elif before is not None:
        if _is_less(ips, had_ips):
            out.append(errors.field_invalid(POLICY, policy, "must be 'SingleStack' to release the secondary cluster IP"))
        if _is_less(families, had_families):
            out.append(errors.field_invalid(POLICY, policy, "must be 'SingleStack' to release the secondary IP family"))
    if policy == SINGLE:
        for what, many in (("cluster IPs", ips), ("IP families", families)):
            if len(many) == 2:
                out.append(errors.field_invalid(POLICY, policy, (
                    f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified")))
    for i, ip in enumerate(() if headless else ips):
        family = family_of(ip)
        if family is not None and i >= len(families):
            if family in cluster:
                families.append(family)
            else:
                out.append(errors.field_invalid(f"spec.clusterIPs[{i}]", ips, f"{family} is not configured on this cluster"))
    if not out and anyone:
        families = families or [cluster[0]]
        if len(families) < 2 and policy != SINGLE:
            families.append(other(families[0]))
        return Choice(policy, tuple(families), tuple(ips)), []
    if not out:
        if policy == REQUIRE and len(cluster) < 2:
            out.append(errors.field_invalid(POLICY, policy, "this cluster is not configured for dual-stack services"))
        out += [errors.field_invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")
                for i, family in enumerate(families) if family not in cluster]
    families = families or [cluster[0]]
    if policy != SINGLE and len(families) == 1 and len(cluster) == 2:
        families.append(other(families[0]))
    return Choice(policy, tuple(families), tuple(ips)), out


def _is_kept(spec: Object, before: Object | None, ips: list[str], families: list[str], policy: str) -> bool:
    """A Service that prefers two families is not given or denied the second one by an unrelated update."""
    if before is None or before.get("type") == "ExternalName":
        return False
    return (policy == PREFER == before.get("ipFamilyPolicy") and bool(ips) and bool(families)
            and ips == list(before.get("clusterIPs") or ()) and families == list(before.get("ipFamilies") or ()))


def _is_less(now: list[str], had: list[str]) -> bool:
    return 0 < len(now) < len(had) and now == had[:len(now)]
