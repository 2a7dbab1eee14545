"""The paths of OpenAPI documents: every operation of every resource.

In: Resource values. Out: {path: path item} for v3 and v2. Called by: openapi.py.
kubectl reads from here which kind a path speaks of (explain) and which query parameters a PATCH takes (dry run,
field validation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubewheel.api.resource import Object, Resource, Subresource
from kubewheel.api.schema import data
from kubewheel.apiserver.extension import openapi_types

_TEXTS = {
    "pretty": "If 'true', then the output is pretty printed.",
    "dryRun": "When present, indicates that modifications should not be persisted. Valid values are: - All: all dry "
              "run stages will be processed",
    "fieldManager": "fieldManager is a name associated with the actor or entity that is making these changes.",
    "fieldValidation": "fieldValidation instructs the server on how to handle objects in the request containing "
                       "unknown or duplicate fields. Valid values are: Ignore, Warn, Strict.",
    "force": "Force is going to \"force\" Apply requests.",
    "labelSelector": "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    "fieldSelector": "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    "limit": "limit is a maximum number of responses to return for a list call.",
    "continue": "The continue option should be set when retrieving more results from the server.",
    "resourceVersion": "resourceVersion sets a constraint on what resource versions a request may be served from.",
    "resourceVersionMatch": "resourceVersionMatch determines how resourceVersion is applied to list calls.",
    "sendInitialEvents": "`sendInitialEvents=true` may be set together with `watch=true`.",
    "timeoutSeconds": "Timeout for the list/watch call.",
    "watch": "Watch for changes to the described resources and return them as a stream of notifications.",
    "allowWatchBookmarks": "allowWatchBookmarks requests watch events with type \"BOOKMARK\".",
    "gracePeriodSeconds": "The duration in seconds before the object should be deleted.",
    "propagationPolicy": "Whether and how garbage collection will be performed.",
    "orphanDependents": "Deprecated: please use the PropagationPolicy.",
}
_BOOLEANS = {"force", "watch", "allowWatchBookmarks", "sendInitialEvents", "orphanDependents"}
_INTEGERS = {"limit", "timeoutSeconds", "gracePeriodSeconds"}
_LIST = ("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
         "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, before it is written in a version's style."""

    method: str
    id: str
    action: str  # x-kubernetes-action
    text: str
    kind: Object  # x-kubernetes-group-version-kind
    tag: str
    answer: str  # definition of the 200 body, "" for text
    body: str = ""
    query: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = ("application/json", "application/yaml")


def v3(resources: Sequence[Resource]) -> dict[str, Object]:
    return {path: _item(path, operations, _v3_operation, _v3_parameter)
            for path, operations in sorted(_all(resources).items())}


def v2(resources: Sequence[Resource]) -> dict[str, Object]:
    return {path: _item(path, operations, _v2_operation, _v2_parameter)
            for path, operations in sorted(_all(resources).items())}


# -- which operations there are -----------------------------------------------------------------------------------
def _all(resources: Sequence[Resource]) -> dict[str, list[Operation]]:
    out: dict[str, list[Operation]] = {}
    for resource in resources:
        for path, operation in _operations(resource):
            out.setdefault(path, []).append(operation)
    return out


def _camel(group: str, version: str) -> tuple[str, str]:
    """("Apps" + "V1", "apps_v1"): the parts of operation ids and tags."""
    parts = (group or "core").removesuffix(".k8s.io").split(".")
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return name + version[:1].upper() + version[1:], f"{name[:1].lower() + name[1:]}_{version}"


def _operations(resource: Resource) -> Iterator[tuple[str, Operation]]:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scoped = f"{root}/{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}"
    camel, tag = _camel(resource.group, resource.version)
    what = ("Namespaced" if resource.namespaced else "") + resource.kind
    kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    name, lists = openapi_types.name_of(resource), openapi_types.list_name_of(resource)
    status = openapi_types.META + "Status"
    patches = _PATCHES if resource.custom is not None else (*_PATCHES, "application/strategic-merge-patch+json")

    def op(method: str, verb: str, action: str, text: str, answer: str, **more: object) -> Operation:
        suffix = "ForAllNamespaces" if method == "get" and more.pop("everywhere", False) else ""
        ident = f"{verb}{camel}{resource.kind if suffix else what}{suffix}"
        return Operation(method, ident, action, text, kind, tag, answer, **more)  # type: ignore[arg-type]

    watching = f"list or watch objects of kind {resource.kind}"
    if "list" in resource.verbs:
        if resource.namespaced:
            yield f"{root}/{resource.plural}", op("get", "list", "list", watching, lists, query=_LIST, everywhere=True)
        yield scoped, op("get", "list", "list", watching, lists, query=_LIST)
    article = "an" if resource.kind[:1] in "AEIOU" else "a"
    if "create" in resource.verbs:
        yield scoped, op("post", "create", "post", f"create {article} {resource.kind}", name, body=name, query=_WRITE)
    if "deletecollection" in resource.verbs:
        yield scoped, op("delete", "deleteCollection", "deletecollection",
                         f"delete collection of {resource.kind}", status, body=openapi_types.META + "DeleteOptions",
                         query=tuple(sorted({*_DELETE, *_LIST} - {"watch", "allowWatchBookmarks"})))
    one = scoped + "/{name}"
    if "get" in resource.verbs:
        yield one, op("get", "read", "get", f"read the specified {resource.kind}", name)
    if "update" in resource.verbs:
        yield one, op("put", "replace", "put", f"replace the specified {resource.kind}", name, body=name, query=_WRITE)
    if "delete" in resource.verbs:
        yield one, op("delete", "delete", "delete", f"delete {article} {resource.kind}", status,
                      body=openapi_types.META + "DeleteOptions", query=_DELETE)
    if "patch" in resource.verbs:
        yield one, op("patch", "patch", "patch", f"partially update the specified {resource.kind}", name,
                      body=openapi_types.META + "Patch", query=(*_WRITE, "force"), consumes=patches)
    for sub in resource.subresources:
        yield from _sub_operations(resource, sub, one, camel, tag, what, patches)


