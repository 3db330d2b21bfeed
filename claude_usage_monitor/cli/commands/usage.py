"""Show what used a limit: projects, sessions, models, agents or hours, in points of its percent.

Claude Code's transcripts on this computer tell what was used here; points that
they do not explain are "elsewhere": other devices, claude.ai, deleted
transcripts. Only counts are read and stored, never text.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_of
from claude_usage_monitor.cli.terminal import clock_style, output_width
from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.formats import use
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import selected
from claude_usage_monitor.monitor.attribution.read_use import read_use
from claude_usage_monitor.monitor.attribution.report import ReportRequest
from claude_usage_monitor.monitor.attribution.scan import Progress
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.paths import config_path, transcripts_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.store.transcripts.transcript_store import delete_transcripts
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.attribution.window_use import BY
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle, countdown
from claude_usage_monitor.usage.privacy import hidden
from claude_usage_monitor.usage.status import AccountStatus

_MIN_ANNOUNCED = 50_000_000  # bytes; less is read before a person could read the progress
_PROGRESS_INTERVAL = 0.2  # seconds
_PROGRESS_CELLS = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``usage``."""
    parser.add_argument(
        "--window",
        metavar="KEY",
        help="this limit, such as five_hour; default: the one that will stop you first",
    )
    parser.add_argument(
        "--last",
        type=_count,
        default=0,
        metavar="N",
        help="the Nth window before the running one",
    )
    parser.add_argument(
        "--since", type=_moment, metavar="DATE", help="a period instead of a window: tokens only"
    )
    parser.add_argument(
        "--until", type=_moment, metavar="DATE", help="the period ends as DATE begins"
    )
    parser.add_argument("--by", choices=BY, default="project", help="the rows; default: project")
    parser.add_argument("--account", metavar="NAME", help="this account; default: the active one")
    parser.add_argument(
        "--hide-names",
        action="store_true",
        help="show placeholders for projects, sessions and the account",
    )
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--json", action="store_true", help="print one JSON document")
    outputs.add_argument("--csv", action="store_true", help="print the rows as CSV")
    outputs.add_argument(
        "--forget", action="store_true", help="delete everything that was stored of transcripts"
    )
    parser.add_argument("--yes", action="store_true", help="with --forget: do not ask")


def run(options: argparse.Namespace) -> int:
    """Report what was used and return the exit code."""
    output.stdout()  # fails if it is closed
    if options.forget:
        return _forget(ask=not options.yes)
    if options.last and (options.since or options.until):
        raise InvalidSetting("--last and --since exclude each other.", "Leave out one of them.")
    settings = load_settings(config_path(os.environ), output.warning)
    if options.hide_names:
        settings = settings._replace(hide_names=True)
    return _report(options, settings)


def _report(options: argparse.Namespace, settings: Settings) -> int:
    services = Services(os.environ, settings, utc_now, announce=output.note)
    registry = AccountRegistry(services)
    style = clock_style(os.environ, utc_now(), settings)
    request = ReportRequest(
        options.by,
        options.window,
        options.last,
        _in_zone(options.since, style.zone),
        _in_zone(options.until, style.zone),
        style.zone,
        settings.hide_names,
    )
    names = () if options.account is None else (options.account,)
    (listed, *_) = selected(registry, names, "code")
    with _progress() as progress:
        read = read_use(registry, listed, request, output.note, progress)
    report, status = read.report, read.status
    if settings.hide_names:
        (status,) = hidden([status])
        report = report._replace(account=status.account.name)
    now = utc_now()
    if options.json:
        output.json(use.document(report))
    elif options.csv:
        output.data(use.csv_table(report))
    else:
        plain = settings.ascii or not output.can_encode("█░·±–▁")
        width = output_width(os.environ)
        text_options = FormatOptions(width, ascii=plain, clock=style)
        output.data(use.text(report, status.api_time(now), text_options))
    if not read.found or options.since or options.until:
        return ExitCode.OK  # no figures are shown
    return _exit_code(status, now, style)


def _exit_code(status: AccountStatus, now: datetime, style: ClockStyle) -> int:
    """Report the account's problem: an error without figures, a warning with stored ones."""
    code = exit_code_of([status])
    if status.problem is not None:
        message = problem_text.message(status.problem, now, style)
        if code == ExitCode.OK:
            output.warning(message)
        else:
            output.error(message, problem_text.hint(status, now, style, live=False))
    return code


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show the progress of a long read if standard error is a terminal, and remove it after."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    began = drawn = time.monotonic()
    shown = False

    def draw(progress: Progress) -> None:
        nonlocal drawn, shown
        now = time.monotonic()
        if progress.all_bytes >= _MIN_ANNOUNCED and now - drawn >= _PROGRESS_INTERVAL:
            drawn, shown = now, True
            output.prompt(f"\r\x1b[K{_progress_line(progress, now - began)}")

    try:
        yield draw if is_terminal else lambda _: None
    finally:
        if shown:
            output.prompt("\r\x1b[K")


def _progress_line(progress: Progress, seconds: float) -> str:
    done = progress.bytes / max(1, progress.all_bytes)
    filled = int(done * _PROGRESS_CELLS)
    bar = "#" * filled + "-" * (_PROGRESS_CELLS - filled)
    left = countdown(timedelta(seconds=(1 - done) * seconds / done)) if done else "some time"
    files = f"{progress.files:,} of {progress.all_files:,} files"
    megabytes = f"{progress.bytes // 1_000_000:,} of {progress.all_bytes // 1_000_000:,} MB"
    return f"reading transcripts [{bar}] {done:4.0%}  {files}, {megabytes}, {left} left"


def _forget(*, ask: bool) -> int:
    """Delete what was stored of transcripts."""
    path = transcripts_path(os.environ)
    if not os.path.exists(path):
        output.note(f"There is nothing to delete: {path} does not exist.")
        return ExitCode.OK
    if ask:
        if sys.stdin is None or not sys.stdin.isatty():
            raise InvalidSetting(
                "Deleting needs a confirmation.", "Add `--yes` to delete without a question."
            )
        output.prompt(
            f"Delete {path}? Use of transcripts that Claude Code has deleted is lost. [y/N] "
        )
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            output.note("Nothing was deleted.")
            return ExitCode.FAILED
    try:
        delete_transcripts(path)
    except OSError as error:
        raise UsageMonitorError(output.describe(error), output.OS_ERROR_HINT) from error
    output.message(f"Deleted {path}.")
    return ExitCode.OK


def _count(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 0 < int(raw) <= 10_000:
        raise argparse.ArgumentTypeError(f"{raw!r} is not a number from 1 to 10000")
    return int(raw)


def _moment(raw: str) -> datetime:
    try:
        moment = datetime.fromisoformat(raw)
        moment.astimezone()  # fails at the ends of the calendar
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{raw!r} is not a date such as 2026-11-21 or 2026-11-21T09:00"
        ) from None
    return moment


def _in_zone(moment: datetime | None, zone: tzinfo | None) -> datetime | None:
    """Return an instant; one without a UTC offset is in the zone in which times are shown."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone) if zone else moment.astimezone()
