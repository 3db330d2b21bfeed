from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.usage.limits.resets import (
    Change,
    Reading,
    Step,
    WindowInstance,
    WindowTracker,
)
from tests.support.lives import life

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from claude_usage_monitor.usage.limits.reading_sources import Source

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESET = START + timedelta(hours=5)
WEEK = START + timedelta(days=7)
FIVE, SEVEN = "five_hour", "seven_day"


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def read(
    at: float, utilization: float | None, resets_at: datetime | None = RESET, source: Source = "api"
) -> Reading:
    return Reading(START + minutes(at), utilization, resets_at, source)


def follow(*readings: Reading, key: str = FIVE) -> list[Step]:
    tracker = WindowTracker()
    return [tracker.add({key: reading})[0] for reading in readings]


def window(step: Step) -> WindowInstance:
    assert step.window is not None
    return step.window


def changes(steps: Iterable[Step]) -> list[str]:
    return [step.change.value for step in steps]


def test_a_window_is_followed_from_its_first_reading_to_its_reset() -> None:
    steps = follow(
        read(30, 10),
        read(35, 12),
        read(60, 12),
        read(301, 0, None),
        read(400, 3, RESET + timedelta(hours=6)),
    )
    assert ["new", "same", "same", "reset", "new"] == changes(steps)
    assert (START, RESET, 10.0) == window(steps[0])[1:3] + (steps[0].window or steps[0])[5:6]
    closed = steps[3].closed
    assert closed is not None
    assert ("reset", RESET, 12.0, None) == (
        closed.end,
        closed.ended_at,
        closed.peak,
        steps[3].window,
    )
    assert minutes(30) == closed.watched  # 60 to 301 minutes is not watched
    increments = [step.increment for step in steps]
    assert (START, START + minutes(30), 10.0) == increments[0]
    assert (START + minutes(30), START + minutes(35), 2.0) == increments[1]
    assert (START + minutes(360), START + minutes(400), 3.0) == increments[4]
    assert [None, None] == increments[2:4]


@pytest.mark.parametrize(
    "reading",
    [
        read(30, None),
        read(30, float("nan")),
        read(30, float("inf")),
        read(30, 1000.1),
        read(30, -1),
        read(10, 50),  # as old as the last one
        read(5, 50),  # older
        read(30, 50, START + minutes(30)),  # its reset has passed
    ],
)
def test_a_reading_that_says_nothing_is_discarded(reading: Reading) -> None:
    steps = follow(read(10, 20), reading, read(40, 21))
    assert ["new", "discarded", "same"] == changes(steps)
    assert steps[1].increment is None
    assert 21.0 == window(steps[2]).utilization


def test_after_a_clock_that_was_far_ahead_readings_count_again() -> None:
    steps = follow(read(10, 20, WEEK), read(300, 30, WEEK), read(20, 31, WEEK), key=SEVEN)
    assert ["new", "same", "same"] == changes(steps)


def test_a_reset_time_is_on_the_minute_that_it_wobbles_around() -> None:
    for wobble in (-0.6, -0.4, 0.0, 0.4):
        reset = RESET + timedelta(seconds=wobble)
        steps = follow(read(10, 20, reset), read(20, 21, RESET + timedelta(seconds=0.3)))
        assert [RESET, RESET] == [window(step).resets_at for step in steps]
        assert START == window(steps[0]).started_at
    odd = RESET + timedelta(seconds=20)
    assert odd == window(follow(read(10, 20, odd))[0]).resets_at


@pytest.mark.parametrize("wobble", [-9.9, -0.01, 0.01, 9.9])
def test_a_reset_time_that_wobbles_is_the_same_window(wobble: float) -> None:
    steps = follow(read(10, 20), read(20, 18, RESET + minutes(wobble)))
    assert ["new", "same"] == changes(steps)
    assert 20.0 == window(steps[1]).utilization  # sources round differently
    assert steps[1].increment is None


def test_a_reset_that_comes_half_an_hour_early_is_a_normal_one() -> None:
    steps = follow(read(10, 20), read(271, 1, RESET + timedelta(hours=5)))
    assert "reset" == steps[1].change
    assert RESET == (steps[1].closed or window(steps[1])).ended_at


def test_a_week_whose_next_one_began_before_its_reset_ended_early() -> None:
    """The reset came between two readings, the second one after the reset time of this week."""
    began = WEEK - timedelta(hours=12)
    steps = follow(
        read(0, 40, WEEK),
        read(60, 41, WEEK),
        read(9 * 24 * 60, 5, began + timedelta(days=7)),
        key=SEVEN,
    )
    closed = steps[-1].closed
    assert closed is not None
    assert ("early", began) == (closed.end, closed.ended_at)
    assert began == window(steps[-1]).started_at


