"""Packs the protobuf form of the built-in kinds into src/kubewheel/api/protobuf/fields.json.z.

In: Go programs whose types carry `protobuf:"…"` and `json:"…"` tags: a kubectl of the version that is served
(k8s.io/api and apimachinery), and one with the apiextensions types (traefik). Out: message -> rows
[number, JSON name, type, mode, omit, of]; the numbers' meanings stand in api/protobuf/table.py.
The aggregator's types are in no program at hand; they are listed here.

    python scripts/pack_protobuf.py path/to/kubectl path/to/traefik
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from pathlib import Path

import go_types

OUT = Path(__file__).resolve().parents[1] / "src/kubewheel/api/protobuf/fields.json.z"
PACKAGES = {"k8s.io/api/": "io.k8s.api.", "k8s.io/apimachinery/": "io.k8s.apimachinery.",
            "k8s.io/apiextensions-apiserver/": "io.k8s.apiextensions-apiserver."}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
AGGREGATOR = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1."

# Protobuf descriptor types of Go's kinds.
DOUBLE, INT64, INT32, BOOL, STRING, MESSAGE, BYTES = 1, 3, 5, 8, 9, 11, 12
TYPES = {"string": STRING, "bool": BOOL, "int32": INT32, "int64": INT64, "int": INT64, "float64": DOUBLE,
         "struct": MESSAGE}
VALUE, POINTER, REPEATED, MAP, INLINE = range(5)
KEPT, OMITEMPTY, OMITZERO = range(3)

Row = list[object]


def definition(found: go_types.Type) -> str:
    for before, after in PACKAGES.items():
        if found.package.startswith(before):
            return after + found.package.removeprefix(before).replace("/", ".") + "." + found.name
    raise ValueError(f"{found.package}.{found.name} is of no known package")


def is_strings(found: go_types.Type) -> bool:
    """A list of texts with a name of its own (Verbs, ExtraValue): a message of `repeated string items = 1`."""
    return found.kind == "slice" and found.element.kind == "string" and bool(found.package)


def value_type(found: go_types.Type) -> tuple[int, str]:
    """(descriptor type, definition of a message) of a single value."""
    if found.kind == "slice" and found.element.kind == "uint8":
        return BYTES, ""
    if is_strings(found):
        return MESSAGE, definition(found)
    kind = TYPES[found.kind]
    return kind, definition(found) if kind == MESSAGE else ""


def row(field: go_types.Field) -> Row | None:
    tag = re.search(r'protobuf:"\w+,(\d+),', field.tag)
    if tag is None:
        return None
    written = re.search(r'json:"([^"]*)"', field.tag)
    if written is None or written[1] == "-":  # its JSON is made by hand: one of api/protobuf/special.py's
        return None
    name, *options = written[1].split(",")
    omit = OMITZERO if "omitzero" in options else OMITEMPTY if "omitempty" in options else KEPT
    found, mode = field.type, VALUE
    if found.kind == "ptr":
        found, mode = found.element, POINTER
    elif found.kind == "map":
        assert found.key.kind == "string", field
        kind, of = value_type(found.element)
        return [int(tag[1]), name, kind, MAP, omit, of]
    elif is_strings(found) or found.kind == "slice" and found.element.kind == "uint8":
        mode = POINTER  # nil is not written
    elif found.kind == "slice":
        found, mode = found.element, REPEATED
    kind, of = value_type(found)
    if not name:  # embedded
        name, mode = field.name[0].lower() + field.name[1:], INLINE
    return [int(tag[1]), name, kind, mode, omit, of]


def messages(program: Path) -> dict[str, list[Row]]:
    out = {}
    for found in go_types.Program(program).types():
        if found.kind == "struct" and found.package.startswith(tuple(PACKAGES)):
            rows = [r for f in found.fields if (r := row(f)) is not None]
            # A type whose fields have no tags has a form of its own (Time, Quantity), or is no message at all.
            if rows or not found.fields and "io.k8s.apimachinery." not in definition(found):
                out[definition(found)] = sorted(rows)
    return out


def aggregator() -> dict[str, list[Row]]:
    condition, time = AGGREGATOR + "APIServiceCondition", META + "Time"
    return {AGGREGATOR + name: rows for name, rows in {
        "APIService": [[1, "metadata", MESSAGE, VALUE, OMITEMPTY, META + "ObjectMeta"],
                       [2, "spec", MESSAGE, VALUE, OMITEMPTY, AGGREGATOR + "APIServiceSpec"],
                       [3, "status", MESSAGE, VALUE, OMITEMPTY, AGGREGATOR + "APIServiceStatus"]],
        "APIServiceList": [[1, "metadata", MESSAGE, VALUE, OMITEMPTY, META + "ListMeta"],
                           [2, "items", MESSAGE, REPEATED, KEPT, AGGREGATOR + "APIService"]],
        "APIServiceCondition": [[1, "type", STRING, VALUE, KEPT, ""], [2, "status", STRING, VALUE, KEPT, ""],
                                [3, "lastTransitionTime", MESSAGE, VALUE, OMITEMPTY, time],
                                [4, "reason", STRING, VALUE, OMITEMPTY, ""],
                                [5, "message", STRING, VALUE, OMITEMPTY, ""]],
        "APIServiceSpec": [[1, "service", MESSAGE, POINTER, OMITEMPTY, AGGREGATOR + "ServiceReference"],
                           [2, "group", STRING, VALUE, OMITEMPTY, ""], [3, "version", STRING, VALUE, OMITEMPTY, ""],
                           [4, "insecureSkipTLSVerify", BOOL, VALUE, OMITEMPTY, ""],
                           [5, "caBundle", BYTES, POINTER, OMITEMPTY, ""],
                           [7, "groupPriorityMinimum", INT32, VALUE, KEPT, ""],
                           [8, "versionPriority", INT32, VALUE, KEPT, ""]],
        "APIServiceStatus": [[1, "conditions", MESSAGE, REPEATED, OMITEMPTY, condition]],
        "ServiceReference": [[1, "namespace", STRING, VALUE, OMITEMPTY, ""], [2, "name", STRING, VALUE, OMITEMPTY, ""],
                             [3, "port", INT32, POINTER, OMITEMPTY, ""]],
    }.items()}


def main() -> None:
    programs = [Path(p) for p in sys.argv[1:]]
    table = aggregator()
    for program in reversed(programs):  # the first named has the last word
        table |= {name: rows for name, rows in messages(program).items()
                  if program == programs[0] or name.startswith("io.k8s.apiextensions-apiserver.")}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(zlib.compress(json.dumps(table, separators=(",", ":"), sort_keys=True).encode(), 9))
    print(f"{len(table)} messages, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
