"""What must be true of every output, and at the end."""

from __future__ import annotations

import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.chaos.world import CALM, FIGURES, OTHER_FIGURES, ChaosServer

if TYPE_CHECKING:
    from tests.support.command import Terminal

MEMORY_FROM = 10  # minutes after which the memory of a pane grows no more
MAX_GROWTH = 1 << 20  # bytes
_CLOCK_TOLERANCE = 95.0  # seconds; a smaller error of this computer's clock is not corrected
_STORED_LATE = 2  # figures: responses may be stored in another order than they were sent
KILLED = -signal.SIGKILL  # the exit code
_EXIT_CODES = (KILLED, *range(5))
_SECONDS_TO_CLOSE_FILES = 60.0
_TITLE = re.compile(r"^╭─ (\S+).*?(?:(\w+)@example\.com)? ─+╮$")
_FIVE_HOUR = re.compile(r"5-hour.* (\d+) %")


class Killed(NamedTuple):
    """The real times of the start and the end of a process that was killed."""

    started: float
    ended: float


class Pane:
    """The command in live mode."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self.terminal = terminal
        self.name = name
        self.opened = time.monotonic()
        self.memory: list[tuple[float, int]] = []  # seconds since the start, bytes
        self.descriptors: list[int] = []  # the first one while it is idle

    def measure(self) -> None:
        """Note how much memory of its own it uses, and how many files it has open."""
        process = Path(f"/proc/{self.terminal.pid}")
        kibibytes = int(re.findall(r"RssAnon:\s+(\d+)", (process / "status").read_text())[0])
        self.memory.append((time.monotonic() - self.opened, kibibytes << 10))
        self.descriptors.append(len(list((process / "fd").iterdir())))

    def memory_by_minute(self) -> list[int]:
        """Return the least memory of each minute from `MEMORY_FROM` on, in bytes.

        A measurement during a read includes what the read needs for a moment: up to 2 MiB.
        """
        least: dict[int, int] = {}
        for seconds, size in self.memory:
            minute = int(seconds // 60)
            least[minute] = min(size, least.get(minute, size))
        return [size for minute, size in sorted(least.items()) if minute >= MEMORY_FROM]

    def five_hour(self) -> int | None:
        """Return the first five-hour figure on its screen."""
        figure = _FIVE_HOUR.search(self.terminal.text)
        return int(figure[1]) if figure else None


class Laws:
    """Checks outputs at once; ``violations`` has everything that must not happen and did.

    Accounts are named as the server names them. ``extras`` has the accounts that the run adds, by
    the name that they have here.
    """

    def __init__(self, server: ChaosServer, folder: Path) -> None:
        self.violations: list[str] = []
        self.counts: Counter[str] = Counter()
        self.killed: list[Killed] = []
        self.extras: dict[str, str] = {}
        self.stored: set[float] = set()
        """The figures that a command has shown without a notice that nothing can be stored."""
        self.shown: dict[str, int] = {}
        """For each account the number of the newest figure that was stored and shown."""
        self._server = server
        self._folder = folder  # of the command's files
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def violated(self, text: str) -> None:
        """Add a violation."""
        with self._lock:
            self.violations.append(f"{time.monotonic() - self._began:.1f} s: {text}")
            print(self.violations[-1], flush=True)

    def account_named(self, name: str) -> str | None:
        """Return which account has a name here; ``None`` for Claude Code's, which changes."""
        fixed = {"work": "work", "home": "home", "copy": "ada"}
        return fixed.get(name) or self.extras.get(name)

    # --- every output --------------------------------------------------------------------------

    def check_exit(self, done: CompletedProcess[str]) -> None:
        """Check how a command ended."""
        if "Traceback" in done.stdout + done.stderr or done.returncode not in _EXIT_CODES:
            self.violated(str(done))
        self.counts[f"{' '.join(done.args[:2])}: {done.returncode}"] += 1

    def check_frames(self, lines: list[str], where: str) -> None:
        """Check that every figure in frames was sent for the account of its frame."""
        account: str | None = None
        for line in lines:
            if title := _TITLE.match(line):
                account = title[2] or self.account_named(title[1])
            if (figure := _FIVE_HOUR.search(line)) and account is not None:
                self.check_figure(account, int(figure[1]), where)

    def check_figure(self, account: str, shown: int, where: str) -> None:
        """Check that a rounded figure was sent for an account."""
        self.counts["figures checked"] += 1
        sent = list(self._server.figures_sent.get(account, ()))
        if not any(int(figure + 0.5) == shown for figure in sent):
            self.violated(f"{where} shows {shown} % for {account}, which was never sent")

    def check_document(self, document: dict[str, Any], shown_before: dict[str, int]) -> None:
        """Check every figure of ``--json``, its time, and that none is older than one before."""
        for status in document["accounts"]:
            email = (status["profile"] or {}).get("email")
            account = email.partition("@")[0] if email else self.account_named(status["name"])
            if not status["windows"] and status["problem"] is None:
                self.violated(f"--json shows neither figures nor a problem: {status}")
            for window in status["windows"]:
                if account is None or window["key"] != "five_hour" or window["utilization"] is None:
                    continue
                wrong = self._wrong_window(account, window)
                if status["notice"] is not None:
                    self.counts["figures with a notice that nothing is stored"] += 1
                elif wrong is None:
                    wrong = self._regression(account, window["utilization"], shown_before)
                if wrong is not None:
                    self.violated(f"--json {wrong}: {status}")

    def _wrong_window(self, account: str, window: dict[str, Any]) -> str | None:
        """Return what is wrong with a figure or its time."""
        self.counts["figures checked"] += 1
        sent_at = self._server.figures_sent.get(account, {}).get(window["utilization"])
        if sent_at is None:
            return f"shows a figure for {account} that was never sent"
        error = datetime.fromisoformat(window["as_of"]).timestamp() - sent_at
        if window["source"] == "api" and abs(error) > _CLOCK_TOLERANCE:
            return f"shows a time {error:.0f} s off for {account}"
        return None

    def _regression(self, account: str, figure: float, shown_before: dict[str, int]) -> str | None:
        """Return what is wrong with the order of stored figures; remember this one."""
        if account.startswith("extra"):
            return None
        number = list(self._server.figures_sent[account]).index(figure)
        self.stored.add(figure)
        self.shown[account] = max(number, self.shown.get(account, 0))
        if number < shown_before.get(account, 0) - _STORED_LATE:
            return f"shows an old figure of {account} again"
        return None

    # --- the end -------------------------------------------------------------------------------

    def is_calm(self, account: str | None, figure: float | None) -> bool:
        """Return whether a figure was sent at the end, when everything worked again."""
        return (figure or 0) >= FIGURES.get(account or "", OTHER_FIGURES) + CALM

    def check_lost(self, name: str) -> None:
        """Count a lost login; a violation unless a process was killed while it refreshed one."""
        self.counts["logins lost"] += 1
        account = self.account_named(name)
        refreshed_at = [
            request.at
            for request in self._server.refreshes
            if self._server.account_of(request.refresh_token) == account
        ]
        if not any(
            killed.started <= at and at - 1 <= killed.ended <= at + 30
            for killed in self.killed
            for at in refreshed_at
        ):
            self.violated(f"the login of {name} is lost, and no process was killed then")

    def check_server(self) -> None:
        """Check the request budget of every account, and which logins were refreshed."""
        for account in self._server.arrivals:
            if spans := self._server.over_budget(account):
                self.violated(f"{account}: 21 requests within {spans} s")
        if count := self._server.claude_code_refreshes:
            self.violated(f"the login that Claude Code holds was refreshed {count} times")

    def check_files(self) -> None:
        """Check that no file is damaged, and that no stored figure is gone."""
        for name in ("state.db", "accounts.db"):
            with closing(sqlite3.connect(self._folder / name)) as database:
                if [("ok",)] != database.execute("PRAGMA integrity_check").fetchall():
                    self.violated(f"{name} is damaged")
        with closing(sqlite3.connect(self._folder / "state.db")) as state:
            readings = {row[0] for row in state.execute("SELECT utilization FROM reading")}
        if missing := self.stored - readings:
            self.violated(f"figures were stored and are gone: {sorted(missing)}")
        if damaged := [path.name for path in self._folder.glob("*.damaged-*")]:
            self.violated(f"damaged files: {damaged}")

    def check_pane(self, pane: Pane) -> None:
        """Check the memory and the open files of a pane, and leave it."""
        deadline = time.monotonic() + _SECONDS_TO_CLOSE_FILES
        pane.measure()
        while pane.descriptors[-1] > pane.descriptors[0]:
            if time.monotonic() > deadline:
                self.violated(f"{pane.name}: open files {pane.descriptors}")
                break
            pane.terminal.read(0.5)
            pane.measure()
        late = pane.memory_by_minute()
        if late and max(abs(size - late[0]) for size in late) > MAX_GROWTH:
            self.violated(f"{pane.name}: memory {late}")
        pane.terminal.type("xq")  # x leaves the help
        if code := pane.terminal.wait_for_exit():
            self.violated(f"{pane.name} ended with {code}")
