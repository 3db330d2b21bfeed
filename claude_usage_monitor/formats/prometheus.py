"""Metrics of all accounts, and their text exposition for node_exporter's textfile collector.

A figure that is unknown has no sample: the series ends, and never shows 0. No label contains an
e-mail address or an organization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from claude_usage_monitor import __version__
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats.options import FormatOptions
from claude_usage_monitor.usage.status import AccountStatus

if TYPE_CHECKING:
    from decimal import Decimal

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


class _Add(Protocol):
    """Adds a sample to a metric, unless its value is unknown."""

    def __call__(self, name: str, value: float | None, **labels: str | None) -> None: ...


def metrics(
    statuses: Sequence[AccountStatus], now: datetime, error: UsageMonitorError | None = None
) -> list[Metric]:
    """Return the metrics that have samples, for all accounts."""
    samples: dict[str, list[tuple[Mapping[str, str], float]]] = {name: [] for name in HELP}

    def add(name: str, value: float | None, **labels: str | None) -> None:
        if value is not None:
            samples[name].append(({key: text or "" for key, text in labels.items()}, value))

    for status in statuses:
        _add_account(status, now, add)
    if error is not None:
        add("account_problem", 1, account="", code=error.code)
    add("build_info", 1, version=__version__)
    return [Metric(f"{PREFIX}_{name}", HELP[name], rows) for name, rows in samples.items() if rows]


def _add_account(status: AccountStatus, now: datetime, add: _Add) -> None:
    name, problem, spend = status.account.name, status.problem, status.spend
    api_now = status.api_time(now)
    usage = status.usage.at(api_now) if status.usage else None
    for window in usage.windows if usage else ():
        labels = {"account": name, "window": window.key}
        ratio = None if window.utilization is None else window.utilization / 100
        add("window_utilization_ratio", ratio, **labels)
        add("window_resets_timestamp_seconds", _seconds(window.resets_at), **labels)
        add("window_full_timestamp_seconds", _seconds(window.full_at(api_now)), **labels)
        add("window_reading_timestamp_seconds", _seconds(window.as_of), **labels)
        add("window_binding", int(window.binding), **labels)
        add("window_length_seconds", window.window_seconds, **labels)
    reading = usage or spend
    plan = status.profile.plan if status.profile else None
    source = reading.source if reading else None
    add("account_info", 1, account=name, kind=status.account.kind, plan=plan, source=source)
    add("account_up", int(problem is None), account=name)
    if problem is not None:
        add("account_problem", 1, account=name, code=problem.code)
    if usage is not None and usage.extra_usage is not None:
        extra = usage.extra_usage
        add("extra_usage_used_amount", _float(extra.used), account=name, currency=extra.currency)
        add("extra_usage_limit_amount", _float(extra.limit), account=name, currency=extra.currency)
    for pool in usage.credit_pools if usage else ():
        labels = {"account": name, "pool": pool.key, "currency": pool.currency or ""}
        add("credit_pool_used_amount", _float(pool.used), **labels)
        add("credit_pool_limit_amount", _float(pool.limit), **labels)
    if spend is not None:
        labels = {"account": name, "currency": spend.currency or ""}
        add("spend_month_amount", _float(spend.month_to_date), **labels)
        add("spend_projected_amount", _float(spend.projected), **labels)
        add("spend_budget_amount", _float(spend.budget), **labels)


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


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
