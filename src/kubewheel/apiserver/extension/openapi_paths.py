"""The paths of OpenAPI documents: every operation of every resource.

In: Resource values. Out: {path: path item} for v3 and v2. Called by: openapi.py.
kubectl reads from here which kind a path speaks of (explain) and which query parameters a PATCH takes (dry run,
field validation). What all operations of a path take stands at the path, and in v2 once for the whole document.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
    "shardSelector": "shardSelector restricts the list of returned objects by ranges of hashes of a field. This is an "
                     "alpha field and requires enabling the ShardedListAndWatch feature gate.",
    "ignoreStoreReadErrorWithClusterBreakingPotential": "if set to true, an object that cannot be read from the store is "
                     "deleted all the same, whatever its finalizers and preconditions say.",
    "name": "name of the {kind}", "namespace": "object name and auth scope, such as for teams and projects",
    "path": "path to the resource", "container": "The container to take; none: the only one.",
    "command": "Command is the remote command to execute.", "stdin": "Whether to redirect standard input.",
    "stdout": "Whether to redirect standard output.", "stderr": "Whether to redirect standard error.",
    "tty": "Whether a terminal is allocated.", "ports": "List of ports to forward.",
    "follow": "Follow the log stream of the pod.", "limitBytes": "How many bytes are returned at most.",
    "previous": "Return the logs of the container that ran before.", "timestamps": "Every line begins with its time.",
    "insecureSkipTLSVerifyBackend": "The kubelet's certificate is not verified.",
    "sinceSeconds": "Lines of the last so many seconds.", "stream": "Which of the streams is returned.",
    "tailLines": "How many of the last lines are returned.",
    "watch": "Watch for changes to the described resources and return them as a stream of notifications.",
    "allowWatchBookmarks": "allowWatchBookmarks requests watch events with type \"BOOKMARK\".",
    "gracePeriodSeconds": "The duration in seconds before the object should be deleted.",
    "propagationPolicy": "Whether and how garbage collection will be performed.",
    "orphanDependents": "Deprecated: please use the PropagationPolicy.",
}
_BOOLEANS = frozenset("""force watch allowWatchBookmarks sendInitialEvents orphanDependents follow previous timestamps
ignoreStoreReadErrorWithClusterBreakingPotential stdin stdout stderr tty insecureSkipTLSVerifyBackend""".split())
_INTEGERS = {"limit", "timeoutSeconds", "gracePeriodSeconds", "ports", "limitBytes", "sinceSeconds", "tailLines"}
_LIST = ("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
         "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch")
_DELETE = ("dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
           "propagationPolicy")
_DELETE_MANY = tuple(sorted({*_DELETE, *_LIST} - {"watch", "allowWatchBookmarks"}))
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
            "application/apply-patch+yaml")
_CUSTOM_PATCHES = (*_PATCHES[:2], _PATCHES[3])
_OBJECTS = ("application/json", "application/yaml")
_MESSAGES = (*_OBJECTS, "application/vnd.kubernetes.protobuf")
_STREAMS = (*_MESSAGES, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
# What is deleted is answered with itself, not with a Status.
_RETURNED = frozenset("""/persistentvolumeclaims /persistentvolumes /pods /podtemplates /resourcequotas /serviceaccounts
/services resource.k8s.io/deviceclasses resource.k8s.io/resourceclaims resource.k8s.io/resourceclaimtemplates
resource.k8s.io/resourceslices storage.k8s.io/csidrivers storage.k8s.io/csinodes storage.k8s.io/storageclasses
storage.k8s.io/volumeattachments storage.k8s.io/volumeattributesclasses""".split())
# Subresources that are connected to: the parameters they take.
_CONNECTED = {"attach": ("container", "stderr", "stdin", "stdout", "tty"), "portforward": ("ports",), "proxy": ("path",),
              "exec": ("command", "container", "stderr", "stdin", "stdout", "tty")}
_LOG = ("container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream",
        "tailLines", "timestamps")
_PROXIED = ("get", "put", "post", "delete", "options", "head", "patch")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, before it is written in a version's style."""

    method: str
    id: str
    action: str  # x-kubernetes-action, "" for none
    text: str
    kind: Object | None  # x-kubernetes-group-version-kind
    tag: str
    answer: str  # definition of the 200 body, "" for text
    body: str = ""
    query: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ("*/*",)
    produces: tuple[str, ...] = _MESSAGES
    codes: tuple[str, ...] = ()  # beside 200
    named: str = ""  # the kind in "name of the …"


