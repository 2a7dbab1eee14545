"""What the client wants to be answered in: the Accept header against what an endpoint offers. Pure.

In: headers, query and an Offer. Out: a Form, or the 406 that names what there is. Called by: render.py, endpoints.py.
Source of the rule: the API concepts page (alternate representations); apiserver's content negotiation.
"""

from __future__ import annotations

from typing import NamedTuple

from kubewheel.api import errors

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
ALL = (JSON, YAML, PROTOBUF)  # in the order that a wildcard takes them
STREAMED = (JSON, PROTOBUF)  # YAML has no framing
FORMATS = {JSON: "json", YAML: "yaml", PROTOBUF: "protobuf"}
TYPES = {format_: kind for kind, format_ in FORMATS.items()}
TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
HUMANS = ("curl", "Wget", "Mozilla/5.0")  # user agents that are shown indented JSON


class Form(NamedTuple):
    """What the answer looks like."""

    format: str  # json | yaml | protobuf
    shape: str = ""  # "" | Table | PartialObjectMetadata | PartialObjectMetadataList | APIGroupDiscoveryList
    version: str = "v1"  # of meta.k8s.io, where there is a shape
    pretty: bool = False

    @property
    def content_type(self) -> str:
        return TYPES[self.format]


class Offer(NamedTuple):
    """What an endpoint has."""

    shapes: tuple[str, ...] = ()
    group: str = "meta.k8s.io"  # of the shapes
    versions: tuple[str, ...] = ("v1", "v1beta1")
    protobuf: bool = True  # objects as they are in protobuf; custom resources have that for their metadata only
    watch: bool = False


RESOURCE = Offer(TRANSFORMS)
CUSTOM = Offer(TRANSFORMS, protobuf=False)
# By whether the resource is a custom one, and whether it is watched.
OFFERS = {(is_custom, watch): (CUSTOM if is_custom else RESOURCE)._replace(watch=watch)
          for is_custom in (False, True) for watch in (False, True)}
PLAIN = Offer()  # errors, and what has no other shape
DISCOVERY = Offer(("APIGroupDiscoveryList",), "apidiscovery.k8s.io", ("v2",))


class Clause(NamedTuple):
    """One part of an Accept header."""

    kind: str
    subkind: str
    quality: float
    params: dict[str, str]


def negotiate(accept: str, offer: Offer = PLAIN, *, pretty: bool = False) -> Form:
    """The form of the first clause that can be served. StatusError 406."""
    if not accept or accept == JSON:
        return Form("json", pretty=pretty)
    for clause in clauses(accept):
        for kind in ALL:
            if not _covers(clause, kind):
                continue
            form = _form(clause.params, kind, offer)
            if form is None:
                continue
            if offer.watch and kind not in STREAMED:
                raise not_acceptable(watch=True)
            return form._replace(pretty=True) if pretty and kind == JSON else form
    raise not_acceptable()


def _covers(clause: Clause, kind: str) -> bool:
    main, _, sub = kind.partition("/")
    return clause.kind in (main, "*") and clause.subkind in (sub, "*") and (clause.kind != "*" or clause.subkind == "*")


def _form(params: dict[str, str], kind: str, offer: Offer) -> Form | None:
    stream, version = params.get("stream", ""), params.get("sv", "")
    if stream and (stream != "watch" or kind not in STREAMED) or version not in ("", "v1"):
        return None
    pretty = kind == JSON and params.get("pretty") == "1"
    if not params.keys() & {"as", "g", "v"}:
        return Form(FORMATS[kind], pretty=pretty) if kind != PROTOBUF or offer.protobuf else None
    shape, version = params.get("as", ""), params.get("v", "")
    if shape not in offer.shapes or params.get("g") != offer.group or version not in offer.versions:
        return None
    if shape == "Table" and kind == PROTOBUF:  # a Table's cells are of any type, so it has no message
        return None
    return Form(FORMATS[kind], shape, version, pretty)


def clauses(header: str) -> list[Clause]:
    """The parts of an Accept header, the preferred first; what is no media type is left out."""
    out: list[Clause] = []
    for part in header.split(","):
        name, *params = part.split(";")
        kind, *rest = [p.strip() for p in name.split("/")]
        subkind = rest[0] if rest else "*"
        if len(rest) > 1 or not subkind or not rest and kind != "*":
            continue
        quality, found = 1.0, {}
        for param in params:
            key, *values = param.split("=")
            if len(values) != 1 or not values[0]:
                continue
            if key.strip() == "q":
                quality = _number(values[0])
            else:
                found[key.strip()] = values[0].strip()
        out.append(Clause(kind, subkind, quality, found))
    return _sorted(out)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _sorted(found: list[Clause]) -> list[Clause]:
    """By quality, but a type that is named goes before a wildcard whatever its quality is: upstream's order, which is
    none in the strict sense, so that it takes upstream's way of sorting (insertion) to come out the same."""
    out: list[Clause] = []
    for clause in found:
        at = len(out)
        while at and _precedes(clause, out[at - 1]):
            at -= 1
        out.insert(at, clause)
    return out


def _precedes(a: Clause, b: Clause) -> bool:
    return (a.quality > b.quality or a.kind != "*" and b.kind == "*" or a.subkind != "*" and b.subkind == "*")


def not_acceptable(*, watch: bool = False) -> errors.StatusError:
    accepted = [f"{kind};stream=watch" for kind in STREAMED] if watch else ALL
    return errors.status_error(406, "NotAcceptable",
                               f"only the following media types are accepted: {', '.join(accepted)}")


def not_marshalable(kind: str) -> errors.StatusError:
    return errors.status_error(406, "NotAcceptable", (
        f"object *v1.{kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf "
        "message"))


def is_pretty(query: dict[str, list[str]], user_agent: str) -> bool:
    """Whether JSON is to be indented: the `pretty` parameter, else whether a human asks."""
    values = query.get("pretty")
    if values and values[0]:
        return values[0] in ("1", "t", "T", "TRUE", "true", "True")
    return user_agent.startswith(HUMANS)
