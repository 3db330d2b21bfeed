"""docs/outputs.md names what exists."""

from __future__ import annotations

import re
from pathlib import Path

from claude_usage_monitor.formats import PRESETS
from claude_usage_monitor.formats.json_schema import WINDOW
from claude_usage_monitor.formats.targets import TARGETS
from claude_usage_monitor.formats.template import parse_template

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
