"""The settings of config.toml: every key is optional, and an unusable value means the default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from claude_usage_monitor.files import StrPath, read_own_file
from claude_usage_monitor.light_typing import TYPE_CHECKING, Literal, NamedTuple
from claude_usage_monitor.usage.limits.pace import WorkWeek

if TYPE_CHECKING:  # these modules take 13 ms
    from decimal import Decimal

    from claude_usage_monitor.store.config_toml import ServeSettings
    from claude_usage_monitor.usage.alerts import AlertSettings

Mode = Literal["auto", "code", "console"]
ColorChoice = Literal["auto", "always", "never"]
ThemeChoice = Literal["auto", "dark", "light", "colorblind", "high-contrast"]

_MAX_BYTES = 1 << 20


class Settings(NamedTuple):
    """The settings in config.toml, with their defaults."""

    interval: timedelta = timedelta(seconds=300)
    api_floor: timedelta = timedelta(seconds=180)
    user_agent: str | None = None
    email: str | None = None
    monthly_budget: Decimal | None = None
    mode: Mode = "auto"
    ascii: bool = False
    color: ColorChoice = "auto"
    forecast: bool = True
    work_days: tuple[int, ...] | None = None  # Monday is 0
    work_hours: tuple[int, int] | None = None  # minutes since midnight
    theme: ThemeChoice = "auto"
    plain: bool = False
    show: Literal["used", "left"] = "used"
    clock: Literal["auto", "12h", "24h"] = "auto"
    timezone: str = "local"
    serve: ServeSettings | None = None  # None without a section [serve]
    alerts: AlertSettings | None = None  # None without a section [alerts]
    saved_resets: bool = False
    transcripts: bool = True
    hide_names: bool = False
    service_status: bool = False

    @property
    def work(self) -> WorkWeek | None:
        """The user's working time; ``None`` if neither days nor hours are set."""
        if self.work_days is None and self.work_hours is None:
            return None
        begin, end = self.work_hours or (0, 24 * 60)
        days = range(7) if self.work_days is None else self.work_days
        return WorkWeek(frozenset(days), timedelta(minutes=begin), timedelta(minutes=end))


def load_settings(path: StrPath, warn: Callable[[str], None] = lambda _: None) -> Settings:
    """Return the settings in a file; ``warn`` receives a warning for each unusable part of it.

    A missing file gives the defaults without a warning.
    """
    try:
        content = read_own_file(path, _MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except OSError as error:
        warn(f"{path} is not used ({error.strerror}); using the defaults")
        return Settings()
    # Its imports take 13 ms, and only users with a config.toml need it.
    from claude_usage_monitor.store import config_toml

    try:
        values, warnings = config_toml.parse(content)
    except config_toml.NotToml as error:
        warn(f"{path} is not valid TOML ({error}); using the defaults")
        return Settings()
    for warning in warnings:
        warn(f"{path}: {warning}")
    return Settings(**values)
