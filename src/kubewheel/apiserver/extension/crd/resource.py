"""A CustomResourceDefinition's version becomes a Resource: from there on it is served by the same code as a Pod.

In: the CRD object. Out: Resource values. Called by: controller.py.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import codec, columns, errors, names, schema, subresources
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.apiextensions import embedded, evaluation, fits, nodes, rules, scales, values
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import (
    ALL_VERBS,
    Age,
    Column,
    Gvr,
    Object,
    PrepareContext,
    Resource,
    ScalePaths,
    Subresource,
)
from kubewheel.api.schema.node import Node
from kubewheel.apiserver.extension.aggregation import priorities
from kubewheel.apiserver.extension.crd import jsonpath
from kubewheel.apiserver.extension.crd.conversion import Convert

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
JsonPath = Callable[[Any], list[Any]]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Custom:
    """What only custom resources have. Found in `Resource.custom`."""

    crd: str  # its name
    storage: str  # the version objects are stored in
    served: bool = True
    conversion: Object = field(default_factory=lambda: {"strategy": "None"})
    convert: Convert | None = None  # strategy Webhook: objects of any version into the one named
    list_kind: str = ""
    schemas: Mapping[str, Node] = field(default_factory=dict)  # by API version: what stored objects are read with
    deprecation: str = ""  # the warning every request in this version gets
    since: int = 0  # the revision from which on objects were written under these schemas
    terminating: bool = False  # its definition is being deleted
    storage_served: bool = True  # also the version that objects are stored in is served

    def read(self, obj: Object) -> Object:
        """A stored object as its version's schema has it: pruned, with defaults. Itself where nothing is to be done."""
        node = self.schemas.get(obj.get("apiVersion", ""))
        revision = obj["metadata"].get("resourceVersion")
        if node is None or not revision or int(revision) > self.since:
            return obj
        out: Object = codec.copy(obj)
        _fit(node, out)
        schema.apply_defaults(node, out)
        return obj if out == obj else out

    def prune(self, obj: Object) -> None:
        """What came out of a conversion, in place."""
        node = self.schemas.get(obj.get("apiVersion", ""))
        if node is not None:
            _fit(node, obj)


def _fit(node: Node, obj: Object) -> None:
    try:
        schema.check(node, obj)
    except schema.DecodeError:
        log.debug("metadata of a stored object does not decode", exc_info=True)  # shown as it is


def resources(crd: Object, convert: Convert | None = None, since: int = 0) -> list[Resource]:
    """One per served version, and the storage version even where it is not served (verbs are empty then)."""
    group = crd["spec"]["group"]
    known = {f"{group}/{v['name']}": nodes.root(codec.copy(_declared(v))) for v in crd["spec"]["versions"]}
    return [_resource(crd, v, convert, known, since) for v in crd["spec"]["versions"]
            if v.get("served") or v.get("storage")]


def _declared(version: Object) -> Object:
    return (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object", **nodes.ANY}


def _resource(crd: Object, version: Object, convert: Convert | None, known: Mapping[str, Node], since: int) -> Resource:
    spec, names = crd["spec"], (crd.get("status") or {}).get("acceptedNames") or {}
    if not names.get("plural"):
        names = spec["names"]
    group, plural, kind = spec["group"], names["plural"], names["kind"]
    stored = next(v for v in spec["versions"] if v.get("storage"))
    storage = stored["name"]
    node = known[f"{group}/{version['name']}"]
    declared = node.raw or {}
    subs = version.get("subresources") or {}
    has_status = "status" in subs

    def defaults(obj: Object) -> None:
        schema.apply_defaults(node, obj, keeps_nulls=True)

    checks = _Checks(node, declared, _scale(subs.get("scale")))

    def prepare_create(obj: Object, context: PrepareContext) -> None:
        if has_status:
            obj.pop("status", None)

    return Resource(
        group=group, version=version["name"], kind=kind, plural=plural, singular=names.get("singular", ""),
        namespaced=spec["scope"] == "Namespaced", short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()), verbs=ALL_VERBS if version.get("served") else (),
        schema_node=node, registry=f"{group}/{plural}", hub=Gvr(group, storage, plural),
        subresources=_subresources(kind, subs, checks.status), scale=_scale(subs.get("scale")),
        has_generation=True, defaults=defaults, prepare_create=prepare_create, validate=checks.create,
        validate_update=checks.update, create_warnings=lambda obj: _finalizers(obj, ()),
        warnings_update=lambda new, old: _finalizers(new, old["metadata"].get("finalizers") or ()),
        columns=_columns(version), selectable=_selectable(version),
        unconditional_update=False,
        custom=Custom(crd=crd["metadata"]["name"], storage=storage, served=bool(version.get("served")),
                      conversion=spec.get("conversion") or {"strategy": "None"},
                      convert=convert, list_kind=names.get("listKind") or kind + "List",
                      schemas=known, since=since, deprecation=deprecation(spec, version),
                      storage_served=bool(stored.get("served")), terminating=definitions.is_true(crd, "Terminating")))


