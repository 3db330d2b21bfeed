"""The limits of an account: windows, extra usage and credit pools.

A window is a row in a table, not a field: the API adds and drops windows monthly, so the parser,
the dashboard and the JSON document iterate over them. Values that depend on the current time are
methods with a ``now`` argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from claude_usage_monitor.light_typing import TYPE_CHECKING, Literal, NamedTuple
from claude_usage_monitor.usage.clock import given_or_current
from claude_usage_monitor.usage.limits import pace as paces
from claude_usage_monitor.usage.limits.pace import MIN_ELAPSED, Forecast, max_age
from claude_usage_monitor.usage.limits.reading_sources import SOURCES, Source

if TYPE_CHECKING:  # few accounts have saved resets
    from claude_usage_monitor.usage.limits.saved_resets import SavedResets
else:  # for `typing.get_type_hints`
    SavedResets = object

State = Literal["running", "idle", "reset"]

SPEND_LIMIT = "spend_limit"  # a member's own cap, which only the status line reports
_LENGTHS = (("five_hour", timedelta(hours=5)), ("seven_day", timedelta(days=7)))  # by key prefix

# key: (label, short label). Windows are shown in this order, other keys after these.
_NAMES = {
    "five_hour": ("5-hour", "5h"),
    "seven_day": ("7-day", "7d"),
    "seven_day_opus": ("Opus", "Opus"),
    "seven_day_sonnet": ("Sonnet", "Sonnet"),
    "seven_day_oauth_apps": ("OAuth apps", "Apps"),
    "seven_day_cowork": ("Cowork", "Cowork"),
    "seven_day_omelette": ("Design", "Design"),
    SPEND_LIMIT: ("Spend limit", "Spend"),
}


class Severity(StrEnum):
    """How close a window is to its limit, judged by the whole percent."""

    NORMAL = "normal"
    ELEVATED = "elevated"
    HIGH = "high"
    EXHAUSTED = "exhausted"


def whole_percent(utilization: float) -> int:
    """Return the percentage rounded half up, but never 100 below 100 nor 0 above 0."""
    whole = math.floor(utilization + 0.5)
    if utilization < paces.FULL:
        whole = min(whole, 99)
    return max(whole, 1) if utilization > 0 else whole


def percent_text(utilization: float) -> str:
    """Return the percentage for display: ``78``, ``<1`` or ``>99``."""
    if 0 < utilization < 0.5:
        return "<1"
    return ">99" if 99.5 <= utilization < paces.FULL else str(whole_percent(utilization))


def severity_of(utilization: float) -> Severity:
    """Return the severity: up to 50 normal, to 80 elevated, to 99 high, from 100 exhausted."""
    whole = whole_percent(utilization)
    if whole <= 50:
        return Severity.NORMAL
    if whole <= 80:
        return Severity.ELEVATED
    return Severity.HIGH if whole <= 99 else Severity.EXHAUSTED


def label_for(key: str) -> str:
    """Return a window's label: from the table, else derived from its key."""
    if key in _NAMES:
        return _NAMES[key][0]
    words = (
        key.removeprefix("seven_day_")
        .removeprefix("seven_day:")
        .replace("_", " ")
        .replace(":", " ")
        .strip()
    )
    return words[:1].upper() + words[1:] if words else key


def is_possible_key(key: str) -> bool:
    """Return whether the API may report a window of this key: one of the table, or a model's."""
    return key in _NAMES or key.startswith("seven_day:")


def length_of(key: str) -> timedelta | None:
    """Return the length of a window; ``None`` if its key does not name one."""
    return next((length for prefix, length in _LENGTHS if key.startswith(prefix)), None)


class Amounts(NamedTuple):
    """The amounts of money behind a limit's percentage, in the currency (not in minor units).

    They are the JSON numbers of the source: they are shown, and never added up.
    """

    used: float | None
    limit: float | None
    currency: str | None