_METHODS = (("get", "read", "get", "get", "read"), ("create", "create", "post", "post", "create"),
            ("update", "replace", "put", "put", "replace"), ("patch", "patch", "patch", "patch", "partially update"))


def _sub_operations(resource: Resource, sub: Subresource, one: str, camel: str, tag: str, what: str,
                    patches: tuple[str, ...]) -> Iterator[tuple[str, Operation]]:
    group, version = (sub.group, sub.version) if sub.version else (resource.group, resource.version)
    kind = {"group": group, "kind": sub.kind, "version": version}
    name = openapi_types.name_of(resource)
    if sub.kind != resource.kind:
        name = openapi_types.sub_definition((group, version, sub.kind))
        name = name if name in data.definitions() else ""
    for verb, prefix, method, action, text in _METHODS:
        if verb not in sub.verbs:
            continue
        body = "" if verb == "get" else openapi_types.META + "Patch" if verb == "patch" else name
        yield f"{one}/{sub.name}", Operation(
            method, f"{prefix}{camel}{what}{sub.name.capitalize()}", action,
            f"{text} {sub.name} of the specified {resource.kind}", kind, tag, name, body=body,
            query=() if verb == "get" else (*_WRITE, "force") if verb == "patch" else _WRITE,
            consumes=patches if verb == "patch" else ("*/*",))


# -- how they are written -----------------------------------------------------------------------------------------
def _item(path: str, operations: list[Operation], write: object, parameter: object) -> Object:
    out: Object = {}
    for operation in operations:
        out[operation.method] = write(operation)  # type: ignore[operator]
    shared = [parameter("pretty", "query", False)]  # type: ignore[operator]
    for name, text in (("name", "name of the object"),
                       ("namespace", "object name and auth scope, such as for teams and projects")):
        if f"{{{name}}}" in path:
            shared.append(parameter(name, "path", True, text))  # type: ignore[operator]
    out["parameters"] = shared
    return out


def _scalar(name: str) -> str:
    return "boolean" if name in _BOOLEANS else "integer" if name in _INTEGERS else "string"


def _v3_parameter(name: str, where: str, required: bool, text: str = "") -> Object:
    out: Object = {"name": name, "in": where, "description": text or _TEXTS[name],
                   "schema": {"type": _scalar(name), "uniqueItems": True}}
    return out | {"required": True} if required else out


def _v2_parameter(name: str, where: str, required: bool, text: str = "") -> Object:
    out: Object = {"name": name, "in": where, "description": text or _TEXTS[name], "type": _scalar(name),
                   "uniqueItems": True}
    return out | {"required": True} if required else out


def _answers(operation: Operation) -> dict[str, str]:
    answers = {"200": "OK"}
    if operation.method in ("post", "put", "patch"):
        answers["201"] = "Created"
    if operation.method in ("post", "delete") and operation.action != "deletecollection":
        answers["202"] = "Accepted"
    return answers


def _v3_operation(o: Operation) -> Object:
    content = {media: {"schema": {"$ref": f"#/components/schemas/{o.answer}"} if o.answer else {"type": "string"}}
               for media in (o.produces if o.answer else ("*/*",))}
    out: Object = {"tags": [o.tag], "description": o.text, "operationId": o.id,
                   "responses": {code: {"description": text, "content": content} for code, text in _answers(o).items()}
                   | {"401": {"description": "Unauthorized"}},
                   "x-kubernetes-action": o.action, "x-kubernetes-group-version-kind": o.kind}
    if o.query:
        out["parameters"] = [_v3_parameter(name, "query", False) for name in o.query]
    if o.body:
        out["requestBody"] = {"content": {media: {"schema": {"$ref": f"#/components/schemas/{o.body}"}}
                                          for media in o.consumes}}
        if o.method != "delete":
            out["requestBody"]["required"] = True
    return out


def _v2_operation(o: Operation) -> Object:
    schema = {"$ref": f"#/definitions/{o.answer}"} if o.answer else {"type": "string"}
    parameters = [_v2_parameter(name, "query", False) for name in o.query]
    if o.body:
        parameters.insert(0, {"name": "body", "in": "body", "schema": {"$ref": f"#/definitions/{o.body}"}}
                          | ({"required": True} if o.method != "delete" else {}))
    out: Object = {"description": o.text, "consumes": list(o.consumes), "produces": list(o.produces),
                   "schemes": ["https"],
                   "tags": [o.tag], "operationId": o.id,
                   "responses": {code: {"description": text, "schema": schema} for code, text in _answers(o).items()}
                   | {"401": {"description": "Unauthorized"}},
                   "x-kubernetes-action": o.action, "x-kubernetes-group-version-kind": o.kind}
    if parameters:
        out["parameters"] = parameters
    return out
