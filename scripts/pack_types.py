"""Packs the type system: OpenAPI definitions and resource facts of two development dependencies into one file.

In: the packages kubernetes-validate (definitions) and lightkube-models (plurals, scopes, verbs, subresources).
Out: src/kubewheel/api/schema/types.json.z. Run by hand when the served Kubernetes version moves:
`python scripts/pack_types.py`.

The file is two zlib streams one after the other: the structure (needed by every process, ~3 ms to load) and the
descriptions (needed by OpenAPI and `kubectl explain` only).
"""

from __future__ import annotations

import ast
import importlib.util
import json
import pathlib
import sys
import zlib
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "src/kubewheel/api/schema/types.json.z"
VERSION = "v1.37.0"
VERBS = {"post": "create", "put": "update"}
PREFIX = "#/$defs/"

# What the JSON-Schema form of the data has lost, by definition name; the values are upstream's OpenAPI types.
SPECIAL: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "string", "format": "date-time"},
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": {"type": "string", "format": "date-time"},
}


def package_dir(name: str) -> pathlib.Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"the development dependency {name} is not installed")
    return pathlib.Path(next(iter(spec.submodule_search_locations)))


def clean(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema without the tool's additions (null types, enums of apiVersion/kind) and without descriptions."""
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("description", "enum", "oneOf"):
            continue
        if key == "type":
            out[key] = value if isinstance(value, str) else next(t for t in value if t != "null")
        elif key == "$ref":
            out[key] = value.removeprefix(PREFIX)
        elif key == "properties":
            out[key] = {name: clean(prop) for name, prop in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = clean(value)
        else:
            out[key] = value
    return out


def definitions() -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    folder = package_dir("kubernetes_validate") / "kubernetes-json-schema" / f"{VERSION}-local"
    source = json.loads((folder / "_definitions.json").read_text())["$defs"]
    types: dict[str, Any] = {}
    texts: dict[str, dict[str, str]] = {}
    for name, schema in sorted(source.items()):
        cleaned = clean(schema)
        special = SPECIAL.get(name)
        if special:
            cleaned = dict(special)
        types[name] = cleaned
        text = {"": schema["description"]} if "description" in schema else {}
        for prop, value in schema.get("properties", {}).items():
            if "description" in value:
                text[prop] = value["description"]
        if text:
            texts[name] = text
    return types, texts


def literal(node: ast.AST) -> Any:
    """The value of ApiInfo's arguments: literals, lists, and ResourceDef(group, version, kind) as a list."""
    if isinstance(node, ast.Call):
        return [literal(a) for a in node.args]
    return ast.literal_eval(node)


def resource_classes(path: pathlib.Path) -> list[dict[str, Any]]:
    found = []
    for cls in ast.parse(path.read_text()).body:
        if not isinstance(cls, ast.ClassDef):
            continue
        base = ast.unparse(cls.bases[0])
        for statement in cls.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_api_info":
                assert isinstance(statement.value, ast.Call)
                info = {k.arg: literal(k.value) for k in statement.value.keywords}
                info["namespaced"] = "Namespaced" in base
                found.append(info)
    return found


def resources() -> list[dict[str, Any]]:
    main: dict[tuple[str, ...], dict[str, Any]] = {}
    subs: list[dict[str, Any]] = []
    for path in sorted((package_dir("lightkube") / "resources").glob("*.py")):
        for info in resource_classes(path):
            if "action" in info:
                subs.append(info)
                continue
            group, version, kind = info["resource"]
            main[(group, version, info["plural"])] = {
                "group": group, "version": version, "kind": kind, "plural": info["plural"],
                "namespaced": info["namespaced"], "verbs": verbs(info["verbs"]), "subresources": []}
    for info in subs:
        parent = info["parent"]
        group, version, kind = info["resource"]
        main[(parent[0], parent[1], info["plural"])]["subresources"].append(
            {"name": info["action"], "group": group, "version": version, "kind": kind, "verbs": verbs(info["verbs"])})
    return [main[key] for key in sorted(main)]


def verbs(names: list[str]) -> list[str]:
    return sorted({VERBS.get(v, v) for v in names if not v.startswith("global_")})


def pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), 9)


def main() -> None:
    types, texts = definitions()
    facts = resources()
    data = pack({"version": VERSION, "definitions": types, "resources": facts}) + pack(texts)
    OUT.write_bytes(data)
    print(f"{len(types)} definitions, {len(facts)} resources, {len(data)} bytes")


if __name__ == "__main__":
    main()
