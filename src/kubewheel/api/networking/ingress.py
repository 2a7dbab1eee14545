"""ingresses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import addresses, columns, errors, names, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.networking import references
from kubewheel.api.resource import Column, Object, Resource

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NOT_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
_NOT_AT_END = ("/..", "/.")
_OLD_CLASS = "kubernetes.io/ingress.class"


def defaults(obj: Object) -> None:
    """Nothing is chosen for the user; these are structs that are always printed."""
    spec = shape.struct(obj, "spec")
    shape.struct(obj, "status", "loadBalancer")
    backends = [spec.get("defaultBackend")]
    for rule in spec.get("rules") or ():
        for path in dig(rule, "http", "paths") or ():
            backends.append(shape.struct(path, "backend"))
    for backend in backends:
        if (service := dig(backend, "service")) is not None:
            shape.struct(service, "port")


def validate(obj: Object) -> list[FieldError]:
    out = _spec(obj.get("spec") or {}, loose_secrets=False, loose_wildcards=False)
    told, name = (obj["metadata"].get("annotations") or {}).get(_OLD_CLASS), dig(obj, "spec", "ingressClassName")
    if told is not None and name is not None and told != name:
        out.append(errors.field_invalid(f"annotations.{_OLD_CLASS}", told,
                                        "must match `ingressClassName` when both are specified"))
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """What was stored under older rules may stay."""
    was = old.get("spec") or {}
    return _spec(
        new.get("spec") or {},
        loose_secrets=any(_secret(t) for t in was.get("tls") or ()),
        loose_wildcards=any("*" in (r.get("host") or "") and _paths(r, "") for r in was.get("rules") or ()))


def create_warnings(obj: Object) -> list[str]:
    if _OLD_CLASS in (obj["metadata"].get("annotations") or {}):
        return [f'annotation "{_OLD_CLASS}" is deprecated, please use \'spec.ingressClassName\' instead']
    return []


def validate_status(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    known = [end.get("ip") for end in dig(old, "status", "loadBalancer", "ingress") or ()]
    for i, end in enumerate(dig(new, "status", "loadBalancer", "ingress") or ()):
        where = f"status.loadBalancer.ingress[{i}]"
        if ip := end.get("ip"):
            out += addresses.stored_ip(ip, f"{where}.ip", known)
        if host := end.get("hostname"):
            out += validation.check(f"{where}.hostname", host, names.subdomain(host))
            if addresses.is_ip(host):
                out.append(errors.field_invalid(f"{where}.hostname", host, NOT_A_NAME))
    return out


NOT_A_NAME = "must be a DNS name, not an IP address"


def _spec(spec: Object, *, loose_secrets: bool, loose_wildcards: bool) -> list[FieldError]:
    out: list[FieldError] = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        out.append(errors.field_invalid("spec", spec.get("rules"),
                                        "either `defaultBackend` or `rules` must be specified"))
    if (backend := spec.get("defaultBackend")) is not None:
        out += _backend(backend, "spec.defaultBackend")
    for i, rule in enumerate(spec.get("rules") or ()):
        where, host = f"spec.rules[{i}]", rule.get("host") or ""
        if host:
            if addresses.is_ip(host):
                out.append(errors.field_invalid(f"{where}.host", host, NOT_A_NAME))
            out += validation.check(f"{where}.host", host, references.host(host))
        if "*" not in host or not loose_wildcards:
            out += _paths(rule, where)
    for i, tls in enumerate(spec.get("tls") or ()):
        for j, host in enumerate(tls.get("hosts") or ()):
            out += validation.check(f"spec.tls[{i}].hosts[{j}]", host, references.host(host))
        if not loose_secrets:
            out += validation.check(f"spec.tls[{i}].secretName", tls.get("secretName"), _secret(tls))
    if (name := spec.get("ingressClassName")) is not None:
        out += validation.check("spec.ingressClassName", name, names.subdomain(name))
    return out


def _secret(tls: Object) -> list[str]:
    return names.subdomain(tls["secretName"]) if tls.get("secretName") else []


def _paths(rule: Object, where: str) -> list[FieldError]:
    if rule.get("http") is None:
        return []
    paths = rule["http"].get("paths") or ()
    out = [] if paths else [errors.field_required(f"{where}.http.paths")]
    for i, path in enumerate(paths):
        out += _path(path, f"{where}.http.paths[{i}]")
    return out


def _path(path: Object, where: str) -> list[FieldError]:
    out: list[FieldError] = []
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        return [errors.field_required(f"{where}.pathType", "pathType must be specified")]
    if kind not in _PATH_TYPES:
        out.append(errors.field_not_supported(f"{where}.pathType", kind, _PATH_TYPES))
    elif not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        out.append(errors.field_invalid(f"{where}.path", text, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        out += [errors.field_invalid(f"{where}.path", text, f"must not contain '{part}'")
                for part in _NOT_IN_PATH if part in text]
        out += [errors.field_invalid(f"{where}.path", text, f"cannot end with '{part}'")
                for part in _NOT_AT_END if text.endswith(part)]
    return out + _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: Object, path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [errors.field_invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return references.typed_local(resource, f"{path}.resource")
    if service is None:
        return [errors.field_invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name") or "", service.get("port") or {}
    out = (validation.check(f"{path}.service.name", name, names.label(name)) if name
           else [errors.field_required(f"{path}.service.name")])
    if port.get("name") and port.get("number"):
        out.append(errors.field_invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        out += validation.check(f"{path}.service.port.name", port["name"], names.port_name(port["name"]))
    elif port.get("number"):
        out += validation.check(f"{path}.service.port.number", port["number"], names.port(port["number"]))
    else:
        out.append(errors.field_required(path, "port name or number is required"))
    return out


def _hosts(obj: Object, now: float) -> str:
    """The first three; how many more is counted in rules, also those without a host."""
    rules = dig(obj, "spec", "rules") or ()
    hosts: list[str] = []
    more = False
    for rule in rules:
        if len(hosts) == 3:
            more = True
        elif rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) + (f" + {len(rules) - 3} more..." if more else "") if hosts else "*"


def _address(obj: Object, now: float) -> str:
    ends = dig(obj, "status", "loadBalancer", "ingress") or ()
    return ",".join(sorted({e.get("ip") or e.get("hostname") or "" for e in ends} - {""}))


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="Ingress",
    plural="ingresses",
    short_names=("ing",),
    definition="io.k8s.api.networking.v1.Ingress",
    registry="ingress",
    subresources=(subresources.status("Ingress", validate=validate_status),),
    defaults=defaults,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=validate_update,
    create_warnings=create_warnings,
    columns=(
        columns.NAME,
        Column("Class", columns.at("spec", "ingressClassName", default=columns.NONE),
               description="The name of the IngressClass resource that should be used for additional configuration"),
        Column("Hosts", _hosts, description="Hosts that incoming requests are matched against before the ingress rule"),
        Column("Address", _address,
               description="Address is a list containing ingress points for the load-balancer"),
        Column("Ports", lambda obj, now: "80, 443" if dig(obj, "spec", "tls") else "80",
               description="Ports of TLS configurations that open"),
        columns.AGE,
    ),
)
