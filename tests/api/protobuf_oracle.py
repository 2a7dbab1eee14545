"""What the protobuf tests hold our codec against: protobuf itself, with descriptors made out of the same tables, and
objects of every kind made by chance."""

import base64
from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from kubewheel.api import catalog
from kubewheel.api.protobuf import table
from kubewheel.api.protobuf.special import EXTENSIONS, META, SPECIAL
from kubewheel.api.protobuf.table import (
    BOOL,
    BYTES,
    DOUBLE,
    INLINE,
    INT32,
    INT64,
    KEPT,
    MAP,
    MESSAGE,
    POINTER,
    REPEATED,
    STRING,
    VALUE,
)

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
SCHEMA = EXTENSIONS + "JSONSchemaProps"
OR_ARRAY, OR_BOOL, OR_STRINGS = (EXTENSIONS + "JSONSchemaPropsOr" + n for n in ("Array", "Bool", "StringArray"))
RAW = ("io.k8s.apimachinery.pkg.runtime.RawExtension", META + "FieldsV1", EXTENSIONS + "JSON")
TIMES = (META + "Time", META + "MicroTime")
LISTS = tuple(d for d in SPECIAL if d.endswith((".Verbs", ".ExtraValue", ".AttestationValue")))

# (number, type, repeated, message) of what is made by hand.
BY_HAND = {
    **dict.fromkeys(TIMES, [(1, INT64, False, ""), (2, INT32, False, "")]), QUANTITY: [(1, STRING, False, "")],
    INT_OR_STRING: [(1, INT64, False, ""), (2, INT32, False, ""), (3, STRING, False, "")],
    **dict.fromkeys(RAW, [(1, BYTES, False, "")]), **dict.fromkeys(LISTS, [(1, STRING, True, "")]),
    OR_ARRAY: [(1, MESSAGE, False, SCHEMA), (2, MESSAGE, True, SCHEMA)],
    OR_BOOL: [(1, BOOL, False, ""), (2, MESSAGE, False, SCHEMA)],
    OR_STRINGS: [(1, MESSAGE, False, SCHEMA), (2, STRING, True, "")],
}


def flat(definition):
    return definition.replace(".", "_").replace("-", "_")


@cache
def _pool():
    file = descriptor_pb2.FileDescriptorProto(name="kubernetes.proto", package="k", syntax="proto2")
    for definition, rows in table.messages().items():
        message = file.message_type.add(name=flat(definition))
        for row in rows:
            if row.mode == MAP:
                entry = message.nested_type.add(name=f"F{row.number}Entry")
                entry.options.map_entry = True
                _add(entry, 1, "key", STRING, False, "")
                _add(entry, 2, "value", row.type, False, row.of)
                field = message.field.add(name=f"f{row.number}", number=row.number, label=3, type=MESSAGE)
                field.type_name = f".k.{flat(definition)}.F{row.number}Entry"
            else:
                _add(message, row.number, f"f{row.number}", row.type, row.mode == REPEATED, row.of)
    for definition, rows in BY_HAND.items():
        message = file.message_type.add(name=flat(definition))
        for number, kind, repeated, of in rows:
            _add(message, number, f"f{number}", kind, repeated, of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add(message, number, name, kind, repeated, of):
    field = message.field.add(name=name, number=number, label=3 if repeated else 1, type=kind)
    if of:
        field.type_name = ".k." + flat(of)


@cache
def message_class(definition):
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName("k." + flat(definition)))


