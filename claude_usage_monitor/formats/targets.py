"""Places that show our text, each with its syntax for color and for literal characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from claude_usage_monitor.light_typing import NamedTuple, TypeAlias

Style: TypeAlias = str
"""A severity's value, or: ``dim`` for what is unknown or old, ``problem`` for what is wrong."""

HEX_COLORS: Mapping[Style, str] = {  # readable on dark and on light bars
    "normal": "#5faf5f",
    "elevated": "#d7af00",
    "high": "#ff8700",
    "exhausted": "#ff5f5f",
    "dim": "#8a8a8a",
    "problem": "#ff5f5f",
}


class Target(NamedTuple):
    """The syntax of one place: how to write text literally, and what surrounds colored text.

    ``accounts_on_lines`` is whether it can show a line for each account. The others show one line:
    the first account's.
    """

    escape: Callable[[str], str]
    colors: Mapping[Style, tuple[str, str]]
    accounts_on_lines: bool = False

    def colored(self, escaped: str, style: Style) -> str:
        """Return text that is already escaped in the color of a style."""
        before, after = self.colors.get(style, ("", ""))
        return f"{before}{escaped}{after}"


def escape_markup(text: str) -> str:
    """Return text for Pango markup."""
    for character, entity in (
        ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;"),
    ):  # fmt: skip
        text = text.replace(character, entity)
    return text


def _around(before: str, after: str, colors: Mapping[Style, str]) -> dict[Style, tuple[str, str]]:
    return {style: (before.format(color), after) for style, color in colors.items()}


TARGETS: Mapping[str, Target] = {
    "plain": Target(str, {}, accounts_on_lines=True),
    "ansi": Target(
        str,
        _around(
            "\x1b[{}m",
            "\x1b[0m",
            {
                "normal": "32",
                "elevated": "33",
                "high": "38;5;208",
                "exhausted": "1;31",
                "dim": "2",
                "problem": "31",
            },
        ),
        accounts_on_lines=True,
    ),
    "tmux": Target(
        lambda text: text.replace("#", "##"),
        _around(
            "#[{}]",
            "#[default]",
            {
                "normal": "fg=green",
                "elevated": "fg=yellow",
                "high": "fg=colour208",
                "exhausted": "fg=red,bold",
                "dim": "dim",
                "problem": "fg=red",
            },
        ),
    ),
    "zsh": Target(
        lambda text: text.replace("%", "%%"),
        {
            **_around(
                "%F{{{}}}",
                "%f",
                {"normal": "2", "elevated": "3", "high": "208", "dim": "8", "problem": "1"},
            ),
            "exhausted": ("%B%F{1}", "%f%b"),
        },
    ),
    "pango": Target(escape_markup, _around('<span foreground="{}">', "</span>", HEX_COLORS)),
    # Polybar has no escape for its tags: a space makes them text.
    "polybar": Target(
        lambda text: text.replace("%{", "% {"), _around("%{{F{}}}", "%{F-}", HEX_COLORS)
    ),
    # Only the control character ^E has a meaning, and names from outside contain none.
    "screen": Target(
        str,
        _around(
            "\x05{{{}}}",
            "\x05{-}",
            {
                "normal": "= g",
                "elevated": "= y",
                "high": "+b y",
                "exhausted": "+b r",
                "dim": "= w",
                "problem": "= r",
            },
        ),
    ),
}
