"""The installed command with an Admin API key."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import RESTORED
from tests.support.organization import ADMIN_KEY, COSTS, AdminApi, Invented
from tests.support.payloads import payload

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

    from tests.support.command import Command
    from tests.support.login import Store

ENDPOINTS = (
    "me",
    COSTS,
    "usage_report/claude_code",
    "usage_report/messages",
    "users",
    "workspaces",
)


@pytest.fixture
def api(admin_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> AdminApi:
    admin_api = AdminApi(admin_server, Invented.of_size(datetime.now(UTC), users=6))
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", admin_api.url)
    monkeypatch.setenv("ANTHROPIC_ADMIN_API_KEY", ADMIN_KEY)
    return admin_api


def month_to_date(api: AdminApi) -> str:
    """Return the month to date as the command shows it."""
    dollars = (api.organization.cents() / 100).quantize(Decimal("0.01"))
    return f"${dollars:,}"


def account(output: str) -> dict[str, Any]:
    (document,) = json.loads(output)["accounts"]
    return dict(document)


def test_once_shows_the_organization(command: Command, api: AdminApi) -> None:
    done = command.run("--mode", "console", "--once", environ={"COLUMNS": "60"})
    assert (0, "") == (done.returncode, done.stderr)
    assert "Acme Corporation" in done.stdout
    assert month_to_date(api) in done.stdout
    assert "Grace Hopper" in done.stdout


def test_names_can_be_hidden(command: Command, api: AdminApi, home: Path) -> None:
    (home / "config.toml").write_text(f'email = "{api.organization.users[1]["email"]}"')
    environ = {"COLUMNS": "80", "CLAUDE_USAGE_MONITOR_HOME": str(home)}
    for form in ("--once", "--json", "--plain"):
        done = command.run("--mode", "console", "--hide-names", form, environ=environ)
        assert (0, "") == (done.returncode, done.stderr)
        for name in ("Acme", "Ada", "ada0@", "Grace", "grace1@"):
            assert name not in done.stdout


def test_the_json_document_has_the_organizations_figures(command: Command, api: AdminApi) -> None:
    done = command.run("--mode", "console", "--json")
    assert (0, "") == (done.returncode, done.stderr)
    organization = account(done.stdout)
    assert ("console", "console") == (organization["name"], organization["kind"])
    spend = organization["spend"]
    assert float(api.organization.cents() / 100) == pytest.approx(spend["month_to_date"], abs=1e-9)
    by_day = sum(Decimal(str(day["amount"])) for day in spend["daily"])
    assert abs(by_day - api.organization.cents() / 100) < Decimal("0.001")
    assert 6 == len(spend["claude_code"]["by_user"])


def test_a_second_run_shows_stored_figures_without_a_request(
    command: Command, api: AdminApi
) -> None:
    first = account(command.run("--mode", "console", "--json").stdout)
    requests = len(api.requests)
    again = account(command.run("--mode", "console", "--json").stdout)
    assert first["spend"] == again["spend"]
    assert requests == len(api.requests)


def test_live_mode_shows_the_figures_at_any_size_until_q(command: Command, api: AdminApi) -> None:
    terminal = command.open("--mode", "console", columns=60, rows=40)
    terminal.wait_for("Mary Somerville")
    terminal.wait_for(month_to_date(api))
    terminal.wait_for("next in 5m")
    for columns, rows in ((28, 14), (120, 50), (40, 12)):
        terminal.resize(columns, rows)
        terminal.wait_for(lambda: month_to_date(api) in terminal.text and "Acme" in terminal.text)
        terminal.wait_until_quiet()
        assert "Acme Corporation" in terminal.lines[0]
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
    assert RESTORED == terminal.state


def test_q_leaves_while_the_api_does_not_answer(command: Command, api: AdminApi) -> None:
    api.hold = True
    terminal = command.open("--mode", "console")
    terminal.wait_for(lambda: bool(api.requests))
    terminal.type("q")
    assert 0 == terminal.wait_for_exit()
    api.release.set()


def test_after_a_kill_the_next_run_requests_only_what_is_missing(
    command: Command, api: AdminApi
) -> None:
    """Each report is stored when it arrives, and the killed process blocks no other one."""
    terminal = command.open("--mode", "console", columns=60, rows=40)
    terminal.wait_for(lambda: len(api.requests) >= 6)
    api.hold = True
    terminal.wait_for(lambda: api.concurrent == 2)
    terminal.kill(signal.SIGKILL)
    terminal.wait_for_exit()
    api.hold = False
    api.release.set()
    before = Counter(request.full_path for request in api.requests)
    done = command.run("--mode", "console", "--once", environ={"COLUMNS": "60"})
    assert (0, "") == (done.returncode, done.stderr)
    assert month_to_date(api) in done.stdout
    after = Counter(request.full_path for request in api.requests)
    assert set(after.values()) <= {1, 2}
    assert 2 == sum(after[path] == 2 for path in before)


def test_the_key_in_claude_codes_credentials_file_is_used(
    command: Command, api: AdminApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_ADMIN_API_KEY")
    store.write(json.dumps({"anthropicConsole": {"adminApiKey": ADMIN_KEY}}).encode())
    organization = account(command.run("--mode", "console", "--json").stdout)
    assert "Claude Code credentials file" == organization["credential_origin"]
    assert organization["spend"] is not None


def test_a_user_with_only_an_admin_key_sees_the_organization_alone(
    command: Command, api: AdminApi, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No problem of a login that this user never had, and exit code 0."""
    monkeypatch.delenv("ANTHROPIC_ADMIN_API_KEY")
    store.write(json.dumps({"anthropicConsole": {"adminApiKey": ADMIN_KEY}}).encode())
    for arguments in (("--json",), ("--json", "--all-accounts")):
        done = command.run(*arguments)
        assert (0, "") == (done.returncode, done.stderr)
        assert ("console", None) == (account(done.stdout)["name"], account(done.stdout)["problem"])
    shown = command.run("--once")
    assert (0, "") == (shown.returncode, shown.stderr)
    assert month_to_date(api) in shown.stdout
    assert "login" not in shown.stdout.lower()


