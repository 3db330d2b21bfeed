"""Those who run the command and those who disturb it, each on a thread of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from itertools import count
from random import Random

from tests.support.chaos.laws import KILLED, Killed, Laws, Pane
from tests.support.chaos.world import FAILURES, HOUR, ChaosServer, ClaudeCode, WorldClock, seeded
from tests.support.command import PROGRAM, Command, Terminal
from tests.support.small_disk import SmallDisk

_TIMEOUT = 90.0  # seconds; a command may take 20 for a request and 30 to store a login
_MAX_FAILURE = 25.0  # seconds that a failure lasts
_KILLED_SHARE = 0.3  # of the commands
_ONE_SHOTS = (
    ("--json", "--all-accounts"),
    ("--json",),
    ("--json", "--account", "work"),
    ("--once", "--all-accounts"),
    ("accounts", "list", "--json"),
    ("doctor", "--json"),
)
_MAX_EXTRAS = 6  # accounts that are added, so that a pane has rows for a frame each
_FROM_INPUT = ("--credentials-file", "-")


class Stage:
    """What the actors share. ``over`` is set when they have to end."""

    def __init__(
        self, seed: int, seconds: float, disk: SmallDisk, clock: WorldClock, command: Command
    ) -> None:
        self.seconds = seconds
        self.max_failure = min(_MAX_FAILURE, seconds / 6)
        self.disk = disk
        self.clock = clock
        self.server = ChaosServer(clock, seeded(seed))
        self.laws = Laws(self.server, disk.path / "ours")
        self.claude_code = ClaudeCode(self.server, seeded(f"{seed} Claude Code"))
        self.over = threading.Event()
        self.logins = {name: self.server.issue(name) for name in ("work", "home")}
        self.panes: tuple[Pane, ...] = ()  # that run from the beginning to the end
        self._seed = seed
        self._command = command

    def random(self, name: str) -> Random:
        """Return the random numbers by which an actor decides."""
        return seeded(f"{self._seed} {name}")

    def pause(self, seconds: float) -> bool:
        """Wait; return whether the run goes on."""
        return not self.over.wait(seconds)

    def run(
        self, *arguments: str, stdin: object = "", killer: Random | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and check how it ended. A killer may kill it at any time."""
        started = time.monotonic()
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1"},
        )
        kills = killer is not None and killer.random() < _KILLED_SHARE
        timeout = killer.uniform(0.05, 1.0) if killer is not None and kills else _TIMEOUT
        try:
            output, errors = process.communicate(json.dumps(stdin).encode(), timeout)
        except subprocess.TimeoutExpired:
            if not kills:
                self.laws.violated(f"{arguments} did not end")
            process.kill()
            output, errors = process.communicate()
            self.laws.killed.append(Killed(started, time.monotonic()))
        done = subprocess.CompletedProcess(
            arguments, process.returncode, output.decode(), errors.decode()
        )
        self.laws.check_exit(done)
        return done

    def open(self, *arguments: str) -> Terminal:
        """Start the command in live mode, with the memory it has for a user."""
        live = (*arguments, "--interval", "5")
        return self._command.open(*live, columns=80, rows=200, preloaded=False)


# --- those who run the command -------------------------------------------------------------------


def run_one_shots(stage: Stage, random: Random) -> None:
    """Run commands that print something and end."""
    while stage.pause(random.uniform(0, 0.5)):
        arguments = random.choice(_ONE_SHOTS)
        shown_before = dict(stage.laws.shown)
        output = stage.run(*arguments, killer=random).stdout
        if arguments[0] == "--json" and output.endswith("}\n"):
            stage.laws.check_document(json.loads(output), shown_before)
        elif arguments[0] == "--once":
            stage.laws.check_frames(output.splitlines(), str(arguments))


def print_status_lines(stage: Stage, random: Random) -> None:
    """Print status lines as Claude Code does, with its figures or without."""
    while stage.pause(random.uniform(0, 1)):
        with stage.claude_code.lock:
            account = stage.claude_code.account
            content: dict[str, object] = {"cost": {"total_duration_ms": 0}}
            if random.random() < 0.3:
                figure = stage.server.five_hour(account)
                resets_at = int(stage.clock.computer_time() + 2 * HOUR)
                five_hour = {"used_percentage": figure, "resets_at": resets_at}
                content["rate_limits"] = {"five_hour": five_hour}
            line = stage.run("statusline", stdin=content, killer=random).stdout
        if shown := re.search(r"5h (\d+)%", line):
            stage.laws.check_figure(account, int(shown[1]), "the status line")


def change_accounts(stage: Stage, random: Random) -> None:
    """Add, use, rename and remove accounts; what a command has done stays done."""
    for number in count():
        if not stage.pause(random.uniform(0, 2)):
            return
        extras = stage.laws.extras
        if not extras or (len(extras) < _MAX_EXTRAS and random.random() < 0.4):
            uncertain = _add(stage, random, f"extra{number}")
        else:
            change = random.choice((_use, _rename, _remove))
            uncertain = change(stage, random, random.choice(list(extras)))
        for lost in uncertain - _listed(stage, uncertain):
            del extras[lost]
        for name, login in stage.logins.items():
            if not stage.server.alive(stage.server.family_of(login)):
                stage.laws.check_lost(name)
                new = stage.server.issue(name)
                arguments = ("accounts", "add", name, *_FROM_INPUT, "--replace")
                if stage.run(*arguments, stdin=new).returncode == 0:
                    stage.logins[name] = new


# Each change returns the names that may or may not be listed afterwards.


