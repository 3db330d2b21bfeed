"""The content of config.toml: a table of its keys and their requirements.

`settings` imports this module only if there is a config.toml: tomllib and decimal take 13 ms.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from claude_usage_monitor.usage.suggestions import did_you_mean

_MIN_INTERVAL = 5  # seconds
_MIN_FLOOR = 60  # seconds
_MAX_SECONDS = 7 * 86_400  # older figures are not shown as current ones
_MIN_AMOUNT, _MAX_AMOUNT = Decimal("0.01"), Decimal(10**12)
_MAX_USER_AGENT = 200  # characters
_EMAIL_LENGTHS = range(3, 255)  # characters
_MAX_SHOWN = 40  # characters of a wrong key or value


class NotToml(Exception):
    """Raised for content that is not TOML; its text says why."""


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
    settings: dict[str, Any] = {}
    warnings = []
    for name, value in table.items():
        key = _KEYS.get(name)
        if key is None:
            suggestion = did_you_mean(name, _KEYS)
            warnings.append(f"unknown key `{_shown(name)}`{suggestion or '; it is ignored'}")
            continue
        setting = key.read(value)
        if setting is None:
            warnings.append(
                f"`{name}` is {_shown_value(value)}, but must be {key.requirement};"
                " the default is used"
            )
        else:
            settings[key.setting] = setting
    return settings, tuple(warnings)


def _shown(text: str) -> str:
    """Return a text from the file, printable and cut to `_MAX_SHOWN`."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 1]}…"


def _shown_value(value: object) -> str:
    """Return a value as it stands in the file."""
    if isinstance(value, str):
        return f'"{_shown(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
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


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


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
    "color": _choice("color", "auto", "always", "never"),
}