def test_a_schedule_that_moves_is_no_reset() -> None:
    moved = WEEK + timedelta(days=1)
    steps = follow(read(10, 20, WEEK), read(20, 21, moved), read(30, 21, moved), key=SEVEN)
    assert ["new", "moved", "same"] == changes(steps)
    assert (moved, START, 21.0) == (
        window(steps[2]).resets_at,
        window(steps[2]).started_at,
        window(steps[2]).peak,
    )


class TestFalls:
    def test_zero_once_is_a_wrong_reading(self) -> None:
        steps = follow(read(10, 60), read(15, 0), read(20, 61), read(25, 0), read(30, 61))
        assert ["new", "pending", "same", "pending", "same"] == changes(steps)
        assert 61.0 == window(steps[-1]).utilization

    @pytest.mark.parametrize("later", [RESET, RESET + timedelta(hours=3), None])
    def test_a_granted_reset_counts_when_a_second_reading_confirms_it(
        self, later: datetime | None
    ) -> None:
        steps = follow(
            read(10, 60), read(15, 0, later), read(16, 0, later), read(20, 2, later), read(25, 3)
        )
        assert ["new", "pending", "pending", "early"] == changes(steps)[:4]
        closed = steps[3].closed
        assert closed is not None
        assert ("early", START + minutes(15), 60.0) == (closed.end, closed.ended_at, closed.peak)
        if later is not None:
            assert (START + minutes(15), later) == window(steps[3])[1:3]

    def test_a_fall_that_is_no_reset_is_a_correction(self) -> None:
        steps = follow(read(10, 60), read(15, 30), read(20, 31), read(25, 33), read(301, 0, None))
        assert ["new", "pending", "lowered", "same", "reset"] == changes(steps)
        assert (33.0, 60.0) == (window(steps[3]).utilization, window(steps[3]).peak)
        closed = steps[4].closed
        assert closed is not None
        assert "lowered" == closed.end
        assert (START + minutes(20), START + minutes(25), 2.0) == steps[3].increment

    def test_the_status_line_neither_begins_nor_confirms_a_fall(self) -> None:
        steps = follow(
            read(10, 60),
            read(15, 0, source="statusline"),
            read(20, 0),
            read(25, 0, source="statusline"),
            read(30, 61),
        )
        assert ["new", "discarded", "pending", "discarded", "same"] == changes(steps)

    def test_after_a_reset_the_old_figure_is_ignored_until_it_is_confirmed(self) -> None:
        steps = follow(
            read(10, 73),
            read(15, 0),
            read(20, 0),
            read(25, 73),
            read(26, 73, source="statusline"),
            read(30, 1),
            read(35, 73),
            read(40, 74),
        )
        expected = ["new", "pending", "early", "pending", "discarded", "same", "pending", "same"]
        assert expected == changes(steps)
        assert 1.0 == window(steps[5]).utilization
        assert 74.0 == window(steps[7]).utilization


class TestPlanChanges:
    def test_one_factor_in_two_windows_is_another_plan_and_no_use(self) -> None:
        tracker = WindowTracker()
        tracker.add({FIVE: read(10, 22), SEVEN: read(10, 20, WEEK)})
        steps = tracker.add({FIVE: read(15, 88), SEVEN: read(15, 80, WEEK)})
        assert ["plan", "plan"] == changes(steps)
        assert [None, None] == [step.increment for step in steps]
        assert 88.0 == tracker.windows[FIVE].utilization

    def test_a_larger_plan_divides_both_windows(self) -> None:
        tracker = WindowTracker()
        tracker.add({FIVE: read(10, 12), SEVEN: read(10, 60, WEEK)})
        tracker.add({FIVE: read(15, 3), SEVEN: read(15, 15, WEEK)})
        steps = tracker.add({FIVE: read(20, 3), SEVEN: read(20, 15, WEEK)})
        assert ["plan", "plan"] == changes(steps)

    def test_use_that_raises_a_young_week_alike_is_use(self) -> None:
        tracker = WindowTracker()
        tracker.add({FIVE: read(10, 24), SEVEN: read(10, 3, WEEK)})
        steps = tracker.add({FIVE: read(15, 68), SEVEN: read(15, 8, WEEK)})
        assert ["same", "same"] == changes(steps)

    def test_a_plan_that_the_profile_names_is_another_plan(self) -> None:
        tracker = WindowTracker()
        tracker.add({FIVE: read(10, 12)}, "max_5x")
        assert ["plan"] == changes(tracker.add({FIVE: read(15, 40)}, "max_20x"))
        assert "max_20x" == tracker.windows[FIVE].plan


