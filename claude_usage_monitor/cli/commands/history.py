"""Show past windows, resets and limits hit, or import readings.

Without an option: how often the limits were hit, then one line for each window of
the last 30 days, newest first. Windows are stored for good, readings for eight
days. `history --readings --jsonl > FILE` on one computer and `history --import
FILE` on another one move them; importing a file again changes nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.terminal import clock_style, output_width
from claude_usage_monitor.formats import history as formats
from claude_usage_monitor.light_typing import BinaryIO
from claude_usage_monitor.monitor.accounts.histories import account_history
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.monitor.subscription.history import AccountHistory
from claude_usage_monitor.sources.readings_file import parse_lines
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.privacy import hidden_name

_DEFAULT_DAYS = 30.0
_MAX_DAYS = 36_500.0
_MAX_LINE = 1 << 16  # bytes; a reading has about 200


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``history``."""
    parser.add_argument("--account", metavar="NAME", help="this account; default: the active one")
    parser.add_argument("--window", metavar="KEY", help="only this window, e.g. five_hour")
    parser.add_argument(
        "--days",
        type=_days,
        default=_DEFAULT_DAYS,
        metavar="N",
        help="how many days back; default 30",
    )
    parser.add_argument(
        "--hide-names", action="store_true", help="show a placeholder for the account's name"
    )
    parser.add_argument(
        "--readings", action="store_true", help="show the readings, not the windows"
    )
    formats_group = parser.add_mutually_exclusive_group()
    formats_group.add_argument("--json", action="store_true", help="print one JSON document")
    formats_group.add_argument("--jsonl", action="store_true", help="print a JSON object a line")
    formats_group.add_argument("--csv", action="store_true", help="print CSV")
    formats_group.add_argument(
        "--import",
        dest="import_file",
        metavar="FILE",
        help="import readings in JSON lines from a file, or from standard input with -",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --import: report, and change nothing"
    )


def run(options: argparse.Namespace) -> int:
    """Print or import, and return the exit code."""
    if options.dry_run and options.import_file is None:
        output.error("--dry-run goes with --import FILE.", "Add it, or leave out --dry-run.")
        return ExitCode.USAGE
    settings = load_settings(config_path(os.environ), output.warning)
    if options.hide_names:
        settings = settings._replace(hide_names=True)
    services = Services(os.environ, settings, utc_now, announce=output.note)
    name, history, clock_skew = account_history(AccountRegistry(services), options.account)
    if settings.hide_names:
        name = hidden_name(name)
    if options.import_file is not None:
        return _import(history, name, options.import_file, dry_run=options.dry_run)
    if options.window is not None:
        history.require_key(options.window)
    output.stdout()  # fails if it is closed
    clock = clock_style(os.environ, utc_now(), settings)
    text = _text(name, history, options, clock, utc_now() - clock_skew)
    if options.json:
        output.json(text)
    else:
        output.data(text)
    if services.state.notice:
        output.note(services.state.notice)
    return ExitCode.OK


def _text(
    name: str,
    history: AccountHistory,
    options: argparse.Namespace,
    clock: ClockStyle,
    now: datetime,
) -> str:
    """Return the windows or the readings in the format of the options, at the API's time."""
    since = now - timedelta(days=options.days)
    is_table = not (options.json or options.jsonl or options.csv)
    if options.readings:
        readings = history.readings(since, options.window)
        if is_table:
            return formats.readings_table(readings, now, clock, output_width(os.environ))
        export = formats.readings_export(name, readings)
    else:
        summary = history.summary(now, since, options.window)
        if is_table:
            return formats.table(summary, options.days, now, clock, output_width(os.environ))
        export = formats.windows_export(name, summary)
    if options.json:
        return export.document()
    return export.json_lines() if options.jsonl else export.csv_table()


def _import(history: AccountHistory, name: str, path: str, *, dry_run: bool) -> int:
    where = "standard input" if path == "-" else path
    if path == "-":
        parsed = parse_lines(_lines(sys.stdin.buffer) if sys.stdin is not None else (), utc_now())
    else:
        try:
            with open(path, "rb") as file:
                parsed = parse_lines(_lines(file), utc_now())
        except OSError as error:
            output.error(output.describe(error), "Name a file that you can read, or - for stdin.")
            return ExitCode.FAILED
    if parsed.unusable_lines:
        lines = _count(parsed.unusable_lines, "line")
        output.warning(f"Skipped {lines} of {where} without a usable reading.")
    if parsed.future_readings:
        future = _count(parsed.future_readings, "reading")
        output.warning(f"Later than this computer's clock: {future} of {where}.")
    if not parsed.readings:
        output.error(f"There are no readings to import in {where}.", _IMPORT_HINT)
        return ExitCode.FAILED
    if len(parsed.accounts) > 1:
        output.warning(
            f"The readings are of {len(parsed.accounts)} accounts; all of them become {name}'s."
        )
    imported = history.import_readings(parsed.readings, dry_run=dry_run)
    verb = "would import" if dry_run else "imported"
    output.message(
        f"{name}: {verb} {_count(imported.readings, 'reading')}"
        f" in {_count(imported.windows, 'window')}, {imported.new_windows} of them new."
    )
    return ExitCode.OK


_IMPORT_HINT = "`claude-usage-monitor history --readings --jsonl` writes such lines."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; a longer one than any reading comes in parts."""
    while line := file.readline(_MAX_LINE):
        yield line


def _days(raw: str) -> float:
    try:
        days = float(raw)
    except ValueError:
        days = math.nan
    if not 0 < days <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(
            f"{raw!r} is not a number of days above 0 and up to {_MAX_DAYS:.0f}"
        )
    return days
