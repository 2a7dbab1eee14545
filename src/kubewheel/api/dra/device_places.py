"""Where devices are: of all of a slice, or of each device.

In: ResourceSliceSpecs, devices. Out: FieldError lists. Called by: resourceslice.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, validation
from kubewheel.api.core import scheduling_validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

_ONE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_EACH = ("exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to "
             "true in the ResourceSlice spec")


def of_slice(spec: Object) -> list[FieldError]:
    found, out = _found(spec, "spec", "must be either unset or set to a non-empty string")
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms")
    if spec.get("nodeSelector") is not None and len(terms or ()) != 1:
        out.append(errors.field_invalid("spec.nodeSelector.nodeSelectorTerms", terms,
                                        "must have exactly one node selector term"))
    for field in ("allNodes", "perDeviceNodeSelection"):
        out += _flag(spec, field, "spec", found)
    if not found:
        out.append(errors.field_required("spec", _ONE))
    elif len(found) > 1:
        out.append(errors.field_invalid("spec", "{" + ", ".join(found) + "}", f"{_ONE}, but multiple fields are set"))
    return out


def of_device(device: Object, path: str, *, placed: bool) -> list[FieldError]:
    """`placed`: the slice leaves it to its devices."""
    if not placed:
        if all(device.get(field) is None for field in ("nodeName", "nodeSelector", "allNodes")):
            return []
        return [errors.field_invalid(path, None, (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
            "ResourceSlice spec"))]
    found, out = _found(device, path, "must not be empty")
    out += _flag(device, "allNodes", path, found)
    if not found:
        out.append(errors.field_required(path, _ONE_EACH))
    elif len(found) > 1:
        out.append(errors.field_invalid(path, "{" + ", ".join(found) + "}", _ONE_EACH))
    return out


def _found(of: Object, path: str, empty: str) -> tuple[list[str], list[FieldError]]:
    found: list[str] = []
    out: list[FieldError] = []
    name, selector = of.get("nodeName"), of.get("nodeSelector")
    if name:
        found.append("`nodeName`")
        out += validation.check(f"{path}.nodeName", name, names.subdomain(name))
    elif name is not None:
        out.append(errors.field_invalid(f"{path}.nodeName", name, empty))
    if selector is not None:
        found.append("`nodeSelector`")
        out += scheduling_validation.node_selector(selector, f"{path}.nodeSelector")
    return found, out


def _flag(of: Object, field: str, path: str, found: list[str]) -> list[FieldError]:
    if of.get(field) is None:
        return []
    if of[field]:
        found.append(f"`{field}`")
        return []
    return [errors.field_invalid(f"{path}.{field}", False, "must be either unset or set to true")]
