from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from claude_usage_monitor import UsageClient
from tests.support.transcripts import generate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

WORDS = {"Bash", "tool_use", "API Error", "backup", "thinking", "Conversation compacted"}


@pytest.fixture
def transcripts(home: Path) -> dict[str, Any]:
    """Transcripts of the last days, in the default place."""
    end = (datetime.now(UTC) + timedelta(days=1)).date()
    return generate(home / ".claude", 1, 1, 40, days=4, end=end.isoformat())


def database(home: Path) -> Path:
    return home / ".local/state/claude-usage-monitor/transcripts.db"


def document(command: Command, *arguments: str) -> dict[str, Any]:
    done = command.run("usage", "--json", *arguments)
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(done.stdout))


def test_the_first_use_is_announced_once(
    command: Command, api: Api, transcripts: object, store: Store, home: Path
) -> None:
    store.login()
    for _ in range(2):
        command.run("--json")
        command.run("--once")
        command.run("statusline", stdin=b"{}")
    assert not database(home).exists()
    first, second = command.run("usage", "--json"), command.run("usage", "--json")
    assert "transcripts = false" in first.stderr
    assert "note:" not in second.stderr
    assert json.loads(first.stdout)["totals"] == json.loads(second.stdout)["totals"]
    assert 1 == len(api.usage_requests)


def test_the_running_window_adds_up(
    command: Command, api: Api, transcripts: object, store: Store
) -> None:
    store.login()
    for key in ("five_hour", "seven_day"):
        found = document(command, "--window", key)
        assert key == found["window"]["key"]
        points = sum(row["points"] for row in found["rows"]) + (found["elsewhere"] or 0.0)
        assert points == pytest.approx(found["window"]["utilization"], abs=0.05)
    assert {"version", "account", "window", "by", "rows", "elsewhere", "plus_minus"} <= set(found)
    assert {"totals", "basis", "scanned"} <= set(found)
    row = found["rows"][0]
    assert {"name", "points", "share", "tokens", "usd_equivalent"} == set(row)
    assert {"messages", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h"} == set(
        row["tokens"]
    )


def test_a_period_equals_the_truth(
    command: Command, api: Api, transcripts: dict[str, Any], store: Store
) -> None:
    store.login()
    command.run("usage")
    for by, table in (("project", "by_project"), ("model", "by_model"), ("session", "by_session")):
        found = document(command, "--since", "2020-01-01", "--until", "2099-01-01", "--by", by)
        assert found["window"] is None
        truth = {name: row.get("output", 0) for name, row in transcripts[table].items()}
        assert truth == {row["name"]: row["tokens"]["output"] for row in found["rows"]}
        assert transcripts["total"]["output"] == found["totals"]["output"]
    assert transcripts["files"] == found["scanned"]["files"]


def configure(home: Path, content: str) -> None:
    file = home / ".config" / "claude-usage-monitor" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(content)


def test_a_period_is_in_the_time_zone_in_which_times_are_shown(
    command: Command, api: Api, transcripts: dict[str, Any], store: Store, home: Path
) -> None:
    store.login()
    everything = document(command, "--since", "2020-01-01", "--by", "hour")
    hours = [datetime.fromisoformat(row["name"]) for row in everything["rows"]]
    assert {None} == {hour.tzinfo for hour in hours}
    configure(home, 'timezone = "Asia/Tokyo"')
    offset, tokyo = timedelta(hours=9), ZoneInfo("Asia/Tokyo")
    since, until = (hours[at] + offset for at in (2, -2))
    for make in (datetime.isoformat, lambda moment: moment.replace(tzinfo=tokyo).isoformat()):
        period = ("--since", make(since), "--until", make(until))
        found = document(command, *period, "--by", "hour")
        shown = [datetime.fromisoformat(row["name"]) for row in found["rows"]]
        assert [hour + offset for hour in hours[2:-2]] == shown
        first = everything["rows"][2]["tokens"]
        assert first == found["rows"][0]["tokens"]