def deprecation(spec: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    newer = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    best = priorities.sort_versions([*newer, version["name"]])[0]
    text = f"{group}/{version['name']} {kind} is deprecated"
    return text if best == version["name"] else f"{text}; use {group}/{best} {kind}"


class _Checks:
    """What is asked of a new object, of a changed one, and of a changed status. The schema first; its rules only see values
    that fit it."""

    def __init__(self, node: Node, declared: Object, scale: ScalePaths | None) -> None:
        self._node, self._declared, self._scale = node, declared, scale
        self._status = nodes.build((declared.get("properties") or {}).get("status") or {})
        self._tree, self._is_right = rules.tree(declared, root=True), fits.compile(declared)
        self._has_lists, self._has_embedded = (
            marked(declared, mark) for mark in ("x-kubernetes-list-type", "x-kubernetes-embedded-resource"))

    def create(self, obj: Object) -> list[FieldError]:
        found = [] if self._is_right(obj) else values.findings(self._node, obj)
        found += scales.check(self._scale, obj) + self._embedded(obj)
        return self._with_rules(found + (values.lists(self._declared, obj) if self._has_lists else []), obj, None)

    def update(self, obj: Object, old: Object) -> list[FieldError]:
        found = [] if self._is_right(obj) else values.findings(self._node, obj, old=old)
        found += scales.check(self._scale, obj) + self._embedded(obj)
        return self._with_rules(found + self._doubles(obj, old), obj, old)

    def status(self, obj: Object, old: Object) -> list[FieldError]:
        """In upstream's sentences about a status, paths begin below it."""
        found: list[FieldError] = []
        if "status" in obj:
            before = {"old": old["status"]} if old.get("status") is not None else {}
            found = [FieldError(e.type, "status" if e.field == "<nil>" else f"status.{e.field}", e.body)
                     for e in values.findings(self._status, obj["status"], **before)]
        found += scales.check(self._scale, obj, spec=False)
        return self._with_rules(found + self._doubles(obj, old), obj, old)

    def _embedded(self, obj: Object) -> list[FieldError]:
        return embedded.check(self._declared, obj, root=True) if self._has_embedded else []

    def _doubles(self, obj: Object, old: Object) -> list[FieldError]:
        """An object that had doubles before may keep having them."""
        twice = values.lists(self._declared, obj) if self._has_lists else []
        return [] if twice and values.lists(self._declared, old) else twice

    def _with_rules(self, found: list[FieldError], obj: Object, old: Object | None) -> list[FieldError]:
        if self._tree is None:
            return found
        if evaluation.is_blocked(found):
            return [*found, evaluation.not_checked()]
        return found + evaluation.findings(self._tree, obj, old=old)


_STANDARD = ("orphan", "foregroundDeletion", "kubernetes")


def _finalizers(obj: Object, known: Iterable[str]) -> list[str]:
    """What is said of new finalizers whose names may be another's."""
    out = []
    for name in sorted(set(obj["metadata"].get("finalizers") or ()) - set(known)):
        where = f"metadata.finalizers: {errors.quoted(name)}"
        out += [f"{where}: {message}" for message in names.qualified(name)]
        if "/" not in name and name not in _STANDARD:
            path = " including a path (/)" if "." in name else ""
            out.append(f"{where}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other "
                       "finalizer writers")
    return out


def marked(schema: Any, extension: str) -> bool:
    """Is the extension used anywhere in the schema?"""
    return isinstance(schema, dict) and (bool(schema.get(extension)) or any(
        marked(inner, extension) for inner in (*(schema.get("properties") or {}).values(), schema.get("items"),
                                               schema.get("additionalProperties"))))


def _subresources(kind: str, subs: Object, check: Callable[[Object, Object], list[FieldError]]
                  ) -> tuple[Subresource, ...]:
    out: list[Subresource] = []
    if "status" in subs:
        out.append(subresources.status(kind, validate=check))
    if "scale" in subs:
        out.append(Subresource("scale", "Scale", group="autoscaling", version="v1",
                               owns=(jsonpath.names(subs["scale"]["specReplicasPath"]),)))
    return tuple(out)


def _scale(scale: Object | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(
        spec_replicas=jsonpath.names(scale["specReplicasPath"]),
        status_replicas=jsonpath.names(scale["statusReplicasPath"]),
        selector=jsonpath.names(scale.get("labelSelectorPath") or ""), selector_is_string=True)


# -- columns and fields -------------------------------------------------------------------------------------------
def _columns(version: Object) -> tuple[Column, ...]:
    declared = version.get("additionalPrinterColumns")
    if not declared:
        return (columns.NAME, columns.AGE)
    return (columns.NAME, *(_column(c) for c in declared))


def _column(declared: Object) -> Column:
    kind, find = declared["type"], jsonpath.compile(declared["jsonPath"])
    more = {"type": kind, "format": declared.get("format", ""), "priority": declared.get("priority", 0),
            "description": declared.get("description")
            or f"Custom resource definition column (in JSONPath format): {declared['jsonPath']}"}
    if kind == "date":
        return columns.aging(declared["name"], _age(find), **more)
    return Column(declared["name"], _cell(kind, find), **more)


def _age(find: JsonPath) -> Callable[[Object], Age | str | None]:
    def age(obj: Object) -> Age | str | None:
        found = find(obj)
        if not found or not isinstance(found[0], str):
            return None
        if found[0] in ("", "null"):
            return "<unknown>"
        try:
            return columns.since(found[0]) if _INSTANT.fullmatch(found[0]) else "<invalid>"
        except ValueError:
            return "<invalid>"

    return age


def _cell(kind: str, find: JsonPath) -> Callable[[Object, float], Any]:
    def cell(obj: Object, now: float) -> Any:
        found = find(obj)
        if not found:
            return None
        value = found[0]  # of several the first, as upstream
        if kind == "string":
            return "<no value>" if value is None else _text(value)
        wanted = {"integer": (int, float), "number": (int, float), "boolean": (bool,)}[kind]
        if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
            return None
        return _int64(value) if kind == "integer" else value

    return cell


def _int64(value: int | float) -> int:
    """Go's conversion: what does not fit is the least there is."""
    whole = int(value)
    return whole if -2**63 <= whole < 2**63 else -2**63


def _text(value: Any) -> str:
    if isinstance(value, float):
        # What is stored without a fraction is read again as an integer.
        return str(int(value)) if value.is_integer() and abs(value) < 1e18 else errors.go_float(value)
    return value if isinstance(value, str) else codec.dumps(value).decode()


def _selectable(version: Object) -> dict[str, Callable[[Object], str]]:
    def reader(find: JsonPath) -> Callable[[Object], str]:
        def read(obj: Object) -> str:
            found = find(obj)
            return _text(found[0]) if found and found[0] is not None else ""

        return read

    return {s["jsonPath"].lstrip("."): reader(jsonpath.compile(s["jsonPath"]))
            for s in version.get("selectableFields") or ()}