class UsageWindow(NamedTuple):
    """One limit: how much of it is used, and when it resets.

    ``utilization`` is in percent, 0–100 (may exceed 100), ``None`` when unknown. ``resets_at`` is
    ``None`` while the window has not started. ``is_active`` is the API's flag for the window that
    stops the user first; ``binding`` is this package's own decision. ``forecast`` is ``None`` while
    too little is known. ``amounts`` are those of a limit of money.
    """

    key: str
    label: str
    utilization: float | None
    resets_at: datetime | None
    source: Source
    as_of: datetime
    model: str | None = None
    is_active: bool = False
    binding: bool = False
    amounts: Amounts | None = None
    forecast: Forecast | None = None

    @property
    def short_label(self) -> str:
        """The label for narrow panes, e.g. ``5h``."""
        return _NAMES[self.key][1] if self.key in _NAMES else self.label

    @property
    def window_seconds(self) -> int | None:
        """The window's length in seconds; ``None`` if its key does not name one."""
        length = self.length
        return None if length is None else round(length.total_seconds())

    @property
    def length(self) -> timedelta | None:
        """The window's length; ``None`` if its key does not name one."""
        return length_of(self.key)

    @property
    def severity(self) -> Severity | None:
        """How close the limit is; ``None`` when the utilization is unknown."""
        return None if self.utilization is None else severity_of(self.utilization)

    def at(self, now: datetime) -> UsageWindow:
        """Return the window as of ``now``.

        Its utilization is unknown once it has reset, and an outdated forecast is none.
        """
        window = self.with_forecast(self.forecast, now)
        if window.state(now) == "reset" and window.utilization is not None:
            return window._replace(utilization=None)
        return window

    def with_forecast(self, forecast: Forecast | None, now: datetime) -> UsageWindow:
        """Return the window with a forecast, without one if the forecast is outdated."""
        length = self.length
        if forecast is not None and (
            length is None or not forecast.fits(self.utilization, self.resets_at, length, now)
        ):
            forecast = None
        return self if forecast is self.forecast else self._replace(forecast=forecast)

    def needs_forecast(self, now: datetime) -> bool:
        """Return whether these figures allow a forecast and are newer than the one there is."""
        length = self.length
        if self.utilization is None or self.utilization >= paces.FULL or length is None:
            return False
        if self.resets_at is None or self.resets_at <= now or now - self.as_of > max_age(length):
            return False
        if now - (self.resets_at - length) < MIN_ELAPSED:
            return False
        return self.forecast is None or self.forecast.made_at < self.as_of

    def state(self, now: datetime | None = None) -> State:
        """Return ``running``, ``idle`` (not started) or ``reset`` (past its reset time)."""
        if self.resets_at is None:
            return "idle"
        return "running" if self.resets_at > given_or_current(now) else "reset"

    def time_until_reset(self, now: datetime | None = None) -> timedelta | None:
        """Return the time left, negative once past; ``None`` without a reset time."""
        return None if self.resets_at is None else self.resets_at - given_or_current(now)

    def resets_in_seconds(self, now: datetime | None = None) -> int | None:
        """Return the seconds left, negative once past; ``None`` without a reset time."""
        left = self.time_until_reset(now)
        return None if left is None else round(left.total_seconds())

    def time_elapsed_percent(
        self, now: datetime | None = None, *, hours: float | None = None
    ) -> float | None:
        """Return how much of the window's time has passed, 0.0–100.0; ``None`` when unknown.

        ``hours`` is the length of a window if its key does not name it.
        """
        length = self.length if hours is None else timedelta(hours=hours)
        moment = given_or_current(now)
        if self.resets_at is None or not length:
            return None
        return paces.elapsed_percent(self.resets_at, length, moment)

    def elapsed_percent(self, now: datetime | None = None) -> float | None:
        """Return `time_elapsed_percent` by the name that it has in the JSON document."""
        return self.time_elapsed_percent(now)

    def is_on_pace(self, now: datetime | None = None, *, hours: float | None = None) -> bool | None:
        """Return whether utilization <= elapsed percent; ``None`` when unknown."""
        delta = self.pace_delta(now, hours=hours)
        return None if delta is None else delta <= 0

    def pace_delta(
        self, now: datetime | None = None, *, hours: float | None = None
    ) -> float | None:
        """Return utilization minus elapsed percent, in points; ``None`` when unknown."""
        moment = given_or_current(now)
        elapsed = self.time_elapsed_percent(moment, hours=hours)
        utilization = self.at(moment).utilization
        return None if elapsed is None or utilization is None else utilization - elapsed

    def pace(self, now: datetime | None = None) -> paces.Pace | None:
        """Return ``over``, ``on`` (within a point) or ``under``; ``None`` when unknown."""
        delta = self.pace_delta(now)
        return None if delta is None else paces.classify(delta)

    def full_at(self, now: datetime | None = None) -> datetime | None:
        """Return when the window reaches 100 % at its average rate, if that is before its reset."""
        moment = given_or_current(now)
        utilization = self.at(moment).utilization
        if utilization is None or self.resets_at is None or self.length is None:
            return None
        return paces.full_at(utilization, self.resets_at, self.length, moment)


class ExtraUsage(NamedTuple):
    """Paid usage beyond the limits, in the account's currency (not in minor units).

    ``limit`` is ``None`` if there is none or it is unknown; ``utilization`` is in percent.
    """

    enabled: bool | None
    used: float | None
    limit: float | None
    currency: str | None
    utilization: float | None
    disabled_reason: str | None = None


