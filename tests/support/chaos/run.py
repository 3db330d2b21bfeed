"""The run: starts everything, lets it fail for some time, and checks that all recovers."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from tests.support.chaos.actors import ACTORS, Stage
from tests.support.chaos.laws import MEMORY_FROM, Pane
from tests.support.chaos.world import HOUR, WorldClock
from tests.support.command import Command
from tests.support.saved import save_account
from tests.support.small_disk import small_disk

_SETTLE_TIMEOUT = 240.0  # seconds until everything works again
# A forecast learns from eight weeks: with less, the memory that it needs grows with each day.
_HISTORY_MINUTES = 60 * 24 * 60 - 60
_SECONDS_BEFORE_MEMORY_COUNTS = 60 * MEMORY_FROM
_LENGTHS = {"five_hour": 5 * 60, "seven_day": 7 * 24 * 60}  # minutes
_SECONDS_TO_READ = 2  # for a pane; a request during which the computer is suspended is not used


def run(
    seed: int, seconds: float, folder: Path, command: Command, environ: pytest.MonkeyPatch
) -> list[str]:
    """Run for some seconds, print the figures, and return what happened that must not."""
    with small_disk(folder / "disk", "32m") as disk:
        stage = Stage(seed, seconds, disk, WorldClock(folder), command)
        for name, value in stage.clock.environ.items():
            environ.setenv(name, value)
        environ.setenv("CLAUDE_USAGE_MONITOR_HOME", str(disk.path / "ours"))
        environ.setenv("CLAUDE_USAGE_MONITOR_API_URL", stage.server.url)
        with stage.server:
            _begin(stage)
            threads = [threading.Thread(target=_act, args=(stage, actor)) for actor in ACTORS]
            for thread in threads:
                thread.start()
            stage.over.wait(seconds)
            stage.over.set()
            for thread in threads:
                thread.join()
            _settle(stage)
            stage.laws.check_server()
            stage.laws.check_files()
            for pane in stage.panes:
                stage.laws.check_pane(pane)
            print(json.dumps(_report(stage), indent=1))
    return stage.laws.violations


def _begin(stage: Stage) -> None:
    folder = stage.disk.path / "ours"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text("api_floor_seconds = 60\n")
    for name, login in stage.logins.items():
        save_account(login, name)
    stage.claude_code.log_in("ada")
    assert 0 == stage.run("accounts", "add", "copy", "--from-claude-code").returncode
    stage.panes = (
        Pane(stage.open("--account", "work"), "--account work"),
        Pane(stage.open("--all-accounts"), "--all-accounts"),
    )
    for pane in stage.panes:
        pane.terminal.wait_for("5-hour")
        pane.terminal.wait_until_quiet(0.5)
    if stage.seconds > _SECONDS_BEFORE_MEMORY_COUNTS:
        _import_history(stage)
    for pane in stage.panes:
        pane.terminal.wait_until_quiet(0.5)
        pane.measure()


def _import_history(stage: Stage) -> None:
    """Give each account as much history as a forecast uses, or memory would grow with it."""
    began = datetime.fromtimestamp(stage.clock.time(), UTC) - timedelta(minutes=_HISTORY_MINUTES)
    readings = [
        {
            "key": key,
            "read_at": (began + timedelta(minutes=minute)).isoformat(),
            "utilization": minute % length / length * 90,
            "resets_at": (
                began + timedelta(minutes=minute // length * length + length)
            ).isoformat(),
        }
        for key, length in _LENGTHS.items()
        for minute in range(0, _HISTORY_MINUTES // length * length, 5)
    ]
    path = stage.disk.path / "history.jsonl"
    path.write_text("".join(f"{json.dumps(reading)}\n" for reading in readings))
    for name in (*stage.logins, "claude-code"):
        imported = stage.run("history", "--account", name, "--import", str(path))
        assert 0 == imported.returncode, imported.stderr
    path.unlink()


def _act(stage: Stage, actor: Callable[[Stage, Random], None]) -> None:
    try:
        actor(stage, stage.random(actor.__name__))
    except BaseException:  # noqa: BLE001 - the test reports it
        stage.laws.violated(traceback.format_exc())


def _settle(stage: Stage) -> None:
    """Let everything work again, and check that every account recovers by itself."""
    stage.clock.set_wrong(0)
    stage.clock.suspend(3 * HOUR)  # longer than any back-off
    stage.claude_code.log_in("ada")
    stage.server.calm = True
    deadline = time.monotonic() + _SETTLE_TIMEOUT
    lost: set[str] = set()
    while unsettled := _unsettled(stage, lost):
        if time.monotonic() > deadline:
            stage.laws.violated(f"not recovered: {unsettled}")
            return
        stage.clock.suspend(61)
        stage.claude_code.refresh()
    for name in sorted(lost):
        stage.laws.check_lost(name)
    pane = stage.panes[0]
    pane.terminal.type("x")  # leaves the help
    while "work" not in lost and not stage.laws.is_calm("work", pane.five_hour()):
        if time.monotonic() > deadline:
            stage.laws.violated(f"a pane has not recovered:\n{pane.terminal.text}")
            return
        stage.clock.suspend(61)
        pane.terminal.read_for(_SECONDS_TO_READ)


def _unsettled(stage: Stage, lost: set[str]) -> list[object]:
    """Return the accounts without new figures; add those to ``lost`` that cannot have any."""
    unsettled: list[object] = []
    for status in json.loads(stage.run("--json", "--all-accounts").stdout)["accounts"]:
        name, problem = status["name"], status["problem"]
        figures = [w["utilization"] for w in status["windows"] if w["key"] == "five_hour"]
        account = "ada" if name == "claude-code" else stage.laws.account_named(name)
        if problem is not None and "no longer valid" in problem["message"]:
            lost.add(name)
        elif problem is not None or not figures or not stage.laws.is_calm(account, figures[0]):
            unsettled.append(status)
    return unsettled


def _report(stage: Stage) -> dict[str, object]:
    """Return the figures of the run."""
    server, laws = stage.server, stage.laws
    report: dict[str, object] = {
        "seconds": stage.seconds,
        "commands and events": dict(sorted(laws.counts.items())),
        "processes killed": len(laws.killed),
        "requests": Counter(request.path for request in server.requests),
        "refreshes that spent a token": sum(each.rotated for each in server.refreshes),
        "stored figures checked": len(laws.stored),
    }
    for pane in stage.panes:
        sizes = [size >> 10 for _, size in pane.memory]
        report[f"memory of {pane.name} in KiB"] = sizes[:: max(1, len(sizes) // 20)]
        late = [size >> 10 for size in pane.memory_by_minute()]
        report[f"least memory of {pane.name} in each minute in KiB"] = late
        files = pane.descriptors
        report[f"open files of {pane.name}"] = [files[0], max(files), files[-1]]
    return report
