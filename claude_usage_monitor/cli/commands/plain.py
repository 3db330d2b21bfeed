"""Live mode with ``--plain``: prints a line on a new whole percent, a reset or a problem."""

from __future__ import annotations

import gc
import time

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.keys import Keyboard, TerminalGone
from claude_usage_monitor.cli.shown_statuses import ShownStatuses, shown_statuses
from claude_usage_monitor.cli.signals import LiveSignals, TerminalStalled
from claude_usage_monitor.formats import plain_text
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.monitor.reader import unwrapped
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.limits.history_view import HasHistory, Range
from claude_usage_monitor.usage.status import with_service_once

_MAX_WAIT = 5.0  # seconds until a reset is noticed, and until figures that are being read are shown


def show(request: DashboardRequest) -> int:
    """Print what changes until q, Ctrl+C or a signal. Returns the exit code."""
    gc.enable()  # `cli.command` disabled it
    accounts = request.open_accounts(output.note, live=True)
    options = request.format_options()._replace(live=True)
    keyboard = Keyboard()
    poller = Poller(accounts, request.settings.interval, utc_now, keyboard.wake)
    shown = shown_statuses(poller, accounts, request, options.clock, keyboard.wake)

    def abandon_terminal() -> None:
        keyboard.restore()
        output.discard_terminal()

    signals = LiveSignals(keyboard.wake, abandon_terminal)
    try:
        with signals.handled(), keyboard, output.silent_libraries():
            poller.start()
            shown.start_worker()
            code = PlainSession(shown, keyboard, signals, options).run()
            shown.restore_title()
    except TerminalStalled:
        return signals.exit_code or ExitCode.OK
    except TerminalGone:
        return ExitCode.HANGUP
    if poller.failure is not None:
        raise poller.failure
    return code


class PlainSession:
    """The loop: prints what is new, then waits for a key, a signal or a new reading."""

    def __init__(
        self,
        shown: ShownStatuses,
        keyboard: Keyboard,
        signals: LiveSignals,
        options: FormatOptions,
    ) -> None:
        self._shown = shown
        self._poller = shown.poller
        self._keyboard = keyboard
        self._signals = signals
        self._options = options
        self._printed: dict[str, plain_text.Values] = {}  # by the account's name
        self._unfinished: set[str] = set()  # names of accounts printed before their read was done
        self._begin_to_wait()

    def run(self) -> int:
        """Run until a key or a signal ends the session; return the exit code."""
        while self._signals.exit_code is None and self._poller.failure is None:
            self._shown.send_alerts(utc_now())
            self._print_news()
            for key in self._keyboard.wait(_MAX_WAIT):
                if key in ("q", "Q", "\x03"):
                    return ExitCode.OK
                self._handle_key(key)
            if self._signals.suspend:
                self._keyboard.restore()
                self._signals.stop_process()
                self._keyboard.__enter__()
        return self._signals.exit_code or ExitCode.OK

    def _begin_to_wait(self) -> None:
        """Wait some seconds for the reads of accounts before they are printed."""
        self._waits_until = time.monotonic() + _MAX_WAIT

    def _print_news(self) -> None:
        """Print each account once its read is done, and after that what changes."""
        now, options = utc_now(), self._options
        already_read = self._poller.names_of_read_accounts  # before the statuses
        every = self._shown.with_names()
        hidden = with_service_once(self._shown.hide_names(every))
        shown = dict(zip((status.account.name for status in every), hidden, strict=True))
        again = self._unfinished & already_read
        known = [name for name in shown if name in self._printed and name not in again]
        waits = time.monotonic() < self._waits_until
        new = [
            name
            for name, status in shown.items()
            if name not in known
            and (name in already_read or not waits)
            and (status.has_figures or status.problem)
        ]
        before = [self._printed[name] for name in known]
        for line in plain_text.changes(before, [shown[name] for name in known], now, options):
            output.data(f"{line}\n")
        if new:
            text = plain_text.render([shown[name] for name in new], now, options)
            output.data(f"{text}\n")
            self._shown.announced()
        printed = (*known, *new)
        self._printed = {name: plain_text.values(shown[name], now, options) for name in printed}
        self._unfinished = set(printed) - already_read

    def _handle_key(self, key: str) -> None:
        if key in ("r", "R"):
            self._poller.read_now()
            for line in plain_text.answers(self._shown.current(), utc_now(), self._options):
                output.data(f"{line}\n")
        elif key in ("h", "H"):
            self._print_history()
        elif key in ("u", "U"):
            self._options = self._options._replace(left=not self._options.left)
            self._printed.clear()
        elif key == "\t":
            self._begin_to_wait()
            self._poller.show_next()

    def _print_history(self) -> None:
        """Print the history of the first displayed account that has one."""
        readers = map(unwrapped, self._poller.readers)
        for status, reader in zip(self._poller.statuses, readers, strict=False):
            now = status.api_time(utc_now())
            view = reader.history_view(Range.HEAT, now) if isinstance(reader, HasHistory) else None
            if view is not None:
                for line in plain_text.history_lines(view, now, self._options):
                    output.data(f"{line}\n")
                return
        output.data("This account has no stored windows\n")
