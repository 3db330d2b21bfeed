"""Back-test the forecast: ``python -m tests.benchmarks.forecast FILE… [--json] [--tz ZONE]``.

A file is one life: readings in the format of ``history --import``, a JSON line each, and the truth
about each window (``"type": "window"``). Each reading goes through the rules and the estimator of
the program, and the truth judges each forecast. Average pace (``full_at``) is judged at the same
instants. Lower is better, except for the shares of run-outs caught and of intervals that held.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from claude_usage_monitor.sources import values
from claude_usage_monitor.sources.readings_file import parse_lines
from claude_usage_monitor.usage.forecast.estimate import (
    EARLIEST,
    LATEST,
    LONGER_KEY,
    STOPPING_KEYS,
    Curve,
    Forecaster,
)
from claude_usage_monitor.usage.limits.resets import (
    Change,
    Reading,
    WindowInstance,
    WindowTracker,
)
from claude_usage_monitor.usage.limits.windows import UsageWindow
from tests.support.use_history import history_of

KEYS = STOPPING_KEYS
SPACING = {"five_hour": 600.0, "seven_day": 3600.0}  # seconds between judged forecasts
CAUGHT_BEFORE = {"five_hour": 1800.0, "seven_day": 12 * 3600.0}  # seconds before the run-out
UNITS = {"five_hour": (60.0, "min"), "seven_day": (3600.0, "h")}
QUANTILES = (0.1, 0.5, 0.9)
WARNING = 0.5  # probability, in two forecasts in a row
_NO_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)  # a synthetic life may end after today


class Truth(NamedTuple):
    """A window as it really was, in seconds since the epoch."""

    started_at: float
    resets_at: float
    ended_at: float
    run_out_at: float | None
    end: str

    @classmethod
    def parse(cls, row: values.JsonObject) -> Truth | None:
        """Return the truth in a line of the file; ``None`` if the line lacks an instant.

        Without ``ended_at`` and ``end`` the window ended with its reset.
        """
        started_at, resets_at = (
            values.instant(row.get("started_at")),
            values.instant(row.get("resets_at")),
        )
        if started_at is None or resets_at is None:
            return None
        ended_at = values.instant(row.get("ended_at")) or resets_at
        run_out_at = values.instant(row.get("run_out_at"))
        return cls(
            started_at.timestamp(),
            resets_at.timestamp(),
            ended_at.timestamp(),
            None if run_out_at is None else run_out_at.timestamp(),
            values.text(row.get("end")) or "reset",
        )


class Answer(NamedTuple):
    """What a forecast said at ``at``; instants beyond the reset are the reset."""

    at: float
    quantiles: tuple[float, ...]
    earliest: float
    latest: float
    probability: float


class Scores:
    """The scores of one method for one kind of window, of all lives together."""

    def __init__(self) -> None:
        self.pinball: list[float] = []
        self.error: list[float] = []
        self.brier: list[float] = []
        self.inside: list[bool] = []
        self.inside_two_ended: list[bool] = []  # where the interval ends before the reset
        self.quiet_warned: list[bool] = []
        self.caught: list[bool] = []

    def add(self, key: str, truth: Truth, answers: Sequence[Answer]) -> None:
        """Judge the answers about one window, in order of time."""
        outcome = truth.resets_at if truth.run_out_at is None else truth.run_out_at
        ran_out = truth.run_out_at is not None
        warned_at = None
        for before, answer in zip([None, *answers], answers, strict=False):
            self.pinball.append(pinball(answer.quantiles, outcome))
            self.error.append(abs(outcome - answer.quantiles[1]))
            self.brier.append((answer.probability - ran_out) ** 2)
            self.inside.append(answer.earliest <= outcome <= answer.latest)
            if answer.latest < truth.resets_at:
                self.inside_two_ended.append(self.inside[-1])
            twice = before is not None and min(before.probability, answer.probability) >= WARNING
            if twice and warned_at is None:
                warned_at = answer.at
        if ran_out:
            latest = outcome - CAUGHT_BEFORE[key]
            self.caught.append(warned_at is not None and warned_at <= latest)
        else:
            self.quiet_warned.append(warned_at is not None)

    def as_json(self) -> dict[str, float | None]:
        """Return the scores; one without a case is ``None``."""
        return {
            "pinball_seconds": mean(self.pinball),
            "median_error_seconds": mean(self.error),
            "brier": mean(self.brier),
            "false_warning_share": mean(self.quiet_warned),
            "caught_share": mean(self.caught),
            "coverage": mean(self.inside),
        }


def pinball(quantiles: Sequence[float], outcome: float) -> float:
    """Return the mean pinball loss of the 10, 50 and 90 % instants, in seconds."""
    return fmean(
        max(share * (outcome - instant), (share - 1) * (outcome - instant))
        for share, instant in zip(QUANTILES, quantiles, strict=True)
    )


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, ``None`` of nothing."""
    return fmean(values) if values else None


