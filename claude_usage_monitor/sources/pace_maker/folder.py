"""Claude Pace Maker's JSON files: its settings and its session state.

A missing file or key means the default. An unusable one means unknown and is reported as a gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from claude_usage_monitor.files import NotARegularFile, read_regular_file
from claude_usage_monitor.light_typing import NamedTuple, TypeVar
from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.throttling import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_PRELOAD,
    DEFAULT_TEMPO_THRESHOLD,
    Gap,
    GapReason,
    Limiters,
    Tempo,
)

CONFIG = "config.json"
STATE = "state.json"

_T = TypeVar("_T")

_MAX_BYTES = 1 << 20
_REWRITE_SECONDS = 0.03  # Pace Maker rewrites a file in place, which takes less than this
_MAX_SPAN = 1e6  # of any setting, in its own unit; more is not a sensible value
_TEMPOS: tuple[Tempo, ...] = ("on", "off", "auto")


class Settings(NamedTuple):
    """Pace Maker's settings; ``None`` where a value is unusable."""

    enabled: bool | None
    limiters: Limiters
    tempo: Tempo | None
    tempo_threshold: timedelta
    poll_interval: timedelta
    preload: timedelta
    last_interaction: datetime | None


def read_settings(folder: Path, gaps: list[Gap]) -> Settings:
    """Return the settings with the session's overrides; add unusable files and keys to ``gaps``."""
    config = _Config(_read_json(folder / CONFIG, gaps), gaps)
    state = _read_json(folder / STATE, gaps) or {}
    return Settings(
        enabled=config.switch("enabled"),
        limiters=Limiters(
            config.switch("five_hour_limit_enabled"), config.switch("weekly_limit_enabled")
        ),
        tempo=_tempo(config, state),
        tempo_threshold=config.span(
            "auto_tempo_threshold_minutes", timedelta(minutes=1), DEFAULT_TEMPO_THRESHOLD
        ),
        poll_interval=config.span("poll_interval", timedelta(seconds=1), DEFAULT_POLL_INTERVAL),
        preload=config.span("preload_hours", timedelta(hours=1), DEFAULT_PRELOAD),
        last_interaction=_last_interaction(state),
    )


def file_gap_reason(error: OSError) -> GapReason:
    """Return why a file could not be read."""
    if isinstance(error, FileNotFoundError):
        return GapReason.MISSING_FILE
    if isinstance(error, NotARegularFile):
        return GapReason.NOT_A_REGULAR_FILE
    return GapReason.UNREADABLE


def installed_as(folder: Path) -> str:
    """Return how Pace Maker was installed, judging by its folder."""
    if any((folder / name).exists() for name in ("install_source", "src")):
        return "installed as a command"
    return "installed as a Claude Code plugin"


class _Config:
    """The content of config.json; a ``document`` of ``None`` means that the file is unusable."""

    def __init__(self, document: values.JsonObject | None, gaps: list[Gap]) -> None:
        self._document = document
        self._gaps = gaps

    def switch(self, key: str) -> bool | None:
        """Return a switch; every switch is on by default."""
        return self.value(key, values.boolean, default=True)

    def span(self, key: str, unit: timedelta, default: timedelta) -> timedelta:
        """Return a span of time, or the default if the value is missing or unusable."""
        figure = self.value(key, _span_figure, default=None)
        return default if figure is None else figure * unit

    def value(
        self, key: str, parse: Callable[[object], _T | None], default: _T | None
    ) -> _T | None:
        """Return a value; an unusable one is ``None`` and added to the gaps."""
        if self._document is None:
            return None
        raw = self._document.get(key)
        if raw is None:
            return default
        value = parse(raw)
        if value is None:
            self._gaps.append(Gap(CONFIG, GapReason.UNUSABLE_VALUE, (key,)))
        return value


def _span_figure(value: object) -> float | None:
    figure = values.number(value)
    return figure if figure is not None and figure <= _MAX_SPAN else None


def _tempo(config: _Config, state: values.JsonObject) -> Tempo | None:
    """Return the tempo in force: the session's override, else the setting, else its older form."""
    override = values.boolean(state.get("tempo_session_enabled"))
    if override is not None:
        return "on" if override else "off"
    older = config.value("tempo_enabled", values.boolean, default=None)
    default: Tempo = "auto" if older is None else "on" if older else "off"
    return config.value("tempo_mode", _as_tempo, default=default)


def _as_tempo(value: object) -> Tempo | None:
    return next((tempo for tempo in _TEMPOS if tempo == value), None)


def _last_interaction(state: values.JsonObject) -> datetime | None:
    """Return when the user last wrote a prompt, in any session."""
    by_session = values.json_object(state.get("last_user_interaction_time_by_session")) or {}
    times = [state.get("last_user_interaction_time"), *by_session.values()]
    return max((at for at in map(values.instant, times) if at is not None), default=None)


def _read_json(path: Path, gaps: list[Gap]) -> values.JsonObject | None:
    """Return a file's JSON object: empty if the file is missing, ``None`` if it is unusable."""
    for pause in (_REWRITE_SECONDS, 0.0):
        try:
            document = values.json_object(values.parse_json(read_regular_file(path, _MAX_BYTES)))
        except FileNotFoundError:
            return {}
        except OSError as error:
            gaps.append(Gap(path.name, file_gap_reason(error)))
            return None
        except ValueError:
            time.sleep(pause)
            continue
        if document is not None:
            return document
        break
    gaps.append(Gap(path.name, GapReason.NOT_JSON))
    return None
