"""Alerts: what about an account's limits is worth a word, and whether now is the time for it.

An alert is about one window instance (or one month, or one episode of a missing login) and has a
rule; the store sends each pair once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta

from claude_usage_monitor.errors import CredentialError, class_of
from claude_usage_monitor.light_typing import Literal, NamedTuple, get_args
from claude_usage_monitor.usage.durations import ClockStyle, clock_time, countdown
from claude_usage_monitor.usage.limits.resets import SAME_RESET, WindowInstance
from claude_usage_monitor.usage.limits.windows import UsageWindow, label_for, percent_text
from claude_usage_monitor.usage.service import ServiceStatus
from claude_usage_monitor.usage.status import AccountStatus

Event = Literal[
    "threshold",
    "exhausted",
    "runs_out",
    "reset",
    "recovered",
    "extra_usage",
    "budget",
    "login",
    "service",
]
Channel = Literal["bell", "terminal", "title", "command"]
EVENTS: tuple[Event, ...] = get_args(Event)
CHANNELS: tuple[Channel, ...] = get_args(Channel)

_LIKELY, _UNLIKELY = 0.5, 0.3  # probabilities: `runs_out` begins at the first, ends below the other
_LASTING: frozenset[Event] = frozenset(  # about a limit, and over when it no longer holds
    ("threshold", "exhausted", "runs_out", "extra_usage", "budget")
)
INCIDENT_OPENED = "opened"  # the rule of the alert about a new incident
_CONFIRMED_AFTER = timedelta(minutes=5)
_SILENT_SHARE = 0.05  # of a window's time before its reset: too late to act


class AlertSettings(NamedTuple):
    """The section [alerts] of config.toml. ``windows`` empty means all of them."""

    enabled: bool = False
    levels: tuple[float, ...] = (80.0, 95.0)
    windows: tuple[str, ...] = ()
    events: tuple[Event, ...] = EVENTS
    reset_after: float = 90.0
    predict: bool = False
    channels: tuple[Channel, ...] = ("terminal",)
    quiet: tuple[time, time] | None = None
    command: tuple[str, ...] = ()


class Alert(NamedTuple):
    """Something worth a word, once.

    ``instance`` is what it is about, ``rule`` names it, and ``also`` are milder rules that it
    includes. ``window`` is the window as it is now.
    """

    event: Event
    account: str
    instance: str
    rule: str
    text: str
    at: datetime
    window: UsageWindow | None = None
    level: float | None = None
    also: tuple[str, ...] = ()

    @property
    def marked_limit(self) -> str | None:
        """The limit that has this alert in its row until it is over; ``None`` if it never has."""
        if self.event not in _LASTING:
            return None
        return self.event if self.window is None else self.window.key


def marked_limits(alerts: Iterable[Alert]) -> frozenset[str]:
    """Return the limits that these alerts mark."""
    return frozenset(alert.marked_limit for alert in alerts if alert.marked_limit is not None)


def is_quiet(quiet: tuple[time, time] | None, now: datetime, clock: ClockStyle) -> bool:
    """Return whether an instant lies in the quiet hours, which may span midnight."""
    if quiet is None:
        return False
    start, end = quiet
    local = now.astimezone(clock.zone).time()
    return start <= local < end if start <= end else local >= start or local < end


class AlertRules:
    """The alerts that an account's readings call for; remembers what a forecast said before."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self._likely_since: dict[str, datetime] = {}  # by instance
        self._confirmed: set[str] = set()  # instances of `_likely_since`, until they are unlikely

    def alerts(
        self,
        status: AccountStatus,
        current: Mapping[str, WindowInstance],
        ended: Sequence[WindowInstance],
        now: datetime,
        clock: ClockStyle,
    ) -> list[Alert]:
        """Return every alert that is true now, whether or not it was sent.

        ``current`` has the stored instance of each window, ``ended`` those that ended lately. Old
        figures call for none.
        """
        login = login_alert(status, self._settings, now)
        found = [login] if login else []
        usage = status.usage
        if usage is not None and not status.stale(now) and usage.source != "demo":
            api_now = status.api_time(now)
            for window in usage.at(api_now).windows:
                instance = current.get(window.key)
                if instance is not None and _is_of(instance, window):
                    found += self._of_window(status, window, instance, api_now, clock)
            found += self._resets(status, ended, api_now)
            found += self._extra_usage(status, api_now)
        wanted = self._settings
        return [
            alert
            for alert in found
            if alert.event in wanted.events
            and (not wanted.windows or alert.window is None or alert.window.key in wanted.windows)
        ]

    def _of_window(
        self,
        status: AccountStatus,
        window: UsageWindow,
        instance: WindowInstance,
        now: datetime,
        clock: ClockStyle,
    ) -> Iterable[Alert]:
        used = window.utilization
        if used is None or window.resets_at is None:
            return
        name, identity = status.account.name, str(instance.id)
        left = window.resets_at - now
        resets = f"resets {clock_time(window.resets_at, now, clock)} ({countdown(left)})"
        text = f"{window.label} at {percent_text(used)} %, {resets}"
        at_level = Alert("threshold", name, identity, "", text, now, window)
        threshold = _at_highest_level(at_level, self._settings.levels, used)
        if used >= 100:
            also = (*threshold.also, threshold.rule) if threshold else ()
            text = f"{window.label} is used up, {resets}"
            yield Alert("exhausted", name, identity, "exhausted", text, now, window, None, also)
        elif threshold is not None:
            yield threshold
        if instance.full_until is not None and instance.full_since is None:
            text = f"{window.label} is available again, at {percent_text(used)} %"
            yield Alert("recovered", name, identity, "recovered", text, now, window)
        if self._settings.predict and used < 100 and self._is_likely(window, identity, now):
            forecast = window.forecast
            first = forecast and (forecast.run_out_earliest or forecast.run_out_at)
            when = f" from {clock_time(first, now, clock)}" if first else ""
            text = f"{window.label} may run out{when}, {resets}"
            yield Alert("runs_out", name, identity, "runs_out", text, now, window)

    def _is_likely(self, window: UsageWindow, instance: str, now: datetime) -> bool:
        """Return whether two readings five minutes apart say that a window runs out."""
        forecast, resets_at, length = window.forecast, window.resets_at, window.length
        if forecast is None or resets_at is None or length is None:
            return False
        if resets_at - now < length * _SILENT_SHARE:
            return False
        if forecast.probability < _UNLIKELY:
            self._likely_since.pop(instance, None)
            self._confirmed.discard(instance)
        elif forecast.probability >= _LIKELY:
            since = self._likely_since.setdefault(instance, window.as_of)
            if window.as_of - since >= _CONFIRMED_AFTER:
                self._confirmed.add(instance)
        return instance in self._confirmed

    def _resets(
        self, status: AccountStatus, ended: Sequence[WindowInstance], now: datetime
    ) -> Iterable[Alert]:
        for instance in ended:
            if instance.peak >= self._settings.reset_after and instance.ended_at is not None:
                usage = status.usage
                window = usage.at(now).window(instance.key) if usage else None
                label = window.label if window else label_for(instance.key)
                early = ", earlier than planned" if instance.end == "early" else ""
                text = f"{label} has reset{early}"
                yield Alert(
                    "reset", status.account.name, str(instance.id), "reset", text, now, window
                )

    def _extra_usage(self, status: AccountStatus, now: datetime) -> Iterable[Alert]:
        extra = status.usage.extra_usage if status.usage else None
        if extra is None or extra.utilization is None:
            return
        text = f"Extra usage at {percent_text(extra.utilization)} %"
        instance = f"extra usage {now:%Y-%m}"
        alert = Alert("extra_usage", status.account.name, instance, "", text, now)
        at_level = _at_highest_level(alert, self._settings.levels, extra.utilization)
        if at_level is not None:
            yield at_level


