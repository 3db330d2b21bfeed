from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.store.state.alerts import claim, release
from claude_usage_monitor.store.state.state_file import open_in_memory, open_state_file
from claude_usage_monitor.usage.alerts import Alert

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
ADA = "uuid-of-ada"
PROCESSES, CROSSINGS = 4, 50

CLAIM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from claude_usage_monitor.store.state.alerts import claim
from claude_usage_monitor.store.state.state_file import open_state_file
from claude_usage_monitor.usage.alerts import Alert
connection = open_state_file(Path(sys.argv[1])).connection
now = datetime.now(UTC)
for number in range(int(sys.argv[2])):
    alert = Alert("threshold", "a", str(number), "level 80", "", now)
    for claimed in claim(connection, "uuid-of-ada", [alert], now):
        print(claimed.instance)
"""

# Sends each crossing by appending it to a file; stops for good before it sends number argv[3].
SEND = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from claude_usage_monitor.store.state.alerts import claim
from claude_usage_monitor.store.state.state_file import open_state_file
from claude_usage_monitor.usage.alerts import Alert
connection = open_state_file(Path(sys.argv[1])).connection
now = datetime.now(UTC)
for number in range(20):
    alert = Alert("threshold", "a", str(number), "level 80", "", now)
    for claimed in claim(connection, "uuid-of-ada", [alert], now):
        if claimed.instance == sys.argv[3]:
            print("claimed", flush=True)
            time.sleep(60)
        with open(sys.argv[2], "a") as log:
            print(claimed.instance, file=log)
"""


def alert(instance: str, rule: str = "level 80", *also: str) -> Alert:
    return Alert("threshold", "a", instance, rule, "", NOW, also=also)


def test_each_alert_is_claimed_once() -> None:
    connection = open_in_memory().connection
    assert [] == claim(connection, ADA, [], NOW)
    assert [alert("1")] == claim(connection, ADA, [alert("1")], NOW)
    assert [] == claim(connection, ADA, [alert("1")], NOW)
    assert [alert("2")] == claim(connection, ADA, [alert("1"), alert("2")], NOW)
    claim(connection, "uuid-of-bob", [], NOW)
    assert [alert("1")] == claim(connection, "uuid-of-bob", [alert("1")], NOW)


def test_what_holds_at_the_first_sight_is_no_news() -> None:
    connection = open_in_memory().connection
    assert [] == claim(connection, ADA, [alert("1")], NOW)
    assert [] == claim(connection, ADA, [alert("1")], NOW)
    assert [alert("2")] == claim(connection, ADA, [alert("2")], NOW)


def test_without_figures_there_is_no_first_sight() -> None:
    connection = open_in_memory().connection
    assert [] == claim(connection, ADA, [alert("login")], NOW, with_figures=False)
    assert [] == claim(connection, ADA, [alert("1")], NOW)
    assert [alert("login")] == claim(connection, ADA, [alert("login")], NOW, with_figures=False)


def test_a_milder_level_is_not_sent_after_a_higher_one() -> None:
    connection = open_in_memory().connection
    claim(connection, ADA, [], NOW)
    assert claim(connection, ADA, [alert("1", "level 95", "level 80")], NOW)
    assert [] == claim(connection, ADA, [alert("1", "level 80")], NOW)


def test_alerts_of_quiet_hours_are_released_once_if_they_still_hold(tmp_path: Path) -> None:
    first = open_state_file(tmp_path / "state.db").connection
    claim(first, ADA, [], NOW)
    assert [] == claim(first, ADA, [alert("1"), alert("2"), alert("3")], NOW, quiet=True)
    first.close()  # the process that held them back ends
    second = open_state_file(tmp_path / "state.db").connection
    holding = [alert("1")._replace(text="one"), alert("3")._replace(text="three"), alert("4")]
    assert [] == release(second, "uuid-of-bob", holding, with_figures=True)
    (sent,) = release(second, ADA, holding, with_figures=True)
    assert ("1", "one; three") == (sent.instance, sent.text)
    assert [] == release(second, ADA, holding, with_figures=True)


def test_an_alert_of_quiet_hours_is_claimed_only_if_it_is_stored() -> None:
    """A process may be killed between two transactions."""
    connection = open_in_memory().connection
    claim(connection, ADA, [], NOW)
    connection.execute("ALTER TABLE held_alert RENAME TO away")
    with pytest.raises(sqlite3.OperationalError):
        claim(connection, ADA, [alert("1")], NOW, quiet=True)
    connection.execute("ALTER TABLE away RENAME TO held_alert")
    assert [] == claim(connection, ADA, [alert("1")], NOW, quiet=True)
    assert [alert("1")] == release(connection, ADA, [alert("1")], with_figures=True)


def test_without_figures_only_what_still_holds_is_released() -> None:
    connection = open_in_memory().connection
    claim(connection, ADA, [], NOW)
    claim(connection, ADA, [alert("1"), alert("login")], NOW, quiet=True)
    (sent,) = release(connection, ADA, [alert("login")], with_figures=False)
    assert "login" == sent.instance
    (sent,) = release(connection, ADA, [alert("1")], with_figures=True)
    assert "1" == sent.instance


def test_every_crossing_is_sent_once_across_processes(tmp_path: Path) -> None:
    """`tests.endurance.test_alerts` runs 8 processes and 200 crossings."""
    path = tmp_path / "state.db"
    assert list(range(CROSSINGS)) == crossings_sent(path, PROCESSES, CROSSINGS)


def crossings_sent(path: Path, processes: int, crossings: int) -> list[int]:
    claim(open_state_file(path).connection, ADA, [], NOW)
    arguments = [sys.executable, "-c", CLAIM, str(path), str(crossings)]
    running = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    return sorted(int(line) for each in running for line in each.communicate()[0].split())


def test_a_process_that_is_killed_before_it_sends_loses_one_alert_and_repeats_none(
    tmp_path: Path,
) -> None:
    path, log = tmp_path / "state.db", tmp_path / "sent"
    claim(open_state_file(path).connection, ADA, [], NOW)
    arguments = [sys.executable, "-c", SEND, str(path), str(log)]
    with subprocess.Popen([*arguments, "7"], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert "claimed\n" == killed.stdout.readline()
        killed.kill()
    assert list(range(7)) == [int(line) for line in log.read_text().split()]
    for _ in range(2):  # as after a restart
        subprocess.run([*arguments, "none"], check=True)
        expected = [number for number in range(20) if number != 7]
        assert expected == [int(line) for line in log.read_text().split()]
