"""The documents name what exists: presets, templates, problem codes and the fields of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claude_usage_monitor.cli.alerts import channels
from claude_usage_monitor.cli.exit_codes import exit_code_for
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import PRESETS, account_list, doctor_report, use
from claude_usage_monitor.formats.history import windows_export
from claude_usage_monitor.formats.json_schema import WINDOW
from claude_usage_monitor.formats.targets import TARGETS
from claude_usage_monitor.formats.template import parse_template
from claude_usage_monitor.usage.alerts import Alert
from claude_usage_monitor.usage.attribution.messages import Tokens
from claude_usage_monitor.usage.attribution.report import LastRise, ReportedWindow, UseReport
from claude_usage_monitor.usage.attribution.window_use import UseRow
from claude_usage_monitor.usage.durations import ClockStyle
from claude_usage_monitor.usage.findings import Finding
from claude_usage_monitor.usage.limits.history import (
    History,
    LimitHits,
    PastWindow,
    SessionsLeft,
)
from claude_usage_monitor.usage.limits.windows import UsageWindow
from claude_usage_monitor.usage.status import Account, Problem
from tests.cli.test_exit_codes import subclasses_of
from tests.support.payloads import NOW

DOCS = Path(__file__).parent.parent.parent / "docs"
TEXT = (DOCS / "outputs.md").read_text()


def test_every_preset_and_target_is_documented() -> None:
    for row in PRESETS:
        assert f"| `{row.name}` |" in TEXT
    for name in TARGETS:
        assert f"`{name}:`" in TEXT
    properties = WINDOW["properties"]
    assert isinstance(properties, dict)
    for field in properties:
        assert f"`{field}`" in TEXT


def test_every_documented_field_exists() -> None:
    wrong = ("{five_hour.utilisation}", "{profile}")
    fields = set(re.findall(r"`(\{[a-z_.\[\]:!A-Z]+\})", TEXT)) - set(wrong)
    assert len(fields) > 20
    for field in fields:
        parse_template(field)


def test_every_problem_code_and_its_exit_code_is_documented() -> None:
    _, section = TEXT.split("### Problem codes")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", section, re.MULTILINE)
    codes = {kind.code for kind in subclasses_of(UsageMonitorError)}
    assert {code: exit_code_for(code) for code in codes} == {row: int(exit_) for row, exit_ in rows}
    assert len(codes) == len(rows)


WINDOW_9 = UsageWindow("five_hour", "5-hour", 9.0, NOW, "api", NOW)
TOKENS = Tokens()
DOCUMENTS = {
    "history.md": windows_export(
        "Work",
        History(
            (PastWindow("five_hour", NOW, NOW, NOW, "reset", 9.0, NOW, timedelta(), 1.0),),
            (LimitHits("five_hour", 1, timedelta()),),
            1.0,
            SessionsLeft(1.0, 2.0),
        ),
    ).document(),
    "usage.md": use.document(
        UseReport(
            "Work",
            "project",
            ReportedWindow("five_hour", "5-hour", NOW, NOW, 9.0, is_running=True),
            (UseRow("/atlas", 9.0, 100.0, TOKENS, 1.0),),
            TOKENS,
            last_rise=LastRise(NOW, NOW, 1.0, "/atlas", "session"),
        )
    ),
    "accounts.md": account_list.document(
        [account_list.Row(Account("Work"), None, None, Problem("error", "", ""))], NOW, ClockStyle()
    ),
    "troubleshooting.md": doctor_report.document([Finding("", "", "ok", "")], ok=True),
    "alerts.md": json.dumps(channels.document(Alert("reset", "", "", "", "", NOW, WINDOW_9))),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_table_of_a_json_document_has_every_field(name: str) -> None:
    """Objects need a row only if they may be ``null``; ``version`` is the same everywhere."""
    fields = set(paths_of(json.loads(DOCUMENTS[name]))) - {"version"}
    leaves = {
        path
        for path in fields
        if not any(other.startswith((f"{path}.", f"{path}[")) for other in fields)
    }
    tables = re.findall(
        r"^\| field \| meaning \|\n(?:\|.*\n)+", (DOCS / name).read_text(), re.MULTILINE
    )
    first_cells = [line.split("|")[1] for line in tables[0].splitlines()[2:]]
    documented = [field for cell in first_cells for field in re.findall(r"`(.+?)`", cell)]
    assert len(tables) == 1
    assert len(documented) == len(set(documented))
    assert leaves <= set(documented) <= fields


def paths_of(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of all fields of a JSON value; ``[]`` stands for each item of an array."""
    if isinstance(value, list):
        for item in value:
            yield from paths_of(item, f"{path}[]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            inside = f"{path}.{name}" if path else name
            yield inside
            yield from paths_of(inner, inside)
