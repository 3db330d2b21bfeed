"""Usage: claude-usage-monitor statusline [-- COMMAND...].

Claude Code's status line: JSON on standard input, one line on standard output. The figures in
the input are kept, so that the dashboard needs fewer requests; where it has none, the newest
stored ones are shown. Neither network nor keyring is ever asked. With a COMMAND, that status line
is run on the same input, and ours is appended to what it prints.

In ~/.claude/settings.json:

  "statusLine": {"type": "command", "command": "claude-usage-monitor statusline"}
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_INPUT = 1 << 20
_THEIR_SECONDS = 5.0  # for another status line that is run first
_DEFAULT_WIDTH = 80


def run_statusline(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Record standard input and print the line. It runs inside somebody's prompt: always 0."""
    words = list(arguments)
    if words[:1] in (["--help"], ["-h"]):
        print(__doc__)
        return 0
    command = words[words.index("--") + 1 :] if "--" in words else []
    content = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read(_MAX_INPUT)
    theirs = _output_of(command, content) if command else ""
    try:
        ours = _line(content, environ)
    except Exception as error:  # noqa: BLE001 - a prompt must not break, whatever the bug
        ours = f"claude-usage-monitor: {type(error).__name__}"
    print(_joined(theirs, ours))
    return 0


def _line(content: bytes, environ: Mapping[str, str]) -> str:
    from claude_usage_monitor.cli.clock import utc_clock
    from claude_usage_monitor.formats.statusline import LineStyle, statusline
    from claude_usage_monitor.monitor.statusline import status_after

    now = utc_clock()
    status = status_after(content, environ, now)
    columns = environ.get("COLUMNS", "")
    plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    style = LineStyle(
        width=int(columns) if columns.isascii() and columns.isdigit() else _DEFAULT_WIDTH,
        color=not plain,
        ascii=not _encodes("▸·—"),
    )
    return statusline(status, now, style)


def _encodes(glyphs: str) -> bool:
    try:
        glyphs.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _joined(theirs: str, ours: str) -> str:
    """Append our line to theirs: on the same line if theirs is one, beneath it otherwise."""
    if not theirs:
        return ours
    return f"{theirs}\n{ours}" if "\n" in theirs else f"{theirs} · {ours}"


def _output_of(command: Sequence[str], content: bytes) -> str:
    """Return what another status line prints for the same input; nothing if it fails."""
    import subprocess  # 10 ms that only those with another status line pay

    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, from the user's settings
            list(command),
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_THEIR_SECONDS,
            check=False,
            env=dict(os.environ),
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").rstrip("\n")
