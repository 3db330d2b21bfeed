"""The Grafana board in ``docs/metrics``. ``python -m tests.support.board`` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BarGaugeDisplayMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

BOARD = Path(__file__).parents[2] / "docs" / "metrics" / "board.json"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_SELECTED = '{account=~"$account"}'
_HEIGHT = 8
# The levels of the dashboard: elevated from 51 %, high from 81 %, exhausted from 100 %.
_LEVELS = ((None, "green"), (0.51, "yellow"), (0.81, "orange"), (1.0, "red"))


def board() -> dict[str, Any]:
    """Return the board as the JSON that Grafana imports."""
    account = dashboard.QueryVariable("account").label("Account").datasource(_SOURCE)
    account = account.query("label_values(claude_usage_account_info, account)")
    account = account.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    account = account.multi(True).include_all(True).all_value(".+")
    built = (
        dashboard.Dashboard("Claude usage limits")
        .uid("claude-usage-limits")
        .tags(["claude-usage-monitor"])
        .refresh("1m")
        .time("now-24h", "now")
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(account)
        .with_panel(_utilization_now())
        .with_panel(_resets())
        .with_panel(_utilization())
        .with_panel(_expected())
        .with_panel(_age())
        .with_panel(_money())
        .with_panel(_accounts())
    )
    document: dict[str, Any] = json.loads(json.dumps(built.build(), cls=JSONEncoder))
    cleaned: dict[str, Any] = _without_nulls(document)
    return cleaned


def expressions() -> list[str]:
    """Return every PromQL expression of the board, with the variables filled in."""
    return [
        target["expr"].replace("$account", ".+")
        for panel in board()["panels"]
        for target in panel["targets"]
    ]


def _query(expr: str, legend: str = "{{account}} {{window}}") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).legend_format(legend).datasource(_SOURCE)


def _latest(expr: str, legend: str = "{{account}} {{window}}") -> prometheus.Dataquery:
    return _query(expr, legend).instant().ref_id("A")


def _thresholds() -> dashboard.ThresholdsConfig:
    steps = [Threshold(value, color) for value, color in _LEVELS]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _by_window(metric: str) -> str:
    return f"max by (account, window) ({metric}{_SELECTED})"


def _utilization_now() -> bargauge.Panel:
    return (
        bargauge.Panel()
        .title("Used now")
        .datasource(_SOURCE)
        .with_target(_latest(_by_window("claude_usage_window_utilization_ratio")))
        .unit("percentunit")
        .min(0)
        .max(1)
        .thresholds(_thresholds())
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .height(_HEIGHT)
        .span(12)
    )


def _resets() -> stat.Panel:
    milliseconds = f"{_by_window('claude_usage_window_resets_timestamp_seconds')} * 1000"
    return (
        stat.Panel()
        .title("Resets")
        .datasource(_SOURCE)
        .with_target(_latest(milliseconds))
        .unit("dateTimeFromNow")
        .height(_HEIGHT)
        .span(12)
    )


def _utilization() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title("Used")
        .datasource(_SOURCE)
        .with_target(_query(_by_window("claude_usage_window_utilization_ratio")).ref_id("A"))
        .unit("percentunit")
        .min(0)
        .thresholds(_thresholds())
        .height(_HEIGHT)
        .span(24)
    )


def _expected() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title("Expected at the reset, as the last hour goes on")
        .description("Needs the recording rules of rules.yml. Above 100 %, the limit runs out.")
        .datasource(_SOURCE)
        .with_target(_query(_by_window("claude_usage:window_expected_at_reset:ratio")).ref_id("A"))
        .unit("percentunit")
        .min(0)
        .thresholds(_thresholds())
        .height(_HEIGHT)
        .span(12)
    )


def _age() -> timeseries.Panel:
    newest = f"max by (account) (claude_usage_window_reading_timestamp_seconds{_SELECTED})"
    return (
        timeseries.Panel()
        .title("Age of the figures")
        .datasource(_SOURCE)
        .with_target(_query(f"time() - {newest}", "{{account}}").ref_id("A"))
        .unit("s")
        .min(0)
        .height(_HEIGHT)
        .span(12)
    )


def _money() -> timeseries.Panel:
    panel = timeseries.Panel().title("Extra usage").datasource(_SOURCE)
    for ref_id, (metric, label) in zip(
        "AB",
        (
            ("claude_usage_extra_usage_used_amount", "used"),
            ("claude_usage_extra_usage_limit_amount", "limit"),
        ),
        strict=True,
    ):
        expr = f"max by (account, currency) ({metric}{_SELECTED})"
        panel = panel.with_target(_query(expr, f"{{{{account}}}} {label}").ref_id(ref_id))
    return panel.unit("currencyUSD").min(0).height(_HEIGHT).span(12)


def _accounts() -> table.Panel:
    query = f"max by (account, kind, plan, source) (claude_usage_account_info{_SELECTED})"
    return (
        table.Panel()
        .title("Accounts")
        .datasource(_SOURCE)
        .with_target(_latest(query, "").format(PromQueryFormat.TABLE))
        .override_by_name("Time", [DynamicConfigValue("custom.hidden", True)])
        .override_by_name("Value", [DynamicConfigValue("custom.hidden", True)])
        .height(_HEIGHT)
        .span(12)
    )


def _without_nulls(value: Any) -> Any:
    """Return a document without null fields, which Grafana's own types do not allow."""
    if isinstance(value, dict):
        # The value of the lowest threshold is null in Grafana's documents, too.
        is_threshold = value.keys() == {"value", "color"}
        return {
            name: _without_nulls(content)
            for name, content in value.items()
            if content is not None or is_threshold
        }
    if isinstance(value, list):
        return [_without_nulls(content) for content in value]
    return value


def main() -> None:
    """Write the board."""
    BOARD.write_text(json.dumps(board(), indent=2) + "\n")


if __name__ == "__main__":
    main()
