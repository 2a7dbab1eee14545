"""podtemplates: a pod template on its own.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors
from kubewheel.api.columns import dig
from kubewheel.api.core import pod_defaults, pod_spec_validation, pod_warnings
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    pod_defaults.pod_template(obj.get("template"))


def validate(obj: Object) -> list[errors.FieldError]:
    return pod_spec_validation.pod_template(obj.get("template"), "template")


RESOURCE = Resource(
    kind="PodTemplate",
    plural="podtemplates",
    definition="io.k8s.api.core.v1.PodTemplate",
    registry="podtemplates",
    defaults=defaults,
    validate=validate,
    warnings=lambda obj: pod_warnings.of_template(obj.get("template") or {}, "template"),
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Containers", lambda obj, now: columns.containers(dig(obj, "template", "spec")),
               description="Names of each container in the template."),
        Column("Images", lambda obj, now: columns.images(dig(obj, "template", "spec")),
               description="Images referenced by each container in the template."),
        Column("Pod Labels", lambda obj, now: columns.labels(dig(obj, "template", "metadata", "labels")),
               description="The labels for the pod template."),
    ),
    create_on_update=True,
)
