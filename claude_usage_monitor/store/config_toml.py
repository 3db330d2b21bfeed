"""The content of config.toml: a table of its keys and their requirements.

`settings` imports this module only if there is a config.toml: tomllib and decimal take 13 ms.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from decimal import Decimal
from functools import partial
from ipaddress import ip_address

from claude_usage_monitor.light_typing import Any, NamedTuple
from claude_usage_monitor.suggestions import did_you_mean
from claude_usage_monitor.usage.alerts import CHANNELS, EVENTS, AlertSettings
from claude_usage_monitor.usage.clock import time_zone

_MIN_INTERVAL = 5  # seconds
_MIN_FLOOR = 60  # seconds
_MAX_SECONDS = 7 * 86_400  # older figures are not shown as current ones
_MIN_AMOUNT, _MAX_AMOUNT = Decimal("0.01"), Decimal(10**12)
_MAX_USER_AGENT = 200  # characters
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)", re.ASCII)
_DAY_MINUTES = 24 * 60
_EMAIL_LENGTHS = range(3, 255)  # characters
_MAX_SHOWN = 40  # characters of a wrong key or value
_ADDRESS = re.compile(r"(?P<host>localhost|[0-9.]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
LISTEN_REQUIREMENT = "an IP address and a port, as in 127.0.0.1:9464 or [::1]:9464"


class NotToml(Exception):
    """Raised for content that is not TOML; its text says why."""


class ServeSettings(NamedTuple):
    """The section [serve]: where ``serve`` listens, its TLS files, and its allowed Host names."""

    listen: tuple[str, int] = ("127.0.0.1", 9464)
    certfile: str | None = None
    keyfile: str | None = None
    client_cafile: str | None = None
    hosts: tuple[str, ...] = ()


class _Key(NamedTuple):
    """A key: its setting, the requirement for its value, and the function that reads it.

    ``read`` returns the setting, ``None`` for an unusable value.
    """

    setting: str
    requirement: str
    read: Callable[[object], object]


def parse(content: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the usable settings, and a warning for each unusable key. Raises NotToml."""
    try:
        # Decimal, so that a budget is exactly the amount in the file.
        table = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
    except ValueError as error:
        raise NotToml(str(error)) from None
    except (ArithmeticError, RecursionError):
        raise NotToml("a number in it is too large, or its nesting too deep") from None
    warnings: list[str] = []
    sections = {name: table.pop(name) for name in _SECTIONS if name in table}
    settings = _read(table, _KEYS, "", warnings)
    for name, section in sections.items():
        record, keys = _SECTIONS[name]
        if isinstance(section, dict):
            values = _read(section, keys, f"{name}.", warnings)
            settings[name] = record(**values)
            if "command" in values.get("channels", ()) and "command" not in section:
                warnings.append('`alerts.channels` has "command", but `alerts.command` is not set')
        else:
            warnings.append(f"`{name}` must be a section, [{name}]; the default is used")
    return settings, tuple(warnings)


def _read(
    table: Mapping[str, object], keys: Mapping[str, _Key], prefix: str, warnings: list[str]
) -> dict[str, Any]:
    """Return the usable settings of one section; append a warning for each unusable key."""
    settings: dict[str, Any] = {}
    for name, value in table.items():
        key = keys.get(name)
        if key is None:
            suggestion = did_you_mean(name, keys)
            warnings.append(
                f"unknown key `{prefix}{_shown(name)}`{suggestion or '; it is ignored'}"
            )
            continue
        setting = key.read(value)
        if setting is None:
            warnings.append(
                f"`{prefix}{name}` is {_shown_value(value)}, but must be {key.requirement};"
                " the default is used"
            )
        else:
            settings[key.setting] = setting
    return settings


def _shown(text: str) -> str:
    """Return a text from the file, printable and cut to `_MAX_SHOWN`."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return _cut(shown)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _shown_value(value: object) -> str:
    """Return a value as it stands in the file; a long list is cut."""
    if isinstance(value, str):
        return f'"{_shown(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return _cut(f"[{', '.join(map(_shown_value, value[:_MAX_SHOWN]))}]")
    return _shown(str(value))


def _number(value: object, minimum: Decimal, maximum: Decimal) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() and minimum <= number <= maximum else None


def _seconds(minimum: int, value: object) -> timedelta | None:
    number = _number(value, Decimal(minimum), Decimal(_MAX_SECONDS))
    return None if number is None else timedelta(seconds=float(number))


def _amount(value: object) -> Decimal | None:
    return _number(value, _MIN_AMOUNT, _MAX_AMOUNT)


def _user_agent(value: object) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_USER_AGENT:
        return None
    return value if value.isascii() and value.isprintable() and value[0] != " " else None


def _email(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) in _EMAIL_LENGTHS else None


def _timezone(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        time_zone("UTC" if value == "local" else value)
    except (ValueError, OSError, LookupError):
        return None
    return value


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _work_days(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not value or any(day not in _WEEKDAYS for day in value):
        return None
    return tuple(sorted({_WEEKDAYS.index(day) for day in value}))


def _work_hours(value: object) -> tuple[int, int] | None:
    """Return begin and end in minutes since midnight."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    hours, minutes, end_hours, end_minutes = map(int, match.groups())
    begin, end = hours * 60 + minutes, end_hours * 60 + end_minutes
    if max(minutes, end_minutes) > 59 or begin >= _DAY_MINUTES or end > _DAY_MINUTES:
        return None
    return None if begin == end else (begin, end)


