"""cronjobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import re

from kubewheel.api import columns, errors, fill, subresources, validation
from kubewheel.api.batch import job_spec
from kubewheel.api.columns import dig
from kubewheel.api.core import workload
from kubewheel.api.resource import Column, Object, Resource

_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3,
                     failedJobsHistoryLimit=1)
    template = spec.get("jobTemplate")
    if template is not None:
        if template.get("metadata") is None:
            template["metadata"] = {}
        inner = fill.spec_of(template)
        # The number of runs is the Job's default when it is made; upstream leaves the template as it is.
        workload.template_defaults(inner)


def schedule_problem(text: str) -> str:
    """What is wrong with a cron schedule, "" if nothing is (robfig/cron's standard form)."""
    if text.startswith("@every "):
        return "" if re.fullmatch(r"@every\s+(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+", text) else (
            f"failed to parse duration {text}: time: invalid duration \"{text[7:]}\"")
    if text.startswith("@"):
        return "" if text in _DESCRIPTORS else f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        found = " ".join(fields)
        return f"expected exactly 5 fields, found {len(fields)}: [{found}]"
    for field, bounds, words in zip(fields, _BOUNDS, ((), (), (), _MONTHS, _DAYS), strict=True):
        for part in field.split(","):
            if problem := _part_problem(part, bounds, words):
                return problem
    return ""


def _part_problem(part: str, bounds: tuple[int, int], words: tuple[str, ...]) -> str:
    low, high = bounds
    span, slash, step = part.partition("/")
    if slash and not step.isdigit():
        return f"failed to parse int from {step}: strconv.Atoi: parsing \"{step}\": invalid syntax"
    if slash and int(step) == 0:
        return f"step of range should be a positive number: {part}"
    if span in ("*", "?"):
        return ""
    ends = []
    for end in span.split("-"):
        if end.lower() in words:
            ends.append(words.index(end.lower()) + (1 if words is _MONTHS else 0))
        elif end.isdigit():
            ends.append(int(end))
        else:
            return f"failed to parse int from {end}: strconv.Atoi: parsing \"{end}\": invalid syntax"
    if len(ends) > 2:
        return f"too many hyphens: {part}"
    if ends[0] < low:
        return f"beginning of range ({ends[0]}) below minimum ({low}): {part}"
    if ends[-1] > high:
        return f"end of range ({ends[-1]}) above maximum ({high}): {part}"
    if ends[0] > ends[-1]:
        return f"beginning of range ({ends[0]}) beyond end of range ({ends[-1]}): {part}"
    return ""


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    name = obj["metadata"].get("name") or ""
    if len(name) > 52:
        out.append(errors.field_invalid("metadata.name", name, "must be no more than 52 characters"))
    schedule = spec.get("schedule") or ""
    if not schedule:
        out.append(errors.field_required("spec.schedule"))
    else:
        if "TZ=" in schedule:
            out.append(errors.field_invalid("spec.schedule", schedule,
                                            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
        elif problem := schedule_problem(schedule):
            out.append(errors.field_invalid("spec.schedule", schedule, problem))
    zone = spec.get("timeZone")
    if zone is not None:
        out += _zone(zone)
    out += workload.numbers(spec, "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    out += validation.one_of(spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy")
    template = spec.get("jobTemplate") or {}
    return out + job_spec.validate(template.get("spec") or {}, "spec.jobTemplate.spec", template_only=True)


def _zone(zone: str) -> list[errors.FieldError]:
    import zoneinfo

    if not zone:
        return [errors.field_invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        return [errors.field_invalid("spec.timeZone", zone, "timeZone must be an explicit time zone as defined in "
                                     "https://www.iana.org/time-zones")]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [errors.field_invalid("spec.timeZone", zone, f"unknown time zone {zone}")]
    return []


RESOURCE = Resource(
    group="batch",
    kind="CronJob",
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    definition="io.k8s.api.batch.v1.CronJob",
    registry="cronjobs",
    subresources=(subresources.status("CronJob"),),
    defaults=defaults,
    prepare_create=subresources.empty_status,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Schedule", columns.at("spec", "schedule"), description=".spec.schedule"),
        Column("Timezone", columns.at("spec", "timeZone", default=columns.NONE), description=".spec.timeZone"),
        Column("Suspend", lambda obj, now: "True" if dig(obj, "spec", "suspend") else "False", type="boolean",
               description=".spec.suspend"),
        Column("Active", lambda obj, now: len(dig(obj, "status", "active") or ()), type="integer",
               description=".status.active"),
        Column("Last Schedule", columns.ago("status", "lastScheduleTime", default=columns.NONE),
               description=".status.lastScheduleTime"),
        columns.AGE,
        *columns.template("spec", "jobTemplate", "spec", "template", "spec"),
        columns.selector("spec", "jobTemplate", "spec", "selector"),
    ),
)