def v3(resources: Sequence[Resource]) -> dict[str, Object]:
    return {path: _item(path, operations, _v3_operation, _v3_parameter)
            for path, operations in sorted(_all(resources).items())}


def v2(resources: Sequence[Resource]) -> tuple[dict[str, Object], dict[str, Object]]:
    """(paths, the parameters that several of them take)."""
    paths = {path: _item(path, operations, _v2_operation, _v2_parameter)
             for path, operations in sorted(_all(resources).items())}
    return paths, _share(paths)


def fixed(path: str) -> tuple[dict[str, Object], tuple[str, ...]]:
    """(path items, definitions spoken of) of the v3 document of a path that is no group version's."""
    name, _, group = path.partition("/")
    what = _FIXED.get(name if not group or name != "apis" else "group")
    if what is None:
        return {}, ()
    ident, text, answer, produces = what
    tag = _camel(group, "")[1].removesuffix("_") if group else name.strip("/").partition("/")[0]
    operation = Operation("get", ident.format(_camel(group, "")[0] if group else ""), "", text, None, tag, answer,
                          produces=produces)
    return {f"/{path}/": _item(path, [operation], _v3_operation, _v3_parameter)}, (answer,) if answer else ()


_FIXED = {
    "version": ("getCodeVersion", "get the version information for this server", "io.k8s.apimachinery.pkg.version.Info",
                ("application/json",)),
    "api": ("getCoreAPIVersions", "get available API versions", openapi_types.META + "APIVersions", _MESSAGES),
    "apis": ("getAPIVersions", "get available API versions", openapi_types.META + "APIGroupList", _MESSAGES),
    "group": ("get{}APIGroup", "get information of a group", openapi_types.META + "APIGroup", _MESSAGES)}


# -- which operations there are -----------------------------------------------------------------------------------
def _all(resources: Sequence[Resource]) -> dict[str, list[Operation]]:
    out: dict[str, list[Operation]] = {}
    for resource in resources:
        if resource.custom is None:
            out.setdefault(_root(resource) + "/", [_listing(resource)])
        for path, operation in _operations(resource):
            out.setdefault(path, []).append(operation)
    return out


def _root(resource: Resource) -> str:
    return f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"


def _listing(resource: Resource) -> Operation:
    camel, tag = _camel(resource.group, resource.version)
    return Operation("get", f"get{camel}APIResources", "", "get available resources", None, tag,
                     openapi_types.META + "APIResourceList", consumes=_MESSAGES)


def _camel(group: str, version: str) -> tuple[str, str]:
    """("Apps" + "V1", "apps_v1"): the parts of operation ids and tags."""
    parts = (group or "core").removesuffix(".k8s.io").replace("-", ".").split(".")
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return name + version[:1].upper() + version[1:], f"{name[:1].lower() + name[1:]}_{version}"


def _a(kind: str) -> str:
    """With its article; plurals have none."""
    if kind.endswith("s") and not kind.endswith("ss"):
        return kind
    return f"{'an' if kind[:1] in 'AEIOUaeiou' else 'a'} {kind}"


