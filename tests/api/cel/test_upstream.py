"""1,400 expressions and what upstream's libraries (0.36) make of them: errors with their places, types, values, costs.

A line of upstream.jsonl: [expression, {error} or {type, estmax (most it may cost), value and cost, or runerr}].
"""

import base64
import json
import pathlib

import pytest

from kubewheel.api import cel
from kubewheel.api.cel import times
from kubewheel.api.cel.kinds import BOOL, DOUBLE, DYN, INT, STRING, list_of, map_of
from kubewheel.api.cel.values import Duration, Option, Timestamp, Type, Uint, type_name

FACTS = [json.loads(line) for line in (pathlib.Path(__file__).parent / "upstream.jsonl").read_text().splitlines()]
KINDS = {"x": DYN, "i": INT, "d": DOUBLE, "s": STRING, "b": BOOL, "l": list_of(INT), "ls": list_of(STRING),
         "m": map_of(STRING, INT), "ld": list_of(DYN), "big": STRING, "bl": list_of(INT)}
VALUES = {"x": {"y": 3, "z": "abc", "l": [1, 2, 3], "m": {"a": 1}, "n": None, "f": 2.5}, "i": 7, "d": 2.5, "s": "héllo wörld",
          "b": True, "l": [1, 2, 3, 2], "ls": ["a", "bb", "ccc"], "m": {"a": 1, "b": 2}, "ld": [1, "a", 2.5, None],
          "big": "0123456789" * 10, "bl": list(range(50))}
BUDGET = 1_000_000


def shown(value):
    kind = {type(None): "null", bool: "bool", Uint: "uint", int: "int", float: "double", str: "string", bytes: "bytes"}.get(
        type(value))
    if value is None:
        return ["null"]
    if kind in ("bool", "string"):
        return [kind, value]
    if kind == "bytes":
        return [kind, base64.b64encode(value).decode()]
    if kind is not None:
        return [kind, repr(value) if kind == "double" else str(int(value))]
    if isinstance(value, Timestamp):
        return ["timestamp", times.text(value)]
    if isinstance(value, Duration):
        return ["duration", str(value.nanos)]
    if isinstance(value, Option):
        return ["optional", shown(value.value)] if value.has else ["optional"]
    if isinstance(value, Type):
        return ["type", value.name]
    if isinstance(value, list):
        return ["list", [shown(v) for v in value]]
    if isinstance(value, dict):
        return ["map", sorted(([shown(k), shown(v)] for k, v in value.items()), key=str)]
    return [type_name(value), "?"]


def ours(source):
    try:
        program, most = cel.measured(source, tuple(KINDS), kinds=KINDS)
    except cel.ParseError as e:
        return {"error": str(e)}
    out = {"type": program.kind.full, "estmax": most}
    try:
        value, left = program.run([VALUES[name] for name in KINDS], BUDGET)
    except cel.CelError as e:
        return out | {"runerr": str(e)}
    return out | {"value": shown(value), "cost": BUDGET - left}


@pytest.mark.parametrize("part", range(14))
def test_as_upstream(part):
    facts = FACTS[part::14]
    assert len(facts) > 90
    for source, expected in facts:
        assert ours(source) == expected, source
