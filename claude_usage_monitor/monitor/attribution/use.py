"""What used an account's windows: joins the messages of transcripts with the stored windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.store.state import identities
from claude_usage_monitor.store.state.state_store import StateStore
from claude_usage_monitor.store.state.windows import history
from claude_usage_monitor.store.transcripts.transcript_store import (
    RETENTION_SECONDS,
    EndedWindow,
    TranscriptStore,
)
from claude_usage_monitor.usage.attribution.attribution import (
    Sample,
    Window,
    first_minute,
    rises_of,
)
from claude_usage_monitor.usage.attribution.messages import Use
from claude_usage_monitor.usage.attribution.shown import ProjectUse, WindowUse, merged_rows
from claude_usage_monitor.usage.attribution.weights import credit_units, model_family, price_units
from claude_usage_monitor.usage.attribution.window_use import (
    FIVE_HOUR,
    WEEK,
    Attributed,
    Samples,
    attribute,
    rows_by,
    units_in,
)
from claude_usage_monitor.usage.limits.resets import WindowInstance
from claude_usage_monitor.usage.limits.windows import Usage
from claude_usage_monitor.usage.status import CLAUDE_CODE

STEP = 60  # seconds; messages of the same minute are added up
_MAX_ROWS = 30  # projects that are stored for outputs
_SETTLED = timedelta(minutes=10)  # after its end, a window's last messages and reading are stored


class AccountUse(NamedTuple):
    """The use of one account. ``roots`` maps a folder of transcripts to its account's identity."""

    state: StateStore
    store: TranscriptStore
    identity: str
    roots: Mapping[str, str]

    def uses(self, begin: int, end: int, step: int = STEP) -> list[Use]:
        """Return the messages of the account in a period, the oldest first.

        Without a known identity, these are all messages. Transcripts of older versions do not name
        the account: their messages belong to the login since Claude Code has it. The account of
        earlier ones is unknown, and they are left out.
        """
        if not self.identity:
            return sorted(self.store.uses(begin, end, step), key=lambda use: use.at)
        login = self.state.last_login(CLAUDE_CODE.name)
        current, since = login or (self.identity, None)
        since_seconds = since.timestamp() if since else 0.0
        found = []
        for use in self.store.uses(begin, end, step):
            account = use.account or self.roots.get(use.root)
            if account is None and use.at >= since_seconds:
                account = current
            if account and identities.may_be_same_identity(account, self.identity):
                found.append(use)
        return sorted(found, key=lambda use: use.at)

    def windows(self, now: datetime) -> list[Window]:
        """Return all known windows, the oldest first; ended ones as they were stored."""
        ended = {(each.window.key, each.window.started_at): each.window for each in self.ended()}
        for instance in self._instances(now):
            window = self._window(instance, ())
            ended.setdefault((window.key, window.started_at), window)
        return sorted(ended.values(), key=lambda window: window.started_at)

    def ended(self) -> list[EndedWindow]:
        """Return the ended windows with their units."""
        return self.store.ended(self.identity)

    def running(self, key: str, now: datetime) -> Window | None:
        """Return the running window of a key, with its readings; ``None`` if none is known."""
        for instance in self._instances(now):
            if instance.key == key and instance.end == "open":
                return self._window(instance, self._readings(instance, now))
        return None

    def store_ended_windows(self, now: datetime) -> None:
        """Store every window that has ended, while its readings are there: they are kept 8 days."""
        known = {(each.window.key, each.window.started_at) for each in self.ended()}
        new = [
            self._window(instance, self._readings(instance, instance.ended_at))
            for instance in self._instances(now)
            if instance.ended_at is not None
            and instance.ended_at + _SETTLED < now
            and (instance.key, _seconds(instance.started_at)) not in known
            and model_family(instance.key) is not None
        ]
        if not new:
            return
        uses = self.uses(min(map(first_minute, new)), max(window.resets_at for window in new))
        self.store.store_ended(
            self.identity,
            [
                EndedWindow(
                    window,
                    units_in(window, uses, credit_units),
                    units_in(window, uses, price_units),
                )
                for window in new
            ],
        )
        self.store.delete_before(_seconds(now) - RETENTION_SECONDS)

    def attribute(self, window: Window, now: datetime) -> Attributed | None:
        """Divide a window among its uses; ``None`` if transcripts do not tell who uses it."""
        five_hours = []
        if window.key == WEEK:
            running = self.running(FIVE_HOUR, now)
            five_hours = [
                each
                for each in [*(e.window for e in self.ended()), *([running] if running else [])]
                if each.key == FIVE_HOUR and window.started_at <= each.started_at < window.resets_at
            ]
        uses = self.uses(first_minute(window), window.resets_at)
        return attribute(window, uses, five_hours, self._samples())

    def shown(self, window: Window, now: datetime) -> WindowUse | None:
        """Return the use of a window as outputs show it."""
        attributed = self.attribute(window, now)
        if attributed is None:
            return None
        rows = rows_by("project", attributed.uses, attributed.points)
        rebuilt = self.rebuilt(attributed)
        numbers, _ = self.store.numbers()
        shown_rows = [
            ProjectUse(row.name, row.points or 0.0, row.share, numbers.get(row.name, 0))
            for row in rows
        ]
        return WindowUse(
            window.key,
            datetime.fromtimestamp(window.resets_at, UTC),
            window.utilization,
            now,
            tuple(merged_rows(shown_rows, _MAX_ROWS, "more projects")),
            attributed.elsewhere,
            attributed.plus_minus,
            attributed.basis,
            attributed.subagents,
            *rebuilt,
        )

    def store_shown(self, utilizations: Mapping[str, float], now: datetime) -> list[WindowUse]:
        """Compute and store the use of the running windows, for their present utilization."""
        found = []
        for key, utilization in utilizations.items():
            window = self.running(key, now)
            if window is None:
                continue
            shown = self.shown(window._replace(utilization=utilization), now)
            if shown is not None:
                found.append(shown)
        self.store.store_shown(self.identity, {each.key: each.as_json() for each in found})
        return found

    def _samples(self) -> Samples:
        ended = [each for each in self.ended() if each.window.key == FIVE_HOUR]
        return Samples(
            *(
                [Sample(w.resets_at, w.utilization, units) for w, units in pairs]
                for pairs in (
                    [(each.window, each.credits) for each in ended],
                    [(each.window, each.list_price) for each in ended],
                )
            )
        )

    def rebuilt(self, attributed: Attributed) -> tuple[int, float]:
        """Return the number of rebuilt caches in a window, and their points."""
        window = attributed.window
        family = model_family(window.key) or ""
        sessions = {use.session for use in attributed.uses}
        found = [
            use
            for use in self.store.rebuilds(window.started_at, window.resets_at)
            if use.session in sessions and family in use.model
        ]
        units, total = sum(map(credit_units, found)), sum(map(credit_units, attributed.uses))
        points = sum(attributed.points) * units / total if total else 0.0
        return len(found), points

    def _instances(self, now: datetime) -> list[WindowInstance]:
        return _instances(self.state, self.identity, now)

    def _readings(self, instance: WindowInstance, until: datetime) -> Iterable[tuple[int, float]]:
        for reading in self.state.run(
            history.readings, self.identity, instance.key, instance.started_at
        ):
            if reading.utilization is not None and reading.read_at <= until:
                yield _seconds(reading.read_at), reading.utilization

    def _window(self, instance: WindowInstance, readings: Iterable[tuple[int, float]]) -> Window:
        end = instance.resets_at
        if instance.ended_at is not None:
            end = min(end, instance.ended_at)
        return Window(
            instance.key,
            _seconds(instance.started_at),
            _seconds(end),
            instance.utilization if instance.end == "open" else instance.peak,
            rises_of(readings),
        )


def window_keys(
    state: StateStore, identity: str, usage: Usage | None, now: datetime
) -> Sequence[str]:
    """Return the keys of an account's windows, those of its figures first.

    An account that is not known yet has those that every subscription has.
    """
    keys = [window.key for window in usage.windows] if usage else []
    past = {instance.key for instance in _instances(state, identity, now)}
    return [*keys, *sorted(past - set(keys))] or (FIVE_HOUR, WEEK)


def _instances(state: StateStore, identity: str, now: datetime) -> list[WindowInstance]:
    since = now - timedelta(seconds=RETENTION_SECONDS)
    return [instance.at(now) for instance in state.run(history.windows, identity, since)]


def _seconds(moment: datetime) -> int:
    return round(moment.timestamp())
