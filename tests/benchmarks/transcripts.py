"""Measure reading transcripts: ``python -m tests.benchmarks.transcripts DIR [--ccusage PROGRAM]``.

DIR is a configuration folder made by ``tests/support/make_transcripts.py`` (1 GB, 2,000 files).
Prints CPU seconds and memory of a first read into a new database, beside reading the files and
finding the marker, the second scan, a report, and ccusage (an installed program) on the same data.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARKER = b'"output_tokens":'
PARTS = ("floor", "first")
SHORT = (
    "import sys; sys.argv = ['x']; import tests.benchmarks.transcripts as t; t.{part}({folder!r})"
)


def floor(folder: str) -> None:
    """Read every file and find the marker."""
    for path in Path(folder).rglob("*.jsonl"):
        content = path.read_bytes()
        at = 0
        while (at := content.find(MARKER, at)) >= 0:
            at += 1


def first(folder: str) -> None:
    """Read into a new database, scan again, and report by project."""
    from claude_usage_monitor.monitor.attribution.scan import scan
    from claude_usage_monitor.sources.claude_code.transcript_files import transcript_roots
    from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
    from claude_usage_monitor.usage.attribution.window_use import rows_by

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "transcripts.db"
        store = TranscriptStore(path)
        roots = transcript_roots({"HOME": temporary, "CLAUDE_CONFIG_DIR": folder})
        scan(store, roots)
        began = time.process_time()
        scan(store, roots)
        rescan, began = time.process_time() - began, time.process_time()
        rows_by("project", store.uses(0, 1 << 40))
        report = time.process_time() - began
        messages = sum(use.tokens.messages for use in store.uses(0, 1 << 40))
        store.close()
        size = path.stat().st_size / max(1, messages)
    print(
        f"  rescan {rescan:.3f} s, report of {messages} messages {report:.3f} s, {size:.0f} B each"
    )


def measure(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """Return the CPU seconds and the memory in MB of a command."""
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL if "daily" in command else None
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Print the figures, the best of three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--ccusage", metavar="PROGRAM")
    options = parser.parse_args()
    empty = min(
        measure([sys.executable, "-c", "import tests.benchmarks.transcripts"], {**os.environ})[0]
        for _ in range(3)
    )
    found = {}
    for part in PARTS:
        command = [sys.executable, "-c", SHORT.format(part=part, folder=options.folder)]
        runs = [measure(command, {**os.environ}) for _ in range(3)]
        found[part] = min(seconds for seconds, _ in runs) - empty
        print(f"{part}: {found[part]:.2f} s CPU, {runs[0][1]:.0f} MB")
    print(f"first read, second scan, report: {found['first'] / found['floor']:.1f} x the floor")
    if options.ccusage:
        command = [options.ccusage, "claude", "daily", "--json", "--offline"]
        environ = {**os.environ, "CLAUDE_CONFIG_DIR": options.folder}
        runs = [measure(command, environ) for _ in range(3)]
        seconds = min(seconds for seconds, _ in runs)
        ratio = found["first"] / seconds
        print(f"ccusage: {seconds:.2f} s CPU, {runs[0][1]:.0f} MB; ours {ratio:.2f} x")


if __name__ == "__main__":
    main()
