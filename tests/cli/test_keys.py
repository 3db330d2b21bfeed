from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.cli.keys import DOWN, ESCAPE, LEFT, PAUSE, RIGHT, UP, KeyParser
from tests.support.command import cpu_seconds

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command, Terminal
    from tests.support.login import Store

# Replies of a terminal to queries of a program that ran before, and keys of several bytes.
SEQUENCES = [
    b"\x1bP>|XTerm(370)q\x1b\\",
    b"\x1bP1+r71=71\x1b\\",
    b"\x1b]11;rgb:q?q?/0000/0000\x07",
    b"\x1b]0;quit\x1b\\",
    b"\x1b[?62;22c",
    b"\x1b[24;80R",
    b"\x1b[113;5u",
    b"\x1bq",
    b"\x1bOq",
    b"\x1b[H",
]
CLOSED_STDIN = ("sh", "-c", 'exec "$@" <&-', "sh")


def opened(command: Command) -> Terminal:
    """Return the command once it shows figures."""
    terminal = command.open("--demo")
    terminal.wait_for("Fable")
    return terminal


def show_help(terminal: Terminal) -> None:
    """Check that the command still runs, and handles keys again after a pause."""

    def shown() -> bool:
        terminal.type("?")  # twice is back to the figures
        with contextlib.suppress(AssertionError):
            terminal.wait_for("any key goes back", timeout=1.0)
        return "any key goes back" in terminal.text

    terminal.read_for(2 * PAUSE)
    terminal.wait_for(shown)


@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_an_escape_sequence_is_not_a_key_in_one_piece_or_two(sequence: bytes) -> None:
    """A key that follows the sequence is a key."""
    for cut in range(1, len(sequence) + 1):
        parser = KeyParser()
        typed = [parser.parse(sequence[:cut]), parser.parse(sequence[cut:])]
        typed += [parser.end_of_input(), parser.parse(b"q")]
        assert typed == ["", "", "", "q"]


def test_keys_between_escape_sequences_are_keys() -> None:
    assert KeyParser().parse(b"r\x1b[H?\x1b]0;x\x07q") == "r?q"
    assert KeyParser().parse(b"\x1b[A\x1b[B\x1bOAq") == f"{UP}{DOWN}{UP}q"


def test_the_escape_key_does_not_swallow_the_next_key() -> None:
    parser = KeyParser()
    assert [parser.parse(b"\x1b"), parser.end_of_input(), parser.parse(b"q")] == ["", ESCAPE, "q"]


def test_a_paste_is_ignored_to_its_end() -> None:
    """More bytes at once than a person types are a paste, and so is all before the next pause."""
    parser = KeyParser()
    keys = [parser.parse(b"q" * 4095), parser.parse(b"qr"), parser.parse(b"q")]
    assert keys == ["", "", ""]
    assert parser.expects_more
    assert [parser.end_of_input(), parser.parse(b"q")] == ["", "q"]


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans())))
def test_any_bytes_give_plain_keys(pieces: list[tuple[bytes, bool]]) -> None:
    """Any bytes of a terminal become at most 64 ASCII keys without an escape."""
    parser = KeyParser()
    for piece, pause in pieces:
        keys = parser.parse(piece)
        assert keys.isascii()
        assert "\x1b" not in keys.removesuffix("\x1b")
        assert len(keys) <= 64
        if pause:
            assert parser.end_of_input() in ("", ESCAPE)
            assert not parser.expects_more


def test_question_mark_shows_help_and_any_key_goes_back(command: Command) -> None:
    terminal = opened(command)
    terminal.type("?")
    terminal.wait_for("any key goes back")
    assert "Fable" not in terminal.text

    terminal.type("x")

    terminal.wait_for("Fable")
    assert "any key goes back" not in terminal.wait_until_quiet()


def test_the_help_scrolls_and_escape_closes_it(command: Command) -> None:
    terminal = command.open("--demo", rows=8)
    terminal.wait_for("Fable")
    terminal.type("?")
    terminal.wait_for("1 to 6 of")
    terminal.type("j")
    terminal.wait_for("2 to 7 of")
    terminal.type("\x1b[B")
    terminal.wait_for("3 to 8 of")
    terminal.type("\x1b[A")
    terminal.wait_for("2 to 7 of")
    terminal.type("k")
    terminal.wait_for("1 to 6 of")
    terminal.type("\x1b")

    terminal.wait_for("Fable")


def test_u_switches_between_used_and_left(command: Command, api: Api, store: Store) -> None:
    store.login()
    terminal = command.open("--interval", "295")
    terminal.wait_for("78 % used")
    terminal.type("u")
    terminal.wait_for("22 % left")
    terminal.type("u")
    terminal.wait_for("78 % used")
    assert len(api.usage_requests) == 1


def test_r_always_answers(command: Command, api: Api, store: Store) -> None:
    store.login()
    terminal = command.open("--interval", "295")
    terminal.wait_for("78 % used")
    terminal.wait_until_quiet()
    terminal.type("r")
    terminal.wait_for("just read · next in ")

    assert len(api.usage_requests) == 1


def without_countdowns(screen: str) -> str:
    return re.sub(r"\d+[dhms]\b|[ ─]", "", screen)


def test_tab_with_one_account_changes_nothing(command: Command, api: Api, store: Store) -> None:
    store.login()
    terminal = command.open("--interval", "295")
    terminal.wait_for("user@example.com")
    before = without_countdowns(terminal.wait_until_quiet())
    terminal.type("\t")

    assert before == without_countdowns(terminal.wait_until_quiet())
    assert len(api.usage_requests) == 1


def test_r_obeys_the_request_budget(command: Command, api: Api, store: Store) -> None:
    """Pressing r a hundred times sends no further request."""
    store.login()
    terminal = command.open()
    terminal.wait_for("user@example.com")
    for _ in range(100):
        terminal.type("r")
        terminal.read(0.002)
    show_help(terminal)
    terminal.read_for(0.3)

    assert len(api.usage_requests) == 1


@pytest.mark.parametrize("sequence", SEQUENCES[:4], ids=repr)
def test_the_reply_of_a_terminal_to_a_query_does_not_quit(
    command: Command, sequence: bytes
) -> None:
    terminal = opened(command)
    terminal.type(sequence)

    show_help(terminal)


def test_a_large_paste_does_not_quit(command: Command) -> None:
    """A mebibyte of the letter q, pasted by mistake."""
    terminal = opened(command)
    terminal.type(b"q" * (1 << 20))

    show_help(terminal)


def test_random_bytes_do_not_quit(command: Command) -> None:
    """All bytes except our keys and those that the terminal itself handles."""
    handled = b"qQr?\x03\x13\x16\x1a\x1b\x1c"
    garbage = bytes(byte for byte in range(256) if byte not in handled)
    terminal = opened(command)
    for start in range(0, len(garbage), 50):
        terminal.type(garbage[start : start + 50])
        terminal.read_for(0.15)

    show_help(terminal)


def test_without_a_keyboard_the_command_waits_and_does_not_spin(command: Command) -> None:
    """Standard input that has ended or is closed needs no processor time."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    terminals = [
        command.open("--demo", stdin=nothing),
        command.open("--demo", through=CLOSED_STDIN),
    ]
    os.close(nothing)
    for terminal in terminals:
        terminal.wait_for("Fable")
        terminal.wait_until_quiet()
    before = [cpu_seconds(terminal.pid) for terminal in terminals]
    time.sleep(1.0)
    used = [cpu_seconds(t.pid) - start for t, start in zip(terminals, before, strict=True)]

    assert max(used) < 0.2
    assert [terminal.exit_code for terminal in terminals] == [None, None]


def test_arrows_are_keys_and_esc_is_one_when_nothing_follows() -> None:
    parser = KeyParser()
    assert LEFT + RIGHT == parser.parse(b"\x1b[D\x1bOC")
    assert "" == parser.parse(b"\x1b")
    assert ESCAPE == parser.end_of_input()
    assert "" == parser.parse(b"\x1b")
    assert RIGHT == parser.parse(b"[C")
    assert not parser.expects_more
