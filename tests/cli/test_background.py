from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.cli.background import QUERY, background_in, is_safe

if TYPE_CHECKING:
    from claude_usage_monitor.render.theme import Background
    from tests.support.command import Command

LIGHT_TEXT = b"\x1b[38;5;236m"  # the text of the light theme
FENCE = "\x1b[?62;22c"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", "light"),
        (b"\x1b]11;rgb:fd/f6/e3\x07", "light"),
        (b"\x1b]11;rgba:0000/0000/0000/ffff\x07", "dark"),
        (b"\x1b]11;rgb:0000/2b2b/3636\x1b\\", "dark"),
        (b"\x1b]10;rgb:ffff/ffff/ffff\x07", None),
        (b"\x1b]11;rgb:q?q?/0000/0000\x07", None),
        (b"\x1b[?62;22c", None),
    ],
)
def test_a_reply_names_the_background(reply: bytes, expected: Background | None) -> None:
    assert expected == background_in(reply)


@pytest.mark.parametrize(
    ("environ", "safe"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "tmux-256color", "TMUX": "x"}, True),
        ({"TERM": "screen-256color", "TMUX": "x"}, True),
        ({"TERM": "screen-256color"}, False),
        ({"TERM": "xterm-256color", "STY": "1.pts"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "linux"}, False),
        ({}, False),
    ],
)
def test_only_terminals_that_cannot_answer_too_late_are_asked(
    environ: dict[str, str], safe: bool
) -> None:
    assert safe == is_safe(environ)


def test_the_terminal_is_asked_after_the_first_frame(command: Command) -> None:
    terminal = command.open("--demo")
    terminal.wait_for("Fable")
    terminal.wait_for(lambda: QUERY.encode() in terminal.written)

    assert terminal.written.index("╭".encode()) < terminal.written.index(QUERY.encode())


def test_a_light_background_selects_the_light_theme(command: Command) -> None:
    terminal = command.open("--demo")
    terminal.wait_for(lambda: QUERY.encode() in terminal.written)
    assert LIGHT_TEXT not in terminal.written
    terminal.type(f"\x1b]11;rgb:ffff/ffff/ffff\x1b\\{FENCE}")

    terminal.wait_for(lambda: LIGHT_TEXT in terminal.written)
    terminal.type("q")
    assert terminal.wait_for_exit() == 0
    assert "rgb:" not in terminal.text


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ((), {"STY": "1234.pts-0"}),
        ((), {"TERM": "screen"}),
        ((), {"TERM": "linux"}),
        (("--no-color",), {}),
        (("--theme", "light"), {}),
        (("--once",), {}),
    ],
)
def test_no_question_where_the_answer_is_unsafe_or_known(
    command: Command, arguments: tuple[str, ...], environ: dict[str, str]
) -> None:
    terminal = command.open("--demo", *arguments, environ=environ)
    terminal.wait_for("Fable")
    terminal.read_for(0.3)

    assert b"\x1b]11;?" not in terminal.written


def test_leaving_at_once_waits_for_no_mute_terminal(command: Command) -> None:
    terminal = command.open("--demo")
    terminal.wait_for(lambda: QUERY.encode() in terminal.written)
    terminal.type("q")

    assert terminal.wait_for_exit() == 0
