"""Measure reading transcripts: ``python -m tests.benchmarks.transcripts DIR [--ccusage PROGRAM]``.

DIR is a configuration folder made by ``tests/support/make_transcripts.py`` (1 GB, 2,000 files).
Prints, each beside its limit: CPU seconds and memory of a first read into a new database, beside
reading the files and finding the marker; a report; ccusage, installed from npm, on the same data;
a second scan of 2,000 and 10,000 files; and the dashboard while it reads DIR, and idle afterwards.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Self

MARKER = b'"output_tokens":'
RUNS = 3
CCUSAGE = "ccusage@20.0.24"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_FOLDER = _CACHE / "claude-usage-monitor-tests" / CCUSAGE.replace("@", "-")
_INSTALL_TIMEOUT = 300.0  # seconds
_IDLE_SECONDS = 60.0
_KEYS = 40
_READ_TIMEOUT = 300.0  # seconds
_PART = "import tests.benchmarks.transcripts as t; t.{part}({folder!r})"
_LINE = (
    b'{"cwd":"/home/ada/atlas","sessionId":"s","message":{"model":"claude-opus-5-5","id":"%d",'
    b'"usage":{"input_tokens":3,"output_tokens":4}},"type":"assistant",'
    b'"timestamp":"2026-11-03T14:22:09Z"}\n'
)


def nothing(_folder: str) -> None:
    """Import what reads transcripts, for its memory."""
    import_module("claude_usage_monitor.monitor.attribution.scan")
    _print_cost(time.process_time())


def floor(folder: str) -> None:
    """Read every file and find the marker."""
    began = time.process_time()
    for path in Path(folder).rglob("*.jsonl"):
        content = path.read_bytes()
        at = 0
        while (at := content.find(MARKER, at)) >= 0:
            at += 1
    _print_cost(began)


def first(folder: str) -> None:
    """Read into a new database; print what it cost, then the figures of the report."""
    from claude_usage_monitor.monitor.attribution.scan import scan
    from claude_usage_monitor.sources.claude_code.transcript_files import transcript_roots
    from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
    from claude_usage_monitor.usage.attribution.window_use import rows_by

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "transcripts.db"
        roots = transcript_roots({"HOME": temporary, "CLAUDE_CONFIG_DIR": folder})
        began = time.process_time()
        store = TranscriptStore(path)
        scan(store, roots)
        _print_cost(began)
        began = time.process_time()
        uses = store.uses(0, 1 << 40)
        rows_by("project", uses)
        report = time.process_time() - began
        store.close()
        messages = sum(use.tokens.messages for use in uses)
        print(report, messages, path.stat().st_size / max(1, messages))


def _print_cost(began: float) -> None:
    seconds = time.process_time() - began
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def read_and_report(folder: str) -> tuple[float, float]:
    """Print the cost of a first read and of a report; return CPU seconds and MB of the read."""
    outputs: dict[str, list[list[float]]] = {"nothing": [], "floor": [], "first": []}
    for _ in range(RUNS):
        for part, found in outputs.items():
            command = [sys.executable, "-c", _PART.format(part=part, folder=folder)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.append([float(figure) for figure in output.split()])
    memory = {part: min(run[1] for run in runs) for part, runs in outputs.items()}
    base, ours = (min(run[0] for run in outputs[part]) for part in ("floor", "first"))
    report = min(run[2] for run in outputs["first"])
    messages, size = outputs["first"][0][3:]
    above = memory["first"] - memory["nothing"]
    _show("first read", f"{ours / base:.2f} x read and find ({ours:.2f}, {base:.2f} s)", "3")
    _show("", f"{above:.0f} MB above the same process that reads nothing", "45")
    _show("", f"{size:.0f} bytes stored for each of {messages:.0f} messages", "60")
    _show("report", f"{report:.3f} s", "0.1")
    return ours, memory["first"]


def compare_with_ccusage(program: str, folder: str, ours: tuple[float, float]) -> None:
    """Print the ratios of CPU time and memory to ccusage's."""
    environ = {**os.environ, "CLAUDE_CONFIG_DIR": folder}
    runs = []
    for _ in range(RUNS):
        command = [program, "claude", "daily", "--json", "--offline"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        runs.append((used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
    seconds, memory = (min(column) for column in zip(*runs, strict=True))
    _show("ccusage", f"{ours[0] / seconds:.2f} x its CPU time ({seconds:.2f} s)", "0.75")
    _show("", f"{ours[1] / memory:.2f} x its memory ({memory:.0f} MB)", "0.25")


def installed_ccusage() -> str | None:
    """Return the program, installed into a cache folder if it is not yet; ``None`` without npm."""
    program, npm = _FOLDER / "node_modules" / ".bin" / "ccusage", shutil.which("npm")
    if not program.exists() and npm is not None:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        options = ("--no-save", "--no-audit", "--no-fund", "--prefix", str(_FOLDER))
        done = subprocess.run(
            [npm, "install", *options, CCUSAGE],
            capture_output=True,
            timeout=_INSTALL_TIMEOUT,
            check=False,
        )
        if done.returncode:
            return None
    return str(program) if program.exists() else None


def rescan(files: int, limit: str) -> None:
    """Print the CPU seconds of a scan that finds nothing new in a tree of small files."""
    from claude_usage_monitor.monitor.attribution.scan import scan
    from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore

    with tempfile.TemporaryDirectory() as temporary:
        projects = Path(temporary) / "projects"
        for number in range(files):
            path = projects / f"project-{number % 40}" / f"{number:032}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_LINE % number)
        store = TranscriptStore(Path(temporary) / "transcripts.db")
        scan(store, [projects])
        seconds = []
        for _ in range(RUNS):
            began = time.process_time()
            assert not scan(store, [projects]).files
            seconds.append(time.process_time() - began)
        store.close()
    _show(f"rescan {files}", f"{min(seconds):.3f} s", limit)


def dashboard(folder: str) -> None:
    """Print how reading delays the first figures and keys, memory, and the cost when idle."""
    from tests.support.command import cpu_seconds

    first_figures: dict[bool, list[float]] = {False: [], True: []}
    keys, memory = {}, {}
    for _ in range(RUNS):
        for with_transcripts, found in first_figures.items():
            with _Live(folder, with_transcripts=with_transcripts) as live:
                live.terminal.wait_for("78 %")
                found.append(time.perf_counter() - live.began)
    for with_transcripts in (False, True):
        with _Live(folder, with_transcripts=with_transcripts) as live:
            live.terminal.wait_for("reading transcripts" if with_transcripts else "78 %")
            keys[with_transcripts] = live.key_delays()
            if with_transcripts:
                live.wait_for_the_end()
                live.terminal.read_for(3)
                before = cpu_seconds(live.terminal.pid)
                live.terminal.read_for(_IDLE_SECONDS)
                idle = (cpu_seconds(live.terminal.pid) - before) / _IDLE_SECONDS
            memory[with_transcripts] = live.peak_memory()
    median = statistics.median
    _show_delay("first figures", median(first_figures[False]), median(first_figures[True]))
    _show_delay("keys, median", median(keys[False]), median(keys[True]))
    _show_delay("keys, slowest", max(keys[False]), max(keys[True]))
    above = memory[True] - memory[False]
    _show("dashboard", f"{above:.0f} MB above one without the feature", "45")
    _show("idle", f"{idle:.2%} of a core", "0.1 %")


class _Live:
    """The dashboard in a terminal, on a home with the transcripts and a server of its own."""

    def __init__(self, folder: str, *, with_transcripts: bool) -> None:
        from pytest_httpserver import HTTPServer

        from tests.support.api import Api
        from tests.support.command import Command
        from tests.support.login import Store

        self._home = tempfile.TemporaryDirectory()
        home = Path(self._home.name)
        Store(home / ".claude" / ".credentials.json").login()
        (home / ".claude" / "projects").symlink_to(Path(folder).absolute() / "projects")
        config = home / ".config" / "claude-usage-monitor" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f"transcripts = {str(with_transcripts).lower()}\n")
        self._server = HTTPServer()
        self._server.start()
        environ = {"HOME": str(home), "CLAUDE_USAGE_MONITOR_API_URL": Api(self._server).url}
        self._command = Command()
        self.began = time.perf_counter()
        self.terminal = self._command.open(environ=environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminal.end()
        self._server.stop()
        self._home.cleanup()

    def key_delays(self) -> list[float]:
        """Return the seconds from each press of ``u`` until the screen has changed.

        Ends with the read, if there is one.
        """
        delays: list[float] = []
        reads = "reading" in self.terminal.text
        for number in range(_KEYS):
            self.terminal.read_for(0.02)
            if delays and reads and "reading" not in self.terminal.text:
                break
            shown = "22 %" if number % 2 == 0 else "78 %"
            began = time.perf_counter()
            self.terminal.type("u")
            while shown not in self.terminal.text:
                self.terminal.read(0.005)
            delays.append(time.perf_counter() - began)
        return delays

    def wait_for_the_end(self) -> None:
        """Wait until the transcripts were read."""
        self.terminal.wait_for(
            lambda: "What used" in self.terminal.text and "reading" not in self.terminal.text,
            _READ_TIMEOUT,
        )

    def peak_memory(self) -> float:
        """Return the highest resident memory so far, in MB."""
        status = Path(f"/proc/{self.terminal.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _show_delay(name: str, without: float, reading: float) -> None:
    delay = f"{1000 * (reading - without):+.0f} ms while reading"
    _show(name, f"{delay} ({1000 * reading:.0f}, {1000 * without:.0f} ms without)", "50")


def _show(name: str, figure: str, limit: str) -> None:
    print(f"{name:14} {figure} (of {limit})", flush=True)


def main() -> None:
    """Print every figure beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--ccusage", metavar="PROGRAM", help="default: installed from npm")
    parser.add_argument("--no-dashboard", action="store_true", help="skip the slow part")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    ours = read_and_report(options.folder)
    ccusage = options.ccusage or installed_ccusage()
    if ccusage is None:
        print("ccusage        is not measured: npm could not install it")
    else:
        compare_with_ccusage(ccusage, options.folder, ours)
    rescan(2_000, "0.05 s")
    rescan(10_000, "0.15 s")
    if not options.no_dashboard:
        dashboard(options.folder)


if __name__ == "__main__":
    main()
