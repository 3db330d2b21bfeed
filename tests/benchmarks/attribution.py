"""Compare the attribution with the truth of generated transcripts and readings.

``python -m tests.benchmarks.attribution DIR TRUTH READINGS [--weights list-price] [--json]`` reads
DIR into a new database, follows the readings as the program does, and prints the mean error of
every kind of window: over the projects of a window, and of the use elsewhere. Exit code 1 if a sum
differs from TRUTH, 2 if a file cannot be used. Needs the runtime dependencies only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from claude_usage_monitor.monitor.attribution.scan import scan
from claude_usage_monitor.sources.claude_code.transcript_files import transcript_roots
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
from claude_usage_monitor.usage.attribution import window_use
from claude_usage_monitor.usage.attribution.attribution import Sample, Window, rises_of
from claude_usage_monitor.usage.attribution.messages import Tokens, Use
from claude_usage_monitor.usage.attribution.weights import credit_units, price_units
from claude_usage_monitor.usage.attribution.window_use import Samples, attribute, rows_by, units_in
from claude_usage_monitor.usage.limits.resets import Reading, WindowTracker

_SAME_RESET = 600  # seconds
_WEIGHTS = {"credits": credit_units, "list-price": price_units}


class Error(NamedTuple):
    """The error of one window: of its projects (sum of differences), and of its use elsewhere.

    ``within`` is the share of its projects whose error is within the one that is shown.
    """

    projects: float
    elsewhere: float
    true_elsewhere: float
    utilization: float
    within: float


def read_uses(folder: Path, step: int) -> list[Use]:
    """Read transcripts into a new database and return what was used.

    Raises ValueError if the folder contains none.
    """
    with tempfile.TemporaryDirectory() as temporary:
        roots = transcript_roots({"HOME": temporary, "CLAUDE_CONFIG_DIR": str(folder.absolute())})
        store = TranscriptStore(Path(temporary) / "transcripts.db")
        if not roots or not scan(store, roots).files:
            raise ValueError(f"{folder} contains no transcripts below `projects`")
        uses = sorted(store.uses(0, 1 << 40, step))
        store.close()
    return uses


def follow(lines: Iterable[dict[str, Any]]) -> dict[str, list[Window]]:
    """Return the windows that the recorded readings show, by key."""
    tracker = WindowTracker()
    instances: dict[tuple[str, datetime], Any] = {}
    readings: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    ordered = sorted(lines, key=lambda line: str(line["read_at"]))
    for read_at, group in groupby(ordered, key=lambda line: str(line["read_at"])):
        at = datetime.fromisoformat(read_at)
        read = {}
        for line in group:
            resets_at = line["resets_at"] and datetime.fromisoformat(line["resets_at"])
            read[line["key"]] = Reading(at, line["utilization"], resets_at)
        for step in tracker.add(read):
            for window in (step.closed, step.window):
                if window is not None:
                    instances[window.key, window.started_at] = window
            if step.window is not None and read[step.key].utilization is not None:
                readings[step.key].append((at, read[step.key].utilization or 0.0))
    windows = defaultdict(list)
    for window in sorted(instances.values(), key=lambda window: window.started_at):
        begin, end = int(window.started_at.timestamp()), round(window.resets_at.timestamp())
        inside = [(int(at.timestamp()), u) for at, u in readings[window.key]]
        rises = rises_of((at, u) for at, u in inside if begin <= at < end)
        peak = rises[-1].utilization if rises else window.utilization
        windows[window.key].append(Window(window.key, begin, end, peak, rises))
    return windows


def errors(
    uses: list[Use], lines: list[dict[str, Any]], weights: str
) -> Iterator[tuple[str, Error]]:
    """Yield the key and the error of every window of the truth."""
    window_use.credit_units = _WEIGHTS[weights]  # type: ignore[attr-defined] # the first opinion
    windows = follow(line for line in lines if line["type"] == "reading")
    five_hours = windows["five_hour"]
    samples = Samples(
        *(
            [
                Sample(each.resets_at, each.utilization, units_in(each, uses, weighting))
                for each in five_hours
            ]
            for weighting in (_WEIGHTS[weights], price_units)
        )
    )
    for truth in (line for line in lines if line["type"] == "window"):
        resets_at = datetime.fromisoformat(truth["resets_at"]).timestamp()
        started_at = int(datetime.fromisoformat(truth["started_at"]).timestamp())
        window = next(
            (w for w in windows[truth["key"]] if abs(w.resets_at - resets_at) < _SAME_RESET),
            Window(truth["key"], started_at, int(resets_at), 0.0),
        )
        inside = [w for w in five_hours if started_at <= w.started_at < resets_at]
        attributed = attribute(window, uses, inside, samples)
        assert attributed is not None
        points = {
            row.name: row.points or 0.0
            for row in rows_by("project", attributed.uses, attributed.points)
        }
        shown = sum(points.values()) + (attributed.elsewhere or 0.0)
        assert abs(shown - window.utilization) < 1e-6, "rows and elsewhere are the utilization"
        names = points.keys() | truth["by_project"].keys()
        wrong = [abs(points.get(n, 0.0) - truth["by_project"].get(n, 0.0)) for n in names]
        within = sum(each <= attributed.plus_minus for each in wrong) / max(1, len(wrong))
        elsewhere = abs((attributed.elsewhere or 0.0) - truth["elsewhere"])
        yield (
            truth["key"],
            Error(sum(wrong), elsewhere, truth["elsewhere"], window.utilization, within),
        )


def wrong_sums(uses: list[Use], truth: dict[str, Any]) -> list[str]:
    """Return the tables of the truth that differ from what was read."""
    tables: dict[str, Callable[[Use], str]] = {
        "by_project": lambda use: use.project,
        "by_session": lambda use: use.session,
        "by_model": lambda use: use.model,
    }
    wrong = []
    for table, name in tables.items():
        found: dict[str, list[int]] = defaultdict(lambda: [0] * len(Tokens._fields))
        for use in uses:
            found[name(use)] = [a + b for a, b in zip(found[name(use)], use.tokens, strict=True)]
        rows = {key: [row[f] for f in Tokens._fields] for key, row in truth[table].items()}
        if rows != dict(found):
            wrong.append(table)
    return wrong


def main() -> int:
    """Print the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a configuration folder")
    parser.add_argument("truth", metavar="TRUTH", type=Path)
    parser.add_argument("readings", metavar="READINGS", type=Path)
    parser.add_argument("--weights", choices=sorted(_WEIGHTS), default="credits")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, list[Error]] = defaultdict(list)
    try:
        uses = read_uses(options.folder, 60)
        wrong = wrong_sums(uses, json.loads(options.truth.read_text()))
        lines = [json.loads(line) for line in options.readings.read_text().splitlines()]
        for key, error in errors(uses, lines, options.weights):
            found[key].append(error)
            found["all"].append(error)
    except KeyError as error:
        parser.error(f"TRUTH or a line of READINGS has no key {error}")
    except (OSError, ValueError, TypeError) as error:
        parser.error(str(error))
    means = {
        key: {
            "windows": len(each),
            **{f: round(statistics.fmean(getattr(e, f) for e in each), 3) for f in Error._fields},
        }
        for key, each in found.items()
    }
    if options.json:
        document = {"weights": options.weights, "sums_differ": wrong, "windows": means}
        print(json.dumps(document, indent=1))
    else:
        print(f"sums: {'differ in ' + ', '.join(wrong) if wrong else 'equal the truth'}")
        print(f"mean errors in points, weights: {options.weights}")
        for key, mean in means.items():
            print(f"  {key:18} " + "  ".join(f"{name} {value}" for name, value in mean.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