def _operations(resource: Resource) -> Iterator[tuple[str, Operation]]:
    root, custom = _root(resource), resource.custom is not None
    scoped = f"{root}/{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}"
    camel, tag = _camel(resource.group, resource.version)
    what = ("Namespaced" if resource.namespaced else "") + resource.kind
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    name, lists = openapi_types.name_of(resource), openapi_types.list_name_of(resource)
    status = openapi_types.META + "Status"
    returned = name if not custom and f"{resource.group}/{resource.plural}" in _RETURNED else status
    options = openapi_types.META + "DeleteOptions"
    consumes, produces = (_OBJECTS, _OBJECTS) if custom else (("*/*",), _MESSAGES)

    def op(method: str, ident: str, action: str, text: str, answer: str, **more: object) -> Operation:
        more = {"consumes": consumes, "produces": produces, "named": resource.kind} | more
        return Operation(method, ident, action, text, kind, tag, answer, **more)  # type: ignore[arg-type]

    def listed(ident: str) -> Operation:
        text = f"list {'' if custom else 'or watch '}objects of kind {resource.kind}"
        return op("get", ident, "list", text, lists, query=_LIST, produces=_OBJECTS if custom else _STREAMS)

    if "list" in resource.verbs:
        yield scoped, listed(f"list{camel}{what}")
        if resource.namespaced:
            yield f"{root}/{resource.plural}", listed(f"list{camel}{resource.kind}ForAllNamespaces")
    if "create" in resource.verbs:
        yield scoped, op("post", f"create{camel}{what}", "post", f"create {_a(resource.kind)}", name, body=name,
                         query=_WRITE, codes=("201", "202"))
    if "deletecollection" in resource.verbs:
        yield scoped, op("delete", f"delete{camel}Collection{what}", "deletecollection",
                         f"delete collection of {resource.kind}", status, body="" if custom else options,
                         query=_LIST if custom else _DELETE_MANY)
    one = scoped + "/{name}"
    if "get" in resource.verbs:
        yield one, op("get", f"read{camel}{what}", "get", f"read the specified {resource.kind}", name,
                      query=("resourceVersion",) if custom else ())
    if "update" in resource.verbs:
        yield one, op("put", f"replace{camel}{what}", "put", f"replace the specified {resource.kind}", name, body=name,
                      query=_WRITE, codes=("201",))
    if "delete" in resource.verbs:
        yield one, op("delete", f"delete{camel}{what}", "delete", f"delete {_a(resource.kind)}", returned, body=options,
                      query=_DELETE, codes=("202",))
    if "patch" in resource.verbs:
        yield one, op("patch", f"patch{camel}{what}", "patch", f"partially update the specified {resource.kind}", name,
                      body=openapi_types.META + "Patch", query=(*_WRITE, "force"),
                      consumes=_CUSTOM_PATCHES if custom else _PATCHES, codes=() if custom else ("201",))
    if "watch" in resource.verbs and not custom:
        yield from _watches(resource, op, scoped, camel, what)
    for sub in resource.subresources:
        yield from _sub_operations(resource, sub, one, camel, tag, what)


def _watches(resource: Resource, op: Callable[..., Operation], scoped: str, camel: str, what: str
             ) -> Iterator[tuple[str, Operation]]:
    """The paths that there were before the parameter `watch`."""
    root, kind, event = _root(resource), resource.kind, openapi_types.META + "WatchEvent"
    old = "deprecated: use the 'watch' parameter with a list operation instead"

    def watch(ident: str, action: str, text: str) -> Operation:
        return op("get", ident, action, text, event, query=_LIST, produces=_STREAMS)

    many = f"watch individual changes to a list of {kind}. {old}."
    below = scoped.replace(root, root + "/watch", 1)
    yield below, watch(f"watch{camel}{what}List", "watchlist", many)
    yield below + "/{name}", watch(
        f"watch{camel}{what}", "watch",
        f"watch changes to an object of kind {kind}. {old}, filtered to a single item with the 'fieldSelector' parameter.")
    if resource.namespaced:
        yield f"{root}/watch/{resource.plural}", watch(f"watch{camel}{kind}ListForAllNamespaces", "watchlist", many)


