"""cronjobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import re

from kubewheel.api import columns, errors, fill, names, subresources, validation
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
    out = _rules(obj, None)
    name = obj["metadata"].get("name") or ""
    if len(name) > 52:  # the names of its jobs get a suffix
        out.append(errors.field_invalid("metadata.name", name, names.max_len(52)))
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return _rules(new, old)


def _rules(obj: Object, old: Object | None) -> list[errors.FieldError]:
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    out: list[errors.FieldError] = []
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        out.append(errors.field_required("spec.schedule"))
    else:
        out += _schedule(schedule, zone, allow_zone="TZ" in (before.get("schedule") or ""))
    out += workload.numbers(spec, "startingDeadlineSeconds")
    if zone is not None and (old is None or zone != before.get("timeZone")):
        out += _zone(zone)
    out += validation.one_of(spec.get("concurrencyPolicy"), ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy")
    inner = dig(spec, "jobTemplate", "spec") or {}
    out += job_spec.validate(inner, "spec.jobTemplate.spec")
    if inner.get("selector") is not None:
        out.append(errors.field_invalid("spec.jobTemplate.spec.selector", inner["selector"],
                                        "`selector` will be auto-generated"))
    if job_spec.manual_selector(inner):
        out.append(errors.field_not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"),
                                              ordered=True))
    return out + workload.numbers(spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _schedule(schedule: str, zone: str | None, *, allow_zone: bool) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    named = re.fullmatch(r"(?:CRON_)?TZ=\S+\s+(.*)", schedule)
    if problem := schedule_problem(named[1] if named else schedule):
        out.append(errors.field_invalid("spec.schedule", schedule, problem))
    if "TZ" in schedule:
        if not allow_zone:
            out.append(errors.field_invalid("spec.schedule", schedule,
                                            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
        elif zone is not None:
            out.append(errors.field_invalid("spec.schedule", schedule,
                                            "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
    return out


_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}", re.ASCII)


def _zone(zone: str) -> list[errors.FieldError]:
    import zoneinfo

    path = "spec.timeZone"
    if not zone:
        return [errors.field_invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = errors.field_invalid(path, zone, f"unknown time zone {zone}")
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return [unknown]
    out: list[errors.FieldError] = []
    if zone.lower() == "local":
        out.append(errors.field_invalid(path, zone, "timeZone must be an explicit time zone as defined in "
                                        "https://www.iana.org/time-zones"))
    if zone not in ("UTC", "Local"):  # these two Go knows by itself
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            out.append(unknown)
    return out


def warnings(obj: Object) -> list[str]:
    return job_spec.warnings(dig(obj, "spec", "jobTemplate", "spec") or {}, "spec.jobTemplate.spec")


def _suspend(obj: Object, now: float) -> str:
    return {None: columns.UNSET, True: "True", False: "False"}[dig(obj, "spec", "suspend")]


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
    validate_update=validate_update,
    warnings=warnings,
    create_warnings=workload.name_warnings,
    columns=(
        columns.NAME,
        Column("Schedule", columns.at("spec", "schedule"), description=".spec.schedule"),
        Column("Timezone", columns.at("spec", "timeZone", default=columns.NONE), description=".spec.timeZone"),
        Column("Suspend", _suspend, type="boolean", description=".spec.suspend"),
        Column("Active", lambda obj, now: len(dig(obj, "status", "active") or ()), type="integer",
               description=".status.active"),
        columns.aging("Last Schedule", columns.ago("status", "lastScheduleTime", default=columns.NONE),
                      description=".status.lastScheduleTime"),
        columns.AGE,
        *columns.template("spec", "jobTemplate", "spec", "template", "spec"),
        columns.selector("spec", "jobTemplate", "spec", "selector"),
    ),
)
