from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from claude_usage_monitor.monitor.attribution import scan as scan_module
from claude_usage_monitor.monitor.attribution.scan import Progress, scan
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
from tests.support.transcripts import (
    GrowingTree,
    by_hour,
    generate,
    iso_hour,
    roots,
    sums,
    truth_sums,
)

SEED = 3  # of most tests, which then generate the same files only once
EVER = (0, 1 << 40)
TABLES = ("total", "by_project", "by_model", "by_kind", "by_speed")  # in any order of reading
OWNER_TABLES = ("by_session", "by_agent")  # an unmarked copy belongs to the oldest file seen


def require_truth(store: TranscriptStore, truth: dict[str, Any], *tables: str) -> None:
    found = sums(store.uses(*EVER))
    for table in tables:
        assert truth_sums(truth, table) == found[table], table


def check_seed(tmp_path: Path, seed: int) -> None:
    """Compare sums with the truth, of a tree read at once and of one that grew meanwhile."""
    truth = generate(tmp_path / "tree", seed, megabytes=1, files=60)
    store = TranscriptStore(tmp_path / "ours" / "transcripts.db")
    scan(store, roots(tmp_path / "tree"))
    require_truth(store, truth, *TABLES, *OWNER_TABLES)
    hours = by_hour(store.uses(*EVER, step=3600), iso_hour)
    assert truth_sums(truth, "by_hour") == hours

    rng = random.Random(seed)  # noqa: S311 - no secret
    (tmp_path / "grown" / "projects").mkdir(parents=True)
    tree = GrowingTree(tmp_path / "tree", tmp_path / "grown", rng)
    grown = TranscriptStore(tmp_path / "ours" / "grown.db")
    for _ in range(5):
        tree.grow()
        scan(grown, roots(tmp_path / "grown"))
    tree.grow(complete=True)
    scan(grown, roots(tmp_path / "grown"))
    require_truth(grown, truth, *TABLES)


@pytest.mark.parametrize("seed", [1, 2])  # the others: tests/endurance
def test_sums_equal_the_truth_whatever_the_order_and_the_slices(tmp_path: Path, seed: int) -> None:
    check_seed(tmp_path, seed)


def test_a_second_scan_reads_nothing(tmp_path: Path) -> None:
    generate(tmp_path / "tree", SEED)
    store = TranscriptStore(tmp_path / "transcripts.db")
    first = scan(store, roots(tmp_path / "tree"))
    second = scan(store, roots(tmp_path / "tree"))
    assert first.bytes > 1_000_000
    assert (0, 0, 0) == (second.files, second.bytes, second.messages)


def test_an_interrupted_scan_continues_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "_MAX_PARTS", 1)
    truth = generate(tmp_path / "tree", SEED)
    store = TranscriptStore(tmp_path / "transcripts.db")
    rng = random.Random(4)  # noqa: S311 - no secret
    scans, done = 0, 0
    while not (
        result := scan(store, roots(tmp_path / "tree"), should_stop=lambda: rng.random() < 0.1)
    ).complete:
        scans, done = scans + 1, done + result.bytes
    assert scans > 1
    assert done + result.bytes < truth["bytes"] + 1
    require_truth(store, truth, *TABLES, *OWNER_TABLES)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    truth = generate(tmp_path / "tree", SEED)
    reports: list[Progress] = []
    scan(TranscriptStore(tmp_path / "transcripts.db"), roots(tmp_path / "tree"), reports.append)
    assert truth["files"] == reports[-1].files == reports[-1].all_files
    assert reports == sorted(reports)
    assert reports[-1].all_bytes - reports[-1].bytes < 100_000  # partial last lines


def test_messages_of_vanished_files_stay(tmp_path: Path) -> None:
    truth = generate(tmp_path / "tree", SEED)
    store = TranscriptStore(tmp_path / "transcripts.db")
    scan(store, roots(tmp_path / "tree"))
    for path in (tmp_path / "tree").rglob("*.jsonl"):
        path.unlink()
    scan(store, roots(tmp_path / "tree"))
    require_truth(store, truth, *TABLES, *OWNER_TABLES)
    assert 0 == store.totals().files


def test_a_truncated_file_and_a_replaced_one_are_read_again(tmp_path: Path) -> None:
    truth = generate(tmp_path / "tree", SEED)
    store = TranscriptStore(tmp_path / "transcripts.db")
    scan(store, roots(tmp_path / "tree"))
    before = store.totals().bytes
    for number, path in enumerate(sorted((tmp_path / "tree").rglob("*.jsonl"))):
        content = path.read_bytes()
        if number % 3 == 0:  # withdrawn lines, then others
            path.write_bytes(content[: len(content) // 2])
        elif number % 3 == 1:  # another file under the same name
            path.unlink()
            path.write_bytes(content)
        else:  # replaced in place by a larger file
            path.write_bytes(b'{"type":"mode"}\n' * 100 + content)
    scan(store, roots(tmp_path / "tree"))
    require_truth(store, truth, *TABLES)
    assert store.totals().bytes != before


def test_an_unreadable_folder_costs_only_itself(tmp_path: Path) -> None:
    generate(tmp_path / "tree", SEED)
    projects = tmp_path / "tree" / "projects"
    (projects / "loop").symlink_to(projects)
    (projects / "gone.jsonl").symlink_to(projects / "nowhere")
    os.mkfifo(projects / "pipe.jsonl")
    store = TranscriptStore(tmp_path / "transcripts.db")
    result = scan(store, roots(tmp_path / "tree"))
    assert result.complete
    assert store.totals().files == sum(
        path.is_file() and path.suffix == ".jsonl" and path.name != "journal.jsonl"
        for path in projects.rglob("*")
        if "loop" not in path.parts
    )


SCANNER = """
import sys
from pathlib import Path
from claude_usage_monitor.monitor.attribution import scan
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
scan._MAX_PARTS = 3
store = TranscriptStore(Path(sys.argv[1]))
print("reading", flush=True)
scan.scan(store, [Path(sys.argv[2])])
"""


def kill_scans(tmp_path: Path, seed: int, runs: int) -> int:
    """Kill scans at random moments while they read; return how many were killed."""
    truth = generate(tmp_path / "tree", seed, megabytes=4)
    rng = random.Random(seed)  # noqa: S311 - no secret
    database = tmp_path / "transcripts.db"
    killed = 0
    for _ in range(runs):
        with subprocess.Popen(
            [sys.executable, "-c", SCANNER, database, tmp_path / "tree" / "projects"],
            stdout=subprocess.PIPE,
        ) as scanner:
            assert scanner.stdout is not None
            scanner.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))
            scanner.send_signal(signal.SIGKILL)
        killed += scanner.returncode == -signal.SIGKILL
        store = TranscriptStore(database)
        files = store.files()
        if len(files) == truth["files"]:  # read everything again: only the messages stay
            store.forget_files(files)
        store.close()
    store = TranscriptStore(database)
    scan(store, roots(tmp_path / "tree"))
    require_truth(store, truth, *TABLES, *OWNER_TABLES)
    return killed


def test_sums_are_exact_after_kills(tmp_path: Path) -> None:
    assert kill_scans(tmp_path, 9, runs=4) > 0
