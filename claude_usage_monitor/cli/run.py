"""What to show and how: accounts selected, one face chosen, problems on stderr."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.cli.clock import utc_clock
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for, exit_code_of
from claude_usage_monitor.errors import NoCredentials, UnknownAccount, UsageMonitorError
from claude_usage_monitor.store.paths import config_path
from claude_usage_monitor.store.settings import Settings, load_settings
from claude_usage_monitor.usage import wording
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Account, AccountStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from claude_usage_monitor.cli.options import Options
    from claude_usage_monitor.monitor.poller import Reader

CLAUDE_CODE = "claude-code"
CONSOLE = "console"
DEMO = "demo"


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Show what was asked for and return the exit code."""
    if sys.stdout is None:
        return _fail(UsageMonitorError("Standard output is closed.", "Give it somewhere to go."))
    settings = Settings() if options.demo else _settings(environ)
    settings = _with_options(settings, options)
    live = not (options.once or options.json) and sys.stdout.isatty()
    try:
        account = _selected(options, settings)
        if live:
            from claude_usage_monitor.cli.live import run_live

            return run_live(account, options, settings, environ)
        return _run_one_shot(account, options, settings, environ)
    except KeyboardInterrupt:
        return ExitCode.OK if live else ExitCode.INTERRUPTED
    except UsageMonitorError as error:
        if options.json:
            _dump((), error, environ)
        return _fail(error)


def open_account(account: Account, settings: Settings, environ: Mapping[str, str]) -> Reader:
    """Return the reader of the selected account. Raises InvalidSetting."""
    if account.name == DEMO:
        from claude_usage_monitor.monitor.demo import DemoReader

        return DemoReader(utc_clock)
    if account.kind == "console":
        from claude_usage_monitor.monitor.organization import open_organization

        return open_organization(environ, settings, utc_clock, _chance)
    from claude_usage_monitor.monitor.read import open_reader

    return open_reader(environ, settings, utc_clock, _chance)


def _chance() -> float:
    """Return a random share, 0 to 1: jitter needs no more than a byte's worth."""
    return os.urandom(1)[0] / 255


def _settings(environ: Mapping[str, str]) -> Settings:
    settings, warnings = load_settings(config_path(environ))
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return settings


def _with_options(settings: Settings, options: Options) -> Settings:
    """Let the command line win over config.toml."""
    if options.interval is not None:
        settings = settings._replace(interval=timedelta(seconds=options.interval))
    if options.mode is not None:
        settings = settings._replace(mode=options.mode)  # type: ignore[arg-type] # argparse checked
    return settings


def _selected(options: Options, settings: Settings) -> Account:
    """Return the account to show. Raises UnknownAccount."""
    only = CONSOLE if settings.mode == "console" else CLAUDE_CODE
    only = DEMO if options.demo else only
    for name in options.accounts:
        if name != only:
            raise UnknownAccount(f"There is no account {name!r}.", f"Known accounts: {only}.")
    return Account(only, "console" if only == CONSOLE else "code")


def console_account(environ: Mapping[str, str]) -> Account | None:
    """Return the built-in organisation account, ``None`` where no Admin key is to be found.

    One that is set but unusable counts: its account says what is wrong with it.
    """
    from claude_usage_monitor.monitor.admin_key import find_admin_key

    try:
        found = find_admin_key(environ) is not None
    except NoCredentials:
        found = True
    return Account(CONSOLE, "console") if found else None


def _run_one_shot(
    account: Account, options: Options, settings: Settings, environ: Mapping[str, str]
) -> int:
    reader = open_account(account, settings, environ)
    first = AccountStatus(account, interval=settings.interval)
    status = reader.read(first, lambda _: None)
    if options.json:
        _dump((status,), None, environ)
    elif status.has_figures:
        from claude_usage_monitor.cli.once import print_once
        from claude_usage_monitor.cli.terminal import open_console

        console, look = open_console(options, settings, environ, live=False)
        print_once((status,), utc_clock(), console, look, environ)
    _report(status)
    return exit_code_of((status,))


def _dump(
    statuses: Sequence[AccountStatus],
    error: UsageMonitorError | None,
    environ: Mapping[str, str],  # noqa: ARG001
) -> None:
    from claude_usage_monitor.formats.json_document import json_document

    sys.stdout.write(json_document(statuses, utc_clock(), ClockStyle(), error) + "\n")


def _report(status: AccountStatus) -> None:
    """Say on stderr what keeps figures away, and what is only worth knowing."""
    if status.notice:
        sys.stderr.write(f"note: {status.notice}\n")
    if status.problem is not None:
        now, style = utc_clock(), ClockStyle()
        _say(
            wording.message(status.problem, now, style),
            wording.hint(status, now, style, live=False),
        )


def _fail(error: UsageMonitorError) -> int:
    _say(error.message, error.hint)
    return exit_code_for(error.code)


def _say(message: str, hint: str) -> None:
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
