from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.durations import (
    ClockStyle,
    age,
    calendar_day,
    clock_time,
    countdown,
    due_in,
    iso_instant,
    month_names,
    parse_duration,
    span_in_words,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
IN_UTC = ClockStyle(UTC)


@pytest.mark.parametrize(
    ("seconds", "expected", "compact"),
    [
        (-5, "0s", "0s"),
        (0, "0s", "0s"),
        (45, "45s", "45s"),
        (59.6, "1m", "1m"),
        (60, "1m", "1m"),
        (12 * 60 + 59, "12m", "12m"),
        (2 * 3600 + 11 * 60, "2h 11m", "2h11m"),
        (2 * 3600, "2h 0m", "2h0m"),
        (3 * 86400 + 2 * 3600 + 3599, "3d 2h", "3d2h"),
    ],
)
def test_a_countdown_has_its_two_largest_units(seconds: float, expected: str, compact: str) -> None:
    span = timedelta(seconds=seconds)
    assert (expected, compact) == (countdown(span), countdown(span, compact=True))


@given(st.floats(0, 86400 * 400))
def test_a_countdown_fits_its_column(seconds: float) -> None:
    assert len(countdown(timedelta(seconds=seconds))) <= 8


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "now"), (29.9, "now"), (30, "30s"), (59.9, "30s"), (60, "1m"), (7500, "2h 5m")],
)
def test_an_age_does_not_count_seconds(seconds: float, expected: str) -> None:
    assert expected == age(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-9, "now"),
        (29, "now"),
        (30, "in 30s"),
        (59, "in 30s"),
        (60, "in 1m"),
        (89, "in 1m"),
        (90, "in 2m"),
        (299, "in 5m"),
        (301, "in 5m"),
    ],
)
def test_due_in_rounds_to_the_nearest_minute(seconds: float, expected: str) -> None:
    assert expected == due_in(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 seconds"), (1, "1 second"), (60, "1 minute"), (720, "12 minutes")]
    + [(7200, "2 hours"), (86400 * 3, "3 days")],
)
def test_a_span_in_words_has_its_largest_unit(seconds: float, expected: str) -> None:
    assert expected == span_in_words(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("away", "expected"),
    [
        (timedelta(hours=2, minutes=30), "14:30"),
        (timedelta(hours=-3), "09:00"),
        (timedelta(days=1), "Sun 12:00"),
        (timedelta(days=3, hours=2), "Tue 14:00"),
        (timedelta(days=6), "27 Nov 12:00"),
        (timedelta(days=-20), "1 Nov 12:00"),
    ],
)
def test_a_clock_time_has_a_weekday_or_date_if_it_is_not_today(
    away: timedelta, expected: str
) -> None:
    assert expected == clock_time(NOW + away, NOW, IN_UTC)


def test_a_wobbling_reset_time_reads_the_same() -> None:
    """The API reports one reset as 16:59:59.56 and as 17:00:00.28."""
    before = datetime(2026, 11, 21, 16, 59, 59, 563479, tzinfo=UTC)
    after = datetime(2026, 11, 21, 17, 0, 0, 282668, tzinfo=UTC)
    assert [clock_time(at, NOW, IN_UTC) for at in (before, after)] == ["17:00", "17:00"]


@pytest.mark.parametrize(
    ("hour", "expected"), [(0, "12:30am"), (9, "9:30am"), (12, "12:30pm"), (14, "2:30pm")]
)
def test_twelve_hour_clock_times(hour: int, expected: str) -> None:
    moment = NOW.replace(hour=hour, minute=30)
    assert expected == clock_time(moment, NOW, ClockStyle(UTC, twelve_hour=True))


def test_a_zone_label_is_appended() -> None:
    assert clock_time(NOW + timedelta(hours=2.5), NOW, ClockStyle(UTC, label="UTC")) == "14:30 UTC"


@pytest.mark.parametrize(
    ("now", "later", "expected"),
    [
        ("2026-10-25T00:30+00:00", "2026-10-25T04:30+00:00", "05:30 CET"),
        ("2026-03-29T00:30+00:00", "2026-03-29T04:30+00:00", "06:30 CEST"),
        ("2026-03-30T00:30+00:00", "2026-03-30T04:30+00:00", "06:30"),
    ],
)
def test_a_clock_time_beyond_a_clock_change_names_its_zone(
    now: str, later: str, expected: str
) -> None:
    style = ClockStyle(ZoneInfo("Europe/Berlin"))
    moment, present = datetime.fromisoformat(later), datetime.fromisoformat(now)
    assert expected == clock_time(moment, present, style)
    assert countdown(moment - present) == "4h 0m"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2026, 11, 21, 9, tzinfo=UTC), "2026-11-21T09:00:00Z"),
        (datetime(2026, 9, 5, 1, 39, 59, 764689, tzinfo=UTC), "2026-09-05T01:40:00Z"),
        (datetime(2026, 11, 21, 9, tzinfo=ZoneInfo("Europe/Berlin")), "2026-11-21T08:00:00Z"),
    ],
)
def test_an_iso_instant_is_utc_to_the_nearest_second(moment: datetime, expected: str) -> None:
    assert expected == iso_instant(moment)


def test_days_and_months_have_the_same_names_everywhere() -> None:
    assert "30 Nov" == calendar_day(date(2026, 11, 30))
    assert ("May", "May") == month_names(date(2026, 5, 1))
    names = [month_names(date(2026, month, 1)) for month in range(1, 13)]
    assert all(long.startswith(short) for long, short in names)


def test_a_zone_without_a_name_is_given_as_its_offset() -> None:
    """A clock time beyond a change of the UTC offset names the zone it is in."""

    class Nameless(tzinfo):
        def utcoffset(self, dt: datetime | None) -> timedelta:
            return timedelta(hours=1 if dt is not None and dt.month == 11 else 2)

        def dst(self, dt: datetime | None) -> None:
            del dt

        def tzname(self, dt: datetime | None) -> None:
            del dt

        def fromutc(self, dt: datetime) -> datetime:
            return dt + self.utcoffset(dt)

    then = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
    assert clock_time(then, NOW, ClockStyle(Nameless())) == "1 Dec 12:00 +0200"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21_600), ("2d", 172_800), ("1h30m", 5400)],
)
def test_a_duration_is_parsed(text: str, seconds: int) -> None:
    assert timedelta(seconds=seconds) == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "30", "m", "-5m", "1.5h", "5 m", "5M", "0m", "٣m", "9999999999d", "367d", "1h30"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
