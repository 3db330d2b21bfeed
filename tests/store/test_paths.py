from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from platformdirs import user_config_path, user_state_path

from claude_usage_monitor.store.paths import (
    ACCOUNTS_BACKUP,
    HOME_VARIABLE,
    accounts_path,
    config_path,
    fallback_path,
    has_accounts,
    secrets_path,
    state_path,
)


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
def test_settings_are_in_our_own_folder_else_in_that_of_xdg_else_in_the_home(
    environ: dict[str, str], expected: str
) -> None:
    assert expected == config_path(environ)


def test_the_folders_are_those_of_platformdirs(home: Path) -> None:
    app = "claude-usage-monitor"
    environ = {"HOME": str(home)}
    assert str(user_config_path(app, appauthor=False) / "config.toml") == config_path(environ)
    assert str(user_state_path(app, appauthor=False) / "state.db") == state_path(environ)


@pytest.mark.parametrize("home", ["", "relative", "~"])
def test_without_an_absolute_home_the_systems_is_used(home: str) -> None:
    expected = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for path in (config_path({"HOME": home}), state_path({"HOME": home})):
        assert expected in Path(path).parents


def test_state_has_a_folder_of_its_own() -> None:
    environ = {"HOME": "/h", "XDG_STATE_HOME": "/s"}
    assert "/s/claude-usage-monitor/state.db" == state_path(environ)
    assert "/h/.local/state/claude-usage-monitor/state.db" == state_path({"HOME": "/h"})
    assert "/x/state.db" == state_path({"CLAUDE_USAGE_MONITOR_HOME": "/x"})


def test_without_any_home_nothing_can_be_created(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert Path(os.devnull) in Path(state_path({})).parents


def test_the_fallback_is_in_a_folder_of_this_user_until_the_next_restart() -> None:
    name = f"claude-usage-monitor-{os.getuid()}"
    environ = {"XDG_RUNTIME_DIR": "/run/user/1", "TMPDIR": "/temporary"}
    assert f"/run/user/1/{name}/state.db" == fallback_path(environ)
    assert f"/temporary/{name}/state.db" == fallback_path({"TMPDIR": "/temporary"})
    assert f"/tmp/{name}/state.db" == fallback_path({})  # noqa: S108 - the expected path


@pytest.mark.parametrize("path_of", [accounts_path, secrets_path])
def test_there_may_be_accounts_once_a_file_of_theirs_exists(
    tmp_path: Path, path_of: Callable[[dict[str, str]], str]
) -> None:
    environ = {HOME_VARIABLE: str(tmp_path / "ours")}
    assert not has_accounts(environ)
    (tmp_path / "ours").mkdir()
    assert not has_accounts(environ)
    Path(path_of(environ)).symlink_to("nowhere")
    assert has_accounts(environ)


def test_a_copy_of_the_list_means_that_there_may_be_accounts(tmp_path: Path) -> None:
    (tmp_path / ACCOUNTS_BACKUP).touch()
    assert has_accounts({HOME_VARIABLE: str(tmp_path)})


def test_there_may_be_accounts_in_a_folder_that_cannot_be_entered(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert has_accounts({HOME_VARIABLE: str(tmp_path / "loop")})
