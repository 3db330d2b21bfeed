"""Live mode: the main thread draws and handles keys and signals; other threads read."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from rich.text import Text

from claude_usage_monitor.cli import output
from claude_usage_monitor.cli.background import FENCE_TIMEOUT, BackgroundQuery, is_safe
from claude_usage_monitor.cli.dashboard_request import DashboardRequest
from claude_usage_monitor.cli.exit_codes import ExitCode
from claude_usage_monitor.cli.keys import DOWN, ESCAPE, LEFT, RIGHT, UP, Keyboard, TerminalGone
from claude_usage_monitor.cli.output import DEFAULT_WIDTH
from claude_usage_monitor.cli.rich_console import frame_text, open_console
from claude_usage_monitor.cli.screen import PlainScreen, Screen
from claude_usage_monitor.cli.shown_statuses import ShownStatuses, shown_statuses
from claude_usage_monitor.cli.signals import LiveSignals, TerminalStalled
from claude_usage_monitor.cli.terminal import DEFAULT_HEIGHT, terminal_size
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.monitor.live.poller import Poller
from claude_usage_monitor.monitor.reader import unwrapped
from claude_usage_monitor.render.dashboard import dashboard
from claude_usage_monitor.render.help import HelpTopics, help_lines
from claude_usage_monitor.render.panels.history import history_lines, no_history_lines
from claude_usage_monitor.render.panels.use import use_view
from claude_usage_monitor.render.theme import RenderOptions, depends_on_background
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import DAY, MINUTE
from claude_usage_monitor.usage.limits.history_view import HasHistory, HistoryView, Range
from claude_usage_monitor.usage.status import AccountStatus

_SECOND = timedelta(seconds=1)
_HALF_MINUTE = timedelta(seconds=30)
_HOUR = timedelta(hours=1)
_ROUNDING = timedelta(seconds=0.5)
_ARROWS = {LEFT: -1, RIGHT: 1}
_VERTICAL_ARROWS = {UP: -1, DOWN: 1}
_ANSWER_SECONDS = 4.0  # how long the footer answers the key r
_HELP_STEPS = {"j": 1, DOWN: 1, "k": -1, UP: -1}  # keys that scroll the help, and by how many lines
_AFTER_CHANGE = 0.02  # seconds; draw just after a text changes, not just before
_MIN_WAIT_PER_ACCOUNT = 0.1  # seconds; with many accounts, some text changes all the time


def show(request: DashboardRequest) -> int:
    """Show the dashboard until q, Ctrl+C or a signal. Returns the exit code."""
    gc.enable()  # `cli.command` disabled it
    notes: list[str] = []  # written once the alternate screen is left
    accounts = request.open_accounts(notes.append, live=True)
    console, render_options = open_console(request.settings, request.environ, utc_now(), live=True)
    keyboard = Keyboard()
    query: BackgroundQuery | None = None
    theme = request.settings.theme
    if render_options.color and depends_on_background(theme) and is_safe(request.environ):
        query = BackgroundQuery(console.file, theme)
    poller = Poller(accounts, request.settings.interval, utc_now, keyboard.wake)
    shown = shown_statuses(poller, accounts, request, render_options.clock, keyboard.wake)
    plain = console.is_dumb_terminal or not console.is_terminal
    screen = PlainScreen(console) if plain else Screen(console)

    def abandon_terminal() -> None:
        screen.abandon()
        keyboard.restore()
        output.discard_terminal()

    signals = LiveSignals(keyboard.wake, abandon_terminal)
    try:
        with signals.handled(), keyboard:
            display = Display(screen, render_options, query)
            session = LiveSession(shown, keyboard, signals, display)
            screen.enter()
            try:
                with output.silent_libraries():
                    poller.start()
                    shown.start_worker()
                    code = session.run()
            finally:
                session.await_replies()
                screen.leave()
                shown.restore_title()
            if poller.failure is not None:
                raise poller.failure
            for note in notes:
                output.note(note)
            if not plain:
                width, rows = terminal_size() or (DEFAULT_WIDTH, DEFAULT_HEIGHT)
                options = session.final_options
                size = (width, max(1, rows - 1))  # a row is for the prompt
                output.data(frame_text(console, shown.current(), utc_now(), size, options))
            return code
    except TerminalStalled:
        return signals.exit_code or ExitCode.OK
    except TerminalGone:
        return ExitCode.HANGUP
    except (OSError, output.OutputFailed):
        if poller.failure is not None or terminal_size() is not None:
            raise
        return ExitCode.HANGUP


class Display(NamedTuple):
    """The screen, how to draw on it, and the question for its background, if that is safe."""

    screen: Screen
    options: RenderOptions
    query: BackgroundQuery | None


class LiveSession:
    """The loop of live mode: draws, waits for a key, a signal or a new reading, and reacts."""

    def __init__(
        self,
        shown: ShownStatuses,
        keyboard: Keyboard,
        signals: LiveSignals,
        display: Display,
    ) -> None:
        self._shown = shown
        self._poller = shown.poller
        self._keyboard = keyboard
        self._signals = signals
        self._screen, self._render_options, self._query = display
        self._answers_until = 0.0  # by the monotonic clock
        self._use_window: int | None = None  # the window that the view of the use shows
        self._help_line: int | None = None  # the first line of the help; None if it is hidden
        self._range = Range.DAY  # of the history view
        self._shows_history = False
        self._history_key: str | None = None  # of the window that the user selected
        self._history: HistoryView | None = None  # as last drawn

    def run(self) -> int:
        """Run until a key or a signal ends the session; return the exit code."""
        drawn: tuple[object, ...] = ()
        while self._signals.exit_code is None and self._poller.failure is None:
            now = utc_now()
            self._shown.send_alerts(now)
            statuses = self._shown.current()
            answers_for = self._answers_until - time.monotonic()
            self._render_options = replace(
                self._render_options, answers=answers_for > 0, position=self._poller.position
            )
            views = (
                self._help_line,
                self._use_window,
                self._shows_history,
                self._range,
                self._history_key,
            )
            content = (statuses, self._render_options, views)
            self._draw(statuses, now, changed=content != drawn)
            drawn = content
            self._shown.announced()
            self._ask_for_background()
            wait = seconds_to_change(statuses, now)
            keys = self._keyboard.wait(min(wait, answers_for) if answers_for > 0 else wait)
            self._receive_replies()
            if self._handle_keys(keys):
                return ExitCode.OK
            if self._signals.suspend:
                self._suspend()
            if self._signals.repaint:
                self._signals.repaint = False
                self._screen.repaint()
        return self._signals.exit_code or ExitCode.OK

    @property
    def final_options(self) -> RenderOptions:
        """The options of the frame that stays on the normal screen."""
        return replace(self._render_options, live=False, answers=False, position=None)

    def await_replies(self) -> None:
        """Wait shortly for a reply of the terminal, so that no shell reads it as a command."""
        if self._query is not None and self._query.pending:
            self._keyboard.wait(FENCE_TIMEOUT)
            self._keyboard.discard_input()

    def _ask_for_background(self) -> None:
        """Ask for the background once, after the first frame."""
        if self._query is not None and not self._query.asked:
            if self._keyboard.may_ask():
                self._query.ask()
            else:
                self._query = None

    def _receive_replies(self) -> None:
        replies = self._keyboard.replies()
        if self._query is not None:
            self._query.receive(replies)
            self._render_options = replace(self._render_options, theme=self._query.theme)

    def _draw(self, statuses: tuple[AccountStatus, ...], now: datetime, *, changed: bool) -> None:
        if hasattr(time, "tzset"):
            time.tzset()  # follows a change of the system's time zone
        width, height = terminal_size() or (DEFAULT_WIDTH, DEFAULT_HEIGHT)
        lines: list[Text]
        if self._help_line is not None:
            several = self._poller.position is not None
            topics = HelpTopics.of(statuses, several=several)
            lines, self._help_line = help_lines(
                width, height, self._render_options, topics, self._help_line
            )
        elif self._shows_history:
            lines = self._history_lines(now, width, height)
        elif self._use_window is not None:
            size = (width, height)
            lines = use_view(statuses, self._use_window, now, size, self._render_options)
        else:
            lines = dashboard(statuses, now, width, height, self._render_options)
        with self._signals.interrupting_writes():
            self._screen.paint(lines, (width, height), changed=changed)

    def _history_lines(self, now: datetime, width: int, height: int) -> list[Text]:
        """Return the history of the first displayed account that has one."""
        readers = map(unwrapped, self._poller.readers)
        for status, reader in zip(self._poller.statuses, readers, strict=False):
            if not isinstance(reader, HasHistory):
                continue
            api_now = status.api_time(now)
            view = self._history = reader.history_view(self._range, api_now, self._history_key)
            if view is not None:
                window = status.usage.at(api_now).window(view.key) if status.usage else None
                view = view._replace(forecast=window.forecast if window else None)
                return history_lines(view, api_now, width, height, self._render_options)
        return no_history_lines(width, height, self._render_options)

    def _handle_keys(self, keys: str) -> bool:
        """Handle the keys; return whether one of them was quit."""
        for key in keys:
            if key in ("q", "Q", "\x03"):
                return True
            if self._help_line is not None:
                step = _HELP_STEPS.get(key)
                self._help_line = None if step is None else max(0, self._help_line + step)
            elif key == "?":
                self._help_line = 0
            elif key in ("u", "U"):
                options = self._render_options
                self._render_options = replace(options, left=not options.left)
            elif key in ("r", "R"):
                self._poller.read_now()
                self._answers_until = time.monotonic() + _ANSWER_SECONDS
            elif key == "\t":
                self._poller.show_next()
            else:
                self._handle_view_key(key)
        return False

    def _handle_view_key(self, key: str) -> None:
        """Show or hide the history or the use, or change its range or window."""
        if key in ("h", "H"):
            self._shows_history, self._use_window = not self._shows_history, None
        elif key in ("w", "W"):
            self._use_window = 0 if self._use_window is None else None
            self._shows_history = False
        elif key == ESCAPE:
            self._shows_history, self._use_window = False, None
        elif key in _ARROWS and self._use_window is not None:
            self._use_window += _ARROWS[key]
        elif key in _ARROWS and self._shows_history:
            self._range = self._range.step(_ARROWS[key])
        elif key in _VERTICAL_ARROWS and self._shows_history and self._history is not None:
            self._history_key = self._history.key_after(_VERTICAL_ARROWS[key])

    def _suspend(self) -> None:
        """Restore the terminal, stop the process until SIGCONT, then enter live mode again."""
        self._screen.leave()
        self._keyboard.restore()
        self._signals.stop_process()
        self._keyboard.__enter__()
        self._screen.enter()


def seconds_to_change(statuses: tuple[AccountStatus, ...], now: datetime) -> float:
    """Return the seconds until a countdown or an age on the screen may change, at most a minute."""
    waits = [MINUTE]
    for status in statuses:
        api_now = status.api_time(now)
        for moment in _shown_instants(status, api_now):
            span = moment - api_now
            waits.append((span + _ROUNDING) % _step(span))
        if status.next_read_at is not None and status.next_read_at - now > _HALF_MINUTE:
            # It is shown to the nearest minute.
            waits.append((status.next_read_at - now + _ROUNDING) % _HALF_MINUTE)
    min_wait = 0.0 if len(statuses) == 1 else _MIN_WAIT_PER_ACCOUNT * len(statuses)
    return max(min(waits).total_seconds(), min_wait) + _AFTER_CHANGE


def _step(span: timedelta) -> timedelta:
    """Return the step of a countdown, or of an age, which is negative.

    At its multiples, rounded to the nearest second, the text changes.
    """
    if span >= DAY:
        return _HOUR
    if timedelta() < span < MINUTE + _SECOND:
        return _SECOND
    return _HALF_MINUTE if abs(span) <= MINUTE + _SECOND else MINUTE


def _shown_instants(status: AccountStatus, api_now: datetime) -> Iterator[datetime]:
    """Yield the instants, by the API's clock, that countdowns and ages are computed from."""
    problem = status.problem
    if problem is not None:
        yield from (at for at in (problem.retry_at, problem.since) if at is not None)
    if status.throttling is not None:
        yield from map(status.api_time, status.throttling.instants())
    if status.as_of is not None:
        yield status.as_of
    if status.usage is not None:
        for window in status.usage.windows:
            full_at = window.full_at(api_now)
            yield from (at for at in (window.resets_at, full_at) if at is not None)
