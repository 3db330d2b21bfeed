"""Live mode with ``--plain``: prints a line on a new whole percent, a reset or a problem."""

from __future__ import annotations

import gc
from collections.abc import Sequence

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.keys import Keyboard, TerminalGone
from claude_usage_monitor.cli.signals import LiveSignals, TerminalStalled
from claude_usage_monitor.formats import plain_text
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.monitor.reader import unwrapped
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.limits.history_view import HasHistory, Range
from claude_usage_monitor.usage.status import AccountStatus

_MAX_WAIT = 5.0  # seconds until a reset is noticed


def show(request: DashboardRequest) -> int:
    """Print what changes until q, Ctrl+C or a signal. Returns the exit code."""
    gc.enable()  # `cli.command` disabled it
    accounts = request.open_accounts(output.note, live=True)
    keyboard = Keyboard()
    poller = Poller(accounts, request.settings.interval, utc_now, keyboard.wake)

    def abandon_terminal() -> None:
        keyboard.restore()
        output.discard_terminal()

    signals = LiveSignals(keyboard.wake, abandon_terminal)
    try:
        with signals.handled(), keyboard, output.silent_libraries():
            poller.start()
            code = PlainSession(poller, keyboard, signals, request.format_options()).run()
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
        self, poller: Poller, keyboard: Keyboard, signals: LiveSignals, options: FormatOptions
    ) -> None:
        self._poller = poller
        self._keyboard = keyboard
        self._signals = signals
        self._options = options
        self._printed: dict[str, AccountStatus] = {}  # by name

    def run(self) -> int:
        """Run until a key or a signal ends the session; return the exit code."""
        while self._signals.exit_code is None and self._poller.failure is None:
            self._print_news(self._poller.statuses)
            for key in self._keyboard.wait(_MAX_WAIT):
                if key in ("q", "Q", "\x03"):
                    return ExitCode.OK
                self._handle_key(key)
            if self._signals.suspend:
                self._keyboard.restore()
                self._signals.stop_process()
                self._keyboard.__enter__()
        return self._signals.exit_code or ExitCode.OK

    def _print_news(self, statuses: Sequence[AccountStatus]) -> None:
        now = utc_now()
        known = [s for s in statuses if s.account.name in self._printed]
        before = [self._printed[status.account.name] for status in known]
        for line in plain_text.changes(before, known, now, self._options):
            output.data(f"{line}\n")
        new = [s for s in statuses if s not in known and (s.has_figures or s.problem)]
        if new:
            output.data(f"{plain_text.render(new, now, self._options)}\n")
        self._printed |= {status.account.name: status for status in (*known, *new)}

    def _handle_key(self, key: str) -> None:
        if key in ("r", "R"):
            self._poller.read_now()
            for line in plain_text.answers(self._poller.statuses, utc_now(), self._options):
                output.data(f"{line}\n")
        elif key in ("h", "H"):
            self._print_history()
        elif key in ("u", "U"):
            self._options = self._options._replace(left=not self._options.left)
            self._printed.clear()
        elif key == "\t":
            self._printed.clear()
            self._poller.show_next()

    def _print_history(self) -> None:
        """Print the history of the first displayed account that has one."""
        now = utc_now()
        readers = map(unwrapped, self._poller.readers)
        found = (r.history_view(Range.HEAT, now) for r in readers if isinstance(r, HasHistory))
        view = next((view for view in found if view is not None), None)
        if view is None:
            output.data("This account has no stored windows\n")
            return
        for line in plain_text.history_lines(view, now, self._options):
            output.data(f"{line}\n")
