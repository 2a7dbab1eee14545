"""Scale: what the scale subresource of workloads and of custom resources answers. No resource of its own.

In: nothing. Out: how a Scale is shown. Called by: apiserver/render.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.resource import Column, Resource

SHOWN = Resource(
    group="autoscaling", kind="Scale", plural="scales", definition="io.k8s.api.autoscaling.v1.Scale", verbs=(), columns=(
        columns.NAME,
        Column("Desired", columns.number("spec", "replicas"), type="integer", description=".spec.replicas"),
        Column("Available", columns.number("status", "replicas"), type="integer", description=".status.replicas"),
        columns.AGE,
    ))
