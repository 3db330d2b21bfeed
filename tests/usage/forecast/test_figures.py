"""The forecast gets no worse: the back-test of docs/forecast.md, on a few small lives."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC
from pathlib import Path

import pytest

from tests.benchmarks import forecast
from tests.support.lives import life

START = "2026-09-07T08:00:00Z"
ROOT = Path(__file__).parent.parent.parent.parent
FIELDS = {
    "pinball_seconds", "median_error_seconds", "brier", "false_warning_share", "caught_share",
    "coverage",
}  # fmt: skip


def test_the_back_test_of_small_lives(tmp_path: Path) -> None:
    files = []
    for profile in ("office", "night", "crunch"):
        files.append(tmp_path / f"{profile}.jsonl")
        lines = (json.dumps(row) for row in life(profile, 7, 3))
        files[-1].write_text("\n".join(lines))
    command = [sys.executable, "-c", NO_PYTEST, *map(str, files), "--json"]
    done = subprocess.run([*command, "--tz", "Europe/Berlin"], capture_output=True, check=True)
    scores = json.loads(done.stdout)
    assert set(scores) == {"five_hour", "seven_day"}
    for methods in scores.values():
        assert [set(each) for each in methods.values()] == [FIELDS, FIELDS]
        ours, average = methods["ours"], methods["average_pace"]
        assert ours["pinball_seconds"] < 0.4 * average["pinball_seconds"]
        assert ours["false_warning_share"] < average["false_warning_share"]
        assert ours["coverage"] >= 0.95
    five_hour, week = scores["five_hour"]["ours"], scores["seven_day"]["ours"]
    assert five_hour["pinball_seconds"] <= 3.7 * 60
    assert five_hour["brier"] <= 0.055
    assert five_hour["false_warning_share"] <= 0.06
    assert five_hour["caught_share"] >= 0.6
    assert week["pinball_seconds"] <= 1.15 * 3600
    assert week["brier"] <= 0.05


def test_any_life_is_judged_that_can_be_imported(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain.jsonl", tmp_path / "odd.jsonl"
    rows = list(life("office", 7, 1))
    plain.write_text("\n".join(map(json.dumps, rows)))
    for row in rows:
        row["unknown"] = {"nested": [1]}
        if row["type"] == "reading":
            row.pop("source")
            if row["resets_at"] is None:
                row.pop("resets_at")
    rows.append({"type": "reading", "key": "thirty_day", "read_at": START, "utilization": 12.0})
    rows.append({"type": "window", "key": "thirty_day", "started_at": START, "resets_at": START})
    rows.append({"type": "reading", "key": "five_hour", "read_at": None, "utilization": "much"})
    lines = ["", "not JSON", *map(json.dumps, reversed(rows))]
    odd.write_text("\n".join(lines) + "\n")
    expected, scores = scores_of(plain), scores_of(odd)
    assert expected["five_hour"]["ours"]["pinball_seconds"] is not None
    assert expected == scores


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "has no readings"),
        ('{"type": "window", "key": "five_hour"}', "has no readings"),
        ('{"key": "five_hour", "read_at": "2026-09-07T08:00:00Z", "utilization": 1}', "no truth"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_life_is_named(
    tmp_path: Path, content: str | None, expected: str
) -> None:
    path = tmp_path / "life.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(forecast.UnusableFileError, match=expected):
        forecast.back_test([path], UTC)


def scores_of(path: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    scores, _ = forecast.back_test([path], UTC)
    return {
        key: {name: method.as_json() for name, method in methods.items()}
        for key, methods in scores.items()
    }


# The command needs what the program needs, and nothing else.
NO_PYTEST = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules["pytest"] = sys.modules["hypothesis"] = None
runpy.run_module("tests.benchmarks.forecast", run_name="__main__", alter_sys=True)
"""