def listen_address(value: object) -> tuple[str, int] | None:
    """Return the IP address and the port in ``127.0.0.1:9464`` or ``[::1]:9464``."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"]) > _MAX_PORT:
        return None
    host = match["host"].strip("[]")
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    return str(address), int(match["port"])


def _file(value: object) -> str | None:
    return os.path.expanduser(value) if isinstance(value, str) and value else None


def _host_names(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        return None
    return tuple(name.lower() for name in value)


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        return None
    return tuple(value)


def _names(allowed: tuple[str, ...], value: object) -> tuple[str, ...] | None:
    names = _texts(value)
    return names if names is not None and set(names) <= set(allowed) else None


def _percentage(value: object) -> float | None:
    number = _number(value, Decimal(0), Decimal(100))
    return None if number is None else float(number)


def _levels(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list):
        return None
    levels = [_number(level, Decimal(1), Decimal(100)) for level in value]
    return None if None in levels else tuple(float(level) for level in levels if level is not None)


def _quiet(value: object) -> tuple[time, time] | None:
    try:
        start, end = (time.fromisoformat(part.strip()) for part in str(value).split("-"))
    except ValueError:
        return None
    return None if start.tzinfo or end.tzinfo else (start, end)  # a time zone as in 22:00Z


def _command(value: object) -> tuple[str, ...] | None:
    command = _texts(value)
    if not command or "\0" in "".join(command):
        return None
    is_relative_path = "/" in command[0] and not command[0].startswith(("/", "~"))
    return None if is_relative_path else command


def _choice(setting: str, *choices: str) -> _Key:
    *others, last = (f'"{choice}"' for choice in choices)
    requirement = f"{', '.join(others)} or {last}"
    return _Key(setting, requirement, lambda value: value if value in choices else None)


_KEYS = {
    "interval": _Key(
        "interval",
        f"a number of seconds from {_MIN_INTERVAL} to {_MAX_SECONDS}",
        partial(_seconds, _MIN_INTERVAL),
    ),
    "api_floor_seconds": _Key(
        "api_floor",
        f"a number of seconds from {_MIN_FLOOR} to {_MAX_SECONDS}",
        partial(_seconds, _MIN_FLOOR),
    ),
    "user_agent": _Key(
        "user_agent",
        f"1 to {_MAX_USER_AGENT} printable ASCII characters, the first one not a space",
        _user_agent,
    ),
    "email": _Key("email", "an e-mail address", _email),
    "monthly_budget": _Key("monthly_budget", "an amount of at least 0.01", _amount),
    "mode": _choice("mode", "auto", "code", "console"),
    "ascii": _Key("ascii", "true or false", _boolean),
    "saved_resets": _Key("saved_resets", "true or false", _boolean),
    "transcripts": _Key("transcripts", "true or false", _boolean),
    "hide_names": _Key("hide_names", "true or false", _boolean),
    "service_status": _Key("service_status", "true or false", _boolean),
    "color": _choice("color", "auto", "always", "never"),
    "forecast": _Key("forecast", "true or false", _boolean),
    "work_days": _Key("work_days", 'a list of days such as ["mon", "tue"]', _work_days),
    "work_hours": _Key("work_hours", 'a time span such as "09:00-18:00"', _work_hours),
    "theme": _choice("theme", "auto", "dark", "light", "colorblind", "high-contrast"),
    "plain": _Key("plain", "true or false", _boolean),
    "show": _choice("show", "used", "left"),
    "clock": _choice("clock", "auto", "12h", "24h"),
    "timezone": _Key("timezone", '"local" or a name such as "Europe/Berlin"', _timezone),
}

_FILE = "the path of a file"
_SERVE_KEYS = {
    "listen": _Key("listen", LISTEN_REQUIREMENT, listen_address),
    "certfile": _Key("certfile", _FILE, _file),
    "keyfile": _Key("keyfile", _FILE, _file),
    "client_cafile": _Key("client_cafile", _FILE, _file),
    "hosts": _Key("hosts", "a list of host names", _host_names),
}
_ALERT_KEYS = {
    "enabled": _Key("enabled", "true or false", _boolean),
    "levels": _Key("levels", "a list of percentages from 1 to 100", _levels),
    "windows": _Key("windows", "a list of window keys, such as five_hour", _texts),
    "events": _Key("events", f"a list of {', '.join(EVENTS)}", partial(_names, EVENTS)),
    "reset_after": _Key("reset_after", "a percentage from 0 to 100", _percentage),
    "predict": _Key("predict", "true or false", _boolean),
    "channels": _Key("channels", f"a list of {', '.join(CHANNELS)}", partial(_names, CHANNELS)),
    "quiet": _Key("quiet", 'two local times, such as "22:00-08:00"', _quiet),
    "command": _Key("command", "a list: an absolute path or a name, and arguments", _command),
}
_SECTIONS: dict[str, tuple[Callable[..., object], Mapping[str, _Key]]] = {
    "serve": (ServeSettings, _SERVE_KEYS),
    "alerts": (AlertSettings, _ALERT_KEYS),
}
