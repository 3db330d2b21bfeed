"""Asks the terminal whether its background is dark or light.

The question is OSC 11; DA1 follows it as a fence, because every terminal answers that one. GNU
screen answers the fence itself at once, and the terminal's reply to OSC 11 would arrive later, as
keys that the user did not press: there, this program does not ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import IO

from claude_usage_monitor.render.theme import Background, Theme, ThemeName, theme_for

QUERY = "\x1b]11;?\x1b\\\x1b[c"
FENCE_TIMEOUT = 0.1  # seconds to wait for replies before leaving, so that no shell reads them

_COLOR = re.compile(rb"\x1b\]11;rgba?:([0-9a-f]+)/([0-9a-f]+)/([0-9a-f]+)", re.IGNORECASE)
_FENCE = re.compile(rb"\x1b\[\?[\d;]*c")
_LIGHT = 0.18  # relative luminance of the middle gray
_MUTE_TERMINALS = ("", "dumb", "linux", "unknown")


def is_safe(environ: Mapping[str, str]) -> bool:
    """Return whether the kind of terminal allows the question."""
    term = environ.get("TERM", "")
    if environ.get("STY") or (term.startswith("screen") and not environ.get("TMUX")):
        return False
    return term not in _MUTE_TERMINALS


def background_in(reply: bytes) -> Background | None:
    """Return the background in a reply to OSC 11; ``None`` for any other sequence."""
    match = _COLOR.match(reply)
    if match is None:
        return None
    red, green, blue = (_linear(int(part, 16) / (16 ** len(part) - 1)) for part in match.groups())
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "light" if luminance > _LIGHT else "dark"


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


class BackgroundQuery:
    """A question to the terminal ``stream``, and the theme that its reply selects."""

    def __init__(self, stream: IO[str], theme: ThemeName) -> None:
        self.background: Background | None = None
        self.asked = False
        self.pending = False
        """Whether a reply may still arrive."""
        self._stream = stream
        self._theme: ThemeName = theme

    @property
    def theme(self) -> Theme:
        """The theme for the background, as far as that is known."""
        return theme_for(self._theme, self.background)

    def ask(self) -> None:
        """Send the question."""
        self.asked = self.pending = True
        self._stream.write(QUERY)
        self._stream.flush()

    def receive(self, replies: Sequence[bytes]) -> None:
        """Read the terminal's replies; other sequences are ignored."""
        for reply in replies:
            self.background = background_in(reply) or self.background
            if _FENCE.match(reply):
                self.pending = False
