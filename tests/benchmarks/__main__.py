"""Measure start-up, idle cost and drawing, each beside its limit or a base of the same run."""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_httpserver import HTTPServer

from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.theme import RenderOptions
from tests.benchmarks.pace_maker import absent, pace_maker
from tests.support.api import Api
from tests.support.command import PROGRAM, Command, cpu_seconds
from tests.support.login import Store
from tests.support.payloads import NOW, as_bytes
from tests.support.statuses import EVERY_STATE, TWELVE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claude_usage_monitor.usage.status import AccountStatus

RUNS = 21
FRAME_MS = 30.0
ACCOUNT_FRAME_MS = 10.0  # of one account, however many limits it has
STATUSLINE = as_bytes(
    {"rate_limits": {"five_hour": {"used_percentage": 20, "resets_at": int(time.time()) + 7800}}}
)
IDLE_SECONDS = 60.0

BASE_STDLIB = "import argparse, json, dataclasses, datetime"
BASE_STORED = "import argparse, json, sqlite3, dataclasses, datetime"
BASE_LIVE = "import rich.live, rich.panel, rich.table, rich.text, requests"


def seconds_for(argv: list[str], environ: Mapping[str, str]) -> float:
    """Return the seconds that a command takes once."""
    began = time.perf_counter()
    subprocess.run(argv, env=dict(environ), capture_output=True, check=True, input=STATUSLINE)
    return time.perf_counter() - began


def compare(argv: list[str], base: str, environ: Mapping[str, str]) -> tuple[float, float, float]:
    """Return the ratio of a command to a base, and both in ms: medians of alternating runs."""
    interpreter = [sys.executable, "-c", base]
    pairs = [(seconds_for(argv, environ), seconds_for(interpreter, environ)) for _ in range(RUNS)]
    ours, bases = (statistics.median(column) for column in zip(*pairs, strict=True))
    return ours / bases, ours * 1000, bases * 1000


def start_up(environ: Mapping[str, str]) -> None:
    """Print how long one-shot commands take, with requests and from stored figures."""
    home = Path(environ["HOME"])
    fresh = ["sh", "-c", 'rm -rf "$1"; shift; exec "$@"', "sh", str(home / ".local"), PROGRAM]
    for name, argv, base, limit in (
        ("--help", [PROGRAM, "--help"], BASE_STDLIB, 1.7),
        ("--version", [PROGRAM, "--version"], BASE_STDLIB, 1.7),
        ("--once, read", [*fresh, "--once"], BASE_LIVE, 2.0),
        ("--once, stored", [PROGRAM, "--once"], BASE_LIVE, 1.6),
        ("--json, stored", [PROGRAM, "--json"], BASE_STORED, 1.25),
        ("statusline", [PROGRAM, "statusline"], BASE_STORED, 1.25),
        ("--format tmux", [PROGRAM, "--format", "tmux"], BASE_STORED, 1.25),
    ):
        factor, ours, bases = compare(argv, base, environ)
        print(f"{name:15} {factor:5.2f} of {limit} ({ours:.0f} ms, base {bases:.0f} ms)")


def first_figures(environ: Mapping[str, str]) -> None:
    """Print the time until live mode shows figures."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        with Command() as command:
            command.open(environ=environ).wait_for("78 %")
            times.append(time.perf_counter() - began)
    print(f"{'first figures':12} {statistics.median(times) * 1000:.0f} ms")


def idle(environ: Mapping[str, str]) -> None:
    """Print what live mode costs while nothing changes."""
    with Command() as command:
        terminal = command.open(environ=environ)
        terminal.wait_for("78 %")
        terminal.read_for(2)
        before = cpu_seconds(terminal.pid)
        written = len(terminal.read_for(IDLE_SECONDS))
        used = cpu_seconds(terminal.pid) - before
        resident = resident_mib(terminal.pid)
    print(f"{'idle':12} {used / IDLE_SECONDS:.2%} of a core (of 0.3 %)")
    print(f"{'':12} {written / IDLE_SECONDS:.0f} bytes a second (of 500)")
    print(f"{'':12} {resident:.1f} MiB resident (of 45)")


def stream(environ: Mapping[str, str]) -> None:
    """Print what a stream costs while nothing changes, and its memory above an interpreter's."""
    base = subprocess.Popen(
        [sys.executable, "-c", f"{BASE_STORED}; input()"], stdin=subprocess.PIPE
    )
    arguments = [PROGRAM, "--format", "tmux", "--follow"]
    running = subprocess.Popen(arguments, env=dict(environ), stdout=subprocess.PIPE)
    assert running.stdout is not None
    running.stdout.readline()
    time.sleep(2)
    before = cpu_seconds(running.pid)
    time.sleep(IDLE_SECONDS)
    used = cpu_seconds(running.pid) - before
    above = resident_mib(running.pid) - resident_mib(base.pid)
    for process in (running, base):
        process.kill()
        process.communicate()
    print(f"{'stream':12} {used / IDLE_SECONDS:.3%} of a core (of 0.05 %)")
    print(f"{'':12} {above:.1f} MiB above an interpreter (of 4)")


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def frames() -> None:
    """Print the time to draw fifty accounts, and its ratio to the time for one."""
    one, fifty = TWELVE[:1], tuple(itertools.islice(itertools.cycle(TWELVE), 50))
    for height in (24, 60, None):
        shown = f"{height or 'whole'}"
        sizes = [(width, height) for width in (20, 40, 60, 200)]
        worst = max(frame_ms(fifty, *size) for size in sizes)
        base = max(frame_ms(one, *size) for size in sizes)
        limit = f"of {FRAME_MS:.0f} ms" if height else "ms"
        print(f"{'50 accounts':12} {worst:.1f} {limit}, {shown} rows: {worst / base:.0f} times one")
    sizes = [(width, height) for width in range(20, 201, 20) for height in range(1, 61, 6)]
    busiest = max(frame_ms((EVERY_STATE,), *size) for size in sizes)
    print(f"{'9 limits':12} {busiest:.1f} of {ACCOUNT_FRAME_MS:.0f} ms, any size")
    few = max(frame_ms(fifty[:count], 60, 60) for count in range(2, 50))
    print(f"{'2 to 49':12} {few:.1f} of {FRAME_MS:.0f} ms, 60 x 60")


def frame_ms(statuses: Sequence[AccountStatus], width: int, height: int | None) -> float:
    """Return the time to draw a frame: the shortest of seven, as other processes disturb it."""
    options = RenderOptions(live=True)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        dashboard(statuses, NOW, width, height, options)
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def main() -> None:
    """Print every figure beside its limit."""
    frames()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as home, HTTPServer() as server:
        Store(Path(home) / ".claude" / ".credentials.json").login()
        url = Api(server).url
        ours = {"HOME": home, "CLAUDE_USAGE_MONITOR_API_URL": url, "TERM": "xterm-256color"}
        # Else requests of other runs, in the fallback ledger in /tmp, would use up the budget.
        own = {"XDG_RUNTIME_DIR": home}
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **ours, **own}
        start_up(environ)
        first_figures(environ)
        idle(environ)
        stream(environ)
        absent(environ)
        idle(environ)
    pace_maker()


if __name__ == "__main__":
    main()
