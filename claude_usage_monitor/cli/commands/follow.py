"""``--follow``: print the figures at once, and again whenever what is printed changes.

The process stays small: it only reads what is stored. When a request is due, a short-lived child
process sends it.
"""

from __future__ import annotations

import contextlib
import gc
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest, text_of, write
from claude_usage_monitor.cli.exit_codes import ExitCode, exit_code_for
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import Render, format_named, load_format
from claude_usage_monitor.monitor.reader import DisplayedAccount, DisplayedAccounts
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.status import AccountStatus

_CHECK_SECONDS = 2.0  # between two looks at what other processes have stored
_UPDATE_SECONDS = 10.0  # between two updates of countdowns and ages: the text has minutes
_CHILD_INTERVAL = 30.0  # seconds between two children, for one that fails at once


def show(request: DashboardRequest) -> int:
    """Print until the reader of standard output is gone or a signal arrives."""
    render = load_format("json-line") if request.format is None else format_named(request.format)
    wait = _waiter(request)
    try:
        accounts = request.open_accounts(output.note)
    except UsageMonitorError as error:
        if exit_code_for(error.code) == ExitCode.USAGE:
            raise
        write(text_of(render, request, (), error), request.output_file)
        return ExitCode.OK
    stream = _Stream(request, accounts, render)
    gc.enable()
    gc.collect()
    while True:
        stream.update()
        until = time.monotonic() + _UPDATE_SECONDS
        while time.monotonic() < until and not stream.changed():
            wait(_CHECK_SECONDS)


class _Account:
    """A displayed account and its stored status."""

    def __init__(self, displayed: DisplayedAccount, request: DashboardRequest) -> None:
        self.reader = displayed.reader
        self.status = AccountStatus(displayed.account, interval=request.settings.interval)
        self._checked: float | None = None  # monotonic seconds

    def update(self) -> None:
        """Read the stored status again if it may have changed, or a login may have appeared."""
        elapsed = None if self._checked is None else time.monotonic() - self._checked
        if (
            elapsed is None
            or elapsed >= self.status.interval.total_seconds()
            or self.status.next_read_at is None
            or self.due
            or self.reader.changed()
        ):
            self.status = self.reader.cached_status(self.status)
            self._checked = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether a request is due."""
        next_read_at = self.status.next_read_at
        return next_read_at is not None and next_read_at <= utc_now()


class _Stream:
    """Prints the accounts' figures whenever they change."""

    def __init__(
        self, request: DashboardRequest, accounts: DisplayedAccounts, render: Render
    ) -> None:
        self._request = request
        self._accounts = accounts
        self._render = render
        self._displayed: list[_Account] = []
        self._version: object = ()
        self._printed: object = None
        self._child: subprocess.Popen[bytes] | None = None
        self._child_started = -_CHILD_INTERVAL

    def changed(self) -> bool:
        """Return whether other processes have stored something."""
        return any(each.reader.changed() for each in self._displayed)

    def update(self) -> None:
        """Print what has changed, and start a child process if a request is due."""
        version = self._accounts.version()
        if version != self._version:
            self._version = version
            self._displayed = [_Account(each, self._request) for each in self._accounts.current()]
        for each in self._displayed:
            each.update()
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        self._print([each.status for each in self._displayed])
        if not self._request.demo and any(each.due for each in self._displayed):
            self._start_child()

    def _print(self, statuses: Sequence[AccountStatus]) -> None:
        text = text_of(self._render, self._request, statuses)
        printed = text if self._request.format else _lasting(statuses)
        if printed == self._printed:
            return
        file = self._request.output_file
        if self._request.format == "xbar" and self._printed is not None and file is None:
            text = f"~~~\n{text}"  # SwiftBar then replaces the menu
        write(text, file)
        self._printed = printed

    def _start_child(self) -> None:
        """Let a short-lived process send the request: it ends, and so does what it has imported."""
        if self._child is not None or time.monotonic() - self._child_started < _CHILD_INTERVAL:
            return
        self._child_started = time.monotonic()
        with contextlib.suppress(OSError):  # no process can be started at the moment
            self._child = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-P", "-m", "claude_usage_monitor", *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def _arguments(self) -> list[str]:
        """Return the arguments of a process that reads the same accounts, if they are due."""
        request = self._request
        arguments = ["--format", "plain"]
        arguments += ["--interval", str(request.settings.interval.total_seconds())]
        if request.required_mode is not None:
            arguments += ["--mode", request.required_mode]
        if request.names:  # an account may have been renamed or removed meanwhile
            arguments += [f"--account={each.status.account.name}" for each in self._displayed]
        return [*arguments, *(["--all-accounts"] if request.all_accounts else [])]


def _lasting(statuses: Sequence[AccountStatus]) -> object:
    """Return what must change before a JSON document is printed again: not only ages and times."""
    now = utc_now()
    return [
        (
            status,
            status.stale(now),
            status.at(now).usage,
        )
        for status in statuses
    ]


def _waiter(request: DashboardRequest) -> Callable[[float], None]:
    """Return a function that waits, and raises ReaderGone once nothing reads standard output.

    Where there is no `select.poll`, the next write notices that.
    """
    if not hasattr(select, "poll"):
        return time.sleep
    poll = select.poll()
    if request.output_file is None:
        poll.register(output.stdout().fileno(), 0)  # errors and hang-ups are always reported

    def wait(seconds: float) -> None:
        if poll.poll(seconds * 1000):
            raise output.ReaderGone("Nothing reads standard output.", "")

    return wait