class TestLimitsHit:
    def test_the_middle_of_two_close_readings_is_when_it_was_full(self) -> None:
        steps = follow(read(10, 90), read(20, 100), read(30, 100), read(301, 0, None))
        full_at = START + minutes(15)
        assert (full_at, False) == (window(steps[1]).full_at, window(steps[1]).full_at_is_latest)
        assert (full_at, START + minutes(20)) == steps[1].blocked
        assert (START + minutes(30), RESET) == steps[3].blocked
        closed = steps[3].closed
        assert closed is not None
        assert (RESET - full_at, RESET) == (closed.blocked, closed.full_until)

    def test_after_a_gap_the_reading_itself_is_the_latest_instant(self) -> None:
        steps = follow(read(10, 90), read(120, 100))
        assert (START + minutes(120), True) == (
            window(steps[1]).full_at,
            window(steps[1]).full_at_is_latest,
        )

    def test_a_granted_reset_ends_the_time_at_the_limit(self) -> None:
        steps = follow(read(10, 98), read(20, 100), read(60, 0), read(65, 0))
        closed = steps[3].closed
        assert closed is not None
        assert minutes(45) == closed.blocked
        assert (START + minutes(20), START + minutes(60)) == steps[3].blocked

    def test_a_window_that_nobody_reads_again_ends_at_its_reset(self) -> None:
        step = follow(read(10, 98), read(20, 100))[1]
        assert "open" == window(step).at(RESET - minutes(1)).end
        ended = window(step).at(RESET + minutes(1))
        assert ("reset", RESET, RESET - START - minutes(15)) == (
            ended.end,
            ended.ended_at,
            ended.blocked,
        )


READINGS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from([0.0, 3.0, 50.0, 60.0, 98.5, 100.0, 120.0])),
    max_size=30,
)


@given(READINGS)
def test_laws_of_any_series_of_readings(series: list[tuple[int, float]]) -> None:
    readings = [
        Reading(START + minutes(at), used, RESET if at < 300 else RESET + timedelta(hours=5))
        for at, used in series
    ]
    tracker = WindowTracker()
    open_before: WindowInstance | None = None
    for reading in readings:
        (step,) = tracker.add({FIVE: reading})
        if step.change in (Change.DISCARDED, Change.PENDING):
            assert (step.window and step.window[:3]) == (open_before and open_before[:3])
            assert step.increment is None
            assert step.closed is None
        if step.closed is not None:
            assert open_before is not None
            assert step.closed.end != "open"
            assert step.closed.full_since is None
            assert step.closed.blocked <= timedelta(hours=5)
        if step.increment is not None:
            assert step.increment.points > 0
            assert step.increment.began_at <= step.increment.ended_at
        if step.window is not None:
            assert step.window.utilization <= step.window.peak
            assert step.window.first_seen <= step.window.last_seen
            assert (step.window.full_at is not None) == (step.window.peak >= 100)
        open_before = step.window


# --- synthetic users ---


class Judged:
    """The rules' account of a life, beside the truth."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.granted = [_time(line["at"]) for line in lines if line.get("kind") == "early_reset"]
        self.phantoms = sum(line.get("kind") == "phantom_zero" for line in lines)
        self.true_hits = [line for line in lines if line.get("run_out_at")]
        self.windows: list[WindowInstance] = []
        self.early: list[datetime] = []
        tracker = WindowTracker()
        for readings in _reads(lines):
            for step in tracker.add(readings):
                if step.closed is not None:
                    self.windows.append(step.closed)
                if step.change is Change.EARLY:
                    self.early.append(readings[step.key].read_at)
        self.windows += tracker.windows.values()

    def resets_found(self) -> int:
        return sum(
            any(timedelta(hours=-1) <= at - granted <= timedelta(hours=60) for at in self.early)
            for granted in self.granted
        )

    def hits_found(self) -> int:
        return sum(
            any(
                window.full_at and window.key == line["key"] and _is_about(window, line)
                for window in self.windows
            )
            for line in self.true_hits
        )


def _is_about(window: WindowInstance, line: dict[str, Any]) -> bool:
    assert window.full_at is not None
    return _time(line["started_at"]) <= window.full_at <= _time(line["ended_at"]) + minutes(30)


def _reads(lines: list[dict[str, Any]]) -> Iterator[dict[str, Reading]]:
    readings = [line for line in lines if line["type"] == "reading"]
    for _, group in groupby(readings, key=lambda line: line["read_at"]):
        yield {
            line["key"]: Reading(
                _time(line["read_at"]),
                line["utilization"],
                line["resets_at"] and _time(line["resets_at"]),
                line["source"],
            )
            for line in group
        }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_granted_resets_are_found_and_wrong_readings_are_not_believed() -> None:
    """`tests.benchmarks.history` judges more of these lives."""
    judged = [Judged(life("faults", seed)) for seed in (2, 3)]
    found = sum(each.resets_found() for each in judged)
    assert (4, 58) == (found, sum(each.phantoms for each in judged))
    assert found == sum(len(each.early) for each in judged)


def test_limits_hit_are_counted() -> None:
    judged = [Judged(life(name)) for name in ("crunch", "freelance")]
    hits = sum(len(each.true_hits) for each in judged)
    found = sum(each.hits_found() for each in judged)
    counted = sum(window.full_at is not None for each in judged for window in each.windows)
    assert found >= 0.98 * hits
    assert counted - found <= 0.005 * hits
