from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.login import TOKEN
from tests.support.payloads import payload

if TYPE_CHECKING:
    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def test_one_frame_is_all_that_is_written(command: Command, api: Api, store: Store) -> None:
    store.login()

    done = command.run("--once")

    assert (done.returncode, done.stderr) == (0, "")
    assert "78 %" in done.stdout
    assert "\x1b" not in done.stdout
    assert (len(api.usage_requests), len(api.profile_requests)) == (1, 1)


def test_a_pipe_means_once(command: Command, api: Api, store: Store) -> None:
    store.login()
    assert command.run("--once").stdout.splitlines()[0] == command.run().stdout.splitlines()[0]


@pytest.mark.parametrize("columns", [20, 28, 40, 60, 100, 120, 200])
def test_columns_count_where_stdout_is_no_terminal(
    command: Command, api: Api, store: Store, columns: int
) -> None:
    store.login()
    done = command.run("--once", environ={"COLUMNS": str(columns)})
    assert min(columns, 100) >= max(map(len, done.stdout.splitlines()))
    assert "78" in done.stdout


@pytest.mark.parametrize("columns", ["", "0", "-5", "wide", "１２"])
def test_columns_that_are_not_a_number_are_ignored(
    command: Command, api: Api, store: Store, columns: str
) -> None:
    store.login()
    done = command.run("--once", environ={"COLUMNS": columns})
    assert len(done.stdout.splitlines()[0]) == 80


def test_a_pipe_gets_color_only_when_forced(command: Command, api: Api, store: Store) -> None:
    store.login()
    assert "\x1b[" in command.run("--once", environ={"FORCE_COLOR": "1"}).stdout
    both = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    assert "\x1b[3" not in command.run("--once", environ=both).stdout


def test_ascii_on_request_and_where_other_glyphs_cannot_be_encoded(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    api.answer_profile({"account": {"display_name": "漢字 Zoë", "email": "zoë@example.com"}})
    for environ in ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}):
        done = command.run("--once", environ=environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert "+- Claude" in done.stdout
    done = command.run("--once", "--ascii")
    assert done.stdout.isascii()
    assert "78 %" in done.stdout


ERRORS = [
    ("error_401_expired_2026", 401, 3, "expired"),
    ("error_401_expired_legacy", 401, 3, "expired"),
    ("error_401_invalid_credentials", 401, 3, "refuses this login"),
    ("error_401_missing_beta_header", 401, 3, "refuses this login"),
    ("error_403_scope_user_profile", 403, 3, "may not read usage"),
    ("error_403_oauth_org_not_allowed", 403, 3, "does not allow this login"),
    ("error_429_usage", 429, 4, "refused and did not say how long. Next request"),
    ("error_529_overloaded", 529, 4, "has a problem (529)"),
]


@pytest.mark.parametrize(("name", "status", "code", "words"), ERRORS)
@pytest.mark.parametrize("flag", ["--once", "--json"])
def test_each_problem_is_an_error_and_a_hint_and_has_its_exit_code(
    command: Command,
    api: Api,
    store: Store,
    name: str,
    status: int,
    code: int,
    words: str,
    flag: str,
) -> None:
    store.login()
    api.answer(payload(name), status)

    done = command.run(flag)

    error, hint = done.stderr.splitlines()
    assert code == done.returncode
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert words in error
    assert TOKEN not in done.stdout + done.stderr
    assert (flag == "--once") == (not done.stdout)


def test_control_characters_in_names_are_not_printed(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    api.answer_profile(
        {
            "account": {"display_name": "\x1b[2J\x1b]0;t\x07[/]\u202e", "email": "a\x9b31m@b"},
            "organization": {"name": ":smile: [link=https://evil.example]x[/link]\0\x7f"},
        }
    )
    done = command.run("--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert len({len(line) for line in done.stdout.splitlines()}) == 1
    assert "[link=https://evil.example]x[/link]" in done.stdout


def test_demo_needs_neither_login_nor_network_nor_files(command: Command, home: object) -> None:
    done = command.run("--demo", environ={"CLAUDE_USAGE_MONITOR_API_URL": "nonsense"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "Demo · Max 5x" in done.stdout
    assert "demo · now" in done.stdout
    from pathlib import Path

    assert list(Path(str(home)).rglob("*")) == []
