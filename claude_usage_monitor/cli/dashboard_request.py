"""A request for the dashboard: opens its accounts, reads them, and writes them as text."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.exit_codes import exit_code_of
from claude_usage_monitor.cli.terminal import clock_style, line_options
from claude_usage_monitor.errors import InvalidSetting, UsageMonitorError
from claude_usage_monitor.files import replace_file
from claude_usage_monitor.formats import Render
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.accounts.registry import AccountRegistry
from claude_usage_monitor.monitor.accounts.selection import SelectedAccounts
from claude_usage_monitor.monitor.reader import DisplayedAccounts, Reader, read_all
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.settings import Mode, Settings
from claude_usage_monitor.usage import problem_text
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus


class DashboardRequest(NamedTuple):
    """The accounts to show, and the settings with the options of the command line merged in.

    ``required_mode`` is the mode in the command line, if there is one. ``format`` is a preset's
    name or a template; ``output_file`` is replaced instead of printing.
    """

    settings: Settings
    environ: Mapping[str, str]
    names: tuple[str, ...]
    all_accounts: bool
    demo: bool
    required_mode: Mode | None = None
    format: str | None = None
    follow: bool = False
    output_file: str | None = None

    def open_accounts(
        self, announce: Callable[[str], None], *, live: bool = False
    ) -> DisplayedAccounts:
        """Return the accounts to show; ``announce`` receives notices for the user.

        Raises UnknownAccount, NoCredentials for a missing kind of account, InvalidSetting.
        """
        if self.demo:
            # Takes 4 ms; only needed with `--demo`.
            from claude_usage_monitor.monitor.demo import DemoAccounts

            mode = self.settings.mode
            return DemoAccounts(utc_now, self.names, mode, every=self.all_accounts)
        services = Services(
            self.environ, self.settings, utc_now, _random_fraction, announce, live=live
        )
        registry = AccountRegistry(services)
        self._require_mode(registry)
        accounts = SelectedAccounts(
            registry, self.names, self.settings.mode, every=self.all_accounts
        )
        if accounts.warning:
            output.warning(registry.without_names(accounts.warning))
        return accounts

    def _require_mode(self, registry: AccountRegistry) -> None:
        """Raise InvalidSetting if `--mode` leaves out an account that `--account` names."""
        if self.required_mode in (None, "auto"):
            return
        for name in self.names:
            if registry.find(name).account.kind != self.required_mode:
                kinds = {"code": "an organization", "console": "a subscription"}
                raise InvalidSetting(
                    f"The account {registry.without_names(name)} is {kinds[self.required_mode]},"
                    f" which `--mode {self.required_mode}` leaves out.",
                    "Leave out `--mode`, or name another account.",
                )

    def first_account(self) -> tuple[Reader, AccountStatus]:
        """Return the reader of the first account, and its status before any read.

        Raises UsageMonitorError, OSError.
        """
        displayed = self.open_accounts(output.note).current()[0]
        status = AccountStatus(displayed.account, interval=self.settings.interval)
        return displayed.reader, status

    def read_accounts(self) -> tuple[AccountStatus, ...]:
        """Return the statuses of the accounts, read once. Raises UsageMonitorError."""
        try:
            accounts = self.open_accounts(output.note)
            return read_all(accounts.current(), self.settings.interval)
        except OSError as error:
            raise UsageMonitorError(output.describe(error), output.OS_ERROR_HINT) from error

    def format_options(self) -> FormatOptions:
        """Return the options of the settings for an output format."""
        return FormatOptions(
            ascii=self.settings.ascii,
            clock=clock_style(self.environ, utc_now(), self.settings),
            left=self.settings.show == "left",
            forecast=self.settings.forecast,
        )

    def shown(self, statuses: Sequence[AccountStatus]) -> Sequence[AccountStatus]:
        """Return the statuses to show: without names, if the user wants that."""
        if not self.settings.hide_names:
            return statuses
        # Takes 1 ms; only needed where names are hidden.
        from claude_usage_monitor.usage.privacy import hidden

        return hidden(statuses)

    def report(self, statuses: Sequence[AccountStatus]) -> int:
        """Write every account's notice and problem to standard error; return the exit code."""
        now = utc_now()
        style = clock_style(self.environ, now, self.settings)
        for status in statuses:
            prefix = f"{status.account.name}: " if len(statuses) > 1 else ""
            if status.notice:
                output.note(prefix + status.notice)
            if status.problem is not None:
                output.error(
                    prefix + problem_text.message(status.problem, now, style),
                    problem_text.hint(status, now, style, live=False),
                )
        return exit_code_of(statuses)


def text_of(
    render: Render,
    request: DashboardRequest,
    statuses: Sequence[AccountStatus],
    error: UsageMonitorError | None = None,
) -> str:
    """Return statuses as text as of now, or the error that prevented reading any."""
    now, to_file = utc_now(), request.output_file is not None
    options = line_options(request.environ, now, request.settings, to_file=to_file)
    return render(request.shown(statuses), now, options, error)


def write(text: str, file: str | None) -> None:
    """Write the text as a line to standard output, or replace a file with it.

    Raises OutputFailed.
    """
    if file is None:
        output.data(f"{text}\n")
        return
    try:
        replace_file(file, f"{output.redacted(text)}\n".encode("utf-8", "replace"))
    except OSError as error:
        hint = "--output needs a file in a folder that you can write to."
        raise output.OutputFailed(output.describe(error), hint) from None


def _random_fraction() -> float:
    """Return a number from 0 to 1 for jitter. Importing `random` would take 5 ms."""
    return os.urandom(1)[0] / 255
