"""Sets of completion indexes as text ("1,3-5,7"), pod failure policies and success policies. Pure.

In: Job, Pod dicts. Out: sets, verdicts. Called by: job_plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from kubewheel.api.resource import Object
from kubewheel.reconcile import objects


def parse(text: str) -> set[int]:
    out: set[int] = set()
    for part in filter(None, (text or "").split(",")):
        first, _, last = part.partition("-")
        out.update(range(int(first), int(last or first) + 1))
    return out


def render(indexes: Iterable[int]) -> str:
    """Runs of three and more as a range, two as "1,2" the way upstream writes them."""
    out: list[str] = []
    ordered = sorted(set(indexes))
    i = 0
    while i < len(ordered):
        j = i
        while j + 1 < len(ordered) and ordered[j + 1] == ordered[j] + 1:
            j += 1
        first, last = ordered[i], ordered[j]
        out.append(
            str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}"
        )
        i = j + 1
    return ",".join(out)


def failure_action(job: Object, pod: Object) -> tuple[str, str]:
    """(action, message) of the first podFailurePolicy rule that matches: FailJob, FailIndex, Ignore,
    Count; "" for none."""
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        why = _matches(rule, pod)
        if why:
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            text = why.replace("{pod}", name) + f" matching {rule['action']} rule at index {number}"
            return rule["action"], text
    return "", ""


def _matches(rule: Object, pod: Object) -> str:
    codes = rule.get("onExitCodes")
    if codes:
        status = pod.get("status") or {}
        for c in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
            ended = (c.get("state") or {}).get("terminated")
            if not ended or (codes.get("containerName") and codes["containerName"] != c["name"]):
                continue
            code = ended.get("exitCode", 0)
            if code == 0:
                continue
            if (code in codes["values"]) == (codes["operator"] == "In"):
                return f"Container {c['name']} for pod {{pod}} failed with exit code {code}"
        return ""
    for pattern in rule.get("onPodConditions") or ():
        if objects.condition_status(pod, pattern["type"]) == pattern.get("status", "True"):
            return f"Pod {{pod}} has condition {pattern['type']}"
    return ""


def success_message(job: Object, succeeded: Set[int]) -> str:
    """Why spec.successPolicy says that the Job has succeeded; "" where it does not."""
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        count = rule.get("succeededCount")
        if rule.get("succeededIndexes"):
            wanted = parse(rule["succeededIndexes"])
            enough = len(wanted & succeeded) >= (count if count is not None else len(wanted))
        else:
            enough = count is not None and len(succeeded) >= count
        if enough:
            return f"Matched rules at index {number}"
    return ""
