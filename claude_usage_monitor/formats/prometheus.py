"""Metrics of all accounts, and their text exposition for node_exporter's textfile collector.

A figure that is unknown has no sample: the series ends, and never shows 0. No label contains an
e-mail address or an organization.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from claude_usage_monitor import __version__
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.light_typing import NamedTuple
from claude_usage_monitor.usage.money.money import Amount
from claude_usage_monitor.usage.status import AccountStatus

PREFIX = "claude_usage"
HELP = {  # the names and help texts of all metrics, each a gauge
    "window_utilization_ratio": "Used share of a limit; 1 is the limit.",
    "window_resets_timestamp_seconds": "When the window resets.",
    "window_full_timestamp_seconds": "When the window is full at its average rate so far.",
    "window_reading_timestamp_seconds": "When the window's figures were read.",
    "window_binding": "1 for the window that stops the user first, else 0.",
    "window_length_seconds": "Length of the window.",
    "account_info": "The account's kind, plan and source of figures.",
    "account_up": "1 if the account has no problem, else 0.",
    "account_problem": "1 while the account has the problem with this code.",
    "extra_usage_used_amount": "Paid usage beyond the limits.",
    "extra_usage_limit_amount": "Limit of paid usage beyond the limits.",
    "credit_pool_used_amount": "Used prepaid credit.",
    "credit_pool_limit_amount": "Prepaid credit.",
    "spend_month_amount": "Spend of the organization in this month.",
    "spend_projected_amount": "Projected spend of the organization in the whole month.",
    "spend_budget_amount": "Budget of the organization for a month.",
    "build_info": "Version of claude-usage-monitor.",
}


class Metric(NamedTuple):
    """A gauge: its full name, its help text, and its samples as labels and value."""

    name: str
    help: str
    samples: list[tuple[Mapping[str, str], float]]


_Sample = tuple[str, float | None, Mapping[str, str | None]]


def metrics(
    statuses: Sequence[AccountStatus], now: datetime, error: UsageMonitorError | None = None
) -> list[Metric]:
    """Return the metrics that have samples, for all accounts."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {name: [] for name in HELP}
    samples = [sample for status in statuses for sample in _samples(status, now)]
    if error is not None:
        samples.append(("account_problem", 1, {"account": "", "code": error.code}))
    samples.append(("build_info", 1, {"version": __version__}))
    for name, value, labels in samples:
        if value is not None:
            found[name].append(({key: text or "" for key, text in labels.items()}, value))
    return [Metric(f"{PREFIX}_{name}", HELP[name], rows) for name, rows in found.items() if rows]


def _samples(status: AccountStatus, now: datetime) -> Iterator[_Sample]:
    """Yield the name, the value and the labels of each sample; the value may be unknown."""
    account, problem, spend = {"account": status.account.name}, status.problem, status.spend
    api_now = status.api_time(now)
    usage = status.at(now).usage
    for window in usage.windows if usage else ():
        labels = {**account, "window": window.key}
        ratio = None if window.utilization is None else window.utilization / 100
        yield "window_utilization_ratio", ratio, labels
        yield "window_resets_timestamp_seconds", _seconds(window.resets_at), labels
        yield "window_full_timestamp_seconds", _seconds(window.full_at(api_now)), labels
        yield "window_reading_timestamp_seconds", _seconds(window.as_of), labels
        yield "window_binding", int(window.binding), labels
        yield "window_length_seconds", window.window_seconds, labels
    reading = usage or spend
    info = {
        "kind": status.account.kind,
        "plan": status.profile.plan if status.profile else None,
        "source": reading.source if reading else None,
    }
    yield "account_info", 1, {**account, **info}
    yield "account_up", int(problem is None), account
    if problem is not None:
        yield "account_problem", 1, {**account, "code": problem.code}
    if usage is not None and usage.extra_usage is not None:
        extra = usage.extra_usage
        money = {**account, "currency": extra.currency}
        yield "extra_usage_used_amount", _float(extra.used), money
        yield "extra_usage_limit_amount", _float(extra.limit), money
    for pool in usage.credit_pools if usage else ():
        money = {**account, "pool": pool.key, "currency": pool.currency}
        yield "credit_pool_used_amount", _float(pool.used), money
        yield "credit_pool_limit_amount", _float(pool.limit), money
    if spend is not None:
        money = {**account, "currency": spend.currency}
        yield "spend_month_amount", _float(spend.month_to_date), money
        yield "spend_projected_amount", _float(spend.projected), money
        yield "spend_budget_amount", _float(spend.budget), money


def render(
    statuses: Sequence[AccountStatus],
    now: datetime,
    options: FormatOptions,  # noqa: ARG001 - numbers look the same everywhere
    error: UsageMonitorError | None = None,
) -> str:
    """Return the metrics in Prometheus' text format, without timestamps."""
    lines: list[str] = []
    for metric in metrics(statuses, now, error):
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} gauge"]
        for labels, value in metric.samples:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            lines.append(f"{metric.name}{{{pairs}}} {value!r}")
    return "\n".join(lines)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else round(moment.timestamp())


def _float(amount: Amount | None) -> float | None:
    return None if amount is None else float(amount)
