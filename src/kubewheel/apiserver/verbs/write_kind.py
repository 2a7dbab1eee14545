"""Whether a body is of the kind that the URL takes; and if not, how upstream's decoders put it.

In: a Call, its body, the kind and apiVersion expected. Out: nothing; StatusError 400/422.
Called by: write_body.py, call.py.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver import bodies
from kubewheel.apiserver.call import Call

# Where upstream's registry of types was made, which it names where a type is not in it.
SCHEME = "pkg/api/legacyscheme/scheme.go:30"
SCHEMES = {"apiextensions.k8s.io": "pkg/apiserver/apiserver.go:55"}  # by group, where it is another
# Versions that are served no more, whose types upstream knows all the same.
UNSERVED = {("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition")}


def check(call: Call, body: Object, kind: str, api_version: str) -> None:
    if call.sub is None and call.resource.custom is not None:
        _check_custom(call, body, kind, api_version)
        return
    got_kind, got_version = body.get("kind") or kind, body.get("apiVersion") or api_version
    if (got_kind, got_version) == (kind, api_version):
        return
    if (got_version, got_kind) in UNSERVED and got_kind == kind:
        raise _other_version(got_version, api_version)
    group, _, version = api_version.rpartition("/")
    got_group, _, short = got_version.rpartition("/")
    what = f'{got_kind} in version "{short}" cannot be handled as a {kind}'
    known = call.server.registry.by_kind(got_group, got_kind, short)
    if known is None or known.custom is not None:
        scheme = SCHEMES.get(group, SCHEME)
        raise errors.bad_request(f'{what}: no kind "{got_kind}" is registered for version "{got_version}" in scheme "{scheme}"')
    expected = call.server.registry.by_kind(group, kind, version)
    hub = call.server.registry.hub_of
    if expected is None or hub(known) is not hub(expected):
        raise errors.bad_request(f"{what}: converting ({short}.{got_kind}) to ({package(group)}.{kind}): unknown conversion")
    raise _other_version(got_version, api_version)


def package(group: str) -> str:
    """The Go package of a group's internal types."""
    return {"": "core", "events.k8s.io": "core"}.get(group) or group.partition(".")[0]


def _other_version(got: str, expected: str) -> errors.StatusError:
    return errors.bad_request(
        f"the API version in the data ({got}) does not match the expected API version ({expected})")


def _check_custom(call: Call, body: Object, kind: str, api_version: str) -> None:
    """Nothing is filled in for custom resources; what the server's own callers hand over as dicts may leave it out."""
    raw = call.request.body
    is_text = isinstance(raw, bytes)
    got_kind, got_version = body.get("kind") or "", body.get("apiVersion") or ""
    if not got_kind and is_text:
        assert isinstance(raw, bytes)
        raise bodies.unrecognized(kind, f"Object 'Kind' is missing in '{raw.decode(errors='replace')}'", raw)
    if got_version != api_version and (got_version or is_text):
        raise _other_version(got_version, api_version)
    if got_kind and got_kind != kind:
        raise errors.invalid(got_kind, (body.get("metadata") or {}).get("name", ""), [
            errors.field_invalid("kind", got_kind, f"must be {kind}")], group=call.resource.group)
