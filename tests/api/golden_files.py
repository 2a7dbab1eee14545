"""The goldens: what upstream v1.37 does with each resource, one YAML file per served group, version and resource.

`goldens/<group, or core>/<plural>.<version>.yaml`:

    discovery:            # as in the APIResourceList, without storageVersionHash
      name, singularName, namespaced, kind, verbs, shortNames?, categories?
      subresources: [{name: pods/status, kind, verbs, group?, version?}]
    fieldSelectors:       # of kinds that can be listed
      supported: [metadata.name, …]
      unsupported: {selector: spec.no=x, message: the whole message of the 400}
    table:                # of kinds that are stored
      columns: [{name, type?: string, format?: "", priority?: 0, description?}]
      rows: [{object, cells}]                   # at NOW; objects as they are stored
    objects: {base: {…}, …}                     # what cases and updates start from, by name
    cases:
      - name: …
        object: {…} | of: a name in objects (base) ; set: {path: value}       # null removes; [+] appends
        query: {fieldValidation: Strict}?
        defaulted: {…}    # all of what create answers; metadata: name, namespace of the object are understood
        has: {path: value}                      # or only a part of it; null: absent
        errors: ["field: Type: message", …]     # or the findings of a 422, in order
        status: {code, reason, message}         # or another refusal
        warnings: [...]                         # absent: none
    updates:
      - name: …
        from, fromSet                           # as object/of and set: what is created first
        fromStatus: {…}                         # then written by way of status
        to: {…} | set: {path: value}            # the PUT: a whole object, or the stored one changed
        via: status                             # or another subresource
        result | has | errors | status | warnings    # as above

`rules/<group, or core>/<plural>.<version>[.<topic>].yaml` have more objects, cases and updates of the same resource.

uid, resourceVersion, creationTimestamp and managedFields are left out of what is compared. In expected objects "<time>"
and "<uid>" stand for any of these; a text that ends in "…" is the beginning of one (upstream ends some in a Go diff).
"""

from __future__ import annotations

import copy
import pathlib
import re
from typing import Any

import yaml

from kubewheel.api import catalog
from kubewheel.api.resource import Resource

FOLDER = pathlib.Path(__file__).parent / "goldens"
RULES = pathlib.Path(__file__).parent / "rules"
NOW = 1_767_226_200.0  # 2026-01-01T00:10:00Z
UNCOMPARED = ("uid", "resourceVersion", "creationTimestamp", "managedFields")
ABSENT = object()

_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+|\+)\]|\.?([^.\[\]]+)')


def path_of(resource: Resource) -> pathlib.Path:
    return FOLDER / (resource.group or "core") / f"{resource.plural}.{resource.version}.yaml"


def load(path: pathlib.Path) -> dict[str, Any]:
    class Loader(yaml.CSafeLoader):
        """Timestamps stay texts, as in JSON."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()}
    return yaml.load(path.read_text(), Loader)


def _with_rules(resource: Resource) -> dict[str, Any]:
    """The golden, and what the files beside it say of the rules of its kind."""
    golden = load(path_of(resource))
    for path in sorted((RULES / (resource.group or "core")).glob(f"{resource.plural}.{resource.version}*.yaml")):
        more = load(path)
        golden.setdefault("objects", {}).update(more.get("objects") or {})
        for key in ("cases", "updates"):
            golden[key] = [*(golden.get(key) or ()), *(more.get(key) or ())]
    return golden


ALL = [(r, _with_rules(r)) for r in catalog.RESOURCES if path_of(r).exists()]


def each(*keys: str) -> list[tuple[str, Resource, dict[str, Any], dict[str, Any]]]:
    """(id, resource, golden, entry) of every entry below `keys`."""
    out = []
    for resource, golden in ALL:
        entries: Any = golden
        for key in keys:
            entries = (entries or {}).get(key)
        for i, entry in enumerate(entries or ()):
            name = f"{resource.qualified}-{resource.version}-{entry.get('name', i)}"
            out.append((name.replace(" ", "_"), resource, golden, entry))
    return out


# -- paths --------------------------------------------------------------------------------------------------------
def steps(path: str) -> list[str | int]:
    """spec.ports[0].name, metadata.labels["a.b/c"], spec.ports[+]"""
    out: list[str | int] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        assert found is not None, path
        quoted, index, plain = found.groups()
        out.append(quoted if quoted is not None else plain if plain is not None else -1 if index == "+" else int(index))
        position = found.end()
    return out


def put(obj: Any, path: str, value: Any) -> None:
    *parents, last = steps(path)
    for step in parents:
        obj = obj.setdefault(step, {}) if isinstance(step, str) else obj[step]
    if value is None:
        if isinstance(last, int):
            del obj[last]
        else:
            obj.pop(last, None)
    elif last == -1:
        obj.append(copy.deepcopy(value))
    else:
        obj[last] = copy.deepcopy(value)


def at(obj: Any, path: str) -> Any:
    for step in steps(path):
        if obj is ABSENT or (isinstance(step, str) and step not in obj) or (isinstance(step, int) and step >= len(obj)):
            return ABSENT
        obj = obj[step]
    return obj


# -- objects ------------------------------------------------------------------------------------------------------
def built(golden: dict[str, Any], resource: Resource, what: Any, changes: dict[str, Any] | None) -> dict[str, Any]:
    """A private object: given whole or by its name in `objects`, changed, with kind and namespace filled in."""
    if not isinstance(what, dict):
        what = golden["objects"][what or "base"]
    obj = copy.deepcopy(what)
    for path, value in (changes or {}).items():
        put(obj, path, value)
    obj.setdefault("apiVersion", resource.api_version)
    obj.setdefault("kind", resource.kind)
    if resource.namespaced and isinstance(obj.get("metadata"), dict):
        obj["metadata"].setdefault("namespace", "default")
    return obj


def compared(obj: dict[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(obj)
    for field in UNCOMPARED:
        out["metadata"].pop(field, None)
    return out


_MARKS = {"<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<uid>": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")}


def marked(value: Any, wanted: Any) -> Any:
    """`value` with the marks of `wanted` where they fit, so that the two may be compared."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        return {k: marked(v, wanted.get(k)) for k, v in value.items()}
    if isinstance(wanted, list) and isinstance(value, list):
        return [marked(v, w) for v, w in zip(value, wanted, strict=False)] + value[len(wanted):]
    if isinstance(wanted, str) and isinstance(value, str):
        if wanted in _MARKS:
            return wanted if _MARKS[wanted].fullmatch(value) else value
        if wanted.endswith("…"):
            return wanted if value.startswith(wanted[:-1]) else value
    return value


def expected(entry: dict[str, Any], key: str, sent: dict[str, Any]) -> dict[str, Any]:
    out = copy.deepcopy(entry[key])
    out.setdefault("apiVersion", sent["apiVersion"])
    out.setdefault("kind", sent["kind"])
    meta = out.setdefault("metadata", {})
    for field in ("name", "namespace"):
        if field in sent["metadata"]:
            meta.setdefault(field, sent["metadata"][field])
    return out