_METHODS = (("get", "read", "get", "get", "read"), ("create", "create", "post", "post", "create"),
            ("update", "replace", "put", "put", "replace"), ("patch", "patch", "patch", "patch", "partially update"))


def _sub_operations(resource: Resource, sub: Subresource, one: str, camel: str, tag: str, what: str
                    ) -> Iterator[tuple[str, Operation]]:
    custom = resource.custom is not None
    group, version = (sub.group, sub.version) if sub.version else (resource.group, resource.version)
    kind = {"group": group, "version": version, "kind": sub.kind}
    if sub.name in _CONNECTED:
        yield from _connections(sub, one, camel, tag, what, kind)
        return
    name = openapi_types.name_of(resource)
    if sub.kind != resource.kind:
        name = openapi_types.sub_definition((group, version, sub.kind))
        name = name if name in data.definitions() else ""
    if custom:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    named = resource.kind if custom else sub.kind
    for verb, prefix, method, action, text in _METHODS:
        if verb not in sub.verbs:
            continue
        body = "" if verb == "get" else openapi_types.META + "Patch" if verb == "patch" else name
        query: tuple[str, ...] = () if verb == "get" else (*_WRITE, "force") if verb == "patch" else _WRITE
        codes = {"create": ("201", "202"), "update": ("201",), "patch": () if custom else ("201",)}.get(verb, ())
        of = _a(resource.kind) if verb == "create" else f"the specified {resource.kind}"
        if verb == "get":
            query = _LOG if sub.name == "log" else ("resourceVersion",) if custom else ()
        consumes = _OBJECTS if custom else ("*/*",)
        produces = _OBJECTS if custom else ("text/plain", *_MESSAGES) if sub.name == "log" else _MESSAGES
        yield f"{one}/{sub.name}", Operation(
            method, f"{prefix}{camel}{what}{sub.name.capitalize()}", action, f"{text} {sub.name} of {of}", kind, tag,
            "" if sub.name == "log" else name, body=body, query=query, codes=codes, named=named, produces=produces,
            consumes=(_CUSTOM_PATCHES if custom else _PATCHES) if verb == "patch" else consumes)


def _connections(sub: Subresource, one: str, camel: str, tag: str, what: str, kind: Object
                 ) -> Iterator[tuple[str, Operation]]:
    for method in _PROXIED if sub.name == "proxy" else ("get", "post"):
        for path, suffix in (("", ""), ("/{path}", "WithPath"))[:2 if sub.name == "proxy" else 1]:
            yield f"{one}/{sub.name}{path}", Operation(
                method, f"connect{camel}{method.capitalize()}{what}{sub.name.capitalize()}{suffix}", "connect",
                f"connect {method.upper()} requests to {sub.name} of {what.removeprefix('Namespaced')}", kind, tag, "",
                query=_CONNECTED[sub.name], produces=("*/*",), named=sub.kind)


# -- how they are written -----------------------------------------------------------------------------------------
def _item(path: str, operations: list[Operation], write: Callable[[Operation, list[Object]], Object],
          parameter: Callable[[str, str, str], Object]) -> Object:
    """What every operation takes stands at the path."""
    out: Object = {}
    every: list[Object] = [parameter(name, "path", operations[0].named) for name in ("name", "namespace", "path")
                           if f"{{{name}}}" in path]
    if operations[0].action not in ("", "connect"):
        every.append(parameter("pretty", "query", ""))
    common = set.intersection(*(set(o.query) for o in operations))
    every += [parameter(name, "query", "") for name in common]
    for operation in operations:
        out[operation.method] = write(operation, [parameter(name, "query", "") for name in sorted(operation.query)
                                                  if name not in common])
    if every:
        out["parameters"] = sorted(every, key=lambda p: (p["name"], p["in"]))
    return out


def _scalar(name: str) -> str:
    return "boolean" if name in _BOOLEANS else "integer" if name in _INTEGERS else "string"


