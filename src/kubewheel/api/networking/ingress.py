"""ingresses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        out.append(errors.field_invalid("spec", spec.get("rules"),
                                        "either `defaultBackend` or `rules` must be specified"))
    if (backend := spec.get("defaultBackend")) is not None:
        out += _backend(backend, "spec.defaultBackend")
    for i, rule in enumerate(spec.get("rules") or ()):
        where, host = f"spec.rules[{i}]", rule.get("host") or ""
        if host:
            bare = host.removeprefix("*.")
            out += validation.check(f"{where}.host", host, names.subdomain(bare))
        for j, path in enumerate(dig(rule, "http", "paths") or ()):
            out += _path(path, f"{where}.http.paths[{j}]")
        if rule.get("http") is not None and not rule["http"].get("paths"):
            out.append(errors.field_required(f"{where}.http.paths"))
    if (name := spec.get("ingressClassName")) is not None:
        out += validation.check("spec.ingressClassName", name, names.subdomain(name))
    return out


def _path(path: Object, where: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        return [errors.field_required(f"{where}.pathType", "pathType must be specified")]
    if kind not in _PATH_TYPES:
        return [errors.field_not_supported(f"{where}.pathType", kind, _PATH_TYPES)]
    if kind in ("Exact", "Prefix") and not text.startswith("/"):
        out.append(errors.field_invalid(f"{where}.path", text, "must be an absolute path"))
    elif text and not text.startswith("/"):
        out.append(errors.field_invalid(f"{where}.path", text, "must be an absolute path"))
    return out + _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: Object, path: str) -> list[errors.FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [errors.field_invalid(path, "", "cannot set both resource and service backends")]
    if service is None and resource is None:
        return [errors.field_required(path, "resource or service backend is required")]
    if service is None:
        return []
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        return [errors.field_required(f"{path}.service.name")]
    out = validation.check(f"{path}.service.name", name, names.label_1035(name))
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
    hosts = [r["host"] for r in dig(obj, "spec", "rules") or () if r.get("host")]
    if not hosts:
        return "*"
    more = len(hosts) - 3
    return ",".join(hosts[:3]) + (f" + {more} more..." if more > 0 else "")


def _address(obj: Object, now: float) -> str:
    return ",".join(e.get("ip") or e.get("hostname") or "" for e in dig(obj, "status", "loadBalancer", "ingress") or ())


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="Ingress",
    plural="ingresses",
    short_names=("ing",),
    definition="io.k8s.api.networking.v1.Ingress",
    registry="ingress",
    subresources=(subresources.status("Ingress"),),
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Class", lambda obj, now: dig(obj, "spec", "ingressClassName") or (obj["metadata"].get(
            "annotations") or {}).get("kubernetes.io/ingress.class") or columns.NONE,
            description=".spec.ingressClassName"),
        Column("Hosts", _hosts, description="Hosts that incoming requests are matched against before the ingress rule"),
        Column("Address", _address,
               description="Address is a list containing ingress points for the load-balancer"),
        Column("Ports", lambda obj, now: "80, 443" if dig(obj, "spec", "tls") else "80",
               description="Ports of TLS configurations that open"),
        columns.AGE,
    ),
)
