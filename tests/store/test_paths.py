from __future__ import annotations

import sys
from pathlib import Path

import pytest

from claude_usage_monitor.store.paths import config_path


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG rules are those of Linux")
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CLAUDE_USAGE_MONITOR_HOME": "/x"}, "/x/config.toml"),
        ({"XDG_CONFIG_HOME": "/c"}, "/c/claude-usage-monitor/config.toml"),
        ({"HOME": "/h"}, "/h/.config/claude-usage-monitor/config.toml"),
        (
            {"XDG_CONFIG_HOME": "relative", "HOME": "/h"},
            "/h/.config/claude-usage-monitor/config.toml",
        ),
    ],
)
def test_our_home_then_xdg_then_the_home(environ: dict[str, str], expected: str) -> None:
    assert Path(expected) == config_path(environ)


def test_what_is_answered_here_is_what_platformdirs_answers(home: Path) -> None:
    from platformdirs import user_config_path

    expected = user_config_path("claude-usage-monitor", appauthor=False) / "config.toml"
    assert expected == config_path({"HOME": str(home)})