def test_csv_has_a_row_for_each_project(
    command: Command, api: Api, transcripts: dict[str, Any], store: Store
) -> None:
    store.login()
    done = command.run("usage", "--csv", "--since", "2020-01-01", "--until", "2099-01-01")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert transcripts["by_project"].keys() == {row["name"] for row in rows}
    assert {""} == {row["points"] for row in rows}


@pytest.mark.parametrize("columns", [28, 60, 100])
@pytest.mark.parametrize("by", ["project", "agent", "hour"])
def test_text_fits_every_width(
    command: Command, api: Api, transcripts: object, store: Store, columns: int, by: str
) -> None:
    store.login()
    environ = {"COLUMNS": str(columns)}
    done = command.run("usage", "--window", "seven_day", "--by", by, environ=environ)
    lines = done.stdout.splitlines()
    assert columns >= max(map(len, lines))
    assert "7-day" in lines[0]
    assert "% used" in lines[0]
    percent = int(re.findall(r"(\d+) % used", lines[0])[0])
    table = lines[lines.index("") + 1 :]
    rows = [re.search(r" (<1|\d+)(?:  |$)", line) for line in table[: table.index("")]]
    assert percent == sum(int(row[1]) for row in rows if row and row[1] != "<1")


@pytest.mark.parametrize("by", ["project", "hour"])
def test_with_ascii_the_text_is_ascii(
    command: Command, api: Api, transcripts: object, store: Store, home: Path, by: str
) -> None:
    store.login()
    assert not command.run("usage", "--by", by).stdout.isascii()
    configure(home, "ascii = true")
    done = command.run("usage", "--by", by)
    assert "#" in done.stdout
    assert done.stdout.isascii()


def test_without_transcripts_there_are_no_rows(
    command: Command, api: Api, store: Store, home: Path
) -> None:
    store.login()
    assert [] == document(command)["rows"]
    assert not database(home).exists()
    assert "No use" in command.run("usage", "--since", "2026-01-01").stdout


def test_without_a_login_the_use_of_the_last_hours_is_shown(
    command: Command, transcripts: object
) -> None:
    done = command.run("usage", "--json")
    assert 3 == done.returncode
    assert None is json.loads(done.stdout)["window"]
    assert "Not logged in" in done.stderr


@pytest.mark.parametrize("with_transcripts", [True, False])
def test_a_period_needs_no_login(
    command: Command, request: pytest.FixtureRequest, with_transcripts: bool
) -> None:
    if with_transcripts:
        request.getfixturevalue("transcripts")
    done = command.run("usage", "--json", "--since", "2026-01-01")
    assert (0, with_transcripts) == (done.returncode, bool(json.loads(done.stdout)["rows"]))
    assert "error:" not in done.stderr


def test_without_a_login_and_transcripts_there_are_no_rows(command: Command) -> None:
    done = command.run("usage")
    assert (0, "") == (done.returncode, done.stderr)
    assert "No use" in done.stdout


@pytest.mark.parametrize("with_transcripts", [True, False])
def test_an_unknown_window_is_refused_without_a_login(
    command: Command, request: pytest.FixtureRequest, with_transcripts: bool
) -> None:
    if with_transcripts:
        request.getfixturevalue("transcripts")
    done = command.run("usage", "--window", "nope")
    assert (2, "") == (done.returncode, done.stdout)
    assert "Known windows: five_hour, seven_day." in done.stderr


def test_the_setting_turns_it_off(
    command: Command, api: Api, transcripts: object, home: Path
) -> None:
    config = home / ".config/claude-usage-monitor/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("transcripts = false\n")
    done = command.run("usage")
    assert (2, "") == (done.returncode, done.stdout)
    assert "transcripts = false" in done.stderr
    assert not database(home).exists()


def test_forgetting_deletes_everything(
    command: Command, api: Api, transcripts: object, store: Store, home: Path
) -> None:
    store.login()
    command.run("usage")
    assert 2 == command.run("usage", "--forget").returncode
    assert database(home).exists()
    assert 0 == command.run("usage", "--forget", "--yes").returncode
    assert not list(database(home).parent.glob("transcripts*"))
    assert 0 == command.run("usage", "--forget", "--yes").returncode
    assert "transcripts = false" in command.run("usage").stderr  # announced again


