"""Rules of where a pod may run: affinity, tolerations, topology spread, scheduling gates.

In: parts of PodSpec dicts. Out: FieldError lists.
Called by: pod_spec_validation.py, pod_validation.py, persistentvolume.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_HARD, _SOFT = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"


def tolerations(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for i, t in enumerate(items):
        where, key, operator = f"{path}[{i}]", t.get("key") or "", t.get("operator") or ""
        effect, value = t.get("effect") or "", t.get("value") or ""
        if key:
            out += check(f"{where}.key", key, names.qualified(key))
        elif operator != "Exists":
            out.append(errors.field_invalid(f"{where}.operator", operator,
                                            "operator must be Exists when `key` is empty, which means \"match all "
                                            "values and all keys\""))
        if t.get("tolerationSeconds") is not None and effect != "NoExecute":
            out.append(errors.field_invalid(f"{where}.effect", effect,
                                            "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if operator in ("", "Equal"):
            if found := names.label_value(value):
                out.append(errors.field_invalid(f"{where}.operator", value, ";".join(found)))
        elif operator == "Exists":
            if value:
                out.append(errors.field_invalid(f"{where}.operator", value,
                                                "value must be empty when `operator` is 'Exists'"))
        elif operator in ("Lt", "Gt"):
            out += _number(value, f"{where}.value")
        else:
            out.append(errors.field_not_supported(f"{where}.operator", operator, ("Equal", "Exists"), ordered=True))
        if effect:
            out += taint_effect(effect, f"{where}.effect")
    return out


_DECIMAL = re.compile("0|-?[1-9][0-9]*")


def _number(text: str, path: str) -> list[FieldError]:
    """What is compared is a number of 64 bits, written in one way only."""
    out: list[FieldError] = []
    if not _DECIMAL.fullmatch(text):
        out.append(errors.field_invalid(path, text, "must be a valid decimal integer in canonical form" if text else
                                        "must be non-empty"))
    if not re.fullmatch("[-+]?[0-9]+", text):
        out.append(errors.field_invalid(path, text, f'strconv.ParseInt: parsing {errors.render_value(text)}: invalid syntax'))
    elif not -2**63 <= int(text) < 2**63:
        out.append(errors.field_invalid(path, text, f'strconv.ParseInt: parsing "{text}": value out of range'))
    return out


def taint_effect(effect: str, path: str) -> list[FieldError]:
    if not effect:
        return [errors.field_required(path)]
    return [] if effect in EFFECTS else [errors.field_not_supported(path, effect, EFFECTS, ordered=True)]


# -- topology spread ------------------------------------------------------------------------------------------------
def spread(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    pairs = [(c.get("topologyKey") or "", c.get("whenUnsatisfiable") or "") for c in items]
    for i, c in enumerate(items):
        where, skew, when = f"{path}[{i}]", c.get("maxSkew") or 0, c.get("whenUnsatisfiable") or ""
        if skew <= 0:
            out.append(errors.field_invalid(f"{where}.maxSkew", skew, "must be greater than zero"))
        if not c.get("topologyKey"):
            out.append(errors.field_required(f"{where}.topologyKey", "can not be empty"))
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            out.append(errors.field_not_supported(f"{where}.whenUnsatisfiable", when,
                                                  ("DoNotSchedule", "ScheduleAnyway")))
        if pairs[i] in pairs[i + 1:]:
            out.append(errors.field_duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}",
                                              "{" + ", ".join(pairs[i]) + "}"))
        out += _min_domains(c, when, where)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if (policy := c.get(field)) is not None and policy not in ("Honor", "Ignore"):
                out.append(errors.field_not_supported(f"{where}.{field}", policy, ("Honor", "Ignore")))
        if c.get("matchLabelKeys"):
            out += label_keys(c, where)
        out += validation.validate_selector(c.get("labelSelector"), f"{where}.labelSelector")
    return out


def _min_domains(c: Spec, when: str, path: str) -> list[FieldError]:
    least = c.get("minDomains")
    if least is None:
        return []
    out: list[FieldError] = []
    if least <= 0:
        out.append(errors.field_invalid(f"{path}.minDomains", least, "must be greater than zero"))
    if when != "DoNotSchedule":
        out.append(errors.field_invalid(f"{path}.minDomains", least,
                                        f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"))
    return out


def label_keys(term: Spec, path: str) -> list[FieldError]:
    """matchLabelKeys and mismatchLabelKeys. What the server made of the first is in the selector by now; whoever names
    such a key in a selector too has it there twice."""
    out: list[FieldError] = []
    selector = term.get("labelSelector")
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        keys = term.get(field) or ()
        if keys and selector is None:
            out.append(errors.field_forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for i, key in enumerate(keys):
            out += check(f"{path}.{field}[{i}]", key, names.qualified(key))
    matched, other = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or ()
    seen = set((selector or {}).get("matchLabels") or ())
    at = {key: i for i, key in enumerate(matched)}
    for e in (selector or {}).get("matchExpressions") or ():
        if e.get("key") in at and e["key"] in seen:
            out.append(errors.field_invalid(f"{path}[{at[e['key']]}]", e["key"],
                                            "exists in both matchLabelKeys and labelSelector"))
        seen.add(e.get("key"))
    return out + [errors.field_invalid(f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")
                  for i, key in enumerate(matched) if key in other]


# -- affinity ---------------------------------------------------------------------------------------------------------
def _requirement(e: Spec, path: str, *, values: bool) -> list[FieldError]:
    out: list[FieldError] = []
    operator, given = e.get("operator") or "", e.get("values") or ()
    if operator in ("In", "NotIn"):
        if not given:
            out.append(errors.field_required(f"{path}.values",
                                             "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if given:
            out.append(errors.field_forbidden(f"{path}.values",
                                              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt"):
        if len(given) != 1:
            out.append(errors.field_required(f"{path}.values",
                                             "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        out.append(errors.field_invalid(f"{path}.operator", operator, "not a valid selector operator"))
    out += check(f"{path}.key", e.get("key") or "", names.qualified(e.get("key") or ""))
    if values:
        for j, value in enumerate(given):
            out += check(f"{path}.values[{j}]", value, names.label_value(value))
    return out


def _field_requirement(e: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    operator, given, key = e.get("operator") or "", e.get("values") or (), e.get("key") or ""
    if operator not in ("In", "NotIn"):
        out.append(errors.field_invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(given) != 1:
        out.append(errors.field_required(f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' "
                                                           "for node field selector"))
    if key != "metadata.name":
        return [*out, errors.field_invalid(f"{path}.key", key, "not a valid field selector key")]
    for j, value in enumerate(given):
        out += check(f"{path}.values[{j}]", value, names.subdomain(value))
    return out


def _node_term(term: Spec, path: str, *, values: bool) -> list[FieldError]:
    out: list[FieldError] = []
    for i, e in enumerate(term.get("matchExpressions") or ()):
        out += _requirement(e, f"{path}.matchExpressions[{i}]", values=values)
    for i, e in enumerate(term.get("matchFields") or ()):
        out += _field_requirement(e, f"{path}.matchFields[{i}]")
    return out


def node_selector(selector: Spec, path: str) -> list[FieldError]:
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        return [errors.field_required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    return [f for i, t in enumerate(terms) for f in _node_term(t, f"{path}.nodeSelectorTerms[{i}]", values=True)]


def _weight(value: Any, path: str) -> list[FieldError]:
    return [] if 1 <= (value or 0) <= 100 else [errors.field_invalid(path, value or 0, "must be in the range 1-100")]


def affinity(a: Spec, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if node := a.get("nodeAffinity"):
        where = f"{path}.nodeAffinity"
        if node.get(_HARD) is not None:
            out += node_selector(node[_HARD], f"{where}.{_HARD}")
        for i, t in enumerate(node.get(_SOFT) or ()):
            out += _weight(t.get("weight"), f"{where}.{_SOFT}[{i}].weight")
            out += _node_term(t.get("preference") or {}, f"{where}.{_SOFT}[{i}].preference", values=False)
    for side in ("podAffinity", "podAntiAffinity"):
        if pods := a.get(side):
            for i, t in enumerate(pods.get(_HARD) or ()):
                out += _pod_term(t, f"{path}.{side}.{_HARD}[{i}]")
            for i, t in enumerate(pods.get(_SOFT) or ()):
                out += _weight(t.get("weight"), f"{path}.{side}.{_SOFT}[{i}].weight")
                out += _pod_term(t.get("podAffinityTerm") or {}, f"{path}.{side}.{_SOFT}[{i}].podAffinityTerm")
    return out


def _pod_term(term: Spec, path: str) -> list[FieldError]:
    out = validation.validate_selector(term.get("labelSelector"), f"{path}.labelSelector")
    out += validation.validate_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        out += check(f"{path}.namespace", name, names.label(name))
    if term.get("matchLabelKeys") or term.get("mismatchLabelKeys"):
        out += label_keys(term, path)
    key = term.get("topologyKey") or ""
    if not key:
        out.append(errors.field_required(f"{path}.topologyKey", "can not be empty"))
    return out + check(f"{path}.topologyKey", key, names.qualified(key))


def go_affinity(affinity: Spec | None) -> Any:
    """A volume's nodeAffinity as upstream's internal type prints it."""
    if affinity is None:
        return None
    terms = (affinity.get("required") or {}).get("nodeSelectorTerms")
    return {"Required": None if affinity.get("required") is None else {
        "NodeSelectorTerms": None if terms is None else [go_term(t) for t in terms]}}


def go_term(term: Spec) -> dict[str, Any]:
    def requirements(items: Any) -> Any:
        return None if not items else [{"Key": e.get("key") or "", "Operator": e.get("operator") or "",
                                        "Values": e.get("values")} for e in items]

    return {"MatchExpressions": requirements(term.get("matchExpressions")), "MatchFields": requirements(term.get("matchFields"))}


# -- gates ------------------------------------------------------------------------------------------------------------
def gates(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, gate in enumerate(items):
        name = gate.get("name") or ""
        out += check(f"{path}[{i}]", name, names.qualified(name))
        if name in seen:
            out.append(errors.field_duplicate(f"{path}[{i}]", name))
        seen.add(name)
    return out
