"""apiservices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import base64

from kubewheel.api import columns, conditions, errors, names, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, PrepareContext, Resource
from kubewheel.lib import clock


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    for field in ("groupPriorityMinimum", "versionPriority"):
        spec.setdefault(field, 0)
    shape.struct(obj, "status")
    service = spec.get("service")
    if service is not None and service.get("port") is None:
        service["port"] = 443


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    group, version, name = spec.get("group") or "", spec.get("version") or "", obj["metadata"].get("name") or ""
    out: list[FieldError] = []
    if name != f"{version}.{group}":
        out.append(errors.field_invalid("metadata.name", name,
                                        f'must be `spec.version+"."+spec.group`: "{version}.{group}"'))
    if not group and version != "v1":
        out.append(errors.field_required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    if group:
        out += validation.check("spec.group", group, names.subdomain(group))
    out += validation.check("spec.version", version, names.label_1035(version))
    for field, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < (spec.get(field) or 0) <= limit:
            out.append(errors.field_invalid(f"spec.{field}", spec.get(field) or 0,
                                            f"must be positive and less than {limit}"))
    return out + _where(spec)


def _where(spec: Object) -> list[FieldError]:
    service, bundle, insecure = spec.get("service"), spec.get("caBundle"), bool(spec.get("insecureSkipTLSVerify"))
    out: list[FieldError] = []
    if service is None:
        if bundle:
            out.append(errors.field_invalid("spec.caBundle", f"{len(base64.b64decode(bundle))} bytes",
                                            "local APIServices may not have a caBundle"))
        if insecure:
            out.append(errors.field_invalid("spec.insecureSkipTLSVerify", insecure,
                                            "local APIServices may not have insecureSkipTLSVerify"))
        return out
    out += [errors.field_required(f"spec.service.{f}") for f in ("namespace", "name") if not service.get(f)]
    if found := names.port(service.get("port") or 0):
        out.append(errors.field_invalid("spec.service.port", service.get("port"), f"port is not valid: {','.join(found)}"))
    if insecure and bundle:
        out.append(errors.field_invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return out


def prepare_create(obj: Object, context: PrepareContext) -> None:
    """A local one is there as soon as it is stored."""
    obj["status"] = {}
    if dig(obj, "spec", "service") is None:
        obj["status"]["conditions"] = [{
            "type": "Available", "status": "True", "reason": "Local",
            "message": "Local APIServices are always available",
            "lastTransitionTime": clock.rfc3339(context.now)}]


def _service(obj: Object, now: float) -> str:
    service = dig(obj, "spec", "service")
    return f"{service.get('namespace')}/{service.get('name')}" if service else "Local"


def _available(obj: Object, now: float) -> str:
    found = conditions.find(obj, "Available")
    if found is None:
        return "Unknown"
    return "True" if found.get("status") == "True" else f"{found.get('status')} ({found.get('reason', '')})"


RESOURCE = Resource(
    group="apiregistration.k8s.io",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    name_rule="path-segment",
    registry="apiregistration.k8s.io/apiservices",
    subresources=(subresources.status("APIService"),),
    has_generation=False,
    prepare_create=prepare_create,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Service", _service, description="The reference to the service that hosts this API endpoint."),
        Column("Available", _available, description="Whether this service is available."),
        columns.AGE,
    ),
)
