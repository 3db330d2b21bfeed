"""docs/outputs.md names what exists."""

from __future__ import annotations

import re
from pathlib import Path

from claude_usage_monitor.cli.exit_codes import exit_code_for
from claude_usage_monitor.errors import UsageMonitorError
from claude_usage_monitor.formats import PRESETS
from claude_usage_monitor.formats.json_schema import WINDOW
from claude_usage_monitor.formats.targets import TARGETS
from claude_usage_monitor.formats.template import parse_template
from tests.cli.test_exit_codes import subclasses_of

TEXT = (Path(__file__).parent.parent.parent / "docs" / "outputs.md").read_text()


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
