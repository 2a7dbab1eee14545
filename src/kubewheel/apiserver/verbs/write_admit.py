"""What strategies and admission are told of a write.

In: a Call. Out: PrepareContext, Attributes. Called by: write_create.py, write_update.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Object, PrepareContext, Resource, new_context
from kubewheel.apiserver.attributes import Attributes
from kubewheel.apiserver.call import Call


def context(call: Call) -> PrepareContext:
    return new_context(call.server.clock, call.server.random, user=call.user.name)


def attributes(call: Call, operation: str, hub: Resource, obj: Object | None, old: Object | None) -> Attributes:
    name = call.name or (obj or old or {"metadata": {}})["metadata"].get("name", "")
    return Attributes(
        user=call.user, operation=operation, resource=hub, subresource=call.info.subresource,
        namespace=call.namespace, name=name, obj=obj, old=old, dry_run=call.dry_run, requested=call.resource,
        warnings=call.warnings, annotations=call.request.attributes.setdefault("annotations", {}),
        options={k: v for k, v in (("fieldManager", call.request.first("fieldManager")),
                                   ("fieldValidation", call.request.first("fieldValidation")),
                                   ("dryRun", call.request.query.get("dryRun"))) if v})
