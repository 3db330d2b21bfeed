"""Sends alerts: the bell, a notification or the title of the terminal, and the user's command."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping

from claude_usage_monitor.cli import output
from claude_usage_monitor.formats.json_schema import Json, fields
from claude_usage_monitor.usage.alerts import Alert, AlertSettings
from claude_usage_monitor.usage.durations import iso_instant

TITLE = "Claude usage"
_COMMAND_TIMEOUT = 30.0  # seconds; then it is killed
_BELL, _ESC, _ST = "\a", "\x1b", "\x1b\\"
SAVE_TITLE = f"{_ESC}[22;2t"
# The empty title is for terminals that cannot restore one.
RESTORE_TITLE = f"{_ESC}]2;{_BELL}{_ESC}[23;2t"
# The command gets these variables and ours: never a token or key of the user's.
_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SYSTEMROOT",
)  # fmt: skip
_WINDOW_FIELDS = (
    "key", "label", "utilization", "resets_at", "window_seconds", "source", "as_of",
)  # fmt: skip
_OSC_9 = frozenset(("iTerm.app", "WezTerm", "ghostty"))

_threads: list[threading.Thread] = []  # one for each command that is running


def send(alert: Alert, settings: AlertSettings, environ: Mapping[str, str]) -> bool:
    """Send an alert on every channel of the settings. None of them is waited for.

    Returns whether the command could be started, if it is one of the channels.
    """
    sequences = terminal_sequences(alert, settings, environ)
    if sequences:
        output.terminal(sequences)
    if "command" not in settings.channels:
        return True
    return bool(settings.command) and _run(settings.command, alert, environ)


def terminal_sequences(alert: Alert, settings: AlertSettings, environ: Mapping[str, str]) -> str:
    """Return what the terminal gets: each kind of notification only where it is understood."""
    text = _printable(f"{alert.account}: {alert.text}")
    found = ""
    if "terminal" in settings.channels:
        found += _notification(text, environ)
    if "title" in settings.channels:
        found += f"{_ESC}]2;{text}{_BELL}"
    if "bell" in settings.channels and _BELL not in found:
        found += _BELL
    return found


def _notification(text: str, environ: Mapping[str, str]) -> str:
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if environ.get("TMUX") or environ.get("STY"):
        return _BELL  # a multiplexer discards every other notification
    if environ.get("KITTY_WINDOW_ID") or term == "xterm-kitty":
        return f"{_ESC}]99;;{text}{_ST}"
    if program in _OSC_9 or term == "xterm-ghostty":
        return f"{_ESC}]9;{text}{_BELL}"
    if term.startswith(("foot", "rxvt")):
        return f"{_ESC}]777;notify;{TITLE};{text}{_BELL}"
    return _BELL


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def document(alert: Alert) -> Json:
    """Return an alert as the command gets it."""
    return {
        "version": 1,
        **fields(alert, "event", "at", "account"),
        "window": alert.window and fields(alert.window, *_WINDOW_FIELDS, digits=None),
        **fields(alert, "level", "text", digits=None),
    }


def variables(alert: Alert, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the command's environment."""
    window = alert.window
    ours = {
        "EVENT": alert.event,
        "ACCOUNT": alert.account,
        "WINDOW": window.key if window else "",
        "UTILIZATION": ""
        if window is None or window.utilization is None
        else f"{window.utilization:g}",
        "LEVEL": "" if alert.level is None else f"{alert.level:g}",
        "RESETS_AT": iso_instant(window.resets_at) if window and window.resets_at else "",
        "TEXT": alert.text,
    }
    passed_on = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name.startswith("LC_")
    }
    return {**passed_on, **{f"CLAUDE_USAGE_{name}": value for name, value in ours.items()}}


def _run(command: tuple[str, ...], alert: Alert, environ: Mapping[str, str]) -> bool:
    """Start the user's command in the background; kill it after `_COMMAND_TIMEOUT`.

    Returns whether it could be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, from config.toml
            [os.path.expanduser(command[0]), *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=variables(alert, environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        output.warning(
            f"The alert command {command[0]} cannot be started: {reason}. "
            "Correct `command` in the section [alerts] of config.toml."
        )
        return False
    content = json.dumps(document(alert)).encode()
    thread = threading.Thread(target=_finish, args=(process, content), daemon=True)
    thread.start()
    _threads[:] = [each for each in _threads if each.is_alive()] + [thread]
    return True


def _finish(process: subprocess.Popen[bytes], content: bytes) -> None:
    try:
        with contextlib.suppress(OSError):
            process.communicate(content, _COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait() -> None:
    """Wait until every command that was started has ended."""
    for thread in _threads:
        thread.join(_COMMAND_TIMEOUT)
