from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from claude_usage_monitor.errors import InvalidSetting, NoCredentials
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.template import parse_template
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW
from tests.support.spends import OVER_BUDGET
from tests.support.statuses import EVERY_STATE, NORMAL, RATE_LIMITED, READING

OPTIONS = FormatOptions(clock=ClockStyle(UTC))
UNKNOWN = "—"


def text(template: str, *statuses: AccountStatus, options: FormatOptions = OPTIONS) -> str:
    return parse_template(template).render(statuses or (NORMAL,), NOW, options)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{five_hour.utilization}% left {five_hour.remaining}", "78% left 22"),
        ("{five_hour.utilization:.1f}", "78.0"),
        ("{windows[seven_day:fable].utilization:.0f}", "94"),
        ("{binding.label} {binding.key}", "5-hour five_hour"),
        ("{five_hour.resets_at}", "14:30"),
        ("{seven_day.resets_at}", "Tue 14:40"),
        ("{five_hour.resets_at:%H.%M}", "14.30"),
        ("{five_hour.resets_in_seconds}", "2h 11m"),
        ("{five_hour.resets_in_seconds:d}", "7860"),
        ("{five_hour.pace} {five_hour.pace_delta} {five_hour.elapsed_percent}", "over +22 56"),
        ("{profile.plan:>8}|", "  Max 5x|"),
        ("{extra_usage.used} {extra_usage.used:.1f}", "$47.52 47.5"),
        ("{name} {kind} {active}[{stale}]", "claude-code code active[]"),
        ("{{literal}} #S %n <b>", "{literal} #S %n <b>"),
        ("{generated_at:%Y}", "2026"),
    ],
)
def test_a_field_prints_as_documented(template: str, expected: str) -> None:
    assert expected == text(template)


def test_an_organization_has_fields_too() -> None:
    template = "{spend.month_to_date} of {spend.budget}, full on {spend.budget_reached_on}"
    assert "$4,062.55 of $4,600.00, full on 24 Nov" == text(template, OVER_BUDGET)
    assert "24.11." == text("{spend.budget_reached_on:%d.%m.}", OVER_BUDGET)


@pytest.mark.parametrize(
    "template",
    [
        "{seven_day_opus.utilization}",  # no such window in this reading
        "{windows[no such key].utilization:>20.3f}",
        "{windows[0].key}",  # a key, not an index
        "{credit_pools[iguana_necktie].used}",
        "{problem.code}",
        "{spend.month_to_date:.2f}",
        "{seven_day_opus.resets_at:%H}",
    ],
)
def test_what_is_missing_is_a_dash_whatever_the_spec(template: str) -> None:
    assert UNKNOWN == text(template)
    assert "-" == text(template, options=OPTIONS._replace(ascii=True))


def test_an_unknown_utilization_is_never_zero() -> None:
    assert UNKNOWN == text("{seven_day_opus.utilization}", EVERY_STATE)
    later = parse_template("{five_hour.utilization} {five_hour.remaining} {five_hour.state}")
    assert "— — reset" == later.render((NORMAL,), NOW + timedelta(hours=3), OPTIONS)
    assert "— — —" == text("{binding.utilization!c} {as_of} {age_seconds}", READING)


