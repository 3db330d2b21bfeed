from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from claude_usage_monitor.cli.alerts import channels
from claude_usage_monitor.cli.alerts.channels import terminal_sequences, variables
from claude_usage_monitor.usage.alerts import Alert, AlertSettings
from claude_usage_monitor.usage.limits.windows import UsageWindow

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
WINDOW = UsageWindow("five_hour", "5-hour", 82.0, NOW + timedelta(hours=2), "api", NOW)
ALERT = Alert("threshold", "Work", "7", "level 80", "5-hour at\x1b]9;evil 82 %", NOW, WINDOW, 80.0)
TEXT = "Work: 5-hour at ]9;evil 82 %"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "\a"),
        ({"TERM_PROGRAM": "WezTerm"}, f"\x1b]9;{TEXT}\a"),
        ({"TERM_PROGRAM": "WezTerm", "TMUX": "x"}, "\a"),
        ({"TERM": "xterm-kitty"}, f"\x1b]99;;{TEXT}\x1b\\"),
        ({"TERM": "foot-extra"}, f"\x1b]777;notify;Claude usage;{TEXT}\a"),
    ],
)
def test_a_terminal_gets_the_notification_it_understands(
    environ: dict[str, str], expected: str
) -> None:
    assert expected == terminal_sequences(ALERT, AlertSettings(), environ)


def test_title_and_bell() -> None:
    settings = AlertSettings(channels=("title", "bell"))
    assert f"\x1b]2;{TEXT}\a" == terminal_sequences(ALERT, settings, {})
    assert "\a" == terminal_sequences(ALERT, AlertSettings(channels=("bell",)), {})
    assert "" == terminal_sequences(ALERT, AlertSettings(channels=("command",)), {})


def test_the_command_gets_listed_variables_only() -> None:
    found = variables(
        ALERT,
        {"PATH": "/bin", "LC_ALL": "C", "ANTHROPIC_API_KEY": "k", "GITHUB_TOKEN": "t", "FOO": "x"},
    )
    assert {"PATH", "LC_ALL"} == {name for name in found if not name.startswith("CLAUDE_USAGE_")}
    assert ("threshold", "Work", "five_hour", "82", "80", "2026-11-20T16:00:00Z") == tuple(
        found[f"CLAUDE_USAGE_{name}"]
        for name in ("EVENT", "ACCOUNT", "WINDOW", "UTILIZATION", "LEVEL", "RESETS_AT")
    )


def test_the_command_gets_the_alert_on_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "alert.json"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    command = (sys.executable, "-c", code, str(path))
    settings = AlertSettings(channels=("command",), command=command)
    channels.send(ALERT, settings, {})
    channels.wait()
    document = cast("dict[str, Any]", json.loads(path.read_text()))
    assert (1, "threshold", "Work", "five_hour", 80.0) == (
        document["version"],
        document["event"],
        document["account"],
        document["window"]["key"],
        document["level"],
    )


def test_a_command_that_cannot_start_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    settings = AlertSettings(channels=("command",), command=("/nowhere/at/all",))
    channels.send(ALERT, settings, {})
    assert "cannot be started" in capsys.readouterr().err
