"""apiservices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, conditions, errors, subresources
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource
from kubewheel.lib import clock


def defaults(obj: Object) -> None:
    service = dig(obj, "spec", "service")
    if service is not None and service.get("port") is None:
        service["port"] = 443


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    group, version, name = spec.get("group") or "", spec.get("version") or "", obj["metadata"].get("name") or ""
    wanted = f"{version}.{group}"
    out: list[errors.FieldError] = []
    if name != wanted:
        out.append(errors.field_invalid("metadata.name", name,
                                        f"must be `spec.version+\".\"+spec.group`: \"{wanted}\""))
    for field in ("groupPriorityMinimum", "versionPriority"):
        limit = 20000 if field == "groupPriorityMinimum" else 1000
        if not 0 < (spec.get(field) or 0) <= limit:
            out.append(errors.field_invalid(f"spec.{field}", spec.get(field) or 0,
                                            f"must be positive and less than {limit}"))
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            out.append(errors.field_invalid("spec.caBundle", "", "local APIServices may not have a caBundle"))
        return out
    out += [errors.field_required(f"spec.service.{f}") for f in ("namespace", "name") if not service.get(f)]
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
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
