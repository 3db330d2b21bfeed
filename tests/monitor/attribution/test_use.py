"""The command's parts together, on generated transcripts and readings."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pytest

from claude_usage_monitor.errors import InvalidSetting
from claude_usage_monitor.monitor.attribution.report import ReportRequest, last_rise, make_report
from claude_usage_monitor.monitor.attribution.scan import scan
from claude_usage_monitor.monitor.attribution.use import AccountUse
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.transcripts.shown_use import read_shown
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
from claude_usage_monitor.usage.attribution.attribution import Rise, Window
from claude_usage_monitor.usage.attribution.messages import Tokens, Use
from claude_usage_monitor.usage.attribution.report import UseReport
from claude_usage_monitor.usage.attribution.window_use import BY, Attributed, rows_by
from claude_usage_monitor.usage.limits.windows import Usage
from tests.support.transcripts import roots
from tests.support.used_windows import IDENTITY, generate_used

NOW = datetime(2026, 11, 20, 14, 7, tzinfo=UTC)


class World(NamedTuple):
    use: AccountUse
    truth: list[dict[str, Any]]
    usage: Usage
    path: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    state = StateStore(folder / "ours" / "state.db")
    truth = generate_used(folder / "claude", state, NOW, seed=2, days=7)
    path = folder / "ours" / "transcripts.db"
    store = TranscriptStore(path)
    scan(store, roots(folder / "claude"))
    use = AccountUse(state, store, IDENTITY, {})
    use.store_ended_windows(NOW)
    usage = state.latest_usage(IDENTITY, NOW)
    assert usage is not None
    return World(use, truth, usage, path)


def report(world: World, **changes: Any) -> UseReport:
    return make_report("a", world.use, world.usage, ReportRequest(**changes), NOW)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("key", ["five_hour", "seven_day", "seven_day:fable"])
def test_rows_and_elsewhere_are_the_percent_on_the_bar(world: World, by: str, key: str) -> None:
    for last in (0, 1):
        try:
            found = report(world, by=by, window=key, last=last)
        except InvalidSetting:
            assert last  # the first week is running
            continue
        if found.window is None:
            continue
        if not last:
            shown = world.usage.at(NOW).window(key)
            assert shown is not None
            assert shown.utilization == found.window.utilization
        total = sum(row.points or 0.0 for row in found.rows) + (found.elsewhere or 0.0)
        assert total == pytest.approx(found.window.utilization)


def test_points_are_near_the_truth(world: World) -> None:
    errors = []
    for window in world.truth:
        resets_at = datetime.fromisoformat(window["resets_at"])
        if window["key"] != "five_hour" or resets_at > NOW - timedelta(hours=1):
            continue
        found = next(
            each
            for each in world.use.windows(NOW)
            if each.key == "five_hour" and abs(each.resets_at - resets_at.timestamp()) < 60
        )
        attributed = world.use.attribute(found, NOW)
        assert attributed is not None
        rows = rows_by("project", attributed.uses, attributed.points)
        points = {row.name: row.points or 0.0 for row in rows}
        names = points.keys() | window["by_project"].keys()
        errors.append(
            sum(abs(points.get(n, 0.0) - window["by_project"].get(n, 0.0)) for n in names)
        )
    assert len(errors) > 8
    assert fmean(errors) <= 2.5  # with a week of history; the benchmark has a month


def test_ended_windows_are_stored_once(world: World) -> None:
    before = world.use.ended()
    world.use.store_ended_windows(NOW)
    assert before == world.use.ended()
    assert len(before) == len({(each.window.key, each.window.started_at) for each in before})
    assert any(each.window.rises for each in before)


def test_outputs_find_what_was_stored(world: World) -> None:
    utilizations = {w.key: w.utilization or 0.0 for w in world.usage.at(NOW).windows}
    stored = {each.key: each for each in world.use.store_shown(utilizations, NOW)}
    assert stored == read_shown(world.path, IDENTITY)
    assert {} == read_shown(world.path, "somebody else")
    for key, use in stored.items():
        total = sum(row.points for row in use.rows) + (use.elsewhere or 0.0)
        assert total == pytest.approx(utilizations[key])


@pytest.mark.parametrize(
    ("rises", "points"),
    [
        ((), None),
        ((Rise(900, 4.0),), 4.0),
        ((Rise(900, 4.0), Rise(8_000, 6.0), Rise(8_300, 9.0)), 3.0),
        ((Rise(90_000, 40.0),), None),
        ((Rise(900, 4.0), Rise(90_000, 40.0)), None),
    ],
)
def test_only_a_short_rise_is_the_last_rise(rises: tuple[Rise, ...], points: float | None) -> None:
    window = Window("seven_day", 0, 604_800, 40.0, rises)
    found = last_rise(Attributed(window, (), (), (), None, 0, 0.0))
    assert points == (found and found.points)


def test_a_short_rise_after_a_break_is_the_last_rise() -> None:
    window = Window("seven_day", 0, 604_800, 40.0, (Rise(900, 38.0), Rise(90_000, 40.0)))
    use = Use(89_800, "s", "/p", 0, "", None, "/r", "claude-opus-5-5", 0, Tokens())
    found = last_rise(Attributed(window, (use,), (2.0,), (), None, 0, 0.0))
    assert found is not None
    assert (2.0, "/p", 200) == (
        found.points,
        found.project,
        (found.ended_at - found.began_at).total_seconds(),
    )


def test_a_period_has_tokens_and_no_points(world: World) -> None:
    found = report(world, since=NOW - timedelta(days=3), until=NOW - timedelta(days=1))
    assert found.window is None
    assert found.rows
    assert {None} == {row.points for row in found.rows}
    assert found.totals.messages == sum(row.tokens.messages for row in found.rows)
    assert 100 == pytest.approx(sum(row.share for row in found.rows))


def test_a_period_without_an_end_has_the_messages_of_this_second(world: World) -> None:
    since = NOW - timedelta(days=3)
    with closing(sqlite3.connect(world.path)) as connection:
        (newest,) = connection.execute("SELECT max(at) FROM message").fetchone()
    moment = datetime.fromtimestamp(newest, UTC)
    found = make_report("a", world.use, world.usage, ReportRequest(since=since), moment)
    whole = report(world, since=since, until=moment + timedelta(seconds=1))
    assert whole.totals == found.totals


def test_unknown_windows_are_refused(world: World) -> None:
    with pytest.raises(InvalidSetting, match="did you mean `five_hour`"):
        report(world, window="fivehour")
    with pytest.raises(InvalidSetting, match="past windows"):
        report(world, window="five_hour", last=999)


def test_without_figures_the_last_hours_have_shares(world: World) -> None:
    found = make_report("a", world.use, None, ReportRequest(), NOW)
    assert found.window is None


def test_messages_of_another_login_are_left_out(world: World) -> None:
    other = world.use._replace(identity="someone/else")
    world.use.state.record_login("claude-code", IDENTITY, NOW)
    assert [] == other.uses(0, 1 << 40)
    assert world.use.uses(0, 1 << 40)


def test_hidden_names_stay_the_same(world: World) -> None:
    found = report(world, hide_names=True, window="seven_day")
    assert all(row.name.startswith("project ") for row in found.rows)
    assert [r.name for r in found.rows] == [
        r.name for r in report(world, hide_names=True, window="seven_day").rows
    ]
