from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from claude_usage_monitor.formats import history as formats
from claude_usage_monitor.sources.readings_file import parse_lines
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.limits.history import History, LimitHits, PastWindow, SessionsLeft
from claude_usage_monitor.usage.limits.resets import Reading

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = START + 30 * HOUR
CLOCK = ClockStyle(UTC)
RESET = START + 5 * HOUR
WINDOW = PastWindow("five_hour", START, RESET, RESET, "reset", 100.0, START + 4 * HOUR, HOUR, 0.5)
RUNNING = PastWindow(
    "seven_day:fable", START, START + 167 * HOUR, None, "open", 0.3, None, 0 * HOUR, None
)
HISTORY = History(
    (RUNNING, WINDOW),
    (LimitHits("five_hour", 1, HOUR), LimitHits("seven_day:fable", 0, 0 * HOUR)),
    0.834,
    SessionsLeft(3.8, 5.2),
)
READINGS = [
    ("five_hour", Reading(START + timedelta(milliseconds=7), 12.5, START + 5 * HOUR, "api")),
    ("seven_day", Reading(START, None, None, "statusline")),
]


def test_the_json_document_has_the_promised_fields() -> None:
    assert {
        "version": 1,
        "account": "Work",
        "watched_share": 0.83,
        "windows": [
            {
                "key": "seven_day:fable",
                "started_at": "2026-11-02T09:00:00Z",
                "resets_at": "2026-11-09T08:00:00Z",
                "ended_at": None,
                "end": "open",
                "peak": 0.3,
                "full_at": None,
                "blocked_seconds": 0,
                "watched_share": None,
            },
            {
                "key": "five_hour",
                "started_at": "2026-11-02T09:00:00Z",
                "resets_at": "2026-11-02T14:00:00Z",
                "ended_at": "2026-11-02T14:00:00Z",
                "end": "reset",
                "peak": 100.0,
                "full_at": "2026-11-02T13:00:00Z",
                "blocked_seconds": 3600,
                "watched_share": 0.5,
            },
        ],
        "limits_hit": [
            {"key": "five_hour", "count": 1, "blocked_seconds": 3600},
            {"key": "seven_day:fable", "count": 0, "blocked_seconds": 0},
        ],
        "sessions_left": {"low": 3.8, "high": 5.2},
    } == json.loads(formats.windows_export("Work", HISTORY).document())
    empty = json.loads(formats.windows_export("Work", History((), ())).document())
    assert (None, None) == (empty["watched_share"], empty["sessions_left"])


def test_json_lines_of_readings_can_be_imported() -> None:
    text = formats.readings_export("Work", READINGS).json_lines()
    first = json.loads(text.splitlines()[0])
    assert ("reading", "Work", "2026-11-02T09:00:00.007Z") == (
        first["type"],
        first["account"],
        first["read_at"],
    )
    assert READINGS == parse_lines(text.encode().splitlines(), NOW).readings


def test_windows_as_json_lines_and_csv_have_the_same_fields() -> None:
    export = formats.windows_export("Work", HISTORY)
    lines = [json.loads(line) for line in export.json_lines().splitlines()]
    rows = list(csv.DictReader(io.StringIO(export.csv_table())))
    assert [line.pop("type") for line in lines] == ["window", "window"]
    assert [list(line) for line in lines] == [list(row) for row in rows]
    assert ("", "100.0", "Work") == (rows[0]["ended_at"], rows[1]["peak"], rows[1]["account"])


def test_readings_as_csv_and_as_a_document() -> None:
    export = formats.readings_export("Work", READINGS)
    rows = list(csv.DictReader(io.StringIO(export.csv_table())))
    assert ("12.5", "") == (rows[0]["utilization"], rows[1]["utilization"])
    document = json.loads(export.document())
    assert [None, 12.5] == [row["utilization"] for row in reversed(document["readings"])]


def test_a_name_with_a_comma_stays_one_column() -> None:
    (first, _) = csv.DictReader(io.StringIO(formats.windows_export('a, "b"', HISTORY).csv_table()))
    assert 'a, "b"' == first["account"]


def test_the_table_says_what_was_hit_and_what_was_seen() -> None:
    assert [
        "5-hour: limit hit once, 1h 0m at the limit, in 30 days",
        "Fable: limit not hit in 30 days",
        "watched 83 % of the time",
        "about 3–6 full sessions left this week",
        "",
        "Window  Start        End          Peak   Full at      At limit",
        "Fable   2 Nov 09:00  9 Nov 08:00  <1 %                          running",
        "5-hour  2 Nov 09:00  2 Nov 14:00  100 %  2 Nov 13:00  1h 0m",
    ] == formats.table(HISTORY, 30, NOW, CLOCK).splitlines()


def test_one_day_is_singular() -> None:
    assert formats.summary(HISTORY, 1)[1] == "Fable: limit not hit in 1 day"


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (80, "Window  Start        End          Peak   Full at      At limit"),
        (60, "Window  Start        End          Peak   At limit"),
        (40, "Window  End          Peak   At limit"),
        (28, "Window  End          Peak"),
    ],
)
def test_a_narrow_table_leaves_out_columns(width: int, headings: str) -> None:
    lines = formats.table(HISTORY, 30, NOW, CLOCK, width).splitlines()
    assert headings in lines
    assert max(map(len, lines)) <= width


def test_a_table_of_readings() -> None:
    assert [
        "Read         Window  Used  Resets       Source",
        "2 Nov 09:00  5-hour  13 %  2 Nov 14:00  api",
        "2 Nov 09:00  7-day   —     —            statusline",
    ] == formats.readings_table(READINGS, NOW, CLOCK).splitlines()
    narrow = formats.readings_table(READINGS, NOW, CLOCK, 28).splitlines()
    assert ["Read         Window  Used", "2 Nov 09:00  5-hour  13 %"] == narrow[:2]


@pytest.mark.parametrize(
    "text",
    [
        formats.table(History((), ()), 30, NOW, CLOCK),
        formats.readings_table([], NOW, CLOCK),
    ],
)
def test_an_empty_table_says_so(text: str) -> None:
    assert text.startswith("No ")
