"""Many processes of one user on a full disk: still one request budget."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state.spare_ledger import FILE_NAME
from tests.support.command import TIMEOUT
from tests.support.payloads import payload
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store
    from tests.support.small_disk import SmallDisk

NOBODY = 65534
HOURS = 3 * 3_600_000  # ms


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    """Return a small disk that has everything of ours."""
    with small_disk(tmp_path / "disk") as mounted:
        monkeypatch.setenv("CLAUDE_USAGE_MONITOR_HOME", str(mounted.path / "ours"))
        yield mounted


@pytest.fixture
def fallback(tmp_path: Path) -> Path:
    """Return the folder of the file that replaces state.db."""
    return tmp_path / "temporary" / f"claude-usage-monitor-{os.getuid()}"


def forget_last_request(disk: SmallDisk) -> None:
    """Move all that state.db has hours into the past, so that a request is due."""
    with sqlite3.connect(disk.path / "ours" / "state.db") as state:
        while state.execute("SELECT 1 FROM request WHERE answered = 0").fetchone():
            time.sleep(0.01)  # until the result of the last request is stored
        state.execute("UPDATE request SET asked_at = asked_at - ?", (HOURS,))
        state.execute("UPDATE gate SET asked_at = asked_at - ?1, next_at = next_at - ?1", (HOURS,))
    state.close()


def run_together(command: Command, count: int) -> list[str | None]:
    """Run ``--json`` several times at once; returns the code of each one's problem."""
    running = [command.popen("--json") for _ in range(count)]
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in running]
    problems = [json.loads(output)["accounts"][0]["problem"] for output in outputs]
    return [problem and problem["code"] for problem in problems]


def test_ten_commands_on_a_full_disk_send_one_request(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    command.run("--json")
    forget_last_request(disk)
    disk.fill()
    assert [None] * 10 == [*run_together(command, 5), *run_together(command, 5)]
    assert 2 == len(api.usage_requests)


def test_a_429_on_a_full_disk_holds_for_every_process_also_when_there_is_space_again(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    command.run("--json")
    forget_last_request(disk)
    pane = command.open()
    pane.wait_for("78 %")
    while len(api.usage_requests) < 2:
        pane.read()
    forget_last_request(disk)
    disk.fill()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "3000"})
    assert ["rate_limited"] * 2 == run_together(command, 2)
    pane.type("r")
    pane.wait_for("next request")
    disk.empty()
    assert ["rate_limited"] * 2 == run_together(command, 2)
    assert 3 == len(api.usage_requests)


def test_where_the_disk_was_full_from_the_start_the_fallback_folder_serves(
    command: Command, api: Api, store: Store, disk: SmallDisk, fallback: Path
) -> None:
    store.login()
    disk.fill()
    assert [None] * 4 == [*run_together(command, 2), *run_together(command, 2)]
    assert 1 == len(api.usage_requests)
    assert (fallback / "state.db").exists()


def doctor_problems(command: Command) -> dict[str, tuple[str, str]]:
    """Return what ``doctor`` says is a problem, with its remedy."""
    document = json.loads(command.run("doctor", "--json").stdout)
    return {
        finding["name"]: (finding["detail"], finding["hint"])
        for finding in document["findings"]
        if finding["state"] == "problem"
    }


def test_doctor_names_a_full_disk(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    command.run("--json")
    assert {} == doctor_problems(command)
    disk.fill()
    detail, hint = doctor_problems(command)["state"]
    assert "state.db cannot be used (the disk is full" in detail
    assert "nothing is stored for now." in detail
    assert hint.startswith("Free space.")


def test_doctor_names_a_full_disk_on_which_a_write_still_succeeds(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    """As long as another process has the database open, its log may have space for more."""
    store.login()
    command.run("--json")
    with closing(sqlite3.connect(disk.path / "ours" / "state.db", isolation_level=None)) as open_:
        open_.execute("CREATE TABLE more AS SELECT zeroblob(100000)")
        open_.execute("PRAGMA wal_checkpoint(RESTART)")
        disk.fill()
        assert {"space": (f"0 KiB are left for {disk.path / 'ours'}", "Free space.")} == (
            doctor_problems(command)
        )


def test_doctor_names_a_locked_database(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    command.run("--json")
    with closing(sqlite3.connect(disk.path / "ours" / "state.db", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        detail, hint = doctor_problems(command)["state"]
    assert "another program has locked it" in detail
    assert "Try again in a moment." == hint


@pytest.fixture(params=["full", "another user's"])
def no_fallback(
    request: pytest.FixtureRequest,
    disk: SmallDisk,
    fallback: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Make the fallback folder unusable too."""
    if request.param == "full":
        (disk.path / "temporary").mkdir()
        monkeypatch.setenv("TMPDIR", str(disk.path / "temporary"))
        return
    fallback.mkdir()
    fallback.chmod(0o777)
    if os.getuid() == 0:
        os.chown(fallback, NOBODY, NOBODY)


@pytest.mark.usefixtures("no_fallback")
def test_without_the_fallback_folder_the_spare_ledger_is_shared(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    command.run("--json")
    forget_last_request(disk)
    disk.fill()
    assert [None] * 4 == [*run_together(command, 2), *run_together(command, 2)]
    assert 2 == len(api.usage_requests)


@pytest.mark.usefixtures("no_fallback")
def test_where_nothing_can_be_shared_commands_send_no_request_and_a_pane_sends_one(
    command: Command, api: Api, store: Store, disk: SmallDisk
) -> None:
    store.login()
    disk.fill()
    done = command.run("--json")
    assert 4 == done.returncode
    assert "No request was sent" in done.stderr
    assert "Free space" in done.stderr
    assert [] == api.usage_requests
    pane = command.open()
    pane.wait_for("78 %")
    pane.type("r")
    assert ["rate_limited"] * 2 == run_together(command, 2)
    assert 1 == len(api.usage_requests)


def test_where_nothing_can_be_shared_a_pane_respects_a_known_429(
    command: Command, api: Api, store: Store, disk: SmallDisk, fallback: Path
) -> None:
    store.login()
    api.answer(payload("error_429_usage"), 429, {"Retry-After": "3000"})
    command.run("--json")
    (disk.path / "ours" / FILE_NAME).unlink()
    fallback.write_text("in the way")
    disk.fill()
    pane = command.open()
    pane.wait_for("next request")
    pane.type("r")
    pane.read_for(1)
    assert 1 == len(api.usage_requests)