# --- lives -------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A reading of one window."""

    read_at: datetime
    key: str
    reading: Reading


Truths = dict[str, list[Truth]]  # by key, in order of time


class UnusableFileError(Exception):
    """A file that is not a life; the message says why."""


def load(path: Path) -> tuple[list[Line], Truths]:
    """Return the readings of a file in order of time, and the truth about its windows."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UnusableFileError(f"{path} cannot be read: {error.strerror}") from None
    readings, truths = parse_life(lines)
    if not readings:
        raise UnusableFileError(f"{path} has no readings")
    if not any(truths.values()):
        keys = " or ".join(KEYS)
        raise UnusableFileError(f'{path} has no truth: no line of "type": "window" for {keys}')
    return readings, truths


def parse_life(lines: Sequence[bytes]) -> tuple[list[Line], Truths]:
    """Return the readings of a life in order of time, and the truth about its windows.

    Readings are parsed as ``history --import`` does: any order, any window, ``source`` and
    ``resets_at`` may be absent.
    """
    readings = [
        Line(reading.read_at, key, reading)
        for key, reading in parse_lines(lines, _NO_FUTURE).readings
        if reading.utilization is not None
    ]
    truths: Truths = {key: [] for key in KEYS}
    for row in map(values.parse_json_object, lines):
        if row is not None and row.get("type") == "window" and row.get("key") in truths:
            truth = Truth.parse(row)
            if truth is not None:
                truths[str(row["key"])].append(truth)
    readings.sort(key=lambda line: line.read_at)
    for windows in truths.values():
        windows.sort(key=lambda truth: truth.started_at)
    return readings, truths


def truth_at(truths: Sequence[Truth], at: float) -> Truth | None:
    """Return the window that ran at an instant, if its outcome was still open and is known."""
    index = bisect_right(truths, at, key=lambda truth: truth.started_at) - 1
    truth = truths[index] if index >= 0 else None
    if truth is None or at >= truth.ended_at:
        return None
    if truth.run_out_at is None:
        return truth if truth.end == "reset" else None
    return truth if at < truth.run_out_at else None


# --- replay ------------------------------------------------------------------------------------


class Replay:
    """Replays a life and yields the answers about each window, ours and those of average pace."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.forecaster = Forecaster(zone=zone)
        self.seconds: list[float] = []  # that each estimate took
        self.tracker = WindowTracker()
        self._judged_at = dict.fromkeys(KEYS, 0.0)

    def answers(
        self, readings: Sequence[Line], truths: Truths
    ) -> Iterator[tuple[str, Truth, Answer, Answer]]:
        """Yield key, truth, our answer and that of average pace."""
        for read_at, lines in groupby(readings, key=lambda line: line.read_at):
            at = read_at.timestamp()
            found = {line.key: line.reading for line in lines}
            self._follow(found, at)
            wanted = {
                key: truth
                for key in found
                if key in KEYS and at - self._judged_at[key] >= SPACING[key]
                if (truth := truth_at(truths[key], at)) is not None
            }
            if not wanted:
                continue
            windows = [window_of(window, read_at) for window in self.tracker.windows.values()]
            starts = {key: window.started_at for key, window in self.tracker.windows.items()}
            began = time.perf_counter()
            estimates = self.forecaster.estimates(windows, starts, read_at)
            self.seconds.append((time.perf_counter() - began) / max(1, len(estimates)))
            for window, estimate in estimates:
                truth = wanted.get(window.key)
                if truth is not None:
                    self._judged_at[window.key] = at
                    ours = our_answer(estimate.curve, truth)
                    yield window.key, truth, ours, average_pace(window, truth, read_at)

    def _follow(self, readings: Mapping[str, Reading], at: float) -> None:
        """Follow the readings of one read through the rules, and add what was used."""
        before = self.tracker.windows
        for step in self.tracker.add(readings):
            history = history_of(self.forecaster, step.key)
            if step.change is Change.PLAN and step.window is not None:
                history.rescale(step.window.utilization / before[step.key].utilization)
            if step.increment is not None:
                began_at, ended_at, points = step.increment
                history.add_use(began_at.timestamp(), ended_at.timestamp(), points)
            elif step.change is not Change.PENDING:
                history.add_use(at, at, 0.0)
            if step.blocked is not None:
                span = [moment.timestamp() for moment in step.blocked]
                for key in (step.key,) if step.key != LONGER_KEY else KEYS:
                    history_of(self.forecaster, key).add_blocked(span[0], span[1])


