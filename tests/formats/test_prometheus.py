from __future__ import annotations

import re
from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from claude_usage_monitor.errors import NoCredentials
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.formats.prometheus import HELP, metrics, render
from claude_usage_monitor.usage.status import Account, AccountStatus
from tests.support.payloads import NOW
from tests.support.spends import OVER_BUDGET
from tests.support.statuses import EVERY_STATE, NORMAL, NOT_LOGGED_IN, RATE_LIMITED

_SAMPLE = re.compile(r'claude_usage_[a-z_]+\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\} [-+.e0-9]+')


def text(*statuses: AccountStatus) -> str:
    return render(statuses, NOW, FormatOptions())


def samples(*statuses: AccountStatus) -> set[str]:
    return {line for line in text(*statuses).splitlines() if not line.startswith("#")}


def test_windows_have_ratios_and_times() -> None:
    labels = '{account="claude-code",window="five_hour"}'
    resets = int((NOW + timedelta(hours=2, minutes=11)).timestamp())
    assert {
        f"claude_usage_window_utilization_ratio{labels} 0.78",
        f"claude_usage_window_resets_timestamp_seconds{labels} {resets}",
        f"claude_usage_window_reading_timestamp_seconds{labels} {int(NOW.timestamp())}",
        f"claude_usage_window_binding{labels} 1",
        f"claude_usage_window_length_seconds{labels} 18000",
        'claude_usage_account_up{account="claude-code"} 1',
        'claude_usage_extra_usage_used_amount{account="claude-code",currency="USD"} 47.52',
    } <= samples(NORMAL)


def test_an_unknown_figure_has_no_sample() -> None:
    found = "\n".join(samples(EVERY_STATE))
    assert 'ratio{account="claude-code",window="seven_day_opus"}' not in found
    assert 'binding{account="claude-code",window="seven_day_opus"} 0' in found
    assert "ratio" not in "".join(samples(NOT_LOGGED_IN))


def test_problems_and_organizations_are_metrics_too() -> None:
    found = samples(RATE_LIMITED, OVER_BUDGET)
    assert {
        'claude_usage_account_problem{account="claude-code",code="rate_limited"} 1',
        'claude_usage_account_up{account="claude-code"} 0',
        'claude_usage_spend_month_amount{account="console",currency="USD"} 4062.55',
        'claude_usage_spend_budget_amount{account="console",currency="USD"} 4600.0',
    } <= found
    failed = render((), NOW, FormatOptions(), NoCredentials())
    assert 'account_problem{account="",code="no_credentials"} 1' in failed


def test_no_label_has_an_address_or_an_organization() -> None:
    shown = text(NORMAL, RATE_LIMITED, OVER_BUDGET)
    assert "@" not in shown
    assert "Analytical" not in shown


def test_each_metric_is_announced_once_before_its_samples() -> None:
    shown = text(NORMAL, EVERY_STATE._replace(account=Account("other")), OVER_BUDGET)
    announced = re.findall(r"# TYPE (\S+) gauge", shown)
    assert len(announced) == len(set(announced))
    current = ""
    for line in shown.splitlines():
        if line.startswith("# TYPE"):
            current = line.split()[2]
        elif not line.startswith("#"):
            assert line.startswith(current + "{")
    assert {metric.name for metric in metrics((NORMAL,), NOW)} <= set(announced)
    assert set(announced) <= {f"claude_usage_{name}" for name in HELP}


@given(st.text(min_size=1))
@example('a"b\\c\nd')
def test_a_label_is_one_quoted_string_whatever_it_contains(name: str) -> None:
    for line in text(NORMAL._replace(account=Account(name))).split("\nclaude_usage")[1:]:
        sample = "claude_usage" + line.partition("\n#")[0]
        assert _SAMPLE.fullmatch(sample), sample