@pytest.mark.parametrize(
    "arguments",
    [
        ("--window", "nonsense"),
        ("--window", "five_hour", "--last", "400"),
        ("--last", "0"),
        ("--last", "1", "--since", "2026-01-01"),
        ("--since", "yesterday"),
        ("--since", "2026-01-02", "--until", "2026-01-02"),
        ("--by", "color"),
        ("--account", "nobody"),
        ("--json", "--csv"),
    ],
)
def test_wrong_usage(
    command: Command, api: Api, store: Store, home: Path, arguments: tuple[str, ...]
) -> None:
    (home / ".claude" / "projects").mkdir(parents=True)
    store.login()
    done = command.run("usage", *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert "error:" in done.stderr


def test_an_unknown_window_is_refused_without_transcripts(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    done = command.run("usage", "--window", "nope")
    assert (2, "") == (done.returncode, done.stdout)
    assert "Known windows: five_hour, seven_day" in done.stderr


def test_hidden_names(command: Command, api: Api, transcripts: object, store: Store) -> None:
    store.login()
    for by in ("project", "session"):
        done = command.run("usage", "--hide-names", "--by", by, "--window", "seven_day")
        assert "atlas" not in done.stdout
        names = {r["name"] for r in document(command, "--hide-names", "--by", by)["rows"]}
        assert all(name.startswith(by) for name in names)


def test_nothing_that_anyone_wrote_is_stored(
    command: Command, api: Api, transcripts: object, store: Store, home: Path
) -> None:
    store.login()
    command.run("usage")
    command.run("usage", "--json", "--by", "session")
    texts = [
        line[at + 8 : at + 60]
        for path in (home / ".claude" / "projects").rglob("*.jsonl")
        for line in path.read_bytes().splitlines()[:40]
        if (at := line.find(b'"stdout":"')) > 0 and len(line) > at + 200
    ]
    assert len(texts) > 20
    for path in database(home).parent.iterdir():
        content = path.read_bytes()
        assert not [text for text in texts if text in content]
        assert not [word for word in WORDS if word.encode() in content]


def test_transcripts_are_not_touched(
    command: Command, api: Api, transcripts: object, store: Store, home: Path
) -> None:
    store.login()

    def state() -> dict[str, tuple[int, int, int]]:
        found = {}
        for path in (home / ".claude" / "projects").rglob("*"):
            status = path.lstat()
            found[str(path)] = (status.st_mtime_ns, status.st_size, status.st_mode)
        return found

    before = state()
    command.run("usage")
    assert before == state()


def test_progress_is_shown_in_a_terminal_only(
    command: Command, api: Api, transcripts: object, store: Store
) -> None:
    from claude_usage_monitor.cli.commands.usage import _progress_line
    from claude_usage_monitor.monitor.attribution.scan import Progress

    line = _progress_line(Progress(820, 2000, 410_000_000, 1_000_000_000), 10.0)
    assert "[########------------]  41%" in line
    assert "820 of 2,000 files, 410 of 1,000 MB, 14s left" in line


def test_the_library_reports_the_same(
    command: Command, api: Api, transcripts: object, store: Store
) -> None:
    store.login()
    shown = document(command, "--window", "seven_day")
    report = UsageClient().get_use(window="seven_day")
    assert report.window is not None
    assert shown["window"]["utilization"] == report.window.utilization
    assert [row["name"] for row in shown["rows"]] == [row.name for row in report.rows]


def test_the_documents_use_is_that_of_the_report(
    command: Command, api: Api, transcripts: object, store: Store
) -> None:
    store.login()
    shown = document(command, "--window", "seven_day")
    account = json.loads(command.run("--json").stdout)["accounts"][0]
    (window,) = [each for each in account["windows"] if each["key"] == "seven_day"]
    assert [(row["name"], row["points"]) for row in shown["rows"]] == [
        (row["project"], row["points"]) for row in window["use"]["rows"]
    ]
    assert shown["basis"] == window["use"]["basis"]