def window_of(window: WindowInstance, now: datetime) -> UsageWindow:
    """Return the window as the program has it after a reading."""
    return UsageWindow(window.key, window.key, window.utilization, window.resets_at, "api", now)


def our_answer(curve: Curve, truth: Truth) -> Answer:
    """Return what a curve says."""

    def cut(moment: float | None) -> float:
        return truth.resets_at if moment is None else min(moment, truth.resets_at)

    return Answer(
        curve.start,
        tuple(cut(curve.quantile(share)) for share in QUANTILES),
        cut(curve.quantile(EARLIEST)),
        cut(curve.quantile(LATEST)),
        curve.probability,
    )


def average_pace(window: UsageWindow, truth: Truth, now: datetime) -> Answer:
    """Return what average pace says: one instant, or that the window lasts."""
    full_at = window.full_at(now)
    at = truth.resets_at if full_at is None else min(full_at.timestamp(), truth.resets_at)
    return Answer(now.timestamp(), (at, at, at), at, at, 0.0 if full_at is None else 1.0)


# --- results -----------------------------------------------------------------------------------


def back_test(
    paths: Sequence[Path], zone: tzinfo | None
) -> tuple[dict[str, dict[str, Scores]], list[float]]:
    """Return the scores by key and method, and the seconds that each estimate took."""
    scores = {key: {"ours": Scores(), "average_pace": Scores()} for key in KEYS}
    seconds: list[float] = []
    for path in paths:
        replay = Replay(zone)
        windows: dict[tuple[str, Truth], list[tuple[Answer, Answer]]] = {}
        for key, truth, *answers in replay.answers(*load(path)):
            windows.setdefault((key, truth), []).append((answers[0], answers[1]))
        for (key, truth), pairs in windows.items():
            ours, averages = zip(*pairs, strict=True)
            scores[key]["ours"].add(key, truth, ours)
            scores[key]["average_pace"].add(key, truth, averages)
        seconds += replay.seconds
    return scores, seconds


def table(scores: dict[str, dict[str, Scores]]) -> Iterator[str]:
    """Yield the lines of a table for people."""
    for key, methods in scores.items():
        size, unit = UNITS[key]
        for method, scored in methods.items():
            yield f"{key}, {method.replace('_', ' ')}: {len(scored.pinball)} forecasts"
            yield f"  pinball {number(mean(scored.pinball), size)} {unit}"
            yield f"  error of the median {number(mean(scored.error), size)} {unit}"
            yield f"  Brier score {number(mean(scored.brier), 1, 4)}"
            quiet, caught = scored.quiet_warned, scored.caught
            yield f"  warned falsely in {percent(quiet)} of {len(quiet)} quiet windows"
            yield f"  warned in time of {percent(caught)} of {len(caught)} run-outs"
            two_ended = scored.inside_two_ended
            yield (
                f"  80 % interval held {percent(scored.inside)}; {percent(two_ended)} of the"
                f" {len(two_ended)} that end before the reset"
            )


def number(value: float | None, size: float, digits: int = 2) -> str:
    """Return a number in units of a size."""
    return "-" if value is None else f"{value / size:.{digits}f}"


def percent(values: Sequence[bool]) -> str:
    """Return a share in percent."""
    return f"{fmean(values):.1%}" if values else "-"


def main() -> None:
    """Print the scores."""
    parser = argparse.ArgumentParser(description="Back-test the forecast on lives with the truth.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--tz", type=ZoneInfo, metavar="ZONE", help="where the users live")
    chosen = parser.parse_args()
    try:
        scores, seconds = back_test(chosen.files, chosen.tz)
    except UnusableFileError as error:
        parser.error(f"{error}.")
    if chosen.json:
        document = {
            key: {name: scored.as_json() for name, scored in methods.items()}
            for key, methods in scores.items()
        }
        json.dump(document, sys.stdout)
        print()
        return
    print("\n".join(table(scores)))
    if seconds:
        print(f"{median(seconds) * 1000:.2f} ms for a forecast, {max(seconds) * 1000:.1f} at most")


if __name__ == "__main__":
    main()
