from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.statusline import render, statusline
from tests.support.payloads import NOW
from tests.support.spends import NO_BUDGET, NO_KEY, OVER_BUDGET
from tests.support.statuses import EVERY_STATE, EXPIRED, NORMAL, RATE_LIMITED, with_body

if TYPE_CHECKING:
    from claude_usage_monitor.usage.status import AccountStatus

PLAIN = FormatOptions(color=False)


def line(status: AccountStatus, options: FormatOptions = PLAIN) -> str:
    return statusline(status, NOW, options)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, "▸5h 78% 2h11m · 7d 35% · Fable 94% 3d2h"),
        (39, "▸5h 78% 2h11m · 7d 35% · Fable 94% 3d2h"),
        (38, "▸5h 78% 2h11m · 7d 35% · Fable 94%"),
        (32, "▸5h 78% · 7d 35% · Fable 94%"),
        (20, "▸5h 78% · Fable 94%"),
        (10, "▸5h 78%"),
    ],
)
def test_the_line_is_fitted_to_its_width(width: int, expected: str) -> None:
    assert expected == line(NORMAL, PLAIN._replace(width=width))


def test_what_is_left_is_shown_and_named_if_the_user_wants_that() -> None:
    options = PLAIN._replace(left=True)
    assert "▸5h 22% left 2h11m · 7d 65% left · Fable 6% left 3d2h" == line(NORMAL, options)
    assert "▸5h 22% left" == line(NORMAL, options._replace(width=12))


def test_an_unknown_percentage_is_never_zero() -> None:
    assert line(EVERY_STATE, PLAIN._replace(width=200)).startswith(
        "5h — · ▸7d 100% 2d0h · Opus — · "
    )


def test_old_figures_have_their_age_and_the_problem() -> None:
    assert line(RATE_LIMITED).endswith("Fable 94% 3d2h · 6m old · 429: wait 31m")
    assert "login expired" in line(EXPIRED, PLAIN._replace(width=120))


def test_without_figures_or_limits_it_says_so() -> None:
    assert "no figures yet" == line(NORMAL._replace(usage=None))
    assert "no figures yet · login expired" == line(EXPIRED._replace(usage=None))
    assert "no limits" == line(with_body({}))


def test_the_color_is_that_of_the_severity() -> None:
    colored = line(NORMAL, FormatOptions())
    assert "\x1b[33m▸5h 78% 2h11m\x1b[0m" in colored
    assert "\x1b[32m7d 35%\x1b[0m" in colored
    assert "\x1b[38;5;208mFable 94% 3d2h\x1b[0m" in colored
    assert line(NORMAL) == re.sub(r"\x1b\[[0-9;]*m", "", colored)


def test_ascii_output_is_ascii() -> None:
    options = PLAIN._replace(ascii=True, width=200)
    assert line(EVERY_STATE, options).isascii()
    assert ">5h 78% 2h11m - 7d 35% - Fable 94% 3d2h" == line(NORMAL, options)


def test_after_the_reset_the_percentage_is_unknown() -> None:
    assert "5h —" in statusline(NORMAL, NOW + timedelta(hours=3), PLAIN)


@given(st.integers(1, 120), st.booleans(), st.booleans())
def test_it_is_one_line_at_every_width(width: int, color: bool, ascii_only: bool) -> None:
    for status in (NORMAL, EVERY_STATE, RATE_LIMITED, NORMAL._replace(usage=None)):
        text = line(status, FormatOptions(width, color, ascii_only))
        assert text
        assert "\n" not in text


def test_several_accounts_have_a_line_each_and_an_error_has_one() -> None:
    statuses = (NORMAL, EXPIRED)
    expected = [statusline(status, NOW, PLAIN) for status in statuses]
    assert expected == render(statuses, NOW, PLAIN).splitlines()
    assert "not logged in" == render((), NOW, PLAIN, NoCredentials())


def test_an_organization_has_its_spend() -> None:
    assert "$4,062.55 of $4,600.00" == line(OVER_BUDGET)
    assert "$4,062.55 this month" == line(NO_BUDGET)
    assert line(NO_KEY).startswith("no figures yet · not logged in")


def test_targets_with_one_line_show_the_first_account() -> None:
    for target in ("tmux", "zsh", "pango", "polybar", "screen"):
        options = PLAIN._replace(target=target)
        assert render((NORMAL,), NOW, options) == render((NORMAL, EXPIRED), NOW, options)