def test_a_window_with_another_key_has_a_hint() -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_template("{other_window.utilization}")
    assert "`{windows[other_window].utilization}`" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "words", "nearest"),
    [
        ("{fivehour.utilization}", "not a field", "`five_hour.utilization`"),
        ("{five_hour.utilisation}", "not a field", "`five_hour.utilization`"),
        ("{profile.plann}", "not a field", "`profile.plan`"),
        ("{five_hour.__class__}", "not a field", ""),
        ("{name.__class__}", "not a field", ""),
        ("{name[0]}", "not a field", ""),
        ("{accounts[0].name}", "not a field", ""),
        ("{}", "not a field", ""),
        ("{0}", "not a field", ""),
        ("{five_hour}", "not one value: key, label", ""),
        ("{windows}", "not one value", ""),
        ("{seven_day:fable.remaining}", "not a field", ""),
        ("{five_hour.utilization:d}", "does not fit", ""),
        ("{name:.1f}", "does not fit", ""),
        ("{five_hour.utilization:99999999999}", "over 999", ""),
        ("{five_hour.utilization:.999999999f}", "over 999", ""),
        ("{name:99999999999}", "over 999", ""),
        ("{five_hour.resets_at:.1f}", "shows no part of the time", ""),
        ("{name!r}", "not a conversion", ""),
        ("{name", "not valid", ""),
        ("name}{name}", "not valid", ""),
        ("{five_hour.{name}}", "not valid", ""),
        ("{name:{kind}}", "does not fit", ""),
    ],
)
def test_a_wrong_template_is_named_before_there_are_figures(
    template: str, words: str, nearest: str
) -> None:
    with pytest.raises(InvalidSetting, match=words) as caught:
        parse_template(template)
    assert nearest in caught.value.message


def test_the_hint_says_how_to_write_a_key_with_a_colon() -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_template("{seven_day:fable 5.1.remaining!c}")
    assert "`{windows[seven_day:fable 5.1].remaining!c}`" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{binding.utilization!c:.0f}", "78"),
        ("ansi:{seven_day.utilization!c}%", "\x1b[32m35\x1b[0m%"),
        ("tmux:{windows[seven_day:fable].utilization!c}", "#[fg=colour208]94#[default]"),
        ("zsh:{seven_day.utilization!c}%%", "%F{2}35%f%%"),
        ("pango:{extra_usage.utilization!c}", '<span foreground="#5faf5f">34</span>'),
        ("tmux:{name!c}", "#[fg=yellow]claude-code#[default]"),  # of the binding window
        ("tmux:{seven_day_opus.utilization!c}", "#[dim]—#[default]"),
        ("5h: {five_hour.utilization}", "5h: 78"),
    ],
)
def test_a_color_is_that_of_the_severity(template: str, expected: str) -> None:
    assert expected == text(template)


def test_without_color_there_is_none() -> None:
    options = OPTIONS._replace(color=False)
    assert "78" == text("tmux:{binding.utilization!c}", options=options)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
@example("#S#(touch x)%n|<b>")
def test_values_are_escaped_and_literal_text_is_not(name: str) -> None:
    status = NORMAL._replace(account=Account(name))
    assert f"#[bold]{name.replace('#', '##')}" == text("tmux:#[bold]{name}", status)
    assert f"%B{name.replace('%', '%%')}%b" == text("zsh:%B{name}%b", status)
    marked_up = text("pango:<b>{name}</b>", status)
    assert marked_up.startswith("<b>")
    assert "<" not in marked_up.removeprefix("<b>").removesuffix("</b>")


def test_each_account_has_a_line_where_the_place_has_lines() -> None:
    assert "78\n78" == text("{five_hour.utilization}", NORMAL, RATE_LIMITED)
    assert "78" == text("tmux:{five_hour.utilization}", NORMAL, RATE_LIMITED)


def test_an_error_is_in_the_problem() -> None:
    template = parse_template("{five_hour.utilization} {problem.code!c}")
    assert "— no_credentials" == template.render((), NOW, OPTIONS, NoCredentials())


def test_a_field_of_a_problem_is_colored_as_a_problem() -> None:
    assert "\x1b[31mrate_limited\x1b[0m" == text("ansi:{problem.code!c}", RATE_LIMITED)
    assert "stale" == text("{stale}", RATE_LIMITED)


def test_ascii_is_ascii() -> None:
    status = replace_name(NORMAL, "Jürgen")
    assert text("{name} {problem.code}", status, options=OPTIONS._replace(ascii=True)) == "J?rgen -"


def replace_name(status: AccountStatus, name: str) -> AccountStatus:
    return status._replace(account=Account(name))
