"""Live mode: the main thread draws and takes keys and signals, a worker reads."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from claude_usage_monitor.cli.commands.once import print_frame
from claude_usage_monitor.cli.keys import Keyboard, TerminalGone
from claude_usage_monitor.cli.screen import PlainScreen, Screen
from claude_usage_monitor.cli.signals import Signals
from claude_usage_monitor.cli.terminal import DEFAULT_WIDTH, open_console, terminal_size
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.help import help_lines
from claude_usage_monitor.render.theme import RenderOptions
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from claude_usage_monitor.cli.options import Options
    from claude_usage_monitor.store.settings import Settings

_HANGUP = 129  # 128 + SIGHUP: the terminal is gone, whether or not a signal said so
_STEP = timedelta(seconds=30)  # words about time change at multiples of this, or of
_SECOND = timedelta(seconds=1)  # this in a countdown's last minute,
_ROUNDING = timedelta(seconds=0.5)  # told to the nearest second
_SOON_AFTER = 0.02  # seconds; past the boundary, not on it
_LATE_BY = 0.1  # seconds an account; of many accounts some word could change all the time


def run_live(options: Options, settings: Settings, environ: Mapping[str, str]) -> int:
    """Show the dashboard until q, Ctrl+C or a signal. Returns the exit code."""
    from claude_usage_monitor.cli.clock import utc_clock
    from claude_usage_monitor.cli.commands.dashboard import open_accounts, say_on_stderr

    announced: list[str] = []  # told once the screen is the shell's again
    displayed_accounts = open_accounts(options, settings, environ, announced.append)
    console, render_options = open_console(options, settings, environ, live=True)
    keyboard = Keyboard()
    poller = Poller(
        displayed_accounts,
        lambda displayed: AccountStatus(displayed.account, interval=settings.interval),
        utc_clock,
        keyboard.wake,
    )
    dumb = console.is_dumb_terminal or not console.is_terminal
    screen = PlainScreen(console) if dumb else Screen(console)

    def last_resort() -> None:
        screen.leave_at_once()
        keyboard.restore()

    try:
        with Signals(keyboard.wake, last_resort) as signals, keyboard:
            session = _Session(poller, keyboard, signals, screen, render_options)
            screen.enter()
            try:
                poller.start()
                code = session.run()
            finally:
                screen.leave()
            if poller.failure is not None:
                raise poller.failure
            for words in announced:
                say_on_stderr(words)
            if not dumb:
                _leave_last_frame(console, session, dataclasses.replace(render_options, live=False))
            return code
    except TerminalGone:
        return _HANGUP
    except OSError:
        if poller.failure is not None or terminal_size() is not None:
            raise
        return _HANGUP


def _leave_last_frame(console: Console, session: _Session, render_options: RenderOptions) -> None:
    from claude_usage_monitor.cli.clock import utc_clock

    width = (terminal_size() or (DEFAULT_WIDTH, 0))[0]
    print_frame(console, session.poller.statuses, utc_clock(), width, render_options)


class _Session:
    """One stay on the screen: what is shown, and what keys did to it."""

    def __init__(
        self,
        poller: Poller,
        keyboard: Keyboard,
        signals: Signals,
        screen: Screen | PlainScreen,
        render_options: RenderOptions,
    ) -> None:
        self.poller = poller
        self._keyboard = keyboard
        self._signals = signals
        self._screen = screen
        self._render_options = render_options
        self._helping = False

    def run(self) -> int:
        """Draw, wait, act, until it is time to leave; returns the exit code."""
        from claude_usage_monitor.cli.clock import utc_clock

        drawn: tuple[object, ...] = ()
        while self._signals.leaving is None and self.poller.failure is None:
            statuses, now = self.poller.statuses, utc_clock()
            told = (statuses, self._helping)
            self._draw(statuses, now, news=told != drawn)
            drawn = told
            if self._act(self._keyboard.wait(seconds_to_change(statuses, now))):
                return 0
            if self._signals.stop:
                self._suspend()
            if self._signals.repaint:
                self._signals.repaint = False
                self._screen.forget()
        return self._signals.leaving or 0

    def _draw(self, statuses: tuple[AccountStatus, ...], now: datetime, *, news: bool) -> None:
        if hasattr(time, "tzset"):
            time.tzset()  # a traveller's zone is followed
        width, height = terminal_size() or (DEFAULT_WIDTH, 24)
        lines: list[Text]
        if self._helping:
            lines = help_lines(width, height, self._render_options)
        else:
            lines = dashboard(statuses, now, width, height, self._render_options)
        self._screen.paint(lines, (width, height), news=news)

    def _act(self, keys: str) -> bool:
        """Do what the keys ask for; returns whether one of them was quit."""
        for key in keys:
            if key in ("q", "Q", "\x03"):
                return True
            if self._helping:
                self._helping = False
            elif key == "?":
                self._helping = True
            elif key in ("r", "R"):
                self.poller.read_now()
            elif key == "\t":
                self.poller.show_next()
        return False

    def _suspend(self) -> None:
        """Stop as Ctrl+Z asks, with the terminal as it was before us, and come back."""
        self._screen.leave()
        self._keyboard.restore()
        self._signals.suspend()
        self._keyboard.__enter__()
        self._screen.enter()


def seconds_to_change(statuses: tuple[AccountStatus, ...], now: datetime) -> float:
    """Return how long no word on the screen can change by the passing of time alone."""
    waits = [_STEP]
    for status in statuses:
        true_now = status.api_time(now)
        for moment in _instants(status, true_now):
            span = moment - true_now
            step = _SECOND if timedelta() < span < 2 * _STEP + _SECOND else _STEP
            waits.append((span + _ROUNDING) % step)
    soon = 0.0 if len(statuses) == 1 else _LATE_BY * len(statuses)
    return max(min(waits).total_seconds(), soon) + _SOON_AFTER


def _instants(status: AccountStatus, now: datetime) -> Iterator[datetime]:
    """Yield what countdowns and ages are counted from, in the API's time."""
    if status.next_read_at is not None and status.next_read_at - now > _STEP:
        yield status.api_time(status.next_read_at)
    problem = status.problem
    if problem is not None:
        yield from (at for at in (problem.retry_at, problem.since) if at is not None)
    if status.throttling is not None:
        yield from map(status.api_time, status.throttling.instants())
    if status.as_of is not None:
        yield status.as_of
    if status.usage is not None:
        for window in status.usage.windows:
            full_at = window.full_at(now)
            yield from (at for at in (window.resets_at, full_at) if at is not None)
