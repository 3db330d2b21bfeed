"""Reads transcripts beside the dashboard, on a thread of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.monitor.attribution.scan import Progress, scan
from claude_usage_monitor.monitor.attribution.transcripts import Transcripts
from claude_usage_monitor.monitor.attribution.use import AccountUse
from claude_usage_monitor.monitor.login.shutdown import shutting_down
from claude_usage_monitor.monitor.services import Services
from claude_usage_monitor.store.transcripts.transcript_store import TranscriptStore
from claude_usage_monitor.threads import run_in_thread
from claude_usage_monitor.usage.status import AccountStatus

_MIN_INTERVAL = timedelta(seconds=300)  # transcripts are not read more often
_MIN_SHOWN_BYTES = 20_000_000  # a shorter read is over before its progress is seen
_FIRST_FIGURES_TIMEOUT = 20.0  # seconds; the first figures come first
_PAUSE = 0.002  # seconds after each part, for the thread that draws and reads keys


class UseWorker:
    """Keeps what used the displayed accounts' windows up to date.

    ``statuses`` returns the displayed accounts; ``changed`` is called after something was stored,
    ``redraw`` when only the progress changed. Nothing is read before `announced` was called.
    """

    def __init__(
        self,
        services: Services,
        statuses: Callable[[], Sequence[AccountStatus]],
        changed: Callable[[], None],
        redraw: Callable[[], None],
    ) -> None:
        self._services = services
        self._transcripts = Transcripts(services)
        self._statuses = statuses
        self._changed = changed
        self._redraw = redraw
        self._interval = max(services.settings.interval, _MIN_INTERVAL).total_seconds()
        self._announced = threading.Event()
        self.progress: float | None = None
        self.notice: str | None = None
        """What the user must have seen before the first transcript is read."""
        if self._transcripts.was_announced:
            self._announced.set()
        elif self._transcripts.roots():
            self.notice = self._transcripts.notice()

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        run_in_thread(self._run, "transcripts")

    def announced(self) -> None:
        """Begin to read: the notice, if there is one, is on the screen."""
        self._announced.set()

    def shown(self, statuses: Sequence[AccountStatus]) -> tuple[AccountStatus, ...]:
        """Return the statuses with the notice and the progress."""
        return tuple(
            status._replace(notice=status.notice or self.notice, use_progress=self.progress)
            for status in statuses
        )

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        self._announced.wait()
        waited = 0.0
        while not any(status.usage for status in self._statuses()):
            if shutting_down.wait(0.2):
                return
            waited += 0.2
            if waited >= _FIRST_FIGURES_TIMEOUT:
                break
        try:
            while not shutting_down.is_set():
                if self._transcripts.roots():
                    self._read()
                shutting_down.wait(self._interval)
        except (UsageMonitorError, sqlite3.Error):
            return  # `doctor` and `usage` say why; the limits do not depend on it

    def _read(self) -> None:
        store = self._transcripts.open()
        try:
            result = scan(store, self._transcripts.roots(), self._report, shutting_down.is_set)
            self.progress = None
            if result.complete:
                self._store_use(store)
                self.notice = None
        finally:
            store.close()
        self._changed()

    def _store_use(self, store: TranscriptStore) -> None:
        for status in self._statuses():
            if status.identity is None or status.usage is None:
                continue
            now = self._now(status)
            identities = self._transcripts.root_identities()
            use = AccountUse(self._services.state, store, status.identity, identities)
            use.store_ended_windows(now)
            windows = status.usage.at(now).windows
            use.store_shown(
                {w.key: w.utilization for w in windows if w.utilization is not None}, now
            )

    def _now(self, status: AccountStatus) -> datetime:
        return status.api_time(self._services.clock())

    def _report(self, progress: Progress) -> None:
        if progress.all_bytes >= _MIN_SHOWN_BYTES:
            before, self.progress = self.progress, progress.bytes / progress.all_bytes
            if before is None or int(100 * before) != int(100 * self.progress):
                self._redraw()
        shutting_down.wait(_PAUSE)
