"""networkpolicies.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, fill, names, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    for side in ("ingress", "egress"):
        for rule in spec.get(side) or ():
            for port in rule.get("ports") or ():
                if port.get("protocol") is None:
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _peer(peer: Object, path: str) -> list[errors.FieldError]:
    out = validation.validate_selector(peer.get("podSelector"), f"{path}.podSelector")
    out += validation.validate_selector(peer.get("namespaceSelector"), f"{path}.namespaceSelector")
    have = sum(peer.get(f) is not None for f in ("podSelector", "namespaceSelector"))
    block = peer.get("ipBlock")
    if block is not None:
        if have:
            out.append(errors.field_forbidden(path, "may not specify both ipBlock and another peer"))
        if not block.get("cidr"):
            out.append(errors.field_required(f"{path}.ipBlock.cidr"))
        else:
            out += validation.check(f"{path}.ipBlock.cidr", block["cidr"], names.cidr(block["cidr"]))
        for i, text in enumerate(block.get("except") or ()):
            out += validation.check(f"{path}.ipBlock.except[{i}]", text, names.cidr(text))
    elif not have:
        out.append(errors.field_required(path, "must specify a peer"))
    return out


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out = validation.validate_selector(spec.get("podSelector"), "spec.podSelector")
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(side) or ()):
            for j, port in enumerate(rule.get("ports") or ()):
                out += _port(port, f"spec.{side}[{i}].ports[{j}]")
            for j, peer in enumerate(rule.get(peers) or ()):
                out += _peer(peer, f"spec.{side}[{i}].{peers}[{j}]")
    for i, kind in enumerate(spec.get("policyTypes") or ()):
        if kind not in ("Ingress", "Egress"):
            out.append(errors.field_not_supported(f"spec.policyTypes[{i}]", kind, ("Egress", "Ingress")))
    return out


def _port(port: Object, path: str) -> list[errors.FieldError]:
    out = validation.one_of(port.get("protocol"), ("SCTP", "TCP", "UDP"), f"{path}.protocol", required=False)
    value, end = port.get("port"), port.get("endPort")
    if isinstance(value, int):
        out += validation.check(f"{path}.port", value, names.port(value))
        if end is not None and end < value:
            out.append(errors.field_invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
    elif isinstance(value, str):
        out += validation.check(f"{path}.port", value, names.port_name(value))
        if end is not None:
            out.append(errors.field_invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
    elif end is not None:
        out.append(errors.field_invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    return out


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="NetworkPolicy",
    plural="networkpolicies",
    short_names=("netpol",),
    definition="io.k8s.api.networking.v1.NetworkPolicy",
    registry="networkpolicies",
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Pod-Selector", lambda obj, now: columns.label_selector(dig(obj, "spec", "podSelector")),
               description=".spec.podSelector"),
        columns.AGE,
    ),
)
