from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from claude_usage_monitor.usage.attribution.attribution import (
    Rise,
    Sample,
    Split,
    Weighted,
    Window,
    rises_of,
    scatter,
    split,
    split_by_increases,
    split_scoped,
    split_week,
    units_per_point,
)

HOUR = 3600
WINDOW = Window("five_hour", 0, 5 * HOUR, 50.0, (Rise(HOUR, 10.0), Rise(3 * HOUR, 50.0)))
PER_POINT = 100.0

weighted = st.lists(
    st.builds(Weighted, st.integers(0, 300).map(lambda m: 60 * m), st.floats(0, 1e6)), max_size=20
).map(sorted)
rises = st.lists(
    st.tuples(st.integers(0, 5 * HOUR), st.floats(0, 120)), min_size=1, max_size=12
).map(lambda readings: rises_of(sorted(readings)))


def window_of(steps: tuple[Rise, ...]) -> Window:
    return Window("five_hour", 0, 5 * HOUR, steps[-1].utilization if steps else 0.0, steps)


def require_sum(window: Window, found: Split) -> None:
    total = sum(found.points) + (found.elsewhere or 0.0)
    assert abs(total - window.utilization) < 1e-6
    assert min([0.0, *found.points]) >= -1e-9


@settings(max_examples=50)
@given(rises, weighted, st.none() | st.floats(1, 1e4))
def test_points_and_elsewhere_are_the_utilization(
    steps: tuple[Rise, ...], used: list[Weighted], per_point: float | None
) -> None:
    window = window_of(steps)
    require_sum(window, split(window, used, per_point))
    require_sum(window, split_scoped(window, used))
    by_time = split_by_increases(window, used, per_point)
    assert (by_time is None) is (not steps)
    if by_time is not None:
        require_sum(window, by_time)
    week = window._replace(key="seven_day", utilization=window.utilization / 2)
    require_sum(week, split_week(week, used, [window], per_point))


def test_readings_that_fall_are_from_old_caches() -> None:
    readings = [(1, 3.0), (2, 14.0), (3, 15.0), (4, 18.0), (5, 15.0), (6, 18.0)]
    assert (Rise(1, 3.0), Rise(2, 14.0), Rise(3, 15.0), Rise(4, 18.0)) == rises_of(readings)


def test_without_past_windows_all_use_was_here() -> None:
    found = split(WINDOW, [Weighted(60, 1.0), Weighted(120, 3.0)], None)
    assert ([12.5, 37.5], None) == (found.points, found.elsewhere)


def test_without_messages_all_use_was_elsewhere() -> None:
    assert Split([], 50.0) == split(WINDOW, [], PER_POINT)


def test_missing_units_were_used_elsewhere() -> None:
    found = split(
        WINDOW._replace(rises=()), [Weighted(60, 1000.0), Weighted(120, 2000.0)], PER_POINT
    )
    assert ([10.0, 20.0], 20.0) == (found.points, found.elsewhere)


def test_less_than_a_point_elsewhere_is_within_the_error() -> None:
    found = split(WINDOW._replace(rises=()), [Weighted(60, 4760.0)], PER_POINT)
    assert ([50.0], 0.0) == (found.points, found.elsewhere)


def test_an_increase_without_messages_was_elsewhere() -> None:
    found = split_by_increases(WINDOW, [Weighted(60, 1000.0)], PER_POINT)
    assert Split([10.0], 40.0) == found


def test_a_message_explains_only_what_it_is_worth() -> None:
    used = [Weighted(60, 1000.0), Weighted(2 * HOUR, 2000.0)]
    assert Split([10.0, 20.5], 19.5) == split_by_increases(WINDOW, used, PER_POINT)


def test_increases_that_are_not_known_tell_nothing() -> None:
    later = WINDOW._replace(utilization=60.0)
    assert split_by_increases(later, [Weighted(60, 1.0)], PER_POINT) is None


def samples(*units: float, utilization: float = 20.0) -> list[Sample]:
    return [
        Sample(number * 6 * HOUR, utilization, value * utilization)
        for number, value in enumerate(units)
    ]


def test_a_points_worth_is_learned_from_five_windows() -> None:
    assert units_per_point(samples(100, 100, 100, 100), 0) is None
    assert 100 == units_per_point(samples(100, 100, 100, 100, 100), 0)
    assert units_per_point(samples(100, 100, 100, 100, 100, utilization=7), 0) is None
    assert units_per_point(samples(100, 100, 100, 100, 0), 0) is None


def test_use_elsewhere_does_not_change_what_a_point_is_worth() -> None:
    assert 100 == units_per_point(samples(100, 30, 100, 60, 101, 100, 55, 99), 0)


def test_the_scatter_is_how_much_half_of_the_past_windows_differ() -> None:
    assert 0 == scatter(samples(50, 100, 150, 100), 0)
    assert 0 == scatter(samples(100, 100, 100, 100, 100), 0)
    found = scatter(samples(60, 90, 100, 100, 130, 140), 0)
    assert abs(found - 0.1) < 0.01


def test_after_a_lasting_jump_a_point_is_worth_something_else() -> None:
    jump = samples(100, 101, 99, 100, 100, 200, 201, 199, 200, 200)
    assert 101 >= (units_per_point(jump, 0) or 0.0) >= 99
    assert 201 >= (units_per_point(jump, 10 * 6 * HOUR) or 0.0) >= 199


def test_windows_of_long_ago_do_not_count() -> None:
    assert units_per_point(samples(100, 100, 100, 100, 100), 365 * 24 * HOUR) is None


def test_a_week_has_the_parts_of_its_windows() -> None:
    week = Window("seven_day", 0, 7 * 24 * HOUR, 25.0)
    one = WINDOW._replace(rises=(), utilization=40.0)
    two = one._replace(started_at=10 * HOUR, resets_at=15 * HOUR, utilization=10.0)
    used = [Weighted(60, 2000.0), Weighted(10 * HOUR, 1000.0), Weighted(20 * HOUR, 5000.0)]
    found = split_week(week, used, [one, two], PER_POINT)
    assert ([5.0, 2.5, 12.5], 5.0) == (found.points, found.elsewhere)
