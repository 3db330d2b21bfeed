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
from collections.abc import Mapping, Sequence

_DEFAULT_WIDTH = 80
_WIDEST = 1000


def run_statusline(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Record standard input and print the line. It runs inside somebody's prompt: always 0."""
    from claude_usage_monitor.cli.pipes import output_of, read_input

    words = list(arguments)
    if words[:1] in (["--help"], ["-h"]):
        print(__doc__)
        return 0
    command = words[words.index("--") + 1 :] if "--" in words else []
    content = read_input()
    theirs = output_of(command, content) if command else ""
    try:
        ours = _line(content, environ)
    except Exception as error:  # noqa: BLE001 - a prompt must not break, whatever the bug
        ours = f"claude-usage-monitor: {type(error).__name__}"
    _print(_joined(theirs, ours))
    return 0


def _line(content: bytes, environ: Mapping[str, str]) -> str:
    from claude_usage_monitor.cli.clock import utc_clock
    from claude_usage_monitor.formats.statusline import LineStyle, statusline
    from claude_usage_monitor.monitor.subscription.statusline import status_after

    now = utc_clock()
    status = status_after(content, environ, now)
    columns = environ.get("COLUMNS", "")[:6]
    width = int(columns) if columns.isascii() and columns.isdigit() else 0
    plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    style = LineStyle(
        width=min(width or _DEFAULT_WIDTH, _WIDEST),
        color=not plain,
        ascii=not _encodes("▸·—"),
    )
    return statusline(status, now, style)


def _encodes(glyphs: str) -> bool:
    try:
        glyphs.encode((sys.stdout and sys.stdout.encoding) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _joined(theirs: str, ours: str) -> str:
    """Append our line to theirs: on the same line if theirs is one, beneath it otherwise."""
    if not theirs:
        return ours
    dot = "·" if _encodes("·") else "-"
    return f"{theirs}\n{ours}" if "\n" in theirs else f"{theirs} {dot} {ours}"


def _print(line: str) -> None:
    """Write the line as far as it can be encoded, and let a reader that left be no error."""
    if sys.stdout is None:  # the figures are kept all the same
        return
    encoded = (line + "\n").encode(sys.stdout.encoding or "ascii", "replace")
    try:
        sys.stdout.buffer.write(encoded)
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