def served():
    """The definitions of all that is served and of what is in it."""
    reached, waiting = set(), [r.definition for r in catalog.RESOURCES] + [
        "io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.policy.v1.Eviction", "io.k8s.api.authentication.v1.TokenRequest",
        *(META + k for k in ("Status", "DeleteOptions", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions"))]
    while waiting:
        definition = waiting.pop()
        if definition not in reached and definition not in SPECIAL:
            reached.add(definition)
            waiting += [row.of for row in table.rows(definition) if row.of]
    return sorted(reached)


# -- protobuf's own encoder, fed by the table ---------------------------------------------------------------------------
def encoded(definition, obj):
    """The object by protobuf; what the object does not have is not written."""
    message = message_class(definition)()
    _fill(message, definition, obj)
    return message.SerializeToString(deterministic=True)


def _fill(message, definition, obj):
    message.SetInParent()
    if definition in BY_HAND:
        return _fill_by_hand(message, definition, obj)
    names = {row.name: row for row in table.rows(definition)}
    for row in table.rows(definition):
        if row.mode == INLINE:
            inner = {k: v for k, v in obj.items() if k in table.json_names(row.of)}
            if inner:
                _fill(getattr(message, f"f{row.number}"), row.of, inner)
    for name, value in obj.items():
        row = names.get(name)
        if row is None:
            continue
        field = getattr(message, f"f{row.number}")
        if row.mode == MAP:
            for key, member in value.items():
                if row.type == MESSAGE:
                    _fill(field[key], row.of, member)
                else:
                    field[key] = _scalar(row.type, member)
        elif row.mode == REPEATED:
            for member in value:
                if row.type == MESSAGE:
                    _fill(field.add(), row.of, member)
                else:
                    field.append(_scalar(row.type, member))
        elif row.type == MESSAGE:
            _fill(field, row.of, value)
        else:
            setattr(message, f"f{row.number}", _scalar(row.type, value))
    return None


def _scalar(kind, value):
    return base64.b64decode(value) if kind == BYTES else value


def _fill_by_hand(message, definition, value):
    import datetime
    import json

    if definition in TIMES:
        when = datetime.datetime.fromisoformat(value)
        whole = (when.replace(microsecond=0) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC))
        message.f1, message.f2 = whole.days * 86400 + whole.seconds, when.microsecond * 1000
    elif definition == QUANTITY:
        message.f1 = value
    elif definition == INT_OR_STRING:
        message.f1 = int(isinstance(value, str))
        setattr(message, "f3" if isinstance(value, str) else "f2", value)
    elif definition in RAW:
        if value is not None:
            message.f1 = json.dumps(value).encode()
    elif definition in LISTS:
        message.f1.extend(value)
    elif isinstance(value, list):
        for member in value:
            if definition == OR_ARRAY:
                _fill(message.f2.add(), SCHEMA, member)
            else:
                message.f2.append(member)
    elif isinstance(value, bool):
        message.f1 = value
    else:
        if definition == OR_BOOL:
            message.f1 = True
        _fill(message.f2 if definition == OR_BOOL else message.f1, SCHEMA, value)


# -- what a Go program would see ------------------------------------------------------------------------------------------
ZEROS = {STRING: "", BYTES: "", BOOL: False, INT32: 0, INT64: 0, DOUBLE: 0.0}


def view(definition, obj):
    """The object as Go writes it once it has been decoded: the documented normalisations of a way through protobuf.
    Plain structs are always there; plain zeros are, unless omitempty; empty lists and maps are not, nor are nulls."""
    if definition in SPECIAL:
        return _view_by_hand(definition, obj)
    out = {}
    for row in table.rows(definition):
        if row.mode == INLINE:
            out |= view(row.of, {k: v for k, v in obj.items() if k in table.json_names(row.of)})
            continue
        value = obj.get(row.name)
        if row.mode in (REPEATED, MAP):
            if value:
                members = value.items() if row.mode == MAP else enumerate(value)
                made = {k: view(row.of, v) if row.type == MESSAGE else v for k, v in members}
                out[row.name] = made if row.mode == MAP else list(made.values())
        elif row.type == MESSAGE:
            if value is None and row.mode == VALUE:
                value = {QUANTITY: "0", INT_OR_STRING: 0}.get(row.of, {} if row.of not in SPECIAL else None)
            if value is not None:
                out[row.name] = view(row.of, value)
        elif row.mode == POINTER and row.type != BYTES:
            if value is not None:
                out[row.name] = value
        elif value or row.omit == KEPT and (value is not None or row.mode == VALUE):
            out[row.name] = ZEROS[row.type] if value is None else value
    return out


def _view_by_hand(definition, value):
    if definition == OR_ARRAY and isinstance(value, list):
        return [view(SCHEMA, v) for v in value]
    if definition in (OR_ARRAY, OR_BOOL, OR_STRINGS) and isinstance(value, dict):
        return view(SCHEMA, value)
    return value


# -- objects by chance ------------------------------------------------------------------------------------------------------
TEXTS = ("", "a", "default", "TCP", "ü", "日本", "x" * 127, "y" * 128, "z" * 300, "a\nb", "\u0000", "😀")
NUMBERS = {INT32: (0, 1, -1, 127, 128, 300, 2**31 - 1, -2**31), INT64: (0, 1, -1, 127, 128, 16384, 2**63 - 1, -2**63),
           BOOL: (True, False), DOUBLE: (0.5, -1.0, 1e300)}


def made(definition, rng, *, depth=0, full=False):
    """An object of the definition; `full`: with every field, as deep as definitions do not repeat."""
    if definition in SPECIAL:
        return _made_by_hand(definition, rng, depth)
    out = {}
    rows = table.rows(definition)
    share = 1.0 if full else min(1.0, (8 - depth) / max(len(rows), 1))
    for row in rows:
        if row.mode == INLINE:
            out |= made(row.of, rng, depth=depth, full=full)
        elif rng.random() < share and (depth < 6 or row.type != MESSAGE or row.of in SPECIAL):
            value = _field(row, rng, depth + 1, full and depth < 4)
            if value is not None:
                out[row.name] = value
    return out


def _field(row, rng, depth, full):
    def one():
        if row.type == MESSAGE:
            return made(row.of, rng, depth=depth, full=full)
        if row.type == STRING:
            return rng.choice(TEXTS)
        if row.type == BYTES:
            return base64.b64encode(rng.choice(TEXTS).encode()).decode()
        return rng.choice(NUMBERS[row.type])

    if row.mode == REPEATED:
        return [one() for _ in range(rng.choice((1, 2, 3)))]
    if row.mode == MAP:
        return {rng.choice(TEXTS): one() for _ in range(rng.choice((1, 2, 3)))}
    return one()


def _made_by_hand(definition, rng, depth):
    if definition in TIMES:
        text = f"20{rng.randrange(10, 99)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}T0{rng.randrange(10)}:00:59"
        return text + (f".{rng.randrange(1_000_000):06d}Z" if definition.endswith("MicroTime") else "Z")
    if definition == QUANTITY:
        return rng.choice(("0", "100m", "128Mi", "1", "1e3", "-5", "9223372036854775807"))
    if definition == INT_OR_STRING:
        return rng.choice((0, 80, -1, "http", "25%", "", 2**31 - 1))
    if definition in RAW:
        return rng.choice(({}, {"a": [1, None, "b"]}, {"f:spec": {"f:x": {}}}, {"kind": "X", "n": 1.5}))
    if definition in LISTS:
        return [rng.choice(TEXTS) for _ in range(rng.choice((1, 2)))]
    schemas = [made(SCHEMA, rng, depth=depth + 3) for _ in range(2)] if depth < 4 else [{}, {"type": "string"}]
    return rng.choice({OR_ARRAY: (schemas[0], schemas), OR_BOOL: (True, False, schemas[0]),
                       OR_STRINGS: (["a", ""], schemas[0])}[definition])