def login_alert(status: AccountStatus, settings: AlertSettings, now: datetime) -> Alert | None:
    """Return the alert for an account that needs a login, if it does."""
    problem = status.problem
    if problem is None or not issubclass(class_of(problem.code), CredentialError):
        return None
    if "login" not in settings.events:
        return None
    last = status.as_of.isoformat() if status.as_of else "never"
    text = f"{problem.message} {problem.hint}".strip()
    return Alert("login", status.account.name, f"login after {last}", "login", text, now)


def budget_alert(status: AccountStatus, settings: AlertSettings, now: datetime) -> Alert | None:
    """Return the alert for the share of an organization's budget that is spent, if there is one."""
    spend = status.spend
    if spend is None or not spend.budget or spend.month_to_date is None:
        return None
    if "budget" not in settings.events:
        return None
    share = float(spend.month_to_date / spend.budget) * 100
    text = f"{percent_text(share)} % of the monthly budget is spent"
    instance = f"budget {spend.period_start:%Y-%m}"
    alert = Alert("budget", status.account.name, instance, "", text, now)
    return _at_highest_level(alert, (*settings.levels, 100.0), share)


def service_alerts(service: ServiceStatus, opened: Iterable[str], now: datetime) -> list[Alert]:
    """Return an alert for each incident of the service, and for each that is resolved.

    ``opened`` has the ids of the incidents that were seen before.
    """
    unresolved = {incident.id: incident.name for incident in service.incidents}
    alerts = [
        Alert("service", "service", id_, INCIDENT_OPENED, f"Incident: {name}", now)
        for id_, name in unresolved.items()
    ]
    return alerts + [
        Alert("service", "service", id_, "resolved", "An incident is resolved", now)
        for id_ in sorted(set(opened) - set(unresolved))
    ]


def _at_highest_level(alert: Alert, levels: Iterable[float], share: float) -> Alert | None:
    """Return the alert for the highest level that is reached; ``None`` if none is."""
    reached = sorted(level for level in levels if level <= share)
    if not reached:
        return None
    *milder, rule = (f"level {level:g}" for level in reached)
    return alert._replace(rule=rule, level=reached[-1], also=tuple(milder))


def _is_of(instance: WindowInstance, window: UsageWindow) -> bool:
    if window.resets_at is None or instance.id is None:
        return False
    return abs(instance.resets_at - window.resets_at) <= SAME_RESET
