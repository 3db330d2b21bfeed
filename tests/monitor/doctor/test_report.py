from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from claude_usage_monitor.monitor.doctor.report import diagnose
from claude_usage_monitor.store.paths import accounts_path, config_path, secrets_path, state_path
from claude_usage_monitor.usage.clock import utc_now
from claude_usage_monitor.usage.durations import ClockStyle
from tests.support.saved import registry, save_account
from tests.support.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from claude_usage_monitor.usage.findings import Finding
    from tests.support.login import Store


def problems() -> dict[str, Finding]:
    """Return the findings that are problems, by name."""
    diagnosis = diagnose(os.environ, utc_now, ClockStyle(), online=False)
    return {each.name: each for each in diagnosis.findings if each.state == "problem"}


def write_other(path: Path) -> None:
    path.write_text("# of another user")
    path.chmod(0o666)


@pytest.mark.parametrize(
    ("name", "path_of"),
    [("state", state_path), ("accounts", accounts_path), ("settings", config_path)],
)
@pytest.mark.parametrize("make", [os.mkfifo, write_other])
def test_a_fifo_or_a_file_that_others_can_change_is_a_problem_with_a_remedy(
    store: Store,
    name: str,
    path_of: Callable[[os._Environ[str]], str],
    make: Callable[[Path], None],
) -> None:
    """Neither stops the report."""
    store.login()
    path = Path(path_of(os.environ))
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    assert path.name in problems()[name].hint


def test_a_lost_list_of_accounts_is_a_problem(store: Store) -> None:
    store.login()
    Path(accounts_path(os.environ)).parent.mkdir(parents=True)
    Path(secrets_path(os.environ)).write_text('{"version": 1, "entries": {"id": {}}}')
    assert "list" in problems()


def test_a_login_that_a_process_has_locked_is_named_with_its_lock() -> None:
    with TokenServer() as server:
        credentials = {name: server.issue(name) for name in ("home", "work")}
    home, _ = (save_account(each, name) for name, each in credentials.items())
    assert [] == lock_hints()
    with registry().services.credentials.lock(home):
        (hint,) = lock_hints()
        assert f"{home.id}.lock open" in hint
    assert [] == lock_hints()


def lock_hints() -> list[str]:
    """Return the hints of the findings about locks."""
    diagnosis = diagnose(os.environ, utc_now, ClockStyle(), online=False)
    return [each.hint for each in diagnosis.findings if each.name == "lock"]
