import pytest

from kubewheel.lib import cron
from kubewheel.lib.clock import parse_time, rfc3339


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("*/15 * * * *", None, "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"),
        ("@daily", None, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 9 * * mon-fri", "Europe/Berlin", "2026-01-02T12:00:00Z", "2026-01-05T08:00:00Z"),
        ("0 0 13 * fri", None, "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"),
        ("0 0 29 2 *", None, "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("@every 90s", None, "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"),
    ],
)
def test_next(text, zone, after, expected):
    found = cron.parse(text, zone).next(parse_time(after))
    assert found is not None and rfc3339(found) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("@often", "unrecognized descriptor: @often"),
    ],
)
def test_refused(text, message):
    with pytest.raises(
        cron.CronError,
        match=message.replace("[", r"\[").replace("(", r"\(").replace(")", r"\)").replace("*", r"\*"),
    ):
        cron.parse(text)