def _add(stage: Stage, random: Random, name: str) -> set[str]:
    login = stage.server.issue(name, expires_in=random.choice((-60, 1800)))
    stage.laws.extras[name] = name
    added = stage.run("accounts", "add", name, *_FROM_INPUT, stdin=login, killer=random)
    return set() if added.returncode == 0 else {name}


def _use(stage: Stage, random: Random, name: str) -> set[str]:
    if stage.run("accounts", "use", name, killer=random).returncode == 0:
        accounts = json.loads(stage.run("accounts", "list", "--json").stdout)["accounts"]
        if [name] != [account["name"] for account in accounts if account["active"]]:
            stage.laws.violated(f"{name} is not the active account: {accounts}")
    return set()


def _rename(stage: Stage, random: Random, name: str) -> set[str]:
    extras, new = stage.laws.extras, f"{name}x"
    extras[new] = extras[name]
    code = stage.run("accounts", "rename", name, new, killer=random).returncode
    if code == KILLED:
        return {name, new}
    del extras[name if code == 0 else new]
    return set()


def _remove(stage: Stage, random: Random, name: str) -> set[str]:
    if stage.run("accounts", "remove", name, "--yes", killer=random).returncode != 0:
        return {name}
    del stage.laws.extras[name]
    return set()


def _listed(stage: Stage, uncertain: set[str]) -> set[str]:
    """Return the listed names, after checking that they are those that must be there."""
    listed = stage.run("accounts", "list", "--json")
    accounts = json.loads(listed.stdout)["accounts"] if listed.returncode == 0 else []
    names = {account["name"] for account in accounts}
    expected = {"claude-code", "copy", "home", "work", *stage.laws.extras}
    if expected - names - uncertain or names - expected:
        stage.laws.violated(f"{listed} instead of {sorted(expected)}")
    return names


def watch_panes(stage: Stage, random: Random) -> None:
    """Read what panes show, and press keys. One more than `stage.panes` is killed now and then."""
    measure_at = 0.0
    while not stage.over.is_set():
        opened, mortal = time.monotonic(), Pane(stage.open(), "mortal")
        lifetime = random.uniform(1, 15)
        while stage.pause(0.02) and time.monotonic() < opened + lifetime:
            for pane in (*stage.panes, mortal):
                _watch(stage, random, pane)
            if time.monotonic() >= measure_at:
                measure_at = time.monotonic() + max(1.0, stage.seconds / 720)
                for pane in stage.panes:
                    pane.measure()
        mortal.terminal.kill(signal.SIGKILL)
        stage.laws.killed.append(Killed(opened, time.monotonic()))
        mortal.terminal.end()


def _watch(stage: Stage, random: Random, pane: Pane) -> None:
    """Press a key now and then, read what a pane writes, and check its screen once it is whole."""
    terminal = pane.terminal
    if random.random() < 0.05:
        # Tab shows other accounts, but in the end the first pane has to show its own.
        terminal.type(random.choice("rr?x" if pane is stage.panes[0] else "rr?x\t"))
    if terminal.exit_code is not None:
        raise AssertionError(f"a pane ended: {terminal.exit_code}\n{terminal.text}")
    if terminal.read(0):
        terminal.wait_until_quiet(0.05)
        stage.laws.check_frames(terminal.lines, f"pane {pane.name}")
        del terminal.written[:]


# --- those who disturb it ------------------------------------------------------------------------


def be_claude_code(stage: Stage, random: Random) -> None:
    """Refresh Claude Code's login, replace it, or remove its file for a moment."""
    while stage.pause(random.uniform(1, 4)):
        chance = random.random()
        if chance < 0.2:
            stage.claude_code.log_in(random.choice(("ada", "bob")))
        elif chance < 0.8:
            stage.claude_code.refresh()
        else:
            stage.claude_code.remove_file(random.uniform(0.1, 2))


def let_the_server_fail(stage: Stage, random: Random) -> None:
    """Let the server fail in turn."""
    while stage.pause(random.uniform(0.2, 1) * stage.max_failure):
        failure = random.choice(FAILURES)
        stage.laws.counts[f"server: {failure}"] += 1
        stage.server.fail(failure)
        stage.pause(random.uniform(0.1, 1) * stage.max_failure)
        stage.server.fail("")


def let_time_pass(stage: Stage, random: Random) -> None:
    """Suspend the computer, and set its clock wrong for a while."""
    wrong = False
    while stage.pause(random.uniform(0.7, 3)):
        stage.clock.suspend(random.uniform(30, 600))
        stage.laws.counts["computer suspended"] += 1
        if wrong or random.random() < 0.05:
            wrong = not wrong
            error = random.choice((-1, 1)) * random.uniform(120, 300)
            stage.clock.set_wrong(error if wrong else 0)
            stage.laws.counts["clock set"] += 1


def fill_the_disk(stage: Stage, random: Random) -> None:
    """Leave no space on the disk for a while."""
    while stage.pause(random.uniform(0.5, 3) * stage.max_failure):
        stage.laws.counts["disk full"] += 1
        until = time.monotonic() + random.uniform(0.3, 0.8) * stage.max_failure
        while time.monotonic() < until:
            with suppress(AssertionError):  # another process has just given space back
                stage.disk.fill()
            stage.pause(0.1)
        stage.disk.empty()


ACTORS = (
    run_one_shots,
    print_status_lines,
    change_accounts,
    watch_panes,
    be_claude_code,
    let_the_server_fail,
    let_time_pass,
    fill_the_disk,
)