class CreditPool(NamedTuple):
    """A pool of prepaid credit. It is not a window: unused credit is lost at ``expires_at``."""

    key: str
    label: str
    used: float | None
    limit: float | None
    utilization: float | None
    currency: str | None
    expires_at: datetime | None = None


class Usage(NamedTuple):
    """One reading of an account's limits from one source; ``as_of`` is when it was read."""

    windows: tuple[UsageWindow, ...]
    source: Source
    as_of: datetime
    extra_usage: ExtraUsage | None = None
    credit_pools: tuple[CreditPool, ...] = ()
    saved_resets: SavedResets | None = None
    """``None`` if unknown or not offered."""

    def window(self, key: str) -> UsageWindow | None:
        """Return the window with this key, if the source reported it."""
        return next((window for window in self.windows if window.key == key), None)

    @property
    def lacks_five_hour_limit(self) -> bool:
        """Whether the plan has weekly limits and no 5-hour limit, by a source that lists all."""
        keys = [window.key for window in self.windows]
        has_week = any(key.startswith("seven_day") for key in keys)
        complete = self.source in SOURCES and SOURCES[self.source].complete
        return complete and has_week and "five_hour" not in keys

    @property
    def five_hour(self) -> UsageWindow | None:
        """The 5-hour window."""
        return self.window("five_hour")

    @property
    def seven_day(self) -> UsageWindow | None:
        """The 7-day window of all models."""
        return self.window("seven_day")

    @property
    def seven_day_sonnet(self) -> UsageWindow | None:
        """The 7-day window of Sonnet."""
        return self.window("seven_day_sonnet")

    @property
    def seven_day_opus(self) -> UsageWindow | None:
        """The 7-day window of Opus."""
        return self.window("seven_day_opus")

    def five_hour_on_pace(self, now: datetime | None = None) -> bool | None:
        """Return whether the 5-hour window is on pace; ``None`` when unknown."""
        return None if self.five_hour is None else self.five_hour.is_on_pace(now)

    def seven_day_on_pace(self, now: datetime | None = None) -> bool | None:
        """Return whether the 7-day window is on pace; ``None`` when unknown."""
        return None if self.seven_day is None else self.seven_day.is_on_pace(now)

    def with_forecasts(self, forecasts: Mapping[str, Forecast], now: datetime) -> Usage:
        """Return the reading with forecasts by window key, and the binding window by them."""
        windows = (each.with_forecast(forecasts.get(each.key), now) for each in self.windows)
        return self._replace(windows=mark_binding(windows, now, self.as_of))

    def at(self, now: datetime) -> Usage:
        """Return the reading as of ``now``, with the binding window decided again."""
        windows = mark_binding((window.at(now) for window in self.windows), now, self.as_of)
        return self if windows == self.windows else self._replace(windows=windows)


def rank_for_display(key: str) -> int:
    """Return the place of a window in displays: those of the table first, all others after them."""
    return list(_NAMES).index(key) if key in _NAMES else len(_NAMES)


def sorted_for_display(windows: Iterable[UsageWindow]) -> tuple[UsageWindow, ...]:
    """Return windows in display order: those of the table first, the others as reported."""
    return tuple(sorted(windows, key=lambda window: rank_for_display(window.key)))


def mark_binding(
    windows: Iterable[UsageWindow], now: datetime, flags_as_of: datetime
) -> tuple[UsageWindow, ...]:
    """Mark the window that will stop the user first, and no other.

    It is the first match of: an exhausted window (of several, the last to reset); the first window
    to run out before its reset, by its forecast or else its average pace; the window that the API
    flags, if no figure is newer than the flags (``flags_as_of``); the highest utilization (of
    equals, the first to reset). It is never a window of unknown utilization, or an unused window
    without the flag.
    """
    windows = tuple(windows)
    flags_count = all(window.as_of <= flags_as_of for window in windows)
    candidates = [
        window
        for window in windows
        if window.utilization or (window.utilization == 0 and window.is_active and flags_count)
    ]
    binding = min(candidates, key=lambda window: _rank(window, now, flags_count), default=None)
    return tuple(
        window
        if window.binding is (window is binding)
        else window._replace(binding=window is binding)
        for window in windows
    )


def _rank(window: UsageWindow, now: datetime, flags_count: bool) -> tuple[float, ...]:  # noqa: FBT001 - it is private
    """Return the sort key of a window: the binding one has the lowest."""
    resets_at = window.resets_at.timestamp() if window.resets_at else math.inf
    if window.severity is Severity.EXHAUSTED:
        return 0, -resets_at
    run_out_at = window.forecast.run_out_at if window.forecast else window.full_at(now)
    if run_out_at is not None:
        return 1, run_out_at.timestamp()
    if window.is_active and flags_count:
        return 2, resets_at
    return 3, -(window.utilization or 0.0), resets_at
