"""Small questions about objects that every controller asks: selectors, conditions, pod readiness,
percentages.

In: JSON dicts. Out: plain values, new dicts. Pure. Called by: controllers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.lib import clock as clocks

# apimachinery's rand.SafeEncodeString: no vowels, no look-alikes, so that no bad word is spelt.
SAFE = "bcdfghjklmnpqrstvwxz2456789"


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def key_of(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]


def with_kind(obj: Object, api_version: str, kind: str) -> Object:
    """List items come without them; event recorders and references need them."""
    return obj if obj.get("kind") else {"apiVersion": api_version, "kind": kind, **obj}


def matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """metav1.LabelSelector. None selects nothing, {} everything."""
    if selector is None:
        return False
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    return all(_requirement(r, labels) for r in selector.get("matchExpressions") or ())


def _requirement(r: Object, labels: Mapping[str, str]) -> bool:
    op, name, values = r["operator"], r["key"], list(r.get("values") or ())
    if op == "In":
        return labels.get(name) in values if name in labels else False
    if op == "NotIn":
        return labels.get(name) not in values if name in labels else True
    if op == "Exists":
        return name in labels
    if op == "DoesNotExist":
        return name not in labels
    if op in ("Gt", "Lt"):  # node selectors only
        try:
            have, want = int(labels.get(name, "")), int(values[0])
        except (ValueError, IndexError):
            return False
        return have > want if op == "Gt" else have < want
    raise ValueError(f'"{op}" is not a valid label selector operator')


def matches_map(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """Services and ReplicationControllers: a plain map; empty selects nothing."""
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())  # type: ignore[union-attr]


def is_empty(selector: Object | None) -> bool:
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def format_selector(selector: Object | None) -> str:
    """The string form, as status.selector and query parameters take it."""
    parts = [f"{k}={v}" for k, v in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for r in (selector or {}).get("matchExpressions") or ():
        values = ",".join(sorted(r.get("values") or ()))
        parts.append(
            {
                "In": f"{r['key']} in ({values})",
                "NotIn": f"{r['key']} notin ({values})",
                "Exists": r["key"],
                "DoesNotExist": "!" + r["key"],
            }[r["operator"]]
        )
    return ",".join(parts)


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """intstr.GetScaledValueFromIntOrPercent."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if round_up else math.floor(exact)


# -- conditions
# ---------------------------------------------------------------------------------------------------
def condition(obj: Object, type_: str) -> Object | None:
    for c in (obj.get("status") or {}).get("conditions") or ():
        if c["type"] == type_:
            return c
    return None


def condition_status(obj: Object, type_: str) -> str:
    found = condition(obj, type_)
    return found["status"] if found else ""


def set_condition(
    conditions: Iterable[Object], new: Object, now: float, *, transition: bool = True
) -> list[Object]:
    """A new list with `new` in it; lastTransitionTime stays where the status stays."""
    out, stamp = [], clocks.rfc3339(now)
    placed = False
    for old in conditions:
        if old["type"] != new["type"]:
            out.append(old)
            continue
        merged = dict(new)
        if transition:
            same = old.get("status") == new["status"]
            merged["lastTransitionTime"] = old.get("lastTransitionTime", stamp) if same else stamp
        out.append(merged)
        placed = True
    if not placed:
        out.append({**new, "lastTransitionTime": stamp} if transition else dict(new))
    return out


def without_condition(conditions: Iterable[Object], type_: str) -> list[Object]:
    return [c for c in conditions if c["type"] != type_]


# -- pods
# ---------------------------------------------------------------------------------------------------------
def phase(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase", "")


def is_terminating(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    return condition_status(pod, "Ready") == "True"


def ready_since(pod: Object) -> float | None:
    found = condition(pod, "Ready")
    if found is None or found["status"] != "True" or not found.get("lastTransitionTime"):
        return None
    return clocks.parse_time(found["lastTransitionTime"])


def available_in(pod: Object, min_ready: int, now: float) -> float | None:
    """0.0: available; n: in that many seconds if it stays ready; None: not ready."""
    if not is_ready(pod):
        return None
    if min_ready <= 0:
        return 0.0
    since = ready_since(pod)
    return None if since is None else max(since + min_ready - now, 0.0)


def is_available(pod: Object, min_ready: int, now: float) -> bool:
    return available_in(pod, min_ready, now) == 0.0


def stamp_of(obj: Object, name: str = "creationTimestamp") -> float:
    text = obj["metadata"].get(name)
    return clocks.parse_time(text) if text else 0.0


# -- hashes and names
# ---------------------------------------------------------------------------------------------
def stable_hash(value: Any, collisions: int | None = None) -> str:
    """Safe-encoded 32-bit FNV-1a over the canonical JSON (and the collision count), as in
    pod-template-hash."""
    text = canonical(value) + (f"\x00{collisions}".encode() if collisions is not None else b"")
    number = 2166136261
    for byte in hashlib.sha256(text).digest():
        number = ((number ^ byte) * 16777619) & 0xFFFFFFFF
    return safe_encode(str(number))


def safe_encode(text: str) -> str:
    return "".join(SAFE[ord(c) % len(SAFE)] for c in text)


def canonical(value: Any) -> bytes:
    return codec.dumps(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(v) for k, v in sorted(value.items()) if v is not None and v != {} and v != []}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    return value


SUFFIXES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "E": 10**18,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
    "Ei": 2**60,
}
SMALL = {"n": 9, "u": 6, "m": 3}


def quantity(text: str | int | float) -> Decimal:
    """The exact value of a resource.Quantity."""
    if not isinstance(text, str):
        return Decimal(str(text))
    body = text.rstrip("EPTGMkinmu")
    suffix = text[len(body) :]
    if suffix in SMALL:
        return Decimal(body).scaleb(-SMALL[suffix])
    if suffix in SUFFIXES:
        return Decimal(body) * SUFFIXES[suffix]
    return Decimal(text)
