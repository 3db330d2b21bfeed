from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcswidth

from claude_usage_monitor.sources.text import MAX_LENGTH, clean

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("a\x1b[2Jb", "a[2Jb"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x1b]52;c;AAAA\x1b\\", "]52;c;AAAA\\"),
        ("x\x9b31my", "x31my"),
        ("nul\0del\x7f", "nuldel"),
        ("line\r\nline\ttab", "line line tab"),
        ("two\u2028three\u2029four", "two three four"),
        ("left\u202eright\u2066", "leftright"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\ud800lone", "lone"),
        ("[red]markup[/] :smile:", "[red]markup[/] :smile:"),
        ("e\u0301", "é"),
        ("Z" + "\u0335" * 50, "Z\u0335\u0335"),
        ("\u0301start", "start"),
        ("\u2764\ufe0f", "\u2764"),
        ("\U0001f1e9\U0001f1ea", "DE"),
        ("   spaces   within   ", "spaces within"),
        ("漢字", "漢字"),
        ("", ""),
    ],
)
def test_only_the_harmless_part_of_a_string_remains(raw: str, expected: str) -> None:
    assert expected == clean(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("sk-ant-oat01-canary", "…"),
        ("key sk-ant-admin01-canary_-/+= lacks it", "key … lacks it"),
        ("{'SK-ANT-API03-canary': 1}", "{'…': 1}"),
        ("Bearer\nsk-ant-ort01-canary,", "Bearer …"),
        ("sk\u200b-ant\x1b-oat01-ca\0nary", "…"),
        ("a" * 190 + "sk-ant-oat01-" + "canary" * 20, "a" * 190 + "…"),
        ("sk-ant", "sk-ant"),
    ],
)
def test_a_token_or_key_in_a_string_is_removed(raw: str, expected: str) -> None:
    """Servers repeat what they received in error messages, request ids and headers."""
    assert expected == clean(raw)


@given(st.text(max_size=400))
def test_any_string_becomes_one_short_printable_line(raw: str) -> None:
    line = clean(raw)
    assert len(line) <= MAX_LENGTH
    assert set() == {category(character) for character in line} & FORBIDDEN
    assert line == line.strip()


# Terminals disagree about the width of scripts that stack marks.
UNDISPUTED = st.one_of(
    st.characters(max_codepoint=0x2FF),
    st.characters(min_codepoint=0x400, max_codepoint=0x47F),
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
    st.characters(min_codepoint=0x200B, max_codepoint=0x206F),
    st.sampled_from("\u0301\u0335\ufe0f\U0001f44d\U0001f3fd\U0001f1e9\U0001f1ea\u2764\ud800"),
)


@given(st.text(UNDISPUTED, max_size=100))
def test_rich_and_terminals_agree_about_the_width_of_cleaned_text(raw: str) -> None:
    """Rich computes the layout, and terminals follow wcwidth."""
    line = clean(raw)
    assert wcswidth(line) == cell_len(line)


def test_only_the_beginning_of_a_huge_string_is_read() -> None:
    assert len(clean("x" * 10_000_000)) == MAX_LENGTH
    assert clean("x" * 300).endswith("…")
