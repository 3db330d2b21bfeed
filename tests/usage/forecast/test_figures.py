"""The forecast gets no worse: the back-test of docs/forecast.md, on a few small lives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.lives import life

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
    assert week["pinball_seconds"] <= 1.45 * 3600
    assert week["brier"] <= 0.072


# The command needs what the program needs, and nothing else.
NO_PYTEST = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules["pytest"] = sys.modules["hypothesis"] = None
runpy.run_module("tests.benchmarks.forecast", run_name="__main__", alter_sys=True)
"""
