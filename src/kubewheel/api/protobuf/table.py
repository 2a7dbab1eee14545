"""Which field of which message has which number: the packed table, as rows.

In: fields.json.z (made by scripts/pack_protobuf.py out of Go's struct tags). Out: Row values by definition.
Called by: encoder.py, decoder.py, the tests (which hold it against the schema, and against protobuf itself).

A definition is the schema's name of a type ("io.k8s.api.core.v1.Pod"). Types whose protobuf form is made by hand
(Time, Quantity, IntOrString …) are not here but in special.py.
"""

from __future__ import annotations

import zlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from kubewheel.api import codec

# Types, as google.protobuf.FieldDescriptorProto numbers them.
DOUBLE, INT64, INT32, BOOL, STRING, MESSAGE, BYTES = 1, 3, 5, 8, 9, 11, 12
# Modes: how Go holds the field. VALUE is written even when it is zero, POINTER where it is not nil, each member of
# REPEATED and MAP. INLINE is an embedded struct: a message on the wire, its fields the parent's in JSON.
VALUE, POINTER, REPEATED, MAP, INLINE = range(5)
# What Go's JSON does with a zero: writes it; leaves it out (a struct is never zero to omitempty); leaves it out.
KEPT, OMITEMPTY, OMITZERO = range(3)


class Row(NamedTuple):
    number: int
    name: str  # in JSON; of INLINE the Go name
    type: int
    mode: int
    omit: int
    of: str  # the definition of a message; of MAP the values' (keys are texts)


@cache
def messages() -> dict[str, list[Row]]:
    """Rows by definition, in the order of their numbers."""
    raw = resources.files("kubewheel.api.protobuf").joinpath("fields.json.z").read_bytes()
    return {name: [Row(*row) for row in rows] for name, rows in codec.loads(zlib.decompress(raw)).items()}


def rows(definition: str) -> list[Row]:
    """KeyError for what has no table."""
    return messages()[definition]


def knows(definition: str) -> bool:
    return definition in messages()


def json_names(definition: str) -> dict[str, Row]:
    """Field in JSON -> its row; those of embedded structs among them."""
    out: dict[str, Row] = {}
    for row in rows(definition):
        out |= json_names(row.of) if row.mode == INLINE else {row.name: row}
    return out
