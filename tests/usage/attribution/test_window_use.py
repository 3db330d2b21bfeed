from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from claude_usage_monitor.usage.attribution.attribution import Sample, Window
from claude_usage_monitor.usage.attribution.messages import FileKind, Meter, Tokens, Use
from claude_usage_monitor.usage.attribution.weights import credit_units
from claude_usage_monitor.usage.attribution.window_use import (
    Samples,
    attribute,
    rows_by,
    total_tokens,
    units_in,
)

START = int(datetime(2026, 11, 20, 22, 10, tzinfo=UTC).timestamp())
WINDOW = Window("five_hour", START, START + 18_000, 60.0)


def use(project: str, at: int = 0, output: int = 100, **changes: object) -> Use:
    made = Use(
        START + at,
        "session",
        project,
        FileKind.MAIN,
        "",
        None,
        "/r",
        "claude-opus-5-5",
        Meter.LIMITS,
        Tokens(messages=1, output=output),
    )
    return made._replace(**changes)  # type: ignore[arg-type]  # fields by name


USES = [
    use("/a", 60, 300),
    use("/b", 3600, 100, kind=FileKind.SUBAGENT, agent="Explore"),
    use("/b", 7200, 100, kind=FileKind.SUBAGENT),
    use("/c", 7200, 100, meter=Meter.FAST),
    use("/d", 19_000, 1000),
]


def samples_of(past: list[Sample]) -> Samples:
    """Return past windows in which both weightings agree."""
    prices = [sample._replace(units=4e-7 * sample.units) for sample in past]
    return Samples(past, prices)


def test_only_the_windows_own_messages_count() -> None:
    found = attribute(WINDOW, USES, [], Samples())
    assert found is not None
    points = {row.name: row.points for row in rows_by("project", found.uses, found.points)}
    assert {"/a": 36.0, "/b": 24.0, "/c": 0.0} == points
    assert (None, 24.0) == (found.elsewhere, found.subagents)
    assert "assuming all use was on this machine" == found.basis


def test_past_windows_tell_what_was_elsewhere() -> None:
    past = [Sample(START - 20_000 * number, 20.0, 10_000.0) for number in range(1, 7)]
    found = attribute(WINDOW, USES, [], samples_of(past))
    assert found is not None
    assert (10.0, "from 6 past windows") == (found.elsewhere, found.basis)
    assert 1.0 == found.plus_minus


def test_past_windows_that_differ_make_the_error_larger() -> None:
    units = (8_000.0, 9_000.0, 10_000.0, 10_000.0, 11_500.0, 12_000.0)
    past = [Sample(START - 20_000 * n, 20.0, each) for n, each in enumerate(units, 1)]
    found = attribute(WINDOW, USES, [], samples_of(past))
    assert found is not None
    largest = max(row.points or 0.0 for row in rows_by("project", found.uses, found.points))
    assert found.scatter > 0.05
    assert abs(found.plus_minus - found.scatter * largest) < 1e-6
    week = WINDOW._replace(key="seven_day:fable")
    scoped = attribute(week, [use("/f", model="claude-fable-5-1")], [], samples_of(past))
    assert scoped is not None
    assert 0.0 == scoped.scatter


def test_a_scoped_window_counts_its_model() -> None:
    fable = use("/f", 100, model="claude-fable-5-1")
    week = WINDOW._replace(key="seven_day:fable")
    found = attribute(week, [*USES, fable], [], Samples())
    assert found is not None
    assert [fable] == found.uses
    assert attribute(WINDOW._replace(key="seven_day_cowork"), USES, [], Samples()) is None


def test_rows_of_every_kind() -> None:
    uses = USES[:3]
    assert ["session"] == [row.name for row in rows_by("session", uses)]
    assert ["claude-opus-5-5"] == [row.name for row in rows_by("model", uses)]
    assert ["main", "Explore", "subagent"] == [row.name for row in rows_by("agent", uses)]
    assert [60.0, 20.0, 20.0] == [row.share for row in rows_by("agent", uses)]
    assert Tokens(messages=3, output=500) == total_tokens(uses)
    assert Tokens() == total_tokens([])


def test_times_are_in_the_users_zone() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    late = [use("/a", 0), use("/a", 7200)]
    assert ["2026-11-20 22:00", "2026-11-21 00:00"] == [
        r.name for r in rows_by("hour", late, None, UTC)
    ]
    assert ["2026-11-21 03:00", "2026-11-21 05:00"] == [
        row.name for row in rows_by("hour", late, None, india)
    ]
    assert ["2026-11-20", "2026-11-21"] == [row.name for row in rows_by("day", late, None, UTC)]
    assert ["2026-W47"] == [row.name for row in rows_by("week", late, None, UTC)]


def test_a_model_without_a_price_has_an_unpriced_row() -> None:
    rows = rows_by("project", [use("/a"), use("/a", model="new-model"), use("/b")])
    assert {"/a": True, "/b": False} == {row.name: row.usd is None for row in rows}


def test_units_of_a_window() -> None:
    assert units_in(WINDOW, USES, credit_units) == 10 * 5 * 500