def test_an_erased_login_is_a_problem_beside_the_organization(
    command: Command, api: AdminApi, store: Store
) -> None:
    """Claude Code could not refresh the login: its user has lost it."""
    store.write(payload("credentials_blanked_after_failed_refresh"))
    done = command.run("--json")
    names = [each["name"] for each in json.loads(done.stdout)["accounts"]]
    assert ["claude-code", "console"] == names
    assert "Claude Code has erased the login" in done.stderr


def test_the_names_on_the_screen_select_the_account(command: Command, api: AdminApi) -> None:
    first = command.run("--mode", "console", "--json")
    for name in ("console", "Organization", "acme corporation"):
        done = command.run("--account", name, "--json")
        assert account(first.stdout)["spend"] == account(done.stdout)["spend"]
    done = command.run("--account", "Claude", "--json")
    assert "claude-code" == account(done.stdout)["name"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "There is no Admin API key."),
        ("sk-ant-api03-" + "w" * 40, "ANTHROPIC_ADMIN_API_KEY variable: This is a workspace's"),
        ("nonsense", "ANTHROPIC_ADMIN_API_KEY variable: This is not an Admin API key"),
    ],
)
def test_without_a_usable_key_the_exit_code_is_3_with_an_error_and_a_hint(
    command: Command, api: AdminApi, key: str | None, message: str
) -> None:
    done = command.run("--mode", "console", "--once", environ={"ANTHROPIC_ADMIN_API_KEY": key})
    assert (3, "") == (done.returncode, done.stdout)
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {message}")
    assert hint.startswith("hint: ")
    assert [] == api.requests


@pytest.mark.parametrize(
    ("status", "kind", "code", "message"),
    [
        (401, "authentication_error", 3, "refuses this Admin key (401, request req_"),
        (403, "permission_error", 3, "This key may not call"),
        (429, "rate_limit_error", 4, "did not say how long (429"),
        (500, "api_error", 4, "has a problem with"),
        (529, "overloaded_error", 4, "has a problem with"),
    ],
)
def test_each_failure_has_its_exit_code_and_message(
    command: Command, api: AdminApi, status: int, kind: str, code: int, message: str
) -> None:
    for endpoint in (*ENDPOINTS, "api_keys"):
        api.fail(endpoint, status, kind, "lacks the scope read:billing")
    done = command.run("--mode", "console", "--json")
    assert code == done.returncode
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 2
    document = json.loads(done.stdout)
    assert document["problem"] == document["accounts"][0]["problem"]
    assert "Traceback" not in done.stderr


def test_stored_figures_are_shown_while_the_api_is_unreachable(
    command: Command, api: AdminApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.run("--mode", "console", "--json")
    monkeypatch.setenv("CLAUDE_USAGE_MONITOR_API_URL", "http://127.0.0.1:9")
    done = command.run("--mode", "console", "--once", environ={"COLUMNS": "60"})
    assert (0, True) == (done.returncode, month_to_date(api) in done.stdout)


def test_the_key_is_not_in_the_output(command: Command, api: AdminApi) -> None:
    for flags in (("--json",), ("--once",)):
        done = command.run("--mode", "console", *flags)
        assert "aaaaaaaa" not in done.stdout + done.stderr


def test_an_unknown_account_is_refused_with_the_known_names(
    command: Command, api: AdminApi
) -> None:
    done = command.run("--mode", "console", "--account", "x", "--once")
    assert (2, "") == (done.returncode, done.stdout)
    assert "console" in done.stderr


def test_a_month_starts_and_ends_in_utc(command: Command, api: AdminApi) -> None:
    """On a computer in a time zone eleven hours behind UTC, the days are those of UTC."""
    done = command.run("--mode", "console", "--json", environ={"TZ": "UTC+11"})
    organization = account(done.stdout)
    today = datetime.now(UTC)
    for moment in (today, today - timedelta(minutes=5)):
        if organization["spend"]["daily"][-1]["date"] == moment.date().isoformat():
            break
    else:
        raise AssertionError(organization["spend"]["daily"][-1])
