from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.payloads import PAYLOADS, payload

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store


def document(done: CompletedProcess[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_the_figures_are_one_document(command: Command, api: Api, store: Store) -> None:
    store.login()
    done = command.run("--json")
    assert (done.returncode, done.stderr) == (0, "")
    parsed = document(done)
    (account,) = parsed["accounts"]
    assert (parsed["version"], parsed["problem"], account["name"]) == (1, None, "claude-code")
    assert account["windows"][0]["utilization"] == 78.0
    assert account["profile"]["email"] == "user@example.com"


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("usage_*.json")))
def test_every_recorded_response_is_a_success(
    command: Command, api: Api, store: Store, name: str
) -> None:
    store.login()
    api.answer(payload(name))
    done = command.run("--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert document(done)["accounts"][0]["problem"] is None


def test_a_missing_login_is_a_document_too(command: Command, api: Api) -> None:
    done = command.run("--json")
    assert done.returncode == 3
    assert document(done)["problem"]["code"] == "no_credentials"
    assert api.requests == []


def test_an_expired_login_is_never_sent(command: Command, api: Api, store: Store) -> None:
    store.login(expires_in=-720)
    done = command.run("--json")
    assert done.returncode == 3
    problem = document(done)["accounts"][0]["problem"]
    assert (
        problem["code"],
        problem["message"],
    ) == ("credentials_expired", "The login expired 12 minutes ago.")
    assert api.requests == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (payload("credentials_mcp_only_no_login"), "MCP servers"),
        (payload("credentials_blanked_after_failed_refresh"), "erased"),
        (b'{"claudeAiOauth": {', "truncated"),
    ],
)
def test_an_unusable_credentials_file_is_named(
    command: Command, store: Store, content: bytes, words: str
) -> None:
    store.write(content)
    done = command.run("--json")
    problem = document(done)["accounts"][0]["problem"]
    assert (done.returncode, problem["code"]) == (3, "no_credentials")
    assert words in problem["message"]
    assert ".credentials.json" in problem["message"]


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("--account", "Work"), 2, "unknown_account"),
        (("--mode", "console"), 3, "no_credentials"),
    ],
)
def test_an_account_that_does_not_exist_is_a_problem(
    command: Command, api: Api, store: Store, arguments: tuple[str, ...], code: int, problem: str
) -> None:
    store.login()
    done = command.run("--json", *arguments)
    assert (code, problem) == (done.returncode, document(done)["problem"]["code"])
    assert len(done.stderr.splitlines()) == 2
    assert api.requests == []


def test_the_hint_for_an_unknown_account_names_the_known_ones(
    command: Command, store: Store
) -> None:
    store.login()
    done = command.run("--once", "--account", "Wo\x1brk")
    assert done.returncode == 2
    assert "hint: Known accounts: claude-code." in done.stderr
    assert "\x1b" not in done.stderr


def test_the_only_account_can_be_selected_in_every_way(
    command: Command, api: Api, store: Store
) -> None:
    store.login()
    for arguments in (("--account", "claude-code"), ("--all-accounts",), ("--mode", "code")):
        assert command.run("--json", *arguments).returncode == 0


@pytest.mark.parametrize(
    "url", ["http://example.com", "ftp://127.0.0.1", "nonsense", "https://u:p@h"]
)
def test_an_unsafe_api_url_is_an_invalid_setting(command: Command, store: Store, url: str) -> None:
    store.login()
    done = command.run("--json", environ={"CLAUDE_USAGE_MONITOR_API_URL": url})
    assert (done.returncode, document(done)["problem"]["code"]) == (2, "invalid_setting")


def test_figures_do_not_need_a_profile(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer_profile(b"not json", 500)
    done = command.run("--json")
    assert done.returncode == 0
    assert document(done)["accounts"][0]["profile"]["plan"] == "Max 5x"


def test_a_bad_setting_is_a_warning(
    command: Command, api: Api, store: Store, tmp_path: Path
) -> None:
    store.login()
    (tmp_path / "config.toml").write_text('interval = 2\nmode = "code"\n')
    done = command.run("--json", environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("warning: ")


def test_the_document_of_the_demo_says_demo(command: Command) -> None:
    account = document(command.run("--demo", "--json"))["accounts"][0]
    assert (account["name"], account["source"]) == ("demo", "demo")
    assert {"demo"} == {window["source"] for window in account["windows"]}
