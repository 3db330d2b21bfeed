"""A life that the installed command sees: a server replays it, and a file has the time.

The command runs as usual; only its clock is the file's content, so that days pass in seconds and
each step waits until the dashboard shows it, however slow the machine is.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from werkzeug import Response
from werkzeug.serving import WSGIRequestHandler

from tests.support.lives import FIVE, SEVEN, life

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.support.api import Api
    from tests.support.command import Command, Terminal

STEP = timedelta(minutes=10)
ROWS = {FIVE: "5-hour", SEVEN: "7-day"}

# Runs the program of the second argument with the time in the file of the first.
WITH_CLOCK = """
import sys
from datetime import datetime
from pathlib import Path
from claude_usage_monitor.usage import clock
time_file = Path(sys.argv[1])
clock.utc_now = lambda: datetime.fromisoformat(time_file.read_text())
from claude_usage_monitor.monitor.live import poller
poller._MAX_SLEEP_SECONDS = 0.02
from claude_usage_monitor.cli import command
sys.argv = sys.argv[2:]
command()
"""


class Window(NamedTuple):
    """A window of the life, as the truth has it, with the highest figure of any step."""

    key: str
    started_at: datetime
    ended_at: datetime
    ran_out: bool
    peak: float = 0.0


class ReplayedLife:
    """Days of a life: its readings, ten minutes apart, and the truth about its windows."""

    def __init__(self, profile: str, seed: int, days: int) -> None:
        lines = list(life(profile, seed, days // 7 + 1))
        readings = [line for line in lines if line["type"] == "reading"]
        self.begin = _instant(readings[0]["read_at"])
        end = self.begin + timedelta(days=days)
        self.steps: list[tuple[datetime, dict[str, dict[str, Any]]]] = []
        for text, rows in groupby(readings, key=lambda line: line["read_at"]):
            read_at = _instant(text)
            if read_at < end and (not self.steps or read_at - self.steps[-1][0] >= STEP):
                self.steps.append((read_at, {row["key"]: row for row in rows}))
        windows = [
            Window(
                line["key"],
                _instant(line["started_at"]),
                _instant(line["ended_at"]),
                line["run_out_at"] is not None,
            )
            for line in lines
            if line["type"] == "window"
        ]
        last = self.steps[-1][0]
        complete = [w for w in windows if self.begin < w.started_at and w.ended_at < last]
        peaks = [window._replace(peak=self._peak(window)) for window in complete]
        self.windows = [window for window in peaks if window.peak > 0]

    def _peak(self, window: Window) -> float:
        return max(
            (
                figures[window.key]["utilization"]
                for now, figures in self.steps
                if window.started_at <= now < window.ended_at
            ),
            default=0.0,
        )


class Replay:
    """Replays a life to a dashboard and to ``alerts``, which run side by side."""

    def __init__(
        self, replayed: ReplayedLife, command: Command, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._life = replayed
        self._command = command
        self._time_file = Path(os.environ["HOME"]) / "time"
        self._through = (sys.executable, "-c", WITH_CLOCK, str(self._time_file))
        api.answer_with(self._response)
        monkeypatch.setattr(WSGIRequestHandler, "date_time_string", lambda _: self._date())
        self._requested_at: datetime | None = None
        self._set_time(*replayed.steps[0])

    def run(self) -> Iterator[tuple[dict[str, dict[str, Any]], Terminal]]:
        """Replay the life; yield the figures of each step when the dashboard shows them."""
        pane = self._command.open("--interval", "5", through=self._through)
        self._command.open("alerts", through=self._through).wait_for("Watching")
        for now, figures in self._life.steps:
            self._set_time(now, figures)
            pane.wait_for(lambda: self._is_shown(pane), timeout=60)
            yield figures, pane

    def history(self) -> dict[str, Any]:
        """Return what ``history --json`` says."""
        done = self._command.run("history", "--json", through=self._through)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _set_time(self, now: datetime, figures: dict[str, dict[str, Any]]) -> None:
        self._figures, self._now = figures, now
        new = self._time_file.with_suffix(".new")
        new.write_text(now.isoformat())
        new.replace(self._time_file)  # a process may read it at the same time

    def _response(self) -> Response:
        self._requested_at = self._now
        body = {
            key: {"utilization": row["utilization"], "resets_at": row["resets_at"]}
            for key, row in self._figures.items()
        }
        return Response(json.dumps(body), mimetype="application/json")

    def _date(self) -> str:
        """Return the server's clock, which the program compares with its own."""
        return format_datetime(self._now.astimezone(UTC), usegmt=True)

    def _is_shown(self, pane: Terminal) -> bool:
        """Return whether the figures of this step were requested, and the dashboard has them."""
        return self._requested_at == self._now and all(
            row_of(pane, key) == ""  # no window is running
            if row["resets_at"] is None
            else f" {int(row['utilization'])} %" in row_of(pane, key)
            for key, row in self._figures.items()
        )


def row_of(pane: Terminal, key: str) -> str:
    """Return the line of the dashboard that has a limit's label and percentage."""
    return next((line for line in pane.lines if ROWS[key] in line and "%" in line), "")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
