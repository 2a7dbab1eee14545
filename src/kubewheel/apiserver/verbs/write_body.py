"""The body of a write: decoded, held against its kind and against the URL; the options beside it.

In: a Call. Out: a private object of the request's version; StatusError 400/415/422.
Called by: write.py's callers, patch.py, apply.py, call.py.
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import errors, go_json, schema, validation
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write_kind


def decode(call: Call) -> Object:
    """The body as a private object of the request's version: kind checked, unknown fields handled, defaulted."""
    body = call.body()
    return checked(call, body, found_twice(call, body))


def found_twice(call: Call, body: Object) -> list[str]:
    """Fields that the body names more than once. `body`: what it holds, as it was decoded."""
    raw, kind = call.request.body, bodies.media_type(call.request)
    if not isinstance(raw, bytes) or policy_of(call) == "Ignore":
        return []
    if kind in bodies.YAML_TYPES:
        found = bodies.yaml_duplicates(raw)
        return ["yaml: unmarshal errors:\n  " + "\n  ".join(found)] if found else []
    return schema.duplicates(raw, call.resource.node(), parsed=body) if kind in bodies.JSON_TYPES else []


def policy_of(call: Call) -> str:
    return call.request.first("fieldValidation") or "Warn"


OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def check_options(call: Call) -> None:
    """dryRun, fieldManager, fieldValidation and force as they may be. 422"""
    request = call.request
    findings: list[errors.FieldError] = []
    applies = bodies.media_type(request) == "application/apply-patch+yaml"
    if call.info.verb == "patch":
        if applies and not request.first("fieldManager"):
            findings.append(errors.field_required("fieldManager", "is required for apply patch"))
        elif not applies and "force" in request.query:
            findings.append(errors.field_forbidden("force", "may not be specified for non-apply patch"))
    findings += validation.validate_manager(request.first("fieldManager"), "fieldManager")
    dry_run = request.query.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        findings.append(errors.field_not_supported("dryRun", dry_run, ("All",)))
    if policy_of(call) not in ("Strict", "Warn", "Ignore"):
        findings.append(errors.field_not_supported(
            "fieldValidation", policy_of(call), ("", "Ignore", "Strict", "Warn")))
    if findings:
        raise errors.invalid(OPTIONS.get(call.info.verb, "UpdateOptions"), "", findings, group="meta.k8s.io")


def checked(call: Call, obj: Object, problems: list[str]) -> Object:
    """Kind check, schema check and defaults, in place. `problems`: what is known to be wrong with the text."""
    resource = call.resource
    write_kind.check(call, obj, resource.kind, resource.api_version)
    report(call, resource.kind, resource.version, lambda: problems + fitted(call, obj))
    return obj


def report(call: Call, kind: str, version: str, check: Callable[[], list[str]]) -> None:
    """What a check finds: refused if it is no such kind, or if fields are unknown and that is asked for; else told."""
    try:
        problems = check()
    except schema.DecodeError as e:
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {e}') from e
    policy = policy_of(call)
    if problems and policy == "Strict":
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: '
                                 f"strict decoding error: {', '.join(problems)}")
    if policy == "Warn":
        for problem in problems:  # of YAML's, which are one error of several lines, each line is a warning
            call.warnings.extend(line.strip() for line in problem.split("\n")[1:] or [problem])


def fitted(call: Call, obj: Object, *, keeps_nulls: bool = False) -> list[str]:
    """Makes the object fit its kind in place: known fields only, defaults. The unknown fields; DecodeError.

    `keeps_nulls`: of custom resources, which lose nulls that nothing allows when they are decoded, not when applied."""
    resource = call.resource
    if obj.setdefault("metadata", {}) is None:
        obj["metadata"] = {}
    elif not isinstance(obj["metadata"], dict):
        raise schema.DecodeError(f"json: cannot unmarshal {go_json.kind(obj['metadata'])} into Go value of type v1.ObjectMeta")
    problems = schema.check(resource.node(), obj)
    if resource.custom is not None and not keeps_nulls:
        schema.apply_defaults(resource.node(), obj)
    resource.defaults(obj)
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind
    return problems


def check_kind(obj: Object, kind: str, api_version: str) -> None:
    got_version, got_kind = obj.get("apiVersion", ""), obj.get("kind", "")
    if got_version and got_version != api_version:
        raise errors.bad_request(f"the API version in the data ({got_version}) does not match the expected API "
                                 f"version ({api_version})")
    if got_kind and got_kind != kind:
        raise errors.bad_request(f'{got_kind} in version "{got_version or api_version}" cannot be handled as a {kind}: '
                                 f"no kind match")


def check_address(call: Call, obj: Object) -> None:
    """The object's name and namespace against the URL's; fills what is absent."""
    meta = obj["metadata"]
    if not call.resource.namespaced:
        meta.pop("namespace", "")  # upstream drops it too
    elif not meta.get("namespace"):
        meta["namespace"] = call.namespace
    elif meta["namespace"] != call.namespace:
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if call.name:
        if not meta.get("name"):
            if call.info.verb in ("update", "patch"):
                raise errors.bad_request(f"the name of the object ({call.name} based on URL) was undeterminable: "
                                         "name must be provided")
            meta["name"] = call.name
        elif meta["name"] != call.name:
            raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL "
                                     f"({call.name})")
