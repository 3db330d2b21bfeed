from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from claude_usage_monitor.store.paths import config_path, state_path


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


@pytest.mark.parametrize("home", ["", "relative", "~"])
def test_a_home_that_is_no_absolute_path_is_not_written_to(home: str) -> None:
    expected = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for path in (config_path({"HOME": home}), state_path({"HOME": home})):
        assert expected in path.parents


def test_state_is_kept_apart_from_settings() -> None:
    environ = {"HOME": "/h", "XDG_STATE_HOME": "/s"}
    assert Path("/s/claude-usage-monitor/state.db") == state_path(environ)
    assert Path("/h/.local/state/claude-usage-monitor/state.db") == state_path({"HOME": "/h"})
    assert Path("/x/state.db") == state_path({"CLAUDE_USAGE_MONITOR_HOME": "/x"})
