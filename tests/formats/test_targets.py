from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claude_usage_monitor.formats.targets import TARGETS

HOSTILE = "#S#(touch x)%n|<b>&{x}%{F#f00}"
STYLES = ("normal", "elevated", "high", "exhausted", "dim", "problem")
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C"]))


def shown(target: str, text: str) -> str:
    """Return what a place shows for text in its syntax, by the rules of its manual."""
    if target == "tmux":
        assert not re.search(r"(?<!#)(##)*#(?!#)", text), "a single # is a format"
        return text.replace("##", "#")
    if target == "zsh":
        assert not re.search(r"(?<!%)(%%)*%(?!%)", text), "a single % is an escape"
        return text.replace("%%", "%")
    if target == "pango":
        return "".join(ET.fromstring(f"<markup>{text}</markup>").itertext())  # noqa: S314 - ours
    if target == "polybar":
        assert "%{" not in text
        return text.replace("% {", "%{")
    return text


@given(PRINTABLE)
@example(HOSTILE)
@example("##[fg=red]%%{")
@example("]]>'\"")
def test_every_text_is_shown_literally(text: str) -> None:
    for name, target in TARGETS.items():
        wanted = text.replace("% {", "%{") if name == "polybar" else text
        assert wanted == shown(name, target.escape(text))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("plain", "94"),
        ("ansi", "\x1b[38;5;208m94\x1b[0m"),
        ("tmux", "#[fg=colour208]94#[default]"),
        ("zsh", "%F{208}94%f"),
        ("pango", '<span foreground="#ff8700">94</span>'),
        ("polybar", "%{F#ff8700}94%{F-}"),
        ("screen", "\x05{+b y}94\x05{-}"),
    ],
)
def test_a_severity_has_a_color_in_the_syntax_of_each_place(target: str, expected: str) -> None:
    assert expected == TARGETS[target].colored("94", "high")


def test_every_style_has_a_color_of_its_own_or_none() -> None:
    for name, target in TARGETS.items():
        colored = {target.colored("x", style) for style in STYLES if style != "problem"}
        assert len(colored) == (1 if name == "plain" else len(STYLES) - 1)
