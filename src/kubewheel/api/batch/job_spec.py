"""A Job's spec: defaults and rules, shared by Jobs and CronJobs' job templates.

In: JobSpec dicts. Out: defaulted specs, FieldError lists, warnings. Called by: job.py, cronjob.py.
The rules of policies: job_policies.py.
"""

from __future__ import annotations

from kubewheel.api import errors, fill, names, validation
from kubewheel.api.batch import job_policies
from kubewheel.api.core import pod_spec_validation, pod_warnings
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_PARALLEL_INDEXED = 100_000
MAX_FAILED_INDEXES = 100_000
MANY_COMPLETIONS = 100_000
MANY_PARALLEL = 10_000
_TOO_MANY = ("In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
             "might not be able to track completedIndexes when a big number of indexes fail")


def defaults(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    fill.absent(spec, parallelism=1, completionMode="NonIndexed", suspend=False, manualSelector=False,
                podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            fill.absent(pattern, status="True")


def warnings(spec: Object, path: str) -> list[str]:
    out: list[str] = []
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > MANY_COMPLETIONS and (
            (spec.get("parallelism") or 0) > MANY_PARALLEL):
        out.append(f"{path}: {_TOO_MANY}")
    return out + pod_warnings.of_template(spec.get("template") or {}, f"{path}.template")


def manual_selector(spec: Object) -> bool:
    return bool(spec.get("manualSelector"))


def validate(spec: Object, path: str) -> list[FieldError]:
    """All but the selector."""
    out: list[FieldError] = []
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                  "backoffLimitPerIndex", "maxFailedIndexes"):
        out += validation.non_negative(spec.get(field), f"{path}.{field}")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        out.append(errors.field_required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if (manager := spec.get("managedBy")) is not None:
        out += _managed_by(manager, f"{path}.managedBy")
    mode = spec.get("completionMode")
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        out.append(errors.field_not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"), ordered=True))
    if mode == "Indexed":
        out += _indexed(spec, path)
    elif mode in (None, "NonIndexed"):
        out += [errors.field_invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
                for field in ("backoffLimitPerIndex", "maxFailedIndexes") if spec.get(field) is not None]
    if spec.get("podFailurePolicy") is not None:
        out += job_policies.pod_failure(spec, f"{path}.podFailurePolicy")
    if (success := spec.get("successPolicy")) is not None:
        if mode != "Indexed":
            out.append(errors.field_invalid(f"{path}.successPolicy", success, "requires indexed completion mode"))
        else:
            out += job_policies.success(spec, f"{path}.successPolicy")
    out += _replacement(spec, f"{path}.podReplacementPolicy")
    out += pod_spec_validation.pod_template(spec.get("template") or {}, f"{path}.template")
    return out + _restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _managed_by(manager: str, path: str) -> list[FieldError]:
    domain, slash, rest = manager.partition("/")
    out: list[FieldError] = []
    if not manager:
        out.append(errors.field_required(path))
    elif not slash or not domain or not rest:
        out.append(errors.field_invalid(path, manager, "must be a domain-prefixed path (such as \"acme.io/foo\")"))
    else:
        out += validation.check(path, domain, names.subdomain(domain))
    if len(manager) > 63:
        out.append(errors.field_too_long(path, 63))
    return out


def _indexed(spec: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    completions, parallel, failed = spec.get("completions"), spec.get("parallelism") or 0, spec.get("maxFailedIndexes")
    if completions is None:
        out.append(errors.field_required(f"{path}.completions", "when completion mode is Indexed"))
    if parallel > MAX_PARALLEL_INDEXED:
        out.append(errors.field_invalid(f"{path}.parallelism", parallel, (
            f"must be less than or equal to {MAX_PARALLEL_INDEXED} when completion mode is Indexed")))
    if completions is not None and failed is not None and failed > completions:
        out.append(errors.field_invalid(f"{path}.maxFailedIndexes", failed,
                                        "must be less than or equal to completions"))
    if failed is not None and failed > MAX_FAILED_INDEXES:
        out.append(errors.field_invalid(f"{path}.maxFailedIndexes", failed,
                                        f"must be less than or equal to {MAX_FAILED_INDEXES}"))
    if (completions or 0) > MANY_COMPLETIONS and spec.get("backoffLimitPerIndex") is not None:
        text = (f"must be less than or equal to {MANY_PARALLEL} when completions are above {MANY_COMPLETIONS} and used "
                "with backoff limit per index")
        if failed is None:
            out.append(errors.field_required(f"{path}.maxFailedIndexes",
                                             f"must be specified when completions is above {MANY_COMPLETIONS}"))
        if parallel > MANY_PARALLEL:
            out.append(errors.field_invalid(f"{path}.parallelism", parallel, text))
        if failed is not None and failed > MANY_PARALLEL:
            out.append(errors.field_invalid(f"{path}.maxFailedIndexes", failed, text))
    return out


def _replacement(spec: Object, path: str) -> list[FieldError]:
    policy = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    return [] if policy is None or policy in allowed else [errors.field_not_supported(path, policy, allowed)]


def _restart_policy(spec: Object, path: str) -> list[FieldError]:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy") or ""
    if policy in ("", "Always"):
        return [errors.field_required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in ("OnFailure", "Never"):
        return [errors.field_not_supported(path, policy, ("OnFailure", "Never"), ordered=True)]
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return [errors.field_invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []
