from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.suggestions import did_you_mean

KNOWN = ("interval", "api_floor_seconds", "mode", "claude-code", "Work")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("intervall", "interval"),
        ("Intreval", "interval"),
        ("moed", ""),
        ("mod", "mode"),
        ("claud", "claude-code"),
        ("api_floor", "api_floor_seconds"),
        ("work ", "Work"),
        ("color", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_a_misspelled_word_is_recognized_and_another_one_is_not(word: str, expected: str) -> None:
    assert (f"; did you mean `{expected}`?" if expected else "") == did_you_mean(word, KNOWN)


def test_without_known_words_there_is_no_suggestion() -> None:
    assert did_you_mean("interval", ()) == ""


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=5))
def test_only_known_words_are_suggested(word: str, known: list[str]) -> None:
    found = did_you_mean(word, known)
    assert not found or any(found == f"; did you mean `{each}`?" for each in known)
