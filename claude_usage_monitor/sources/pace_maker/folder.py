"""Claude Pace Maker's JSON files: its settings, and what it remembers of the session.

A missing file or key means its default. One that is there but unusable means unknown, and is a gap.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from claude_usage_monitor.sources import values
from claude_usage_monitor.usage.throttling import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TEMPO_REST,
    Limiters,
    Tempo,
)
from claude_usage_monitor.usage.throttling_targets import DEFAULT_PRELOAD

CONFIG = "config.json"
STATE = "state.json"

_T = TypeVar("_T")

_MAX_BYTES = 1 << 20
_TORN_SECONDS = 0.03  # a file that is being rewritten is whole soon after
_LONGEST = 1e6  # of any of its figures, in its own unit
_TEMPOS: tuple[Tempo, ...] = ("on", "off", "auto")


class Settings(NamedTuple):
    """Its settings; ``None`` where a value is there but unusable."""

    enabled: bool | None
    limiters: Limiters
    tempo: Tempo | None
    tempo_rest: timedelta
    poll_interval: timedelta
    preload: timedelta
    last_interaction: datetime | None


def read_settings(folder: Path, gaps: list[str]) -> Settings:
    """Return its settings and the session's; adds to ``gaps`` what could not be read."""
    config = _Config(_document(folder / CONFIG, gaps), gaps)
    state = _document(folder / STATE, gaps)
    return Settings(
        enabled=config.flag("enabled"),
        limiters=Limiters(
            config.flag("five_hour_limit_enabled"), config.flag("weekly_limit_enabled")
        ),
        tempo=_tempo(config, state),
        tempo_rest=config.span(
            "auto_tempo_threshold_minutes", timedelta(minutes=1), DEFAULT_TEMPO_REST
        ),
        poll_interval=config.span("poll_interval", timedelta(seconds=1), DEFAULT_POLL_INTERVAL),
        preload=config.span("preload_hours", timedelta(hours=1), DEFAULT_PRELOAD),
        last_interaction=_last_interaction(state or {}),
    )


def installed_as(folder: Path) -> str:
    """Return how it was installed, as far as its folder tells."""
    if _content(folder / "install_source") or (folder / "src").exists():
        return "installed as a command"
    return "installed as a Claude Code plugin"


class _Config:
    """config.json, each key with a default of its own."""

    def __init__(self, document: values.JsonObject | None, gaps: list[str]) -> None:
        self._document = document
        self._gaps = gaps

    def flag(self, key: str) -> bool | None:
        """Return a switch; they all are on by default."""
        return self.value(key, values.boolean, default=True)

    def span(self, key: str, unit: timedelta, default: timedelta) -> timedelta:
        """Return a length, its default also where it is unusable."""
        figure = self.value(key, _figure, default=None)
        return default if figure is None else figure * unit

    def value(
        self, key: str, reader: Callable[[object], _T | None], default: _T | None
    ) -> _T | None:
        """Return a value, or its default if there is none; an unusable one is a gap."""
        if self._document is None:
            return None
        if self._document.get(key) is None:
            return default
        found = reader(self._document[key])
        if found is None:
            self._gaps.append(f"{CONFIG}: {key} is unusable")
        return found


def _figure(value: object) -> float | None:
    figure = values.number(value)
    return figure if figure is not None and figure <= _LONGEST else None


def _tempo(config: _Config, state: values.JsonObject | None) -> Tempo | None:
    """Return the tempo in force: the session's own, else the setting, once a plain switch."""
    session = values.boolean((state or {}).get("tempo_session_enabled"))
    if session is not None:
        return "on" if session else "off"
    legacy = config.value("tempo_enabled", values.boolean, default=None)
    default: Tempo = "auto" if legacy is None else "on" if legacy else "off"
    return config.value("tempo_mode", _as_tempo, default=default)


def _as_tempo(value: object) -> Tempo | None:
    return next((tempo for tempo in _TEMPOS if tempo == value), None)


def _last_interaction(state: values.JsonObject) -> datetime | None:
    """Return when the user last said something, in whichever session."""
    by_session = values.json_object(state.get("last_user_interaction_time_by_session")) or {}
    told = [state.get("last_user_interaction_time"), *by_session.values()]
    return max((at for at in map(values.instant, told) if at is not None), default=None)


def _document(path: Path, gaps: list[str]) -> values.JsonObject | None:
    """Return a file's JSON object, an empty one for a missing file, ``None`` for anything else."""
    for pause in (_TORN_SECONDS, 0.0):
        content = _content(path)
        if content is None:
            return {}
        try:
            document = values.json_object(values.parse_json(content))
        except ValueError:
            time.sleep(pause)
            continue
        if document is not None:
            return document
        break
    gaps.append(f"{path.name} is not whole, or not JSON")
    return None


def _content(path: Path) -> bytes | None:
    """Return a regular file's content, nothing of any other; ``None`` if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return None if isinstance(error, FileNotFoundError) else b""
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, _MAX_BYTES) if regular else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)
