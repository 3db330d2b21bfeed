"""What to show and how: accounts selected, one face chosen, problems on stderr."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from claude_usage_monitor.cli.options import Options, tell
from claude_usage_monitor.errors import UnknownAccount, UsageMonitorError
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from claude_usage_monitor.monitor.reader import DisplayedAccounts


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Show what was asked for and return the exit code."""
    if sys.stdout is None:
        return fail_without_output()
    settings = Settings() if options.demo else _settings(environ)
    settings = _with_options(settings, options)
    live = not (options.once or options.json) and sys.stdout.isatty()
    try:
        if live:
            from claude_usage_monitor.cli.commands.live import run_live

            return run_live(options, settings, environ)
        displayed_accounts = open_accounts(options, settings, environ, say_on_stderr)
        return _run_one_shot(displayed_accounts, options, settings, environ)
    except KeyboardInterrupt:
        return ExitCode.OK if live else ExitCode.INTERRUPTED
    except UsageMonitorError as error:
        if options.json:
            _dump((), error, environ)
        return _fail(error)


def open_accounts(
    options: Options,
    settings: Settings,
    environ: Mapping[str, str],
    announce: Callable[[str], None],
) -> DisplayedAccounts:
    """Return the accounts to show.

    Raises UnknownAccount, NoCredentials for a missing kind, InvalidSetting.
    """
    if options.demo:
        from claude_usage_monitor.monitor.demo import DEMO, DemoAccounts

        unknown = next((name for name in options.accounts if name != DEMO.name), None)
        if unknown is not None:
            raise UnknownAccount(f"There is no account {unknown!r}.", "Known accounts: demo.")
        return DemoAccounts(utc_clock)
    from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
    from claude_usage_monitor.monitor.accounts.services import Services
    from claude_usage_monitor.monitor.live.displayed import SelectedAccounts

    services = Services(environ, settings, utc_clock, _random_fraction, announce)
    displayed_accounts = SelectedAccounts(
        AccountRegistry(services), options.accounts, settings.mode, every=options.all_accounts
    )
    if displayed_accounts.warning:
        tell(f"warning: {displayed_accounts.warning}\n")
    return displayed_accounts


def say_on_stderr(words: str) -> None:
    """Tell the user something that is no data."""
    tell(f"note: {words}\n")


def _random_fraction() -> float:
    """Return a random share, 0 to 1: jitter needs no more than a byte's worth."""
    return os.urandom(1)[0] / 255


def _settings(environ: Mapping[str, str]) -> Settings:
    settings, warnings = load_settings(config_path(environ))
    for warning in warnings:
        tell(f"warning: {warning}\n")
    return settings


def _with_options(settings: Settings, options: Options) -> Settings:
    """Let the command line win over config.toml."""
    if options.interval is not None:
        settings = settings._replace(interval=timedelta(seconds=options.interval))
    if options.mode is not None:
        settings = settings._replace(mode=options.mode)  # type: ignore[arg-type] # argparse checked
    return settings


def _end_on_signals() -> None:
    """Make a signal that ends the process an exit: what is under way is finished first."""
    import signal

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)


def _run_one_shot(
    displayed_accounts: DisplayedAccounts,
    options: Options,
    settings: Settings,
    environ: Mapping[str, str],
) -> int:
    from claude_usage_monitor.monitor.live.parallel import read_all

    _end_on_signals()
    statuses = read_all(displayed_accounts.current(), settings.interval)
    if options.json:
        _dump(statuses, None, environ)
    elif any(status.has_figures for status in statuses):
        from claude_usage_monitor.cli.commands.once import print_once
        from claude_usage_monitor.cli.terminal import open_console

        console, render_options = open_console(options, settings, environ, live=False)
        print_once(statuses, utc_clock(), console, render_options, environ)
    for status in statuses:
        _report(status, named=len(statuses) > 1)
    return exit_code_of(statuses)


def _dump(
    statuses: Sequence[AccountStatus],
    error: UsageMonitorError | None,
    environ: Mapping[str, str],  # noqa: ARG001
) -> None:
    from claude_usage_monitor.formats.json_document import json_document

    print_document(json_document(statuses, utc_clock(), ClockStyle(), error))


def print_document(document: str) -> None:
    """Print a JSON document: in UTF-8, which JSON is in, or in ASCII with the rest escaped."""
    assert sys.stdout is not None  # noqa: S101 - looked at before there was a document
    try:
        utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
        document.encode()
    except (LookupError, UnicodeEncodeError):  # half a character, as of a name that is no UTF-8
        utf8 = False
    if not utf8:
        document = re.sub("[^\0-\x7f]", lambda found: json.dumps(found[0])[1:-1], document)
    sys.stdout.write(document + "\n")


def _report(status: AccountStatus, *, named: bool) -> None:
    """Say on stderr what keeps figures away, and what is only worth knowing."""
    whose = f"{status.account.name}: " if named else ""
    if status.notice:
        tell(f"note: {whose}{status.notice}\n")
    if status.problem is not None:
        now, style = utc_clock(), ClockStyle()
        say(
            whose + problem_text.message(status.problem, now, style),
            problem_text.hint(status, now, style, live=False),
        )


def fail_without_output() -> int:
    """Tell that standard output is closed; returns the exit code."""
    return _fail(UsageMonitorError("Standard output is closed.", "Give it somewhere to go."))


def _fail(error: UsageMonitorError) -> int:
    say(error.message, error.hint)
    return exit_code_for(error.code)


def say(message: str, hint: str) -> None:
    """Tell of a failure: what happened, and what to do."""
    tell(f"error: {message}\n" + (f"hint: {hint}\n" if hint else ""))
