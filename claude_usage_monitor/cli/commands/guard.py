"""Tell scripts by exit code whether enough is left of the limits.

Exit code 0: enough is left; 75: not enough; 2: wrong usage; 3: a login is needed;
4: it is unknown how much is left. Standard output says why in one line.

  while claude-usage-monitor guard --min-left 15 --wait
  do claude -p "$(cat PROMPT.md)"; done
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.cli.terminal import clock_style
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import guard_decision
from claude_usage_monitor.monitor.reader import Reader, require_window, unwrapped
from claude_usage_monitor.monitor.subscription.reader import SubscriptionReader
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import load_settings
from claude_usage_monitor.suggestions import did_you_mean
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle, clock_time, countdown, parse_duration
from claude_usage_monitor.usage.guard import MONTHLY_BUDGET, Decision, Requirement, decide
from claude_usage_monitor.usage.limits.windows import is_possible_key
from claude_usage_monitor.usage.status import AccountStatus

_DEFAULT_WAIT = "24h"
_MAX_JITTER = 10.0  # seconds: several waiting commands do not read at the same moment
_MIN_WAIT = timedelta(seconds=5)  # between two reads
_MAX_SLEEP = 5.0  # seconds between looks at the clock: a laptop that wakes up reads soon


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``guard``."""
    parser.add_argument(
        "--min-left",
        type=_percent,
        default=10.0,
        metavar="PERCENT",
        help="how much of each window must be left; default 10",
    )
    parser.add_argument(
        "--window",
        action="append",
        default=[],
        metavar="KEY",
        help="check this window, such as five_hour; repeatable. Default: every window reported",
    )
    parser.add_argument(
        "--for",
        dest="duration",
        type=_duration,
        default=timedelta(),
        metavar="DURATION",
        help="also require that no window runs out within this time, such as 30m",
    )
    parser.add_argument(
        "--wait",
        type=_duration,
        nargs="?",
        const=_duration(_DEFAULT_WAIT),
        metavar="DURATION",
        help=f"wait until enough is left, at most this long; default {_DEFAULT_WAIT}",
    )
    parser.add_argument(
        "--fail-open",
        action="store_true",
        help="exit with 0 instead of 3 or 4: unknown counts as enough",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--account", metavar="NAME", help="check this account; default: the active one"
    )


def run(options: argparse.Namespace) -> int:
    """Print the decision and return its exit code."""
    output.stdout()  # fails if it is closed
    try:
        return _run(options)
    except UsageMonitorError as error:
        code = exit_code_for(error.code)
        if code is ExitCode.USAGE or not options.fail_open:
            if options.json:
                output.json(guard_decision.document(Decision("unknown", ()), options.min_left))
            raise
        output.error(error.message, error.hint)
        _print(Decision("unknown", ()), options, ClockStyle())
        return ExitCode.OK


def _run(options: argparse.Namespace) -> int:
    request = _request(options)
    clock = clock_style(os.environ, utc_now(), request.settings)
    requirement = Requirement(options.min_left, options.window, options.duration)
    give_up_at = utc_now() + (options.wait or timedelta())
    try:
        reader, status = request.first_account()
        while True:
            status = reader.read(status)
            _require_windows(options.window, reader, status)
            decision = decide(status, requirement, utc_now())
            code = _exit_code(decision, status)
            until = _next_try(decision, give_up_at)
            if code in {ExitCode.OK, ExitCode.LOGIN_NEEDED} or until is None:
                break
            _sleep(until, decision, clock)
    except OSError as error:
        raise UsageMonitorError(output.describe(error), output.OS_ERROR_HINT) from error
    _print(decision, options, clock)
    if decision.outcome != "unknown":
        return code
    request.report(request.shown((status,)))
    if status.problem is None:
        output.error(_line(decision, clock), _reported(status, options.window))
    return ExitCode.OK if options.fail_open else code


def _request(options: argparse.Namespace) -> DashboardRequest:
    settings = load_settings(config_path(os.environ), output.warning)
    names = (options.account,) if options.account else ()
    return DashboardRequest(settings, os.environ, names, all_accounts=False, demo=False)


def _require_windows(keys: Sequence[str], reader: Reader, status: AccountStatus) -> None:
    """Raise InvalidSetting for a key that no window of the account can have.

    Without figures every key is accepted: the account's windows are not known yet.
    """
    usage, subscription = status.usage, unwrapped(reader)
    known = [window.key for window in usage.windows] if usage else [MONTHLY_BUDGET]
    for key in keys if status.has_figures else ():
        if key in known or is_possible_key(key):
            continue
        if isinstance(subscription, SubscriptionReader):  # the API may have dropped the window
            known += [past for past in subscription.history().window_keys() if past not in known]
        require_window(key, known)


def _reported(status: AccountStatus, keys: Sequence[str]) -> str:
    """Return a hint with the windows that are reported, and the one that was probably meant."""
    reported = [window.key for window in status.usage.windows] if status.usage else []
    suggestions = (did_you_mean(key, reported) for key in keys if key not in reported)
    suggestion = next(filter(None, suggestions), "")
    return f"Reported: {', '.join(reported) or 'nothing'}{suggestion or '.'}"


def _exit_code(decision: Decision, status: AccountStatus) -> int:
    if decision.outcome == "ok":
        return ExitCode.OK
    if decision.outcome == "not_enough":
        return ExitCode.NOT_ENOUGH
    problem = exit_code_for(status.problem.code) if status.problem else ExitCode.NO_FIGURES
    return problem if problem is ExitCode.LOGIN_NEEDED else ExitCode.NO_FIGURES


def _next_try(decision: Decision, give_up_at: datetime) -> datetime | None:
    """Return until when to wait, ``None`` if there is nothing to wait for in the allowed time."""
    if decision.retry_at is None:
        return None
    earliest = utc_now() + _MIN_WAIT
    until = max(decision.retry_at, earliest) + timedelta(seconds=_MAX_JITTER) * _random_fraction()
    return until if until <= give_up_at else None


def _sleep(until: datetime, decision: Decision, clock: ClockStyle) -> None:
    """Say until when and why, and sleep."""
    now = utc_now()
    at = clock_time(until, now, clock)
    output.message(f"waiting until {at} ({countdown(until - now)}): {_line(decision, clock)}")
    while (left := (until - utc_now()).total_seconds()) > 0:
        time.sleep(min(left, _MAX_SLEEP))


def _print(decision: Decision, options: argparse.Namespace, clock: ClockStyle) -> None:
    if options.json:
        output.json(guard_decision.document(decision, options.min_left))
    else:
        output.data(f"{_line(decision, clock)}\n")


def _line(decision: Decision, clock: ClockStyle) -> str:
    return guard_decision.line(decision, utc_now(), clock)


def _random_fraction() -> float:
    """Return a number from 0 to 1. Importing `random` would take 5 ms."""
    return os.urandom(1)[0] / 255


def _percent(raw: str) -> float:
    try:
        percent = float(raw)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"{raw!r} is not a percentage from 0 to 100")
    return percent


def _duration(raw: str) -> timedelta:
    try:
        return parse_duration(raw)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
