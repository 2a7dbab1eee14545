"""networkpolicies.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from collections.abc import Collection

from kubewheel.api import addresses, columns, errors, names, shape, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.struct(spec, "podSelector")
    for side in ("ingress", "egress"):
        for rule in spec.get(side) or ():
            for port in rule.get("ports") or ():
                if port.get("protocol") is None:
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


_PROTOCOLS = ["TCP", "UDP", "SCTP"]
_TYPES = ["Ingress", "Egress"]


def _blocks(obj: Object) -> list[str]:
    """Every range it names."""
    return [text for side, peers in (("ingress", "from"), ("egress", "to")) for rule in dig(obj, "spec", side) or ()
            for peer in rule.get(peers) or () if (block := peer.get("ipBlock")) is not None
            for text in (block.get("cidr"), *(block.get("except") or ()))]


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    """Ranges that were stored are not looked at again."""
    spec, known = obj.get("spec") or {}, _blocks(old) if old is not None else ()
    out = validation.validate_selector(spec.get("podSelector"), "spec.podSelector")
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(side) or ()):
            for j, port in enumerate(rule.get("ports") or ()):
                out += _port(port, f"spec.{side}[{i}].ports[{j}]")
            for j, peer in enumerate(rule.get(peers) or ()):
                out += _peer(peer, f"spec.{side}[{i}].{peers}[{j}]", known)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        return [*out, errors.field_invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    for i, kind in enumerate(types):
        if kind not in _TYPES:
            out.append(errors.field_not_supported(f"spec.policyTypes[{i}]", kind, _TYPES, ordered=True))
    return out


def _peer(peer: Object, path: str, known: Collection[str]) -> list[FieldError]:
    out: list[FieldError] = []
    have = [f for f in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(f) is not None]
    for field in have:
        if field == "ipBlock":
            out += _block(peer[field], f"{path}.ipBlock", known)
        else:
            out += validation.validate_selector(peer[field], f"{path}.{field}")
    if not have:
        out.append(errors.field_required(path, "must specify a peer"))
    elif len(have) > 1 and "ipBlock" in have:
        out.append(errors.field_forbidden(path, "may not specify both ipBlock and another peer"))
    return out


def _block(block: Object, path: str, known: Collection[str]) -> list[FieldError]:
    text = block.get("cidr")
    if not text:
        return [errors.field_required(f"{path}.cidr")]
    out = addresses.stored_cidr(text, f"{path}.cidr", known)
    outer = addresses.parse_cidr(text)
    if outer is None:
        return out
    for i, inner_text in enumerate(block.get("except") or ()):
        out += addresses.stored_cidr(inner_text, f"{path}.except[{i}]", known)
        inner = addresses.parse_cidr(inner_text)
        if inner is not None and (inner[0] not in outer[1] or outer[1].prefixlen >= inner[1].prefixlen):
            out.append(errors.field_invalid(f"{path}.except[{i}]", inner_text, "must be a strict subset of `cidr`"))
    return out


def _port(port: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if port.get("protocol") not in _PROTOCOLS:
        out.append(errors.field_not_supported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS, ordered=True))
    value, end = port.get("port"), port.get("endPort")
    if isinstance(value, int):
        out += validation.check(f"{path}.port", value, names.port(value))
        if end is not None and end < value:
            out.append(errors.field_invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
        if end is not None:
            out += validation.check(f"{path}.endPort", end, names.port(end))
    elif isinstance(value, str):
        if end is not None:
            out.append(errors.field_invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        out += validation.check(f"{path}.port", value, names.port_name(value))
    elif end is not None:
        out.append(errors.field_invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    return out


def warnings(obj: Object) -> list[str]:
    out: list[str] = []
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(dig(obj, "spec", side) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                block, path = peer.get("ipBlock") or {}, f"spec.{side}[{i}].{peers}[{j}].ipBlock"
                out += addresses.cidr_warnings(block.get("cidr") or "", f"{path}.cidr")
                for k, text in enumerate(block.get("except") or ()):
                    out += addresses.cidr_warnings(text, f"{path}.except[{k}]")
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
    warnings=warnings,
    validate_update=validate,
    columns=(
        columns.NAME,
        Column("Pod-Selector", lambda obj, now: columns.label_selector(dig(obj, "spec", "podSelector")),
               description=".spec.podSelector"),
        columns.AGE,
    ),
)
