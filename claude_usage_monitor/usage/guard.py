"""Whether enough is left of an account's limits to begin something: the decision of ``guard``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import Enum

from claude_usage_monitor.light_typing import Literal, NamedTuple
from claude_usage_monitor.usage.limits.windows import Usage, UsageWindow
from claude_usage_monitor.usage.money.spend import Spend
from claude_usage_monitor.usage.status import AccountStatus

MONTHLY_BUDGET = "monthly_budget"  # the key of the only limit that an organization has
RESET_DELAY = timedelta(seconds=60)  # the API shows a reset some seconds late
_FULL = 100.0


class Unknown(Enum):
    """Why it is unknown how much is left; the value says so after the limit's name."""

    NOT_REPORTED = "is not reported"
    RESET = "has reset since it was read"
    STALE = "was read too long ago"
    NO_FIGURE = "has no figure"
    NO_BUDGET = "is not set in config.toml"


class GuardedWindow(NamedTuple):
    """A limit that must have something left: how many percent it has, and whether that is enough.

    ``ok`` and ``left`` are ``None`` if they are unknown. ``run_out_at`` is set if it is too soon.
    """

    key: str
    label: str
    ok: bool | None
    left: float | None = None
    resets_at: datetime | None = None
    run_out_at: datetime | None = None
    unknown: Unknown | None = None


class Decision(NamedTuple):
    """Whether enough is left in all guarded windows, and when it may be (by this computer's clock).

    One window without enough decides, even if others are unknown.
    """

    outcome: Literal["ok", "not_enough", "unknown"]
    windows: tuple[GuardedWindow, ...]
    retry_at: datetime | None = None


class Requirement(NamedTuple):
    """What must be left: percent of each window (of the named ones, else of all), for some time."""

    min_left: float
    keys: Sequence[str] = ()
    duration: timedelta = timedelta()


def decide(status: AccountStatus, requirement: Requirement, now: datetime) -> Decision:
    """Return whether an account meets a requirement."""
    api_now = status.api_time(now)
    if status.usage is not None:
        windows = tuple(_windows(status.usage, status.max_age, requirement, api_now))
    elif status.spend is not None:
        windows = tuple(_budget(status, status.spend, requirement, api_now))
    else:
        windows = tuple(_missing(key, Unknown.NO_FIGURE) for key in requirement.keys)
    failing = [window for window in windows if window.ok is False]
    if failing:
        resets = [window.resets_at for window in failing if window.resets_at is not None]
        retry_at = max(resets) + status.clock_skew + RESET_DELAY if resets else status.next_read_at
        return Decision("not_enough", windows, retry_at)
    if not status.has_figures or any(window.ok is None for window in windows):
        return Decision("unknown", windows, status.next_read_at)
    return Decision("ok", windows)


def run_out_at(window: UsageWindow, now: datetime) -> datetime | None:
    """Return when a window is expected to run out before its reset, ``None`` if it is not."""
    forecast = window.at(now).forecast
    return window.full_at(now) if forecast is None else forecast.run_out_at


def _windows(
    usage: Usage, max_age: timedelta, requirement: Requirement, now: datetime
) -> Iterator[GuardedWindow]:
    keys = requirement.keys or [window.key for window in usage.windows]
    for key in dict.fromkeys(keys):
        window = usage.window(key)
        yield _missing(key) if window is None else _window(window, max_age, requirement, now)


def _window(
    window: UsageWindow, max_age: timedelta, requirement: Requirement, now: datetime
) -> GuardedWindow:
    checked = GuardedWindow(window.key, window.label, None, resets_at=window.resets_at)
    state = window.state(now)
    if state == "reset":
        return checked._replace(unknown=Unknown.RESET, resets_at=None)
    if now - window.as_of > max_age:
        return checked._replace(unknown=Unknown.STALE)
    if window.utilization is None and state != "idle":
        return checked._replace(unknown=Unknown.NO_FIGURE)
    left = max(0.0, _FULL - (window.utilization or 0.0))  # all of it before the window starts
    runs_out = run_out_at(window, now) if requirement.duration else None
    if runs_out is not None and runs_out >= now + requirement.duration:
        runs_out = None
    enough = left >= requirement.min_left and runs_out is None
    return checked._replace(ok=enough, left=left, run_out_at=runs_out)


def _budget(
    status: AccountStatus, spend: Spend, requirement: Requirement, now: datetime
) -> Iterator[GuardedWindow]:
    yield from (_missing(key) for key in requirement.keys if key != MONTHLY_BUDGET)
    if requirement.keys and MONTHLY_BUDGET not in requirement.keys:
        return
    month_end = datetime.combine(spend.period_end + timedelta(days=1), time(), UTC)
    checked = GuardedWindow(MONTHLY_BUDGET, "monthly budget", None, resets_at=month_end)
    percent = spend.budget_percent
    if spend.budget is None:
        yield checked._replace(unknown=Unknown.NO_BUDGET)
    elif percent is None:
        yield checked._replace(unknown=Unknown.NO_FIGURE)
    elif now - spend.as_of > status.max_age:
        yield checked._replace(unknown=Unknown.STALE)
    else:
        left = max(0.0, _FULL - percent)
        reached = spend.budget_reached_on
        too_soon = bool(
            requirement.duration
            and reached is not None
            and reached <= (now + requirement.duration).date()
        )
        yield checked._replace(ok=left >= requirement.min_left and not too_soon, left=left)


def _missing(key: str, unknown: Unknown = Unknown.NOT_REPORTED) -> GuardedWindow:
    return GuardedWindow(key, key, None, unknown=unknown)