def _parameter(name: str, where: str, kind: str) -> Object:
    out: Object = {"name": name, "in": where, "description": _TEXTS[name].replace("{kind}", kind)}
    return out | {"required": True} if where == "path" else out


def _v3_parameter(name: str, where: str, kind: str) -> Object:
    return _parameter(name, where, kind) | {"schema": {"type": _scalar(name), "uniqueItems": True}}


def _v2_parameter(name: str, where: str, kind: str) -> Object:
    return _parameter(name, where, kind) | {"type": _scalar(name), "uniqueItems": True}


_CODES = {"200": "OK", "201": "Created", "202": "Accepted"}


def _facts(o: Operation) -> Object:
    out: Object = {"x-kubernetes-action": o.action} if o.action else {}
    return out | ({"x-kubernetes-group-version-kind": o.kind} if o.kind else {})


def _v3_operation(o: Operation, parameters: list[Object]) -> Object:
    schema: Object = {"$ref": f"#/components/schemas/{o.answer}"} if o.answer else {"type": "string"}
    content = {media: {"schema": schema} for media in sorted(o.produces)}
    out: Object = {"tags": [o.tag], "description": o.text, "operationId": o.id,
                   "responses": {code: {"description": _CODES[code], "content": content} for code in ("200", *o.codes)}
                   | {"401": {"description": "Unauthorized"}}, **_facts(o)}
    if parameters:
        out["parameters"] = parameters
    if o.body:
        out["requestBody"] = {"content": {media: {"schema": {"$ref": f"#/components/schemas/{o.body}"}}
                                          for media in o.consumes}}
        if o.method != "delete":
            out["requestBody"]["required"] = True
    return out


def _v2_operation(o: Operation, parameters: list[Object]) -> Object:
    schema = {"$ref": f"#/definitions/{o.answer}"} if o.answer else {"type": "string"}
    if o.body:
        parameters.insert(0, {"name": "body", "in": "body", "schema": {"$ref": f"#/definitions/{o.body}"}}
                          | ({"required": True} if o.method != "delete" else {}))
    out: Object = {"description": o.text, "consumes": list(o.consumes), "produces": list(o.produces),
                   "schemes": ["https"], "tags": [o.tag], "operationId": o.id,
                   "responses": {code: {"description": _CODES[code], "schema": schema} for code in ("200", *o.codes)}
                   | {"401": {"description": "Unauthorized"}}, **_facts(o)}
    if parameters:
        out["parameters"] = parameters
    return out


# -- v2: what is said once ----------------------------------------------------------------------------------------
def _share(paths: dict[str, Object]) -> dict[str, Object]:
    """Puts references in the place of parameters that are used again; {name: parameter}. Names, bodies of kinds of
    their own, dryRun and fieldValidation stay where they are: kubectl looks for them there."""
    holders = [holder for item in paths.values() for holder in (item, *(o for k, o in item.items() if k != "parameters"))
               if holder.get("parameters")]
    counts = Counter(text for h in holders for p in h["parameters"] if (text := _shareable(p)))
    names = {text: f"{json.loads(text)['name']}-{_fnv(text)}" for text, count in counts.items() if count > 1}
    for holder in holders:
        holder["parameters"] = [{"$ref": f"#/parameters/{names[text]}"} if (text := _shareable(p)) in names else p
                                for p in holder["parameters"]]
    return {name: json.loads(text) for text, name in sorted(names.items(), key=lambda pair: pair[1])}


def _shareable(parameter: Object) -> str:
    if parameter["name"] in ("name", "fieldValidation", "dryRun"):
        return ""
    if parameter["in"] == "body" and not parameter["schema"]["$ref"].startswith("#/definitions/io.k8s.apimachinery"):
        return ""
    return json.dumps(parameter, sort_keys=True)


def _fnv(text: str) -> str:
    """Eight characters of the 64 bit FNV-1 hash."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = value * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF ^ byte
    return base64.urlsafe_b64encode(value.to_bytes(8)[:6]).decode()
